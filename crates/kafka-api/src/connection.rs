//! One Kafka connection: bytes to frames, frames to handlers, answers back in order.
//!
//! Guarantees: no allocation above four times the bytes received; answers leave in the order of
//! the requests; a full byte budget, or a peer that does not read, stops the reading. A framing
//! error ends the connection, so no request can ever get another's answer. An idle connection
//! holds no buffer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use kafka_wire::frames::{FrameError, PREFIX_BYTES, peek_frame};
use storage::BytesPermit;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::dispatch::{Answer, Close, dispatch, overlaps};
use crate::send::Outgoing;
use crate::{Context, Ends, KafkaApi};

/// `socket.request.max.bytes`. Below 336 MiB, so that a TLS alert can never be a length.
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;
/// `connections.max.idle.ms`: nothing received and nothing to answer for this long.
const IDLE_MAX: Duration = Duration::from_mins(10);
/// A frame that has begun must go on: this long without a byte ends the connection.
const FRAME_STALL_MAX: Duration = Duration::from_secs(30);
/// Requests of one connection that may wait for their answers at once.
const IN_FLIGHT_MAX: usize = 256;
/// The buffer of a connection that has something to read.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// A frame above this takes its share of the byte budget before its bytes are read.
const RESERVED_FROM_BYTES: usize = READ_BUFFER_BYTES;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the peer closed")]
    Closed,
    #[error("the broker is stopping")]
    Stopping,
    #[error("{0}")]
    Socket(#[from] std::io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Refused(#[from] Close),
    #[error("idle for {} s", IDLE_MAX.as_secs())]
    Idle,
    #[error("a request stalled for {} s", FRAME_STALL_MAX.as_secs())]
    Stalled,
}

/// Serves a connection to its end. `first` holds the bytes that were read to tell the protocol;
/// when `stop` turns true, requests in flight are answered and no new one is read.
pub async fn serve(
    api: &Arc<KafkaApi>,
    stream: TcpStream,
    first: BytesMut,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let context = Context {
        api: Arc::clone(api),
        ends: Ends { peer, local },
        version: 0,
        client_id: None,
    };
    let mut connection = Connection {
        stream,
        context,
        buffer: first,
        reserved: None,
        in_flight: FuturesOrdered::new(),
        exclusive: false,
        outgoing: Outgoing::default(),
        stop,
    };
    let Err(end) = connection.run().await;
    match end {
        End::Closed | End::Stopping => {}
        End::Socket(error) => tracing::debug!(%error, %peer, "a connection broke"),
        End::Frame(_) | End::Refused(_) | End::Idle | End::Stalled => {
            tracing::debug!(%end, %peer, "closed a connection");
        }
    }
}

enum Event {
    Answer(Option<Answered>),
    Readable,
    Stop,
}

type Answered = Result<Option<kafka_wire::Response<storage::Chunk>>, Close>;

struct Connection {
    stream: TcpStream,
    context: Context,
    buffer: BytesMut,
    /// The share of the budget for the frame that is being received.
    reserved: Option<BytesPermit>,
    in_flight: FuturesOrdered<Answer>,
    /// The newest request in flight must be answered before the next one begins.
    exclusive: bool,
    outgoing: Outgoing,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            self.start_requests().await?;
            self.collect_answers().await?;
            if !self.outgoing.is_empty() {
                self.outgoing.send(&self.stream).await?;
                continue;
            }
            if *self.stop.borrow() && self.in_flight.is_empty() {
                return Err(End::Stopping);
            }
            self.wait().await?;
        }
    }

    fn may_start(&self) -> bool {
        !self.exclusive && self.in_flight.len() < IN_FLIGHT_MAX && !*self.stop.borrow()
    }

    /// Starts the handlers of all complete frames, as far as requests may overlap.
    async fn start_requests(&mut self) -> Result<(), End> {
        while self.may_start() {
            let Some(length) = peek_frame(&self.buffer, REQUEST_BYTES_MAX)? else {
                return Ok(());
            };
            if self.reserved.is_none() && length > RESERVED_FROM_BYTES {
                self.reserved = Some(self.context.broker().budget().take(length).await);
            }
            if self.buffer.len() - PREFIX_BYTES < length {
                return Ok(());
            }
            let permit = match self.reserved.take() {
                Some(permit) => permit,
                None => self.context.broker().budget().take(length).await,
            };
            self.buffer.advance(PREFIX_BYTES);
            let frame = self.buffer.split_to(length);
            self.exclusive = !overlaps(&frame);
            self.in_flight
                .push_back(dispatch(self.context.clone(), frame, permit)?);
        }
        Ok(())
    }

    /// Takes the answers that are ready, without waiting for any.
    async fn collect_answers(&mut self) -> Result<(), End> {
        while !self.in_flight.is_empty() && !self.outgoing.is_full() {
            let next = std::future::poll_fn(|context| {
                std::task::Poll::Ready(self.in_flight.poll_next_unpin(context))
            });
            let std::task::Poll::Ready(Some(answer)) = next.await else {
                break;
            };
            self.take(answer)?;
        }
        Ok(())
    }

    fn take(&mut self, answer: Answered) -> Result<(), End> {
        if let Some(response) = answer? {
            self.outgoing.push(response);
        }
        if self.in_flight.is_empty() {
            self.exclusive = false;
        }
        Ok(())
    }

    /// Waits for the next thing to happen: an answer, bytes, the stop, or too long nothing.
    async fn wait(&mut self) -> Result<(), End> {
        let reads = self.may_start();
        let frame_begun = !self.buffer.is_empty();
        let patience = match (reads, frame_begun) {
            (true, true) => FRAME_STALL_MAX,
            _ => IDLE_MAX,
        };
        let event = tokio::select! {
            answer = self.in_flight.next(), if !self.in_flight.is_empty() => Event::Answer(answer),
            readable = self.stream.readable(), if reads => {
                readable?;
                Event::Readable
            }
            _ = self.stop.wait_for(|stop| *stop), if !*self.stop.borrow() => Event::Stop,
            () = tokio::time::sleep(patience), if self.in_flight.is_empty() => {
                return Err(if frame_begun { End::Stalled } else { End::Idle });
            }
        };
        match event {
            Event::Answer(Some(answer)) => self.take(answer),
            Event::Readable => self.read(),
            Event::Answer(None) | Event::Stop => Ok(()),
        }
    }

    /// Takes what the socket has. The buffer grows with the bytes that came, never by a claim.
    fn read(&mut self) -> Result<(), End> {
        let room = match peek_frame(&self.buffer, REQUEST_BYTES_MAX)? {
            None => READ_BUFFER_BYTES,
            Some(length) => {
                let missing = (length + PREFIX_BYTES).saturating_sub(self.buffer.len());
                missing
                    .min(self.buffer.len().saturating_mul(3))
                    .max(READ_BUFFER_BYTES)
            }
        };
        self.buffer.reserve(room);
        match self.stream.try_read_buf(&mut self.buffer) {
            Ok(0) => Err(End::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
