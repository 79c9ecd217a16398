//! `ottla consume`: reads records, and follows the topic until it is told to end.
//!
//! The order within a partition is the log's; between partitions there is none. A broker that goes
//! away is waited for as long as `--timeout` says, and reading goes on where it was.
//!
//! JSON, one object for each record: `topic`, `partition`; `offset` and `timestamp_ms` as strings;
//! `key`, `value` and the `value` of each of the `headers` as text or null. Bytes that are no UTF-8
//! stand as `{"base64": "…"}` instead.

mod json;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use clock::{Clock, SystemClock};
use kafka_client::{
    Client, ClientError, ErrorCode, FetchLimits, FetchedPartition, OffsetSpec, Topic,
};
use records::Record;
use tokio::time::{Instant, sleep};

use crate::client_arguments::{ConsumeArguments, RecordForm};
use crate::connect::{block_on, connect, explain, is_unknown_topic, unknown_topic};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::times::From;

/// What one answer may bring.
const ANSWER_BYTES: i32 = 32 * 1024 * 1024;
/// What one answer may bring of one partition.
const PARTITION_BYTES: i32 = 8 * 1024 * 1024;
/// How long the broker holds a question that it has nothing for.
const WAIT: Duration = Duration::from_millis(500);
/// The pause before a broker that failed is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Runs the command.
pub(crate) fn run(arguments: ConsumeArguments) -> Result<(), Failure> {
    block_on(async {
        let mut client = connect(&arguments.broker).await?;
        let topic = find(&mut client, &arguments).await?;
        let places = places(&mut client, &topic, &arguments).await?;
        let left = arguments.max_messages.unwrap_or(u64::MAX);
        let output = Output::new();
        let buffer = Vec::new();
        Consume {
            arguments: &arguments,
            client,
            topic,
            places,
            left,
            output,
            buffer,
        }
        .run()
        .await
    })
}

async fn find(client: &mut Client, arguments: &ConsumeArguments) -> Result<Topic, Failure> {
    let name = &arguments.topic;
    match client.topic(name, false).await {
        Ok(topic) => Ok(topic),
        Err(error) if is_unknown_topic(&error) => {
            let tried = ("consume", "consumers do not create topics");
            Err(unknown_topic(client, &arguments.broker, name, tried).await)
        }
        Err(error) => Err(explain(&error, &format!("topic {name:?} cannot be read"))),
    }
}

/// Where reading is in a partition, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    partition: i32,
    next: i64,
    end: Option<i64>,
}

