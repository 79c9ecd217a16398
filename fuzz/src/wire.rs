//! Frames, headers, messages and views of the Kafka protocol.
//!
//! The messages come from the generated list, so a new API is fuzzed without a change here. An
//! input begins with the API key and the version, one byte each.

use bytes::Bytes;
use kafka_wire::frames::{PREFIX_BYTES, peek_frame};
use kafka_wire::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use kafka_wire::messages::{FetchRequest, ProduceRequest};
use kafka_wire::views::{FetchPartitionView, FetchView, ProduceView};
use kafka_wire::{
    DecodeError, DecodeFault, Message, Reader, RequestHeader, ResponseHeader, SLACK_BYTES, Writer,
};

use crate::memory::bounded;

/// `socket.request.max.bytes`.
const FRAME_BYTES_MAX: usize = 100 << 20;
/// Beside the documented budget: the handle that strings share.
const HANDLE_BYTES: usize = 256;

/// The length of a frame and the header of a request or response.
pub fn frame(data: &[u8]) {
    let rest = match bounded(0, || peek_frame(data, FRAME_BYTES_MAX)) {
        Ok(Some(length)) => {
            assert!(length <= FRAME_BYTES_MAX);
            let rest = &data[PREFIX_BYTES..];
            &rest[..length.min(rest.len())]
        }
        Ok(None) => {
            assert!(data.len() < PREFIX_BYTES);
            return;
        }
        Err(_) => data,
    };
    if let Ok((header, body_at)) = bounded(0, || RequestHeader::parse(rest)) {
        assert!(body_at <= rest.len());
        let mut writer = Writer::new();
        header
            .encode(&mut writer)
            .expect("what was read can be written");
        let written = writer.into_inner();
        let (again, end) = RequestHeader::parse(&written).expect("what was written can be read");
        assert_eq!((again, end), (header.clone(), written.len()));
        let (key, version) = (header.api_key, header.api_version);
        if let Ok((answer, at)) = ResponseHeader::parse(rest, key, version) {
            assert!(at <= rest.len());
            let mut writer = Writer::new();
            answer.encode(&mut writer, key, version);
            let again = ResponseHeader::parse(&writer.into_inner(), key, version);
            assert_eq!(again.expect("what was written can be read").0, answer);
        }
    }
}

/// A message of any API; the list is generated.
macro_rules! decoders {
    ($(($name:ident, $request:path, $response:path))*) => {
        fn decode_request(key: i16, version: i16, body: Bytes) {
            $(if key == <$request as Message>::KEY { return recode::<$request>(body, version); })*
        }

        fn decode_response(key: i16, version: i16, body: Bytes) {
            $(if key == <$response as Message>::KEY { return recode::<$response>(body, version); })*
        }
    };
}

kafka_wire::for_each_api!(decoders);

/// A request body of any API and version.
pub fn request(data: &[u8]) {
    if let [key, version, body @ ..] = data {
        decode_request(i16::from(*key), i16::from(*version), shared(body));
    }
}

/// A response body of any API and version.
pub fn response(data: &[u8]) {
    if let [key, version, body @ ..] = data {
        decode_response(i16::from(*key), i16::from(*version), shared(body));
    }
}

/// Bytes whose clones allocate nothing.
fn shared(body: &[u8]) -> Bytes {
    let bytes = Bytes::from(body.to_vec());
    drop(bytes.clone());
    bytes
}

fn encoded<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    let outcome = message.encode(&mut writer, version);
    outcome.unwrap_or_else(|error| panic!("it was read, but cannot be written: {error}"));
    writer.into_inner().freeze()
}

/// What can be read can be written, reads back as the same, and is written as the same then.
fn recode<M: Message>(body: Bytes, version: i16) {
    let limit_bytes = body.len() * Reader::BUDGET_FACTOR + SLACK_BYTES + HANDLE_BYTES;
    let mut reader = Reader::new(body.clone());
    let Ok(message) = bounded(limit_bytes, || M::decode(&mut reader, version)) else {
        return;
    };
    assert!(reader.position() <= body.len());
    let written = encoded(&message, version);
    let mut reader = Reader::new(written.clone()).with_budget(usize::MAX);
    let again = M::decode(&mut reader, version).expect("what was written can be read");
    reader.finish().expect("all that was written is read");
    assert_eq!(again, message);
    assert_eq!(encoded(&again, version), written);
}

