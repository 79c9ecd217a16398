//! `ottla bench`: a load on a broker, and what it took.
//!
//! The load is that of the crate `load`; here it gets a topic, its flags, and a form to be read in.
//! A topic of its own is deleted at the end, whatever came of the load. Ctrl-C ends a load early;
//! what was measured until then is told.
//!
//! JSON: `{"schema": "ottla.bench/1", …}`.

use std::time::Duration;

use clock::{Clock, Rng, SystemClock, SystemRng};
use kafka_client::{Client, ErrorCode, NewTopic, Topic};
use load::{
    Consume, ConsumeLoad, EndToEnd, Histogram, Length, LoadError, Outcome, Pace, Produce,
    ProduceLoad, RecordShape, Stop, make_topic, ms_at,
};
use serde_json::{Value, json};

use crate::bench_arguments::{
    BenchVerb, ConsumeBench, EndToEndBench, LengthArguments, PartitionsArguments, ProduceBench,
    Rate, ShapeArguments, WriteArguments,
};
use crate::client_arguments::{BrokerArguments, Form};
use crate::connect::{block_on, connect, explain, is_unknown_topic, unknown_topic};
use crate::failure::{Exit, Failure};
use crate::output::{Align, Output, counted, table};

/// Requests in flight where no number and no rate was given.
const IN_FLIGHT: u32 = 64;
/// Batches that a reader finds, where no size was given.
const FILL_BATCH_BYTES: usize = 1 << 20;
/// What a batch may have beside the records that were counted.
const BATCH_OVERHEAD_BYTES: u32 = 1024;
/// The batches that Kafka's default takes.
const DEFAULT_BATCH_BYTES_MAX: u32 = 1_048_588;
/// How long a broker may wait for records to read.
const FETCH_WAIT: Duration = Duration::from_millis(500);

/// Quantiles that are told.
const QUANTILES: [(&str, &str, f64); 4] = [
    ("P50 MS", "p50", 0.5),
    ("P90 MS", "p90", 0.9),
    ("P99 MS", "p99", 0.99),
    ("P99.9 MS", "p99_9", 0.999),
];

/// Runs one of the commands.
pub(crate) fn run(verb: BenchVerb) -> Result<(), Failure> {
    match verb {
        BenchVerb::Produce(arguments) => block_on(produce(arguments)),
        BenchVerb::Consume(arguments) => block_on(consume(arguments)),
        BenchVerb::E2e(arguments) => block_on(end_to_end(arguments)),
    }
}

async fn produce(arguments: ProduceBench) -> Result<(), Failure> {
    let load = produce_load(arguments.write, arguments.rate, arguments.shape)?;
    let mut ground = Ground::of(&arguments.broker).await?;
    let made = ground.make(arguments.topic.as_deref(), arguments.partitions, load.shape);
    let topic = made.await?;
    say_load(&topic, &load);
    let options = ground.client.options().clone();
    let measured = with_interrupt(async |stop| {
        let prepared = Produce::prepare(&options, &topic, load).await?;
        prepared.run(stop).await
    })
    .await;
    let outcome = ground.end(measured).await?;
    let report = Report {
        load: "produce",
        topic: &topic,
        outcome: &outcome,
        end_to_end: None,
        latency_of: "acknowledged",
    };
    report.print(arguments.form.output)
}

async fn consume(arguments: ConsumeBench) -> Result<(), Failure> {
    let mut shape = shape_of(arguments.shape);
    shape.batch_bytes.get_or_insert(FILL_BATCH_BYTES);
    let mut ground = Ground::of(&arguments.broker).await?;
    let topic = match &arguments.topic {
        Some(name) => ground.existing(name, &arguments.broker).await?,
        None => ground.make(None, arguments.partitions, shape).await?,
    };
    let load = ConsumeLoad {
        connections: usize::from(arguments.clients),
        partition_bytes: i32::try_from(arguments.fetch_size).unwrap_or(i32::MAX),
        wait: FETCH_WAIT,
        length: length_of(arguments.length),
    };
    let fill = arguments.topic.is_none().then_some(arguments.fill);
    let options = ground.client.options().clone();
    let measured = with_interrupt(async |stop| {
        if let Some(bytes) = fill {
            eprintln!("{}: writing {} MiB to read", topic.name, bytes >> 20);
            load::fill_topic(&options, &topic, shape, bytes).await?;
        }
        let prepared = Consume::prepare(&options, &topic, load).await?;
        prepared.run(stop).await
    })
    .await;
    let outcome = ground.end(measured).await?;
    let report = Report {
        load: "consume",
        topic: &topic,
        outcome: &outcome,
        end_to_end: None,
        latency_of: "fetched",
    };
    report.print(arguments.form.output)
}

