//! Writing: the same batch to all partitions in turn, over some connections.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use kafka_client::{Acks, Client, ClientError, ClientOptions, Connection, OffsetSpec, Topic};
use kafka_wire::messages::{ProduceRequest, ProduceResponse};
use tokio::time::{Instant, sleep};

use crate::answers::check;
use crate::batch::{Batch, RecordShape};
use crate::connect::{Halves, open};
use crate::end_to_end::Sightings;
use crate::error::LoadError;
use crate::frame::{ProduceFrame, produce_request};
use crate::lane::{Lane, Shared, check_produced};
use crate::outcome::{Outcome, cpu_time, histogram};
use crate::pacer::Pacer;
use crate::{Length, Pace, Stop};

/// Partitions that get their first record by one request.
const FIRST_AT_ONCE: usize = 500;
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Requests that may be due and not sent.
const WAITING_MAX: usize = 1 << 20;

/// What is written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProduceLoad {
    /// The records and batches. A request has one batch.
    pub shape: RecordShape,
    /// When the broker answers.
    pub acks: Acks,
    /// Connections, not 0. Each writes to its own partitions, as long as there are enough.
    pub connections: usize,
    /// When requests go out.
    pub pace: Pace,
    /// When it ends.
    pub length: Length,
}

/// A load that can begin at once: everything is connected and encoded, and every partition has had
/// one small record, so that first uses are not measured.
#[derive(Debug)]
pub struct Produce {
    load: ProduceLoad,
    batch: Batch,
    frames: Vec<ProduceFrame>,
    version: i16,
    lanes: Vec<(Lane, Halves)>,
}

impl Produce {
    /// Prepares a load on a topic that exists.
    pub async fn prepare(
        options: &ClientOptions,
        topic: &Topic,
        load: ProduceLoad,
    ) -> Result<Self, LoadError> {
        let batch = load.shape.batch()?;
        touch(options, topic, load.shape).await?;
        let partitions = topic.partitions.len();
        let mut lanes = Vec::new();
        let mut version = 0;
        for number in 0..load.connections {
            let (halves, newest) = open::<ProduceRequest>(options).await?;
            version = newest;
            let places = if number < partitions {
                (number..partitions).step_by(load.connections).collect()
            } else {
                vec![number % partitions]
            };
            lanes.push((Lane::new(places), halves));
        }
        let frames = (0_i32..).zip(&topic.partitions).map(|(place, partition)| {
            let about = (partition.index, place);
            ProduceFrame::new(topic, about, (&batch.bytes, load.acks), version)
        });
        let frames = frames.collect::<Result<_, _>>()?;
        Ok(Self {
            load,
            batch,
            frames,
            version,
            lanes,
        })
    }

    /// Runs the load to its end, or until it is stopped.
    pub async fn run(self, stop: &Stop) -> Result<Outcome, LoadError> {
        self.run_seen(None, stop).await
    }

    /// The same; whoever reads the topic is told what was sent.
    pub(crate) async fn run_seen(
        self,
        sightings: Option<&Sightings>,
        stop: &Stop,
    ) -> Result<Outcome, LoadError> {
        let length = self.load.length;
        let batch_bytes = u64::try_from(self.batch.bytes.len()).unwrap_or(u64::MAX);
        let (lanes, halves): (Vec<Lane>, Vec<Halves>) = self.lanes.into_iter().unzip();
        let began = Instant::now();
        let cpu_before = cpu_time();
        let shared = Shared {
            frames: &self.frames,
            version: self.version,
            acks: self.load.acks,
            left: Cell::new(length.bytes.div_ceil(batch_bytes)),
            answered: Cell::new(0),
            latency: RefCell::new(histogram()),
            replace_until: match self.load.pace {
                Pace::Open { .. } => None,
                // A load that ends by bytes alone has no moment: ten years are as good.
                Pace::Closed { .. } => Some(began + length.duration.min(TEN_YEARS)),
            },
            waiting: Cell::new(0),
            sightings,
            stop,
        };
        let runs = lanes.iter().zip(halves);
        let runs = runs.map(|(lane, halves)| lane.run(halves, &shared));
        match self.load.pace {
            Pace::Closed { in_flight } => {
                fill(&lanes, in_flight, &shared);
                try_join_all(runs).await?;
            }
            Pace::Open { records_s } => {
                let schedule = Schedule {
                    began,
                    duration: length.duration,
                    records_s: u64::from(records_s),
                    records: self.batch.records,
                };
                try_join(schedule.run(&lanes, &shared), try_join_all(runs)).await?;
            }
        }
        let requests = shared.answered.get();
        Ok(Outcome {
            requests,
            records: requests * self.batch.records,
            batch_bytes: requests * batch_bytes,
            elapsed: began.elapsed(),
            client_cpu: cpu_time().saturating_sub(cpu_before),
            latency: shared.latency.into_inner(),
        })
    }
}

const TEN_YEARS: Duration = Duration::from_hours(10 * 365 * 24);

