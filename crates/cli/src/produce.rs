//! `ottla produce`: a record for each line, in batches, in order.
//!
//! Where the records are goes to standard output, as `topic[partition]@offset` for one and
//! `topic[partition]@first..last` for several, whenever the input pauses and at its end. Lines are
//! sent as they come: someone who types sees each acknowledged.

mod receipts;

use std::time::Duration;

use clock::{Clock, SystemClock};
use kafka_client::{
    Acks, Client, ConfigOwner, ErrorCode, NewRecord, ProduceError, Producer, ProducerOptions, Topic,
};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, sleep, timeout};

use crate::client_arguments::ProduceArguments;
use crate::connect::{block_on, connect, explain, is_unknown_topic, unknown_topic};
use crate::failure::{Exit, Failure};
use crate::lines::{self, Lines, LinesQueue};
use crate::output::{Output, counted};
use receipts::Receipts;

/// Records go out in batches of this size, unless the topic takes only smaller ones.
const BATCH_BYTES: usize = 512 * 1024;
/// The config of a topic that limits batches.
const BATCH_LIMIT_CONFIG: &str = "max.message.bytes";
/// How long the input may pause before what is there is sent.
const LINGER: Duration = Duration::from_millis(5);
/// The pause before a topic that is being made is looked at again.
const CREATION_PAUSE: Duration = Duration::from_millis(10);
/// How long it may take to make a topic.
const CREATION_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn run(arguments: ProduceArguments) -> Result<(), Failure> {
    block_on(async {
        let client = connect(&arguments.broker).await?;
        let lines = lines::start(&arguments.file).map_err(|error| {
            let exit = match &error {
                lines::LinesError::Open { .. } => Exit::NotFound,
                lines::LinesError::Read(_) | lines::LinesError::TooLong { .. } => Exit::Error,
            };
            Failure::new(exit, error.to_string())
        })?;
        let receipts = Receipts::new(arguments.topic.clone());
        let mut command = Produce {
            arguments: &arguments,
            receipts,
            output: Output::new(),
            line: 0,
        };
        command.run(client, lines).await
    })
}

struct Produce<'a> {
    arguments: &'a ProduceArguments,
    receipts: Receipts,
    output: Output,
    line: u64,
}