async fn end_to_end(arguments: EndToEndBench) -> Result<(), Failure> {
    let mut load = produce_load(arguments.write, arguments.rate, arguments.shape)?;
    // Each partition is written over one connection, so that the order of its records is known.
    let partitions = usize::try_from(arguments.partitions.partitions).unwrap_or(1);
    load.connections = load.connections.min(partitions);
    let mut ground = Ground::of(&arguments.broker).await?;
    let topic = ground.make(None, arguments.partitions, load.shape).await?;
    say_load(&topic, &load);
    let options = ground.client.options().clone();
    let consumers = usize::from(arguments.consumers);
    let measured = with_interrupt(async |stop| {
        let prepared = EndToEnd::prepare(&options, &topic, load, consumers).await?;
        prepared.run(stop).await
    })
    .await;
    let (outcome, seen) = ground.end(measured).await?;
    let report = Report {
        load: "e2e",
        topic: &topic,
        outcome: &outcome,
        end_to_end: Some(&seen),
        latency_of: "acknowledged",
    };
    report.print(arguments.form.output)
}

fn shape_of(arguments: ShapeArguments) -> RecordShape {
    let bytes = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
    RecordShape {
        record_bytes: bytes(arguments.size),
        batch_bytes: arguments.batch_size.map(bytes),
        codec: arguments.compression,
        timestamp_ms: SystemClock.wall_ms(),
    }
}

fn produce_load(
    write: WriteArguments,
    rate: Rate,
    shape: ShapeArguments,
) -> Result<ProduceLoad, Failure> {
    let pace = match (rate, write.in_flight) {
        (Rate::Fixed(_), Some(_)) => {
            let what = "--in-flight goes with --rate max only";
            return Err(Failure::new(Exit::Usage, what)
                .why("at a fixed rate requests go out at their times, however many wait"));
        }
        (Rate::Fixed(records_s), None) => Pace::Open { records_s },
        (Rate::Max, in_flight) => Pace::Closed {
            in_flight: usize::try_from(in_flight.unwrap_or(IN_FLIGHT)).unwrap_or(usize::MAX),
        },
    };
    Ok(ProduceLoad {
        shape: shape_of(shape),
        acks: write.acks,
        connections: usize::from(write.clients),
        pace,
        length: length_of(write.length),
    })
}

fn length_of(arguments: LengthArguments) -> Length {
    Length {
        duration: arguments.duration,
        bytes: arguments.volume.unwrap_or(u64::MAX),
    }
}

fn say_load(topic: &Topic, load: &ProduceLoad) {
    let pace = match load.pace {
        Pace::Open { records_s } => format!("{} a second", counted(records_s, "record")),
        Pace::Closed { in_flight } => {
            let in_flight = in_flight.max(load.connections);
            format!("{} in flight", counted(in_flight, "request"))
        }
    };
    eprintln!(
        "{}: {}, {}, {pace}, values of {}, {:?}",
        topic.name,
        counted(topic.partitions.len(), "partition"),
        counted(load.connections, "connection"),
        counted(load.shape.record_bytes, "byte"),
        load.length.duration,
    );
}

/// Runs a load that Ctrl-C ends early.
async fn with_interrupt<T>(
    load: impl AsyncFnOnce(&Stop) -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    let stop = Stop::default();
    let mut running = std::pin::pin!(load(&stop));
    tokio::select! {
        outcome = &mut running => return outcome,
        _ = tokio::signal::ctrl_c() => stop.now(),
    }
    eprintln!("interrupted: waiting for what is in flight");
    running.await
}

/// The broker, and the topic that was made for this run.
struct Ground {
    client: Client,
    own: Option<String>,
}

impl Ground {
    async fn of(broker: &BrokerArguments) -> Result<Self, Failure> {
        let client = connect(broker).await?;
        Ok(Self { client, own: None })
    }

    /// The topic of that name, made if it is not there; without a name, one of its own.
    async fn make(
        &mut self,
        name: Option<&str>,
        partitions: PartitionsArguments,
        shape: RecordShape,
    ) -> Result<Topic, Failure> {
        let own = format!("ottla-bench-{:016x}", SystemRng.next_u64());
        let name = name.unwrap_or(&own);
        let batch = shape.batch_bytes.unwrap_or(0).max(shape.record_bytes);
        let batch = u32::try_from(batch).unwrap_or(u32::MAX);
        let batch = batch.saturating_add(BATCH_OVERHEAD_BYTES);
        let mut configs = Vec::new();
        if batch > DEFAULT_BATCH_BYTES_MAX {
            configs.push(("max.message.bytes".to_owned(), batch.to_string()));
        }
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions.partitions),
            replication_factor: Some(1),
            configs,
            validate_only: false,
        };
        if *name == own {
            self.own = Some(own.clone());
        }
        let made = make_topic(&mut self.client, &topic).await;
        let cannot = format!("topic {name:?} cannot be made");
        let made = made.map_err(LoadError::from);
        match made {
            Ok(topic) => Ok(topic),
            Err(error) => {
                self.clean().await;
                Err(failure(&error, &cannot))
            }
        }
    }

    async fn existing(&mut self, name: &str, broker: &BrokerArguments) -> Result<Topic, Failure> {
        match self.client.topic(name, false).await {
            Ok(topic) => Ok(topic),
            Err(error) if is_unknown_topic(&error) => {
                let tried = ("bench consume --topic", "readers do not create topics");
                Err(unknown_topic(&mut self.client, broker, name, tried).await)
            }
            Err(error) => Err(explain(&error, &format!("{name:?} cannot be read"))),
        }
    }

    /// Deletes a topic of its own, and says what went wrong.
    async fn end<T>(&mut self, measured: Result<T, LoadError>) -> Result<T, Failure> {
        self.clean().await;
        measured.map_err(|error| failure(&error, "the load ended before its end"))
    }

    async fn clean(&mut self) {
        if let Some(name) = self.own.take()
            && let Err(error) = self.client.delete_topic(&name).await
            && !is_unknown_topic(&error)
        {
            eprintln!("warning: topic {name} stays: {error}");
        }
    }
}

