//! One connection that writes: requests that are due go out as they can, answers are timed as they
//! come.
//!
//! Writing and reading do not wait for each other, so an answer is seen while a large request is
//! still going out. Requests that became due together go out in one write.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::Stop;
use futures_util::future::try_join;
use hdrhistogram::Histogram;
use kafka_client::{Acks, ClientError};
use kafka_wire::messages::{ApiVersionsRequest, ProduceRequest, ProduceResponse};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::answers::{Answers, check};
use crate::connect::{Halves, Writing};
use crate::end_to_end::Sightings;
use crate::error::LoadError;
use crate::frame::{ProduceFrame, frame};
use crate::outcome;

/// Requests are gathered up to this for one write.
const WRITE_BYTES: usize = 256 << 10;
/// A version that every broker speaks.
const API_VERSIONS_VERSION: i16 = 0;

/// What all lanes of a load share.
#[derive(Debug)]
pub(crate) struct Shared<'a> {
    pub(crate) frames: &'a [ProduceFrame],
    pub(crate) version: i16,
    pub(crate) acks: Acks,
    /// Requests that may still be begun.
    pub(crate) left: Cell<u64>,
    pub(crate) answered: Cell<u64>,
    pub(crate) latency: RefCell<Histogram<u64>>,
    /// In closed loop: whether an answer is replaced by another request until this moment.
    pub(crate) replace_until: Option<Instant>,
    /// Requests that are due and not sent, over all lanes.
    pub(crate) waiting: Cell<usize>,
    pub(crate) sightings: Option<&'a Sightings>,
    pub(crate) stop: &'a Stop,
}

impl Shared<'_> {
    /// Takes one of the requests that are left.
    pub(crate) fn begin_one(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    fn may_replace(&self, now: Instant) -> bool {
        let open = self.replace_until.is_some_and(|until| now < until);
        open && !self.stop.is_set() && self.begin_one()
    }

    fn count(&self, since: Instant, now: Instant) {
        self.answered.set(self.answered.get() + 1);
        if self.acks != Acks::None {
            outcome::record(&mut self.latency.borrow_mut(), since, now);
        }
    }
}

/// A request: the place of its partition, and when it was due.
type Due = (usize, Instant);

/// One connection and the partitions that it writes to.
#[derive(Debug)]
pub(crate) struct Lane {
    places: Vec<usize>,
    turn: Cell<usize>,
    to_send: RefCell<VecDeque<Due>>,
    in_flight: RefCell<VecDeque<Due>>,
    ended: Cell<bool>,
    more_to_send: Notify,
    more_to_read: Notify,
}

impl Lane {
    /// `places` are those of its partitions among the frames; there is one at least.
    pub(crate) fn new(places: Vec<usize>) -> Self {
        Self {
            places,
            turn: Cell::new(0),
            to_send: RefCell::default(),
            in_flight: RefCell::default(),
            ended: Cell::new(false),
            more_to_send: Notify::new(),
            more_to_read: Notify::new(),
        }
    }

    /// A request to the partition whose turn it is.
    pub(crate) fn push(&self, due: Instant, shared: &Shared<'_>) {
        let turn = self.turn.get();
        self.turn.set((turn + 1) % self.places.len());
        let place = self.places[turn];
        self.to_send.borrow_mut().push_back((place, due));
        shared.waiting.set(shared.waiting.get() + 1);
        self.more_to_send.notify_one();
    }

    /// Nothing more comes from outside.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.more_to_send.notify_one();
        self.more_to_read.notify_one();
    }

    fn is_done(&self) -> bool {
        self.ended.get() && self.to_send.borrow().is_empty() && self.in_flight.borrow().is_empty()
    }

    /// Works until it is ended and everything is answered.
    pub(crate) async fn run(
        &self,
        (mut stream, mut answers): Halves,
        shared: &Shared<'_>,
    ) -> Result<(), LoadError> {
        if shared.acks == Acks::None {
            self.write(&mut stream, shared).await?;
            return confirm(&mut stream, &mut answers).await;
        }
        let write = self.write(&mut stream, shared);
        let read = self.read(&mut answers, shared);
        try_join(write, read).await.map(|((), ())| ())
    }

    async fn write(&self, stream: &mut Writing, shared: &Shared<'_>) -> Result<(), LoadError> {
        let mut out = Vec::new();
        loop {
            let next = self.to_send.borrow_mut().pop_front();
            if let Some((place, due)) = next {
                shared.waiting.set(shared.waiting.get() - 1);
                shared.frames[place].append_to(&mut out);
                if let Some(sightings) = shared.sightings {
                    sightings.sent(place, due);
                }
                if shared.acks != Acks::None {
                    self.in_flight.borrow_mut().push_back((place, due));
                    self.more_to_read.notify_one();
                }
                if out.len() < WRITE_BYTES && shared.acks != Acks::None {
                    continue;
                }
            }
            if !out.is_empty() {
                stream.write(&out).await?;
                out.clear();
                if let (Some((_, due)), Acks::None) = (next, shared.acks) {
                    let now = Instant::now();
                    shared.count(due, now);
                    if shared.may_replace(now) {
                        self.push(now, shared);
                    }
                }
            } else if self.is_done() {
                return Ok(());
            } else {
                self.more_to_send.notified().await;
            }
        }
    }

    async fn read(&self, answers: &mut Answers, shared: &Shared<'_>) -> Result<(), LoadError> {
        loop {
            while self.in_flight.borrow().is_empty() {
                if self.is_done() {
                    self.more_to_send.notify_one();
                    return Ok(());
                }
                self.more_to_read.notified().await;
            }
            answers.wait().await?;
            let now = Instant::now();
            while let Some((place, answer)) = answers.take::<ProduceRequest>(shared.version)? {
                let oldest = self.in_flight.borrow_mut().pop_front();
                let due = match oldest {
                    Some((expected, due)) if i32::try_from(expected) == Ok(place) => due,
                    _ => {
                        return Err(answers
                            .protocol(format!("answer {place} is not due"))
                            .into());
                    }
                };
                check_produced(&answer)?;
                shared.count(due, now);
                if shared.may_replace(now) {
                    self.push(now, shared);
                }
            }
        }
    }
}

/// Without acknowledgements only the answer to another question tells that all was taken.
async fn confirm(stream: &mut Writing, answers: &mut Answers) -> Result<(), LoadError> {
    let question = frame(&ApiVersionsRequest::default(), API_VERSIONS_VERSION, 0)?;
    stream.write(&question).await?;
    answers.wait().await?;
    answers.take::<ApiVersionsRequest>(API_VERSIONS_VERSION)?;
    Ok(())
}

/// The first refusal in an answer.
pub(crate) fn check_produced(answer: &ProduceResponse) -> Result<(), ClientError> {
    let topics = answer.responses.iter();
    for partition in topics.flat_map(|topic| &topic.partition_responses) {
        check(partition.error_code, partition.index)?;
    }
    Ok(())
}