impl Produce<'_> {
    async fn run(&mut self, mut client: Client, mut lines: LinesQueue) -> Result<(), Failure> {
        // A topic is not made for nothing: the first line must be there.
        let Some(first) = lines.recv().await else {
            eprintln!("the input is empty: nothing was written");
            return Ok(());
        };
        let topic = self.topic(&mut client).await?;
        let options = ProducerOptions {
            acks: self.arguments.acks,
            codec: self.arguments.compression,
            batch_bytes: batch_bytes(&mut client, &topic).await,
        };
        let cannot = format!("{:?} cannot be written to", topic.name);
        let mut producer = Producer::new(client, topic, options)
            .await
            .map_err(|error| explain(&error, &cannot))?;
        let written = self.write_all(&mut producer, first, &mut lines).await;
        self.receipts.take(producer.take_acknowledged());
        // What was acknowledged is told even if the rest failed.
        let told = self.receipts.print(&mut self.output);
        let failure = match written {
            Ok(()) => return told,
            Err(failure) => failure,
        };
        let kept = self.receipts.records();
        if kept > 0 && failure.exit != Exit::OutputClosed {
            eprintln!("acknowledged before this: {}", counted(kept, "record"));
            return Err(failure.exit(Exit::PartlyFailed));
        }
        Err(failure)
    }

    /// The topic, made by the broker if it does not exist and the broker is set so.
    async fn topic(&self, client: &mut Client) -> Result<Topic, Failure> {
        let name = &self.arguments.topic;
        match client.topic(name, false).await {
            Err(error) if is_unknown_topic(&error) => {}
            found => {
                let cannot = format!("topic {name:?} cannot be written to");
                return found.map_err(|error| explain(&error, &cannot));
            }
        }
        // The answer that makes the topic does not know it yet; a later one does. A
        // broker that makes none answers the same for ever.
        let deadline = Instant::now() + CREATION_PATIENCE.min(self.arguments.broker.timeout);
        loop {
            let error = match client.topic(name, true).await {
                Ok(topic) => {
                    let partitions = counted(topic.partitions.len(), "partition");
                    eprintln!("topic {name} did not exist; it was created with {partitions}");
                    return Ok(topic);
                }
                Err(error) => error,
            };
            let unknown = is_unknown_topic(&error);
            let in_the_making = unknown || error.code() == Some(ErrorCode::LeaderNotAvailable);
            if in_the_making && Instant::now() < deadline {
                sleep(CREATION_PAUSE).await;
            } else if unknown {
                let tried = ("produce", "it does not create topics by itself");
                return Err(unknown_topic(client, &self.arguments.broker, name, tried).await);
            } else {
                return Err(explain(
                    &error,
                    &format!("topic {name:?} cannot be created"),
                ));
            }
        }
    }

    async fn write_all(
        &mut self,
        producer: &mut Producer,
        first: Result<Lines, lines::LinesError>,
        lines: &mut LinesQueue,
    ) -> Result<(), Failure> {
        let mut next = Some(first);
        while let Some(chunk) = next {
            // Lines before a bad one go out all the same.
            match chunk {
                Ok(chunk) => self.write(producer, &chunk).await?,
                Err(error) => {
                    self.flush(producer).await?;
                    return Err(Failure::new(Exit::Error, error.to_string()));
                }
            }
            next = match lines.try_recv() {
                Ok(chunk) => Some(chunk),
                Err(TryRecvError::Disconnected) => None,
                Err(TryRecvError::Empty) => match timeout(LINGER, lines.recv()).await {
                    Ok(next) => next,
                    Err(_pause) => {
                        self.flush(producer).await?;
                        self.receipts.print(&mut self.output)?;
                        lines.recv().await
                    }
                },
            };
        }
        self.flush(producer).await
    }

    async fn write(&mut self, producer: &mut Producer, lines: &Lines) -> Result<(), Failure> {
        let arguments = self.arguments;
        let timestamp_ms = SystemClock.wall_ms();
        for line in lines.iter() {
            self.line += 1;
            let Some((key, value)) = arguments.format.split(line) else {
                self.flush(producer).await?;
                let number = self.line;
                return Err(
                    Failure::new(Exit::Error, format!("line {number} has no separator"))
                        .why("-f says that key and value have one between them"),
                );
            };
            let key = key.or_else(|| arguments.key.as_deref().map(str::as_bytes));
            let headers = &arguments.headers;
            let record = NewRecord {
                timestamp_ms,
                key,
                value: Some(value),
                headers,
            };
            let sent = producer.send(arguments.partition, record).await;
            sent.map_err(|error| self.failure(error))?;
        }
        self.receipts.take(producer.take_acknowledged());
        Ok(())
    }

    async fn flush(&mut self, producer: &mut Producer) -> Result<(), Failure> {
        let flushed = producer.flush().await;
        self.receipts.take(producer.take_acknowledged());
        flushed.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: ProduceError) -> Failure {
        let name = &self.arguments.topic;
        let cannot = format!("{name:?} cannot be written to");
        match error {
            ProduceError::Client(error) if self.arguments.acks == Acks::None => {
                explain(&error, &cannot)
                    .why("with --acks 0 a broker can only close the connection to say no")
                    .fix("--acks all says why")
            }
            ProduceError::Client(error) => explain(&error, &cannot),
            ProduceError::UnknownPartition {
                partition, count, ..
            } => {
                let said = format!("topic {name:?} has no partition {partition}");
                let last = count.saturating_sub(1);
                Failure::new(Exit::NotFound, said).why(format!("it has {count}: 0 to {last}"))
            }
            ProduceError::Batch(error) => Failure::new(Exit::Error, cannot).why(error.to_string()),
            ProduceError::Ended => Failure::new(Exit::Error, cannot),
        }
    }
}

/// The size of a batch: as the topic takes it, if the broker tells.
async fn batch_bytes(client: &mut Client, topic: &Topic) -> usize {
    let owner = ConfigOwner::Topic(topic.name.clone());
    let configs = client.configs(&owner).await.unwrap_or_default();
    let limit = configs
        .into_iter()
        .find(|config| config.name == BATCH_LIMIT_CONFIG);
    let limit = limit.and_then(|config| config.value?.parse().ok());
    limit.unwrap_or(BATCH_BYTES).min(BATCH_BYTES)
}
