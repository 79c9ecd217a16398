//! One Kafka connection: bytes to frames, frames to handlers, answers back in order.
//!
//! Guarantees: no allocation above four times the bytes received; answers leave in the order of
//! the requests; a full byte budget, or a peer that does not read, stops the reading. A framing
//! error ends the connection once the requests before it are answered, so no request can ever get
//! another's answer. An idle connection holds no buffer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use kafka_wire::Response;
use kafka_wire::frames::{FrameError, PREFIX_BYTES, peek_frame};
use storage::{BytesPermit, Chunk};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use crate::dispatch::{Answer, Close, dispatch, overlaps};
use crate::send::Outgoing;
use crate::{Context, Ends, KafkaApi};

/// `socket.request.max.bytes`. Below 336 MiB, so that a TLS alert can never be a length.
const REQUEST_BYTES_MAX: usize = 100 * 1024 * 1024;
/// `connections.max.idle.ms`: nothing received and nothing answered for this long.
const IDLE_MAX: Duration = Duration::from_mins(10);
/// A frame that has begun must end, or bring [`PACE_BYTES`], within each span of this length.
const FRAME_STALL_MAX: Duration = Duration::from_secs(30);
/// See [`FRAME_STALL_MAX`]; about 9 kB a second.
const PACE_BYTES: usize = 256 * 1024;
/// A peer that has said its last word gets the answers that come within this time.
const LAST_ANSWERS_MAX: Duration = Duration::from_secs(1);
/// Requests of one connection that may wait for their answers at once.
const IN_FLIGHT_MAX: usize = 256;
/// The buffer of a connection that has something to read, and what is read ahead of a request
/// that is still being answered.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// A frame that is coming in has its share of the budget in steps of this size at most.
const SHARE_STEP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A frame above this is large; see [`LARGE_FRAMES_BUDGET_BYTES`].
const LARGE_FRAME_BYTES: usize = 2 * 1024 * 1024;
/// What the large frames of all connections may hold together while they come in.
pub(crate) const LARGE_FRAMES_BUDGET_BYTES: usize = 192 * 1024 * 1024;
/// With less room than this in the buffer it grows before the next read.
const SPARE_BYTES_MIN: usize = 4 * 1024;

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
        share: Share::default(),
        pace: None,
        closed_at: None,
        in_flight: FuturesOrdered::new(),
        exclusive: false,
        outgoing: Outgoing::default(),
        ending: None,
        stop,
    };
    match connection.run().await {
        End::Closed | End::Stopping => {}
        End::Socket(error) => tracing::debug!(%error, %peer, "a connection broke"),
        end @ (End::Frame(_) | End::Refused(_) | End::Idle | End::Stalled) => {
            tracing::debug!(%end, %peer, "closed a connection");
        }
    }
}

type Answered = Result<Option<Response<Chunk>>, Close>;

enum Event {
    Answer(Option<Answered>),
    Share(BytesPermit),
    Readable,
    Stop,
}

/// The share of a byte budget for the frame at the front of the buffer.
#[derive(Default)]
struct Share {
    permit: Option<BytesPermit>,
    held_bytes: usize,
    /// More that is waited for, and how much.
    waiting: Option<(usize, BoxFuture<'static, BytesPermit>)>,
}

impl Share {
    fn grant(&mut self, size_bytes: usize, permit: BytesPermit) {
        self.held_bytes += size_bytes;
        match &mut self.permit {
            Some(held) => held.absorb(permit),
            None => self.permit = Some(permit),
        }
    }
}

/// How fast a frame comes in.
#[derive(Debug, Clone, Copy)]
struct Pace {
    since: Instant,
    buffered_bytes: usize,
}

struct Connection {
    stream: TcpStream,
    context: Context,
    buffer: BytesMut,
    share: Share,
    /// Since when the peer is expected to go on with a frame.
    pace: Option<Pace>,
    /// When the peer said its last word.
    closed_at: Option<Instant>,
    in_flight: FuturesOrdered<Answer>,
    /// What is in flight must be answered before anything else begins.
    exclusive: bool,
    outgoing: Outgoing,
    /// Nothing is started any more; the connection ends when all before is answered.
    ending: Option<End>,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn run(&mut self) -> End {
        loop {
            self.start_requests();
            let collected = self.collect_answers().await;
            if !self.outgoing.is_empty() {
                if let Err(error) = self.outgoing.send(&self.stream).await {
                    return End::Socket(error);
                }
                continue;
            }
            if collected {
                // A request that has no answer is over too, and what it kept waiting may begin.
                continue;
            }
            if self.in_flight.is_empty()
                && let Some(end) = self.end()
            {
                return end;
            }
            if let Err(end) = self.wait().await {
                return end;
            }
        }
    }

