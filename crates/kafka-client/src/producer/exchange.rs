//! Produce requests and their answers: what goes into one, what is in flight, what comes back.
//!
//! A request holds at most one batch of a partition, and answers are taken in order, so the batches
//! of a partition reach the broker in order. When one is refused, those behind it are refused too
//! (their sequence numbers leave a gap); all of them are sent again in their order.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_wire::messages::metadata::MetadataRequest;
use kafka_wire::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use kafka_wire::{ErrorCode, Uuid};

use super::batches::SealedBatch;
use super::{Acknowledged, Acks, IN_FLIGHT_MAX, Producer, may_repeat};
use crate::connection::Sent;
use crate::error::ClientError;

/// First version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;
/// What one request carries, unless one batch alone is larger.
const REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// How much longer an answer is waited for than the broker may work on it.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// A request that was sent and not answered.
#[derive(Debug)]
pub(super) struct InFlight {
    sent: Sent,
    batches: Vec<SealedBatch>,
}

/// What became of the batches of answered requests.
#[derive(Debug, Default)]
struct Round {
    again: Vec<SealedBatch>,
    refused: BTreeSet<i32>,
    failure: Option<ClientError>,
}

impl Producer {
    /// Sends one request, or takes one answer.
    pub(super) async fn step(&mut self) -> Result<(), ClientError> {
        let in_flight_max = match self.options.acks {
            Acks::All => IN_FLIGHT_MAX,
            // Without sequence numbers, only one after the other keeps the order over a retry.
            Acks::Leader | Acks::None => 1,
        };
        if self.in_flight.len() < in_flight_max && !self.pending.is_empty() {
            return self.send_next().await;
        }
        self.take_answers().await
    }

    /// The batches of the next request: from the front, until one does not go with the others.
    fn next_group(&mut self) -> Vec<SealedBatch> {
        let mut group: Vec<SealedBatch> = Vec::new();
        let mut size_bytes = 0;
        while let Some(batch) = self.pending.front() {
            let fits = group.is_empty() || size_bytes + batch.bytes.len() <= REQUEST_BYTES;
            if !fits || group.iter().any(|other| other.partition == batch.partition) {
                break;
            }
            size_bytes += batch.bytes.len();
            group.extend(self.pending.pop_front());
        }
        group
    }

    async fn send_next(&mut self) -> Result<(), ClientError> {
        let batches = self.next_group();
        match self.send_group(&batches).await {
            Ok(sent) => {
                if self.options.acks == Acks::None {
                    let told = batches.iter().map(|batch| acknowledge(batch, None));
                    self.acknowledged.extend(told);
                } else {
                    self.in_flight.push_back(InFlight { sent, batches });
                }
                Ok(())
            }
            Err(error) => {
                self.put_back(batches);
                if error.is_transport() {
                    // IMPORTANT: what was in flight goes first on the next connection.
                    let lost = self.in_flight.drain(..).flat_map(|request| request.batches);
                    let lost = lost.collect();
                    self.put_back(lost);
                }
                Err(error)
            }
        }
    }

    async fn send_group(&mut self, batches: &[SealedBatch]) -> Result<Sent, ClientError> {
        let by_id = self.client.version_of::<ProduceRequest>().await? >= TOPIC_IDS_FROM;
        let partition_data = batches.iter().map(|batch| PartitionProduceData {
            index: batch.partition,
            records: Some(batch.bytes.clone()),
        });
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.options.acks.number(),
            timeout_ms: self.client.timeout_ms(),
            topic_data: vec![TopicProduceData {
                name: if by_id {
                    "".into()
                } else {
                    self.topic.name.as_str().into()
                },
                topic_id: if by_id { self.topic.id } else { Uuid::ZERO },
                partition_data: partition_data.collect(),
            }],
        };
        let sent = self.client.connected().await?.send(&request).await;
        self.client.settle(sent)
    }

    /// Takes the oldest answer; after a refusal all others too, so that what is sent again comes
    /// behind everything that is still on its way.
    async fn take_answers(&mut self) -> Result<(), ClientError> {
        let mut round = Round::default();
        while let Some(sent) = self.in_flight.front().map(|request| request.sent) {
            let patience = self.client.options().timeout.saturating_add(ANSWER_GRACE);
            let connection = self.client.connected().await?;
            let answer = connection.receive::<ProduceRequest>(sent, patience).await;
            let answer = match self.client.settle(answer) {
                Ok(answer) => answer,
                Err(error) => {
                    round.failure.get_or_insert(error);
                    break;
                }
            };
            let request = self
                .in_flight
                .pop_front()
                .expect("its answer was just taken");
            let topics = answer.responses.into_iter();
            let results: Vec<_> = topics.flat_map(|topic| topic.partition_responses).collect();
            for batch in request.batches {
                let result = results
                    .iter()
                    .find(|result| result.index == batch.partition);
                self.settle_batch(batch, result, &mut round);
            }
            if round.failure.is_none() {
                return Ok(());
            }
        }
        // What is still in flight after a lost connection comes behind these.
        let behind = self.in_flight.drain(..).flat_map(|request| request.batches);
        round.again.extend(behind);
        self.put_back(round.again);
        round.failure.map_or(Ok(()), Err)
    }

    fn settle_batch(
        &mut self,
        batch: SealedBatch,
        result: Option<&PartitionProduceResponse>,
        round: &mut Round,
    ) {
        let Some(result) = result else {
            let failure = self
                .client
                .unanswered(&format!("partition {}", batch.partition));
            round.failure.get_or_insert(failure);
            round.again.push(batch);
            return;
        };
        let code = ErrorCode::from_code(result.error_code);
        match code.unwrap_or(ErrorCode::UnknownServerError) {
            ErrorCode::None | ErrorCode::DuplicateSequenceNumber => {
                let base_offset = (result.base_offset >= 0).then_some(result.base_offset);
                self.acknowledged.push(acknowledge(&batch, base_offset));
                self.failing_since = None;
            }
            code => {
                let behind_another = code == ErrorCode::OutOfOrderSequenceNumber
                    && round.refused.contains(&batch.partition);
                round.refused.insert(batch.partition);
                let message = result.error_message.as_deref();
                if let Err(refusal) = ClientError::check(result.error_code, message)
                    && !behind_another
                {
                    round.note(refusal);
                }
                round.again.push(batch);
            }
        }
    }

    fn put_back(&mut self, batches: Vec<SealedBatch>) {
        for batch in batches.into_iter().rev() {
            self.pending.push_front(batch);
        }
    }

    /// Whether everything sent without acknowledgement has arrived: the broker takes requests in
    /// order, so the answer to one more says so. A broker that refused one closed the connection.
    pub(super) async fn confirm_connection(&mut self) -> Result<(), ClientError> {
        let request = MetadataRequest {
            topics: Some(Vec::new()),
            ..Default::default()
        };
        let answer = self.client.call(&request).await;
        self.ended = answer.is_err();
        answer.map(|_answer| ())
    }
}

impl Round {
    /// Keeps the failure that matters most: one that does not pass, else the first.
    fn note(&mut self, refusal: ClientError) {
        let passes = |error: &ClientError| error.code().is_some_and(may_repeat);
        if self
            .failure
            .as_ref()
            .is_none_or(|known| passes(known) && !passes(&refusal))
        {
            self.failure = Some(refusal);
        }
    }
}

fn acknowledge(batch: &SealedBatch, base_offset: Option<i64>) -> Acknowledged {
    Acknowledged {
        partition: batch.partition,
        base_offset,
        records: batch.records,
    }
}