fn failure(error: &LoadError, what: &str) -> Failure {
    let plain = |why: String| Failure::new(Exit::Error, what).why(why);
    match error {
        LoadError::Client(error) => {
            let failure = explain(error, what);
            match error.code() {
                Some(ErrorCode::MessageTooLarge) => {
                    failure.fix("choose a smaller --batch-size or --size, or another --topic")
                }
                _ => failure,
            }
        }
        LoadError::Overloaded { .. } => plain(error.to_string()).fix("choose a smaller --rate"),
        LoadError::NoRecords { topic } => plain(error.to_string())
            .exit(Exit::NotFound)
            .fix(format!("ottla bench produce --topic {topic}")),
        _ => plain(error.to_string()),
    }
}

/// What is printed.
struct Report<'a> {
    load: &'static str,
    topic: &'a Topic,
    outcome: &'a Outcome,
    end_to_end: Option<&'a Histogram<u64>>,
    /// What the latency of the outcome is until.
    latency_of: &'static str,
}

impl Report<'_> {
    fn print(&self, form: Form) -> Result<(), Failure> {
        let mut output = Output::new();
        match form {
            Form::Table => output.write(self.table().as_bytes())?,
            form => output.data(form, &self.json(), "")?,
        }
        output.flush()
    }

    fn latencies(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        let answered = std::iter::once((self.latency_of, &self.outcome.latency));
        let seen = self.end_to_end.map(|seen| ("end to end", seen));
        answered.chain(seen)
    }

    fn per_second(&self, count: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let count = count as f64;
        count / self.outcome.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    fn table(&self) -> String {
        let Outcome {
            requests,
            records,
            batch_bytes,
            elapsed,
            client_cpu,
            ..
        } = self.outcome;
        let right = |title| (title, Align::Right);
        let head = ["SECONDS", "REQUESTS", "RECORDS", "RECORDS/S", "MIB/S"].map(right);
        let mebibytes = self.per_second(*batch_bytes) / f64::from(1 << 20);
        let row = vec![
            format!("{:.2}", elapsed.as_secs_f64()),
            requests.to_string(),
            records.to_string(),
            format!("{:.0}", self.per_second(*records)),
            format!("{mebibytes:.1}"),
        ];
        let mut text = table(&head, &[row]);
        let mut head = vec![("REQUESTS", Align::Left)];
        head.extend(QUANTILES.map(|(title, ..)| right(title)));
        head.push(right("MAX MS"));
        let rows: Vec<Vec<String>> = self
            .latencies()
            .filter(|(_, latency)| !latency.is_empty())
            .map(|(name, latency)| {
                let mut row = vec![name.to_owned()];
                row.extend(QUANTILES.map(|(.., at)| format!("{:.3}", ms_at(latency, at))));
                row.push(format!("{:.3}", ms_at(latency, 1.0)));
                row
            })
            .collect();
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&table(&head, &rows));
        }
        let share = client_cpu.as_secs_f64() / elapsed.as_secs_f64().max(f64::EPSILON);
        eprintln!("this client took {:.0} % of a core", share * 100.0);
        text
    }

    fn json(&self) -> Value {
        let outcome = self.outcome;
        let latency = self.latencies().map(|(name, latency)| {
            let mut figures = serde_json::Map::new();
            for (_, key, at) in QUANTILES {
                figures.insert(key.to_owned(), json!(ms_at(latency, at)));
            }
            figures.insert("max".to_owned(), json!(ms_at(latency, 1.0)));
            figures.insert("count".to_owned(), json!(latency.len()));
            (name.replace(' ', "_"), Value::Object(figures))
        });
        let latency: serde_json::Map<String, Value> = latency.collect();
        json!({
            "schema": "ottla.bench/1",
            "load": self.load,
            "topic": self.topic.name,
            "partitions": self.topic.partitions.len(),
            "seconds": outcome.elapsed.as_secs_f64(),
            "requests": outcome.requests,
            "records": outcome.records,
            "batch_bytes": outcome.batch_bytes,
            "records_per_second": self.per_second(outcome.records),
            "batch_bytes_per_second": self.per_second(outcome.batch_bytes),
            "latency_ms": latency,
            "client_cpu_seconds": outcome.client_cpu.as_secs_f64(),
        })
    }
}
