//! Writing records: in batches, a few requests in flight, in order, without doubling.
//!
//! Under acks=all the producer is idempotent: a batch that was not answered is sent again with the
//! same sequence numbers, and the broker keeps one copy. Under acks=1 a batch in doubt is sent
//! again too, so it may be stored twice. Under acks=0 nothing is ever repeated.
//!
//! A batch is retried for as long as the client's timeout without any progress, then the producer
//! gives up and stays so: what was acknowledged is known, the rest is in doubt.

mod batches;
mod exchange;

use std::collections::VecDeque;
use std::time::Duration;

use kafka_wire::ErrorCode;
use kafka_wire::messages::init_producer_id::InitProducerIdRequest;
use records::{BatchError, Codec, Header};
use tokio::time::Instant;

use crate::admin::Topic;
use crate::client::Client;
use crate::error::ClientError;
use batches::{OpenBatches, SealedBatch};
use exchange::InFlight;

/// Requests in flight of an idempotent producer: the broker remembers five batches.
const IN_FLIGHT_MAX: usize = 5;
/// Records that are collected before anything must go out, over all partitions.
const BUFFERED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The pause before something is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// When the broker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// When the records are safe.
    All,
    /// When the broker has them.
    Leader,
    /// Never.
    None,
}

impl Acks {
    fn number(self) -> i16 {
        match self {
            Self::All => -1,
            Self::Leader => 1,
            Self::None => 0,
        }
    }
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerOptions {
    /// When the broker answers.
    pub acks: Acks,
    /// How batches are compressed.
    pub codec: Codec,
    /// The size at which a batch goes out, before compression.
    pub batch_bytes: usize,
}

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// When it was made, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// What it is about, if anything.
    pub key: Option<&'a [u8]>,
    /// What it says; absent in a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [Header],
}

/// Records that the broker has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// Where they are.
    pub partition: i32,
    /// The offset of the first; `None` if the broker only knows that it has them.
    pub base_offset: Option<i64>,
    /// How many they are.
    pub records: usize,
}

/// Why records could not be written. What was acknowledged before is still told by
/// [`Producer::take_acknowledged`].
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The broker could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A batch could not be built.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The topic has no such partition.
    #[error("topic {topic:?} has no partition {partition}, it has {count}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: i32,
        /// How many it has.
        count: usize,
    },
    /// An earlier failure ended this producer.
    #[error("an earlier failure ended this producer")]
    Ended,
}

/// Who an idempotent producer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    id: i64,
    epoch: i16,
}

/// Writes to one topic.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    topic: Topic,
    options: ProducerOptions,
    open: OpenBatches,
    /// Sealed and not sent, or to be sent again; in order within each partition.
    pending: VecDeque<SealedBatch>,
    in_flight: VecDeque<InFlight>,
    acknowledged: Vec<Acknowledged>,
    /// Since when nothing succeeds.
    failing_since: Option<Instant>,
    ended: bool,
}

impl Producer {
    /// Prepares to write to a topic that exists. Under acks=all this gets an id from the broker.
    pub async fn new(
        mut client: Client,
        topic: Topic,
        options: ProducerOptions,
    ) -> Result<Self, ClientError> {
        let identity = match options.acks {
            Acks::All => Some(identify(&mut client).await?),
            Acks::Leader | Acks::None => None,
        };
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| partition.index)
            .collect();
        Ok(Self {
            client,
            topic,
            options,
            open: OpenBatches::new(partitions, identity, options),
            pending: VecDeque::new(),
            in_flight: VecDeque::new(),
            acknowledged: Vec::new(),
            failing_since: None,
            ended: false,
        })
    }

    /// The topic that is written to.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Takes a record; it goes out when its batch is full, or with [`Producer::flush`]. Without a
    /// partition, records with a key go where Kafka's Java client puts them, and others stay
    /// together until a batch is full.
    pub async fn send(
        &mut self,
        partition: Option<i32>,
        record: NewRecord<'_>,
    ) -> Result<(), ProduceError> {
        if self.ended {
            return Err(ProduceError::Ended);
        }
        if let Some(partition) = partition {
            self.check_known(partition)?;
        }
        let full = self.open.append(partition, record)?;
        self.pending.extend(full);
        if self.open.buffered_bytes() >= BUFFERED_BYTES_MAX {
            self.pending.extend(self.open.seal_all()?);
        }
        while !self.pending.is_empty() {
            self.progress().await?;
        }
        Ok(())
    }

    /// Sends everything and waits until all of it is acknowledged.
    pub async fn flush(&mut self) -> Result<(), ProduceError> {
        if self.ended {
            return Err(ProduceError::Ended);
        }
        self.pending.extend(self.open.seal_all()?);
        while !self.pending.is_empty() || !self.in_flight.is_empty() {
            self.progress().await?;
        }
        if self.options.acks == Acks::None {
            self.confirm_connection().await?;
        }
        Ok(())
    }

    /// What was acknowledged since the last call, in the order of the answers.
    pub fn take_acknowledged(&mut self) -> Vec<Acknowledged> {
        std::mem::take(&mut self.acknowledged)
    }

    fn check_known(&self, partition: i32) -> Result<(), ProduceError> {
        let partitions = &self.topic.partitions;
        if partitions.iter().any(|known| known.index == partition) {
            return Ok(());
        }
        Err(ProduceError::UnknownPartition {
            topic: self.topic.name.clone(),
            partition,
            count: partitions.len(),
        })
    }

    /// Sends what may be sent, or takes one answer; a failure that may pass is only waited out.
    async fn progress(&mut self) -> Result<(), ProduceError> {
        let Err(error) = self.step().await else {
            return Ok(());
        };
        let patience = self.client.options().timeout;
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let may_pass = match &error {
            ClientError::Refused { code, .. } => may_repeat(*code),
            other => other.is_retriable(),
        };
        if !may_pass || self.options.acks == Acks::None || since.elapsed() >= patience {
            self.ended = true;
            return Err(error.into());
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        Ok(())
    }
}

async fn identify(client: &mut Client) -> Result<Identity, ClientError> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        ..Default::default()
    };
    let answer = client.call(&request).await?;
    ClientError::check(answer.error_code, None)?;
    Ok(Identity {
        id: answer.producer_id,
        epoch: answer.producer_epoch,
    })
}

/// Whether a batch that got this code may be sent again. A topic that is gone stays gone: it was
/// there when the producer began.
fn may_repeat(code: ErrorCode) -> bool {
    let gone = matches!(
        code,
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId
    );
    code.is_retriable() && !gone
}

#[cfg(test)]
mod tests;
