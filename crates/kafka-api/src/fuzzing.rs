//! A door for the fuzz targets, built with `--cfg fuzzing` only: one request in process, without a
//! socket.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_wire::Segment;
use storage::{BytesPermit, Chunk};

use crate::dispatch::dispatch;
use crate::{Context, Ends, KafkaApi};

/// What a connection would do with a frame.
#[derive(Debug)]
pub enum Outcome {
    /// This response, its length in front.
    Answer(Bytes),
    /// No response.
    Silence,
    /// The connection is closed.
    Close,
}

/// Gives a frame without its length to the dispatcher and waits for the answer. The store is the
/// one in memory.
pub async fn answer(api: &Arc<KafkaApi>, frame: BytesMut) -> Outcome {
    let mut context = Context {
        api: Arc::clone(api),
        ends: Ends {
            peer: ([127, 0, 0, 1], 50000).into(),
            local: ([127, 0, 0, 1], 9092).into(),
        },
        version: 0,
        client_id: None,
    };
    let Ok(begun) = dispatch(&mut context, frame, BytesPermit::free()) else {
        return Outcome::Close;
    };
    match begun.answer.await {
        Err(_) => Outcome::Close,
        Ok(None) => Outcome::Silence,
        Ok(Some(response)) => {
            let mut bytes = BytesMut::new();
            for segment in &response.segments {
                match segment {
                    Segment::Bytes(piece)
                    | Segment::External {
                        chunk: Chunk::Memory(piece),
                        ..
                    } => bytes.extend_from_slice(piece),
                    Segment::External { .. } => unreachable!("the memory store has no files"),
                }
            }
            assert_eq!(bytes.len(), response.length, "it is as long as it says");
            Outcome::Answer(bytes.freeze())
        }
    }
}