    /// Why a connection with nothing in flight is over, if it is.
    fn end(&mut self) -> Option<End> {
        if let Some(end) = self.ending.take() {
            return Some(end);
        }
        if self.is_stopping() {
            return Some(End::Stopping);
        }
        let waits_for_share = self.share.waiting.is_some();
        (self.closed_at.is_some() && !waits_for_share).then_some(End::Closed)
    }

    /// A stop that can never be announced any more counts as announced.
    fn is_stopping(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Starts the handlers of all complete frames, as far as requests may overlap.
    fn start_requests(&mut self) {
        while self.ending.is_none() && !self.is_stopping() && !self.exclusive {
            match self.start_next() {
                Ok(true) => {}
                Ok(false) => return,
                Err(end) => self.ending = Some(end),
            }
        }
    }

    /// Starts the request at the front of the buffer, if it is there as a whole, has its share of
    /// the budget, and may overlap with what is in flight.
    fn start_next(&mut self) -> Result<bool, End> {
        let Some(length) = peek_frame(&self.buffer, REQUEST_BYTES_MAX)? else {
            return Ok(false);
        };
        let frame = self.buffer.get(PREFIX_BYTES..PREFIX_BYTES + length);
        let next_overlaps = frame.map(overlaps);
        if next_overlaps.is_some_and(|overlaps| !self.may_follow(overlaps)) {
            return Ok(false);
        }
        // A length is a mere claim: of a frame that is not whole, what has come counts and one
        // step more, and nothing before a good part of it has come.
        let buffered_bytes = self.buffer.len();
        let step_bytes = buffered_bytes.saturating_mul(3).min(SHARE_STEP_BYTES_MAX);
        let needed_bytes = match next_overlaps {
            Some(_) => length,
            None if buffered_bytes < READ_BUFFER_BYTES.max(self.share.held_bytes) => 0,
            None => length.min(buffered_bytes + step_bytes),
        };
        self.ask_for_share(length, needed_bytes);
        if next_overlaps.is_none() || self.share.waiting.is_some() {
            return Ok(false);
        }
        let permit = std::mem::take(&mut self.share).permit;
        self.buffer.advance(PREFIX_BYTES);
        let frame = self.buffer.split_to(length);
        self.pace = None;
        let permit = permit.unwrap_or_else(BytesPermit::free);
        let begun = dispatch(&mut self.context, frame, permit)?;
        self.exclusive = !begun.overlaps;
        self.in_flight.push_back(begun.answer);
        Ok(true)
    }

    /// Whether a request may begin beside what is in flight.
    fn may_follow(&self, overlaps: bool) -> bool {
        self.in_flight.is_empty() || (overlaps && self.in_flight.len() < IN_FLIGHT_MAX)
    }

    /// Asks for what is missing to `needed_bytes` of a frame of `length` bytes. Large frames have a
    /// budget of their own, so that nobody who sends them slowly keeps the others waiting.
    fn ask_for_share(&mut self, length: usize, needed_bytes: usize) {
        let missing_bytes = needed_bytes.saturating_sub(self.share.held_bytes);
        if missing_bytes == 0 || self.share.waiting.is_some() {
            return;
        }
        let budget = if length > LARGE_FRAME_BYTES {
            &self.context.api.large_frames
        } else {
            self.context.broker().budget()
        };
        match budget.take(missing_bytes).now_or_never() {
            Some(permit) => self.share.grant(missing_bytes, permit),
            None => {
                let budget = budget.clone();
                let granted = Box::pin(async move { budget.take(missing_bytes).await });
                self.share.waiting = Some((missing_bytes, granted));
            }
        }
    }

    /// Takes the answers that are ready, without waiting for any; whether there was one.
    async fn collect_answers(&mut self) -> bool {
        let mut collected = false;
        while !self.in_flight.is_empty() && !self.outgoing.is_full() {
            let next = std::future::poll_fn(|context| {
                Poll::Ready(self.in_flight.poll_next_unpin(context))
            });
            let Poll::Ready(Some(answer)) = next.await else {
                break;
            };
            self.take(answer);
            collected = true;
        }
        collected
    }

    fn take(&mut self, answer: Answered) {
        match answer {
            Ok(Some(response)) => self.outgoing.push(response),
            Ok(None) => {}
            Err(close) => {
                // What comes behind an answer that cannot be given must not leave either.
                self.in_flight = FuturesOrdered::new();
                self.ending = Some(End::Refused(close));
            }
        }
        if self.in_flight.is_empty() {
            self.exclusive = false;
        }
    }

    /// Whether more may be read: always the frame that has its share, and a little ahead of it, so
    /// that a peer that goes away is noticed while its request waits.
    fn reads(&self) -> bool {
        if self.share.waiting.is_some() {
            return false;
        }
        let frame_bytes = match peek_frame(&self.buffer, REQUEST_BYTES_MAX) {
            Ok(Some(length)) => PREFIX_BYTES + length.min(self.share.held_bytes),
            Ok(None) | Err(_) => 0,
        };
        let ended = self.ending.is_some() || self.closed_at.is_some() || self.is_stopping();
        !ended && self.buffer.len() < frame_bytes.max(READ_BUFFER_BYTES)
    }

    /// Until when something must happen, and what it means if nothing does.
    fn deadline(&mut self, reads: bool) -> (Instant, End) {
        let now = Instant::now();
        if let Some(closed_at) = self.closed_at {
            return (closed_at + LAST_ANSWERS_MAX, End::Closed);
        }
        let frame_goes_on = reads || self.share.waiting.is_some();
        if frame_goes_on && self.in_flight.is_empty() && !self.buffer.is_empty() {
            let begun = Pace {
                since: now,
                buffered_bytes: self.buffer.len(),
            };
            let pace = self.pace.get_or_insert(begun);
            return (pace.since + FRAME_STALL_MAX, End::Stalled);
        }
        self.pace = None;
        (now + IDLE_MAX, End::Idle)
    }

    /// Waits for the next thing to happen: an answer, a share, bytes, the stop, or too long nothing.
    async fn wait(&mut self) -> Result<(), End> {
        let reads = self.reads();
        let stopping = self.is_stopping();
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        let (deadline, too_late) = self.deadline(reads);
        let Self {
            stream,
            share,
            in_flight,
            stop,
            ..
        } = self;
        let waits_for_share = share.waiting.is_some();
        let granted = async {
            match &mut share.waiting {
                Some((_, granted)) => granted.await,
                None => std::future::pending().await,
            }
        };
        // The time comes last: what has come in time counts, however late it is seen.
        let event = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop), if !stopping => Event::Stop,
            answer = in_flight.next(), if !in_flight.is_empty() => Event::Answer(answer),
            permit = granted, if waits_for_share => Event::Share(permit),
            readable = stream.readable(), if reads => {
                readable?;
                Event::Readable
            }
            () = tokio::time::sleep_until(deadline) => return Err(too_late),
        };
        match event {
            Event::Answer(Some(answer)) => self.take(answer),
            Event::Share(permit) => {
                let waited = self.share.waiting.take();
                let size_bytes = waited.map_or(0, |(size_bytes, _)| size_bytes);
                self.share.grant(size_bytes, permit);
            }
            Event::Readable => self.read()?,
            Event::Answer(None) | Event::Stop => {}
        }
        Ok(())
    }