/// Bytes before the body, so that places must refer to the frame.
const HEAD: &[u8] = b"a request header";

/// Produce and Fetch, read in place and by the generated decoder.
pub fn views(data: &[u8]) {
    let [api, version, body @ ..] = data else {
        return;
    };
    let frame = Bytes::from([HEAD, body].concat());
    match i16::from(*api) {
        ProduceRequest::KEY => agree(produce_by_view, &frame, i16::from(*version)),
        FetchRequest::KEY => agree(fetch_by_view, &frame, i16::from(*version)),
        _ => {}
    }
}

type ByView<M> = fn(&Bytes, i16) -> Result<(M, usize), DecodeError>;

/// Both read the same, or both refuse at the same place; only the owned one has a memory budget.
fn agree<M: Message>(by_view: ByView<M>, frame: &Bytes, version: i16) {
    let mut reader = Reader::at(frame.clone(), HEAD.len());
    match (M::decode(&mut reader, version), by_view(frame, version)) {
        (Ok(owned), Ok((viewed, end))) => {
            assert_eq!(owned, viewed);
            assert_eq!(reader.position(), end);
        }
        (Err(owned), Err(viewed)) => {
            let is_budget = matches!(owned.fault, DecodeFault::Budget { .. });
            assert!(is_budget || (owned.fault, owned.at) == (viewed.fault, viewed.at));
        }
        (Err(error), Ok(_)) => {
            assert!(matches!(error.fault, DecodeFault::Budget { .. }), "{error}");
        }
        (Ok(_), Err(error)) => panic!("only the view refuses: {error}"),
    }
}

fn produce_by_view(frame: &Bytes, version: i16) -> Result<(ProduceRequest, usize), DecodeError> {
    let view = bounded(0, || ProduceView::parse(frame, HEAD.len(), version))?;
    let partition = |view: kafka_wire::views::ProducePartitionView| PartitionProduceData {
        index: view.index,
        records: view.records.map(|place| frame.slice(place)),
    };
    let topics = view.topics().map(|topic| TopicProduceData {
        name: topic.name.into(),
        topic_id: topic.topic_id,
        partition_data: topic.partitions().map(partition).collect(),
    });
    let request = ProduceRequest {
        transactional_id: view.transactional_id.map(Into::into),
        acks: view.acks,
        timeout_ms: view.timeout_ms,
        topic_data: topics.collect(),
    };
    Ok((request, view.end()))
}

fn fetch_by_view(frame: &Bytes, version: i16) -> Result<(FetchRequest, usize), DecodeError> {
    let view = bounded(0, || FetchView::parse(frame, HEAD.len(), version))?;
    let partition = |view: FetchPartitionView| FetchPartition {
        partition: view.partition,
        current_leader_epoch: view.current_leader_epoch,
        fetch_offset: view.fetch_offset,
        last_fetched_epoch: view.last_fetched_epoch,
        log_start_offset: view.log_start_offset,
        partition_max_bytes: view.partition_max_bytes,
        replica_directory_id: view.replica_directory_id,
        high_watermark: view.high_watermark,
    };
    let topics = view.topics().map(|topic| FetchTopic {
        topic: topic.topic.into(),
        topic_id: topic.topic_id,
        partitions: topic.partitions().map(partition).collect(),
    });
    let forgotten = view.forgotten_topics().map(|topic| ForgottenTopic {
        topic: topic.topic.into(),
        topic_id: topic.topic_id,
        partitions: topic.partitions().collect(),
    });
    // From version 15 the replica is inside a tagged struct.
    let (replica_id, replica_state) = if version >= 15 {
        let (replica_id, replica_epoch) = (view.replica_id, view.replica_epoch);
        (
            -1,
            ReplicaState {
                replica_id,
                replica_epoch,
            },
        )
    } else {
        (view.replica_id, ReplicaState::default())
    };
    let request = FetchRequest {
        cluster_id: view.cluster_id.map(Into::into),
        replica_id,
        replica_state,
        max_wait_ms: view.max_wait_ms,
        min_bytes: view.min_bytes,
        max_bytes: view.max_bytes,
        isolation_level: view.isolation_level,
        session_id: view.session_id,
        session_epoch: view.session_epoch,
        topics: topics.collect(),
        forgotten_topics_data: forgotten.collect(),
        rack_id: view.rack_id.into(),
    };
    Ok((request, view.end()))
}
