//! The call ProduceStream: many records, answered in order.
//!
//! What has arrived goes into the log at once while few batches wait for durability; once
//! [`BATCHES_IN_FLIGHT_MAX`] wait, records gather in the next batch, so a fast sender gets large
//! batches and a slow one short waits. Then the input is not read until there is room: at most
//! that many batches, one that gathers and one record that did not fit are held.
//!
//! An error ends the stream, after the answers to everything before it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use broker::Broker;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tonic::Status;

use crate::error;
use crate::produce::{Answers, Outgoing, Packing, Placed};
use crate::proto::{ProduceRequest, ProduceResponse};

/// As Kafka's `max.in.flight.requests.per.connection`, less the one that gathers.
const BATCHES_IN_FLIGHT_MAX: usize = 4;

/// The answers to a stream of requests; polling it does the work.
pub(crate) struct ProduceStream<S> {
    broker: Arc<Broker>,
    requests: S,
    stopped: BoxFuture<'static, ()>,
    /// How the stream ends when all is answered; `None` while requests are read.
    end: Option<Result<(), Status>>,
    /// The batch that gathers.
    packing: Option<Packing>,
    /// A record that did not fit into it.
    left_over: Option<Outgoing>,
    /// A batch that waits for its share of the byte budget, or is packed anew.
    placing: Option<BoxFuture<'static, Result<Placed, Status>>>,
    in_flight: VecDeque<BoxFuture<'static, Result<Answers, Status>>>,
    answers: Option<Answers>,
}

impl<S> ProduceStream<S>
where
    S: Stream<Item = Result<ProduceRequest, Status>> + Unpin,
{
    pub(crate) fn new(broker: Arc<Broker>, requests: S, mut stop: watch::Receiver<bool>) -> Self {
        let stopped = async move {
            // A sender that is gone has stopped too.
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        Self {
            broker,
            requests,
            stopped: stopped.boxed(),
            end: None,
            packing: None,
            left_over: None,
            placing: None,
            in_flight: VecDeque::new(),
            answers: None,
        }
    }

    /// Reads and places as much as there is, and as is allowed.
    fn take_in(&mut self, context: &mut Context<'_>) {
        loop {
            if self.poll_placing(context).is_pending() {
                return;
            }
            let may_place = self.in_flight.len() < BATCHES_IN_FLIGHT_MAX;
            if self.left_over.is_some() {
                if !may_place {
                    return;
                }
                self.seal();
                continue;
            }
            if self.poll_request(context).is_ready() {
                continue;
            }
            if self.packing.is_none() || !may_place {
                return;
            }
            self.seal();
        }
    }

    /// Ready when a request, or the end of them, was taken in; pending when there is none now.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.end.is_some() {
            return Poll::Pending;
        }
        if self.stopped.poll_unpin(context).is_ready() {
            self.end = Some(Err(error::stopping()));
            return Poll::Ready(());
        }
        let taken = match ready!(self.requests.poll_next_unpin(context)) {
            None => {
                self.end = Some(Ok(()));
                return Poll::Ready(());
            }
            Some(request) => request
                .and_then(|request| Outgoing::new(&self.broker, request))
                .and_then(|outgoing| self.pack(outgoing)),
        };
        if let Err(status) = taken {
            self.end = Some(Err(status));
        }
        Poll::Ready(())
    }

    fn pack(&mut self, outgoing: Outgoing) -> Result<(), Status> {
        match &mut self.packing {
            Some(packing) if packing.fits(&outgoing) => packing.push(outgoing),
            Some(_) => {
                self.left_over = Some(outgoing);
                Ok(())
            }
            None => {
                self.packing = Some(Packing::new(outgoing)?);
                Ok(())
            }
        }
    }

    /// Closes the batch that gathers, lets it ask for its place, and begins the next one with the record that was left over.
    fn seal(&mut self) {
        assert!(self.placing.is_none(), "batches are placed one by one");
        let Some(packing) = self.packing.take() else {
            return;
        };
        match packing.seal() {
            Ok(sealed) => {
                let broker = Arc::clone(&self.broker);
                self.placing = Some(async move { sealed.place(&broker).await }.boxed());
            }
            Err(status) => return self.fail(status),
        }
        match self.left_over.take().map(Packing::new).transpose() {
            Ok(next) => self.packing = next,
            Err(status) => self.end = Some(Err(status)),
        }
    }

    /// Pending while a batch has no place yet.
    fn poll_placing(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(placing) = &mut self.placing else {
            return Poll::Ready(());
        };
        let placed = ready!(placing.poll_unpin(context));
        self.placing = None;
        match placed {
            Ok(placed) => self.in_flight.push_back(placed.durable().boxed()),
            Err(status) => self.fail(status),
        }
        Poll::Ready(())
    }

    /// Nothing that is not in the log yet gets there any more.
    fn fail(&mut self, status: Status) {
        self.end = Some(Err(status));
        self.packing = None;
        self.left_over = None;
        self.placing = None;
    }
}

impl<S> Stream for ProduceStream<S>
where
    S: Stream<Item = Result<ProduceRequest, Status>> + Unpin,
{
    type Item = Result<ProduceResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(answer) = this.answers.as_mut().and_then(Iterator::next) {
                return Poll::Ready(Some(Ok(answer)));
            }
            this.take_in(context);
            let Some(oldest) = this.in_flight.front_mut() else {
                let nothing_left = this.packing.is_none() && this.placing.is_none();
                return match this.end.take() {
                    Some(end) if nothing_left => {
                        // Polled again, it stays at its end.
                        this.end = Some(Ok(()));
                        Poll::Ready(end.err().map(Err))
                    }
                    end => {
                        this.end = end;
                        Poll::Pending
                    }
                };
            };
            let durable = ready!(oldest.poll_unpin(context));
            this.in_flight.pop_front();
            match durable {
                Ok(answers) => this.answers = Some(answers),
                Err(status) => {
                    this.in_flight.clear();
                    this.fail(status);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