impl Place {
    fn is_done(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

async fn places(
    client: &mut Client,
    topic: &Topic,
    arguments: &ConsumeArguments,
) -> Result<VecDeque<Place>, Failure> {
    let partitions = partitions(topic, arguments)?;
    let name = topic.name.as_str();
    let cannot = |error| explain(&error, &format!("topic {name:?} cannot be read"));
    let mut find = async |spec| -> Result<BTreeMap<i32, Option<i64>>, Failure> {
        let found = client
            .offsets(name, &partitions, spec)
            .await
            .map_err(cannot)?;
        Ok(found
            .into_iter()
            .map(|(partition, found)| (partition, found.offset))
            .collect())
    };
    let ends = find(OffsetSpec::Latest).await?;
    let end_of = |partition| ends.get(&partition).copied().flatten().unwrap_or(0);
    let starts = match arguments.from {
        From::Start => find(OffsetSpec::Earliest).await?,
        From::End => ends.clone(),
        From::Offset(offset) if partitions.len() == 1 => partitions
            .iter()
            .map(|&partition| (partition, Some(offset)))
            .collect(),
        From::Offset(offset) => {
            let count = partitions.len();
            return Err(
                Failure::new(Exit::Usage, "an offset belongs to one partition")
                    .why(format!("topic {name:?} is read in {count} partitions"))
                    .fix(format!(
                        "ottla consume {name} -p 0 --from {offset}{}",
                        arguments.broker.flag()
                    )),
            );
        }
        From::Last(count) => {
            let starts = find(OffsetSpec::Earliest).await?;
            let from = |(partition, start): (i32, Option<i64>)| {
                let wanted = end_of(partition).saturating_sub(count);
                (partition, Some(wanted.max(start.unwrap_or(0))))
            };
            starts.into_iter().map(from).collect()
        }
        From::Time(ms) => find(OffsetSpec::Timestamp(ms)).await?,
        From::Ago(ago) => {
            let ago_ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
            let ms = SystemClock.wall_ms().saturating_sub(ago_ms);
            find(OffsetSpec::Timestamp(ms)).await?
        }
    };
    let places = partitions.iter().map(|&partition| Place {
        partition,
        // No record is young enough: what comes will be.
        next: starts
            .get(&partition)
            .copied()
            .flatten()
            .unwrap_or_else(|| end_of(partition)),
        end: arguments.until_end.then(|| end_of(partition)),
    });
    Ok(places.collect())
}

fn partitions(topic: &Topic, arguments: &ConsumeArguments) -> Result<Vec<i32>, Failure> {
    let all: Vec<i32> = topic
        .partitions
        .iter()
        .map(|partition| partition.index)
        .collect();
    if arguments.partitions.is_empty() {
        return Ok(all);
    }
    let mut wanted = arguments.partitions.clone();
    wanted.sort_unstable();
    wanted.dedup();
    if let Some(missing) = wanted.iter().find(|wanted| !all.contains(wanted)) {
        let (name, count, last) = (&topic.name, all.len(), all.len().saturating_sub(1));
        return Err(Failure::new(
            Exit::NotFound,
            format!("topic {name:?} has no partition {missing}"),
        )
        .code(ErrorCode::UnknownTopicOrPartition.name())
        .why(format!("it has {count}: 0 to {last}")));
    }
    Ok(wanted)
}

struct Consume<'a> {
    arguments: &'a ConsumeArguments,
    client: Client,
    topic: Topic,
    /// The one that has waited longest comes first.
    places: VecDeque<Place>,
    left: u64,
    output: Output,
    buffer: Vec<u8>,
}

impl Consume<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let limits = FetchLimits {
            bytes_min: 1,
            bytes_max: ANSWER_BYTES,
            partition_bytes_max: PARTITION_BYTES,
            wait: WAIT,
        };
        if let Some(partition) = self.beyond_the_end() {
            return Err(self.refusal(partition, ErrorCode::OffsetOutOfRange).await);
        }
        let mut failing_since: Option<Instant> = None;
        loop {
            self.places.retain(|place| !place.is_done());
            if self.left == 0 || self.places.is_empty() {
                return self.output.flush();
            }
            let wanted: Vec<(i32, i64)> = self
                .places
                .iter()
                .map(|place| (place.partition, place.next))
                .collect();
            let mut fetched = self.client.fetch(&self.topic, &wanted, limits).await;
            if let Ok(partitions) = &fetched
                && let Some(code) = partitions.iter().find_map(|partition| partition.error)
                && may_pass(code)
            {
                fetched = Err(ClientError::Refused {
                    code,
                    message: None,
                });
            }
            match fetched {
                Ok(partitions) => {
                    failing_since = None;
                    self.print_all(&partitions).await?;
                }
                Err(error) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    let patient = since.elapsed() < self.arguments.broker.timeout;
                    if !(error.is_retriable() && patient) {
                        return Err(explain(&error, &self.cannot()));
                    }
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// The partition whose end lies before the offset that was asked for. The broker would say so,
    /// but reading up to the end asks it nothing.
    fn beyond_the_end(&self) -> Option<i32> {
        let asked = matches!(self.arguments.from, From::Offset(_));
        let beyond = |place: &&Place| place.end.is_some_and(|end| place.next > end);
        let place = self.places.iter().find(beyond).filter(|_| asked);
        place.map(|place| place.partition)
    }

    fn cannot(&self) -> String {
        format!("topic {:?} cannot be read", self.topic.name)
    }

    async fn print_all(&mut self, partitions: &[FetchedPartition]) -> Result<(), Failure> {
        for partition in partitions {
            if let Some(code) = partition.error {
                return Err(self.refusal(partition.partition, code).await);
            }
            let place = self
                .places
                .iter()
                .position(|p| p.partition == partition.partition);
            let Some(place) = place.and_then(|at| self.places.remove(at)) else {
                continue;
            };
            let next = self.print(partition, place)?;
            // Whoever gave something waits behind the others next time.
            if next > place.next {
                self.places.push_back(Place { next, ..place });
            } else {
                self.places.push_front(place);
            }
        }
        self.output.flush()
    }

    /// Prints the records of a partition; gives the offset to go on from.
    fn print(&mut self, fetched: &FetchedPartition, place: Place) -> Result<i64, Failure> {
        let mut records = fetched.records(place.next);
        while self.left > 0 {
            let Some(record) = records.next() else { break };
            let record = record.map_err(|error| {
                let at = format!(
                    "{}[{}]@{}",
                    self.topic.name,
                    place.partition,
                    records.next_offset()
                );
                Failure::new(Exit::Error, format!("the records from {at} on are damaged"))
                    .why(error.to_string())
            })?;
            if place.end.is_some_and(|end| record.offset.get() >= end) {
                return Ok(record.offset.get());
            }
            self.print_record(place.partition, &record)?;
            self.left -= 1;
        }
        Ok(records.next_offset())
    }

    fn print_record(&mut self, partition: i32, record: &Record) -> Result<(), Failure> {
        self.buffer.clear();
        let topic = &self.topic.name;
        match self.arguments.output {
            None => self
                .arguments
                .format
                .write(topic, partition, record, &mut self.buffer),
            Some(RecordForm::Json) => json::write(topic, partition, record, &mut self.buffer),
        }
        self.output.write(&self.buffer)
    }

    async fn refusal(&mut self, partition: i32, code: ErrorCode) -> Failure {
        let name = &self.topic.name;
        let refused = ClientError::Refused {
            code,
            message: None,
        };
        let offset = self
            .places
            .iter()
            .find(|place| place.partition == partition);
        let offset = offset.map_or(-1, |place| place.next);
        match code {
            ErrorCode::OffsetOutOfRange => {
                let mut find = async |spec| {
                    let found = self.client.offsets(name, &[partition], spec).await;
                    found.ok().and_then(|found| found.get(&partition)?.offset)
                };
                let (start, end) = (
                    find(OffsetSpec::Earliest).await,
                    find(OffsetSpec::Latest).await,
                );
                let range = start.zip(end).map_or_else(String::new, |(start, end)| {
                    format!("it begins at {start}, and the next record gets {end}")
                });
                explain(
                    &refused,
                    &format!("{name}[{partition}] has no offset {offset}"),
                )
                .why(range)
            }
            ErrorCode::UnknownTopicId | ErrorCode::UnknownTopicOrPartition => {
                explain(&refused, &format!("topic {name:?} was deleted"))
            }
            ErrorCode::CorruptMessage => {
                let said = format!("the records at {name}[{partition}]@{offset} are damaged");
                explain(&refused, &said).fix(format!(
                    "ottla log verify DATA-DIR/{name}/partition{partition} on the broker's machine \
                     says more"
                ))
            }
            _ => explain(&refused, &self.cannot()),
        }
    }
}

/// Whether a partition can be had later. Damage stays, and a topic that is gone too.
fn may_pass(code: ErrorCode) -> bool {
    let stays = matches!(
        code,
        ErrorCode::CorruptMessage | ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId
    );
    code.is_retriable() && !stays
}