/// Gives every lane its share of the requests in flight.
fn fill(lanes: &[Lane], in_flight: usize, shared: &Shared<'_>) {
    let now = Instant::now();
    for (number, lane) in lanes.iter().enumerate() {
        let share = in_flight / lanes.len() + usize::from(number < in_flight % lanes.len());
        for _ in 0..share.max(1) {
            if shared.begin_one() {
                lane.push(now, shared);
            }
        }
        lane.end();
    }
}

/// The times of an open loop.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    began: Instant,
    duration: Duration,
    records_s: u64,
    /// In a request.
    records: u64,
}

impl Schedule {
    /// When a request is due, from the beginning.
    fn due(self, number: u64) -> Duration {
        let nanos = u128::from(number) * u128::from(self.records) * 1_000_000_000;
        let nanos = nanos / u128::from(self.records_s);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    async fn run(self, lanes: &[Lane], shared: &Shared<'_>) -> Result<(), LoadError> {
        let mut pacer = Pacer::new()?;
        for (number, lane) in (0..).zip(lanes.iter().cycle()) {
            let due = self.due(number);
            if due >= self.duration || shared.stop.is_set() || !shared.begin_one() {
                break;
            }
            let moment = self.began + due;
            pacer.until(moment).await?;
            lane.push(moment, shared);
            let waiting = shared.waiting.get();
            if waiting > WAITING_MAX {
                return Err(LoadError::Overloaded { waiting });
            }
        }
        lanes.iter().for_each(Lane::end);
        Ok(())
    }
}

/// Writes one small record to every partition.
async fn touch(
    options: &ClientOptions,
    topic: &Topic,
    shape: RecordShape,
) -> Result<(), LoadError> {
    let batch = shape.smallest().batch()?;
    let mut connection = Connection::open(options).await?;
    let version = connection.version_of::<ProduceRequest>()?;
    let partitions: Vec<i32> = topic.partitions.iter().map(|it| it.index).collect();
    for some in partitions.chunks(FIRST_AT_ONCE) {
        let mut left = some.to_vec();
        let mut patience = Instant::now() + options.timeout;
        loop {
            let request = produce_request(topic, &left, &batch.bytes, Acks::All, version);
            let answer = connection.call(&request, options.timeout).await?;
            let before = left.len();
            left = not_yet_taken(&answer)?;
            if left.is_empty() {
                break;
            }
            let now = Instant::now();
            if left.len() < before {
                patience = now + options.timeout;
            } else if now > patience {
                check_produced(&answer)?;
            }
            sleep(FIRST_PAUSE).await;
        }
    }
    Ok(())
}

/// The partitions that may be asked again: the leaders of a new topic may not know it yet.
fn not_yet_taken(answer: &ProduceResponse) -> Result<Vec<i32>, ClientError> {
    let mut left = Vec::new();
    let topics = answer.responses.iter();
    for partition in topics.flat_map(|topic| &topic.partition_responses) {
        match check(partition.error_code, partition.index) {
            Ok(()) => {}
            Err(error) if error.is_retriable() => left.push(partition.index),
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

/// Writes so many bytes of batches, 8 in flight on one connection: records for a reader.
pub async fn fill_topic(
    options: &ClientOptions,
    topic: &Topic,
    shape: RecordShape,
    bytes: u64,
) -> Result<Outcome, LoadError> {
    let load = ProduceLoad {
        shape,
        acks: Acks::All,
        connections: 1,
        pace: Pace::Closed { in_flight: 8 },
        length: Length::of_bytes(bytes),
    };
    let produce = Produce::prepare(options, topic, load).await?;
    produce.run(&Stop::default()).await
}

/// Where all partitions begin or end, by their places.
pub(crate) async fn offsets(
    client: &mut Client,
    topic: &Topic,
    spec: OffsetSpec,
) -> Result<Vec<i64>, ClientError> {
    let partitions: Vec<i32> = topic.partitions.iter().map(|it| it.index).collect();
    let found = client.offsets(&topic.name, &partitions, spec).await?;
    let offsets = partitions
        .iter()
        .map(|partition| found.get(partition).and_then(|found| found.offset));
    Ok(offsets.map(Option::unwrap_or_default).collect())
}

#[cfg(test)]
mod tests {
    //! The times of an open loop.

    use std::time::Duration;

    use tokio::time::Instant;

    use super::Schedule;

    #[test]
    fn requests_are_due_at_fixed_times_however_long_it_runs() {
        let schedule = |records_s, records| Schedule {
            began: Instant::now(),
            duration: Duration::MAX,
            records_s,
            records,
        };
        let cases = [
            (10_000, 1, 0, Duration::ZERO),
            (10_000, 1, 1, Duration::from_micros(100)),
            (3, 1, 3, Duration::from_secs(1)),
            (7, 1, 7_000_000, Duration::from_secs(1_000_000)),
            (1000, 15, 2, Duration::from_millis(30)),
        ];
        for (rate, records, number, due) in cases {
            assert_eq!(schedule(rate, records).due(number), due, "{rate} {number}");
        }
    }
}