    /// Takes what the socket has. The buffer grows with the bytes that came, never by a claim.
    fn read(&mut self) -> Result<(), End> {
        if self.buffer.capacity() - self.buffer.len() < SPARE_BYTES_MIN {
            let missing_bytes = match peek_frame(&self.buffer, REQUEST_BYTES_MAX) {
                Ok(Some(length)) => (length + PREFIX_BYTES).saturating_sub(self.buffer.len()),
                Ok(None) | Err(_) => 0,
            };
            let shared_bytes = self.share.held_bytes.saturating_sub(self.buffer.len());
            let growth_bytes = missing_bytes.min(shared_bytes);
            self.buffer.reserve(growth_bytes.max(READ_BUFFER_BYTES));
        }
        // A read that did not fill the buffer has taken all there was, and tokio knows that here: no
        // second read only to be told so. It must not yield, for nobody would wake it.
        let read = unconstrained(self.stream.read_buf(&mut self.buffer)).now_or_never();
        match read.unwrap_or_else(|| Err(std::io::ErrorKind::WouldBlock.into())) {
            Ok(0) => self.closed_at = Some(Instant::now()),
            Ok(_) => {
                let buffered_bytes = self.buffer.len();
                self.pace = self
                    .pace
                    .filter(|pace| buffered_bytes.saturating_sub(pace.buffered_bytes) < PACE_BYTES);
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
