//! The undamaged directories: one that was stopped cleanly, one whose broker was killed, and an
//! earlier state of both. Several topics, segments and starts; batches of every codec, of an
//! idempotent producer, with and without keys, values and headers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::messages::{InitProducerIdRequest, ProduceRequest};
use records::{BatchBuilder, Codec, Header};
use tempfile::TempDir;

use super::aftermath;
use super::hurt::copy;
use super::model::{Meant, Model, Name};
use super::reading;
use super::subject::Subject;
use crate::chance::Chance;
use crate::conformance::Places;
use crate::conformance::process::{now, pause};
use crate::wire::{Wire, produce};

/// Where the named consumer stands.
pub(super) const CONSUMER: &str = "reader";
pub(super) const CONSUMED: Name = ("plain", 1);
pub(super) const SEQUENCED: Name = ("sequenced", 0);
pub(super) const CONFIG: (&str, &str) = ("segment.bytes", "1048576");
const INIT_PRODUCER_ID_VERSION: i16 = 4;
const STARTS: usize = 3;

/// Batches that each start writes to a partition, and how many records each has at most.
const PLAN: [(Name, usize, usize); 7] = [
    (("plain", 0), 90, 40),
    (("plain", 1), 12, 5),
    (("packed", 0), 15, 20),
    (("packed", 1), 10, 5),
    (("sequenced", 0), 45, 40),
    (("headers", 0), 12, 6),
    (("headers", 1), 3, 1),
];

/// One undamaged state of a directory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) name: &'static str,
    /// Its `data` is the directory.
    pub(super) folder: PathBuf,
    pub(super) model: Model,
}

/// The states, and the folder they are in.
#[derive(Debug)]
pub(super) struct World {
    pub(super) states: Vec<State>,
    /// An earlier state.
    pub(super) stale: PathBuf,
    /// For one round after the other.
    pub(super) arena: PathBuf,
    _folder: TempDir,
}

/// Writes, and remembers what.
struct Scribe {
    chance: Chance,
    /// Every record has its own, from the hour on: brokers forget what is older than some days.
    first_timestamp_ms: i64,
    meant: BTreeMap<Name, Vec<Meant>>,
    producer_id: i64,
    sequence: i32,
    model: Model,
}

/// Makes all states.
pub(super) fn make(subject: Subject, places: &Places, seed: u64) -> Result<World, String> {
    let root = TempDir::with_prefix_in("damage-", in_memory()).map_err(|e| e.to_string())?;
    let [clean, stale, killed] = ["clean", "stale", "killed"].map(|name| root.path().join(name));
    let mut scribe = Scribe {
        chance: Chance::new(seed),
        first_timestamp_ms: this_hour_ms(),
        meant: BTreeMap::new(),
        producer_id: -1,
        sequence: 0,
        model: Model::default(),
    };
    make_folder(&clean)?;
    for start in 1..=STARTS {
        let mut broker = subject.start(places, &clean)?;
        let mut wire = reading::connect(&broker.address)?;
        if start == 1 {
            make_topics(&mut wire, subject)?;
            scribe.producer_id = new_producer(&mut wire, subject.patience())?;
        }
        scribe.write(&mut wire, 1, subject.patience())?;
        if start == 2 {
            broker.kill();
            continue;
        }
        if start == STARTS {
            scribe.look(&broker.address, subject)?;
        }
        broker.stop_cleanly(subject.stop_limit())?;
        if start == 1 {
            copy(&clean, &stale)?;
        }
    }
    let of_clean = scribe.state("clean", &clean, subject)?;
    copy(&clean, &killed)?;
    scribe.go_on_until_killed(subject, places, &killed)?;
    let of_killed = scribe.state("killed", &killed, subject)?;
    Ok(World {
        states: vec![of_clean, of_killed],
        stale: stale.join("data"),
        arena: root.path().join("arena"),
        _folder: root,
    })
}

/// Where files are not written to a disk, if there is such a place: what is damaged was closed
/// before, and a round takes a tenth of the time.
fn in_memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    }
}

#[expect(clippy::disallowed_methods, reason = "a folder of a developer's tool")]
pub(super) fn make_folder(path: &Path) -> Result<(), String> {
    std::fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "records of today")]
fn this_hour_ms() -> i64 {
    const HOUR: u64 = 3600;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    i64::try_from(seconds / HOUR * HOUR * 1000).unwrap_or(0)
}

fn make_topics(wire: &mut Wire, subject: Subject) -> Result<(), String> {
    let mut partitions: BTreeMap<&str, i32> = BTreeMap::new();
    for ((topic, partition), ..) in PLAN {
        let count = partitions.entry(topic).or_default();
        *count = (*count).max(partition + 1);
    }
    for (topic, count) in partitions {
        wire.create_topic_with(topic, count, &[CONFIG])
            .map_err(|error| format!("{}: {error}", subject.name()))?;
    }
    Ok(())
}

/// Asks for a producer id, again while there is no coordinator.
pub(super) fn new_producer(wire: &mut Wire, patience: Duration) -> Result<i64, String> {
    let request = InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
    };
    let began = now();
    loop {
        let response = wire.call(&request, INIT_PRODUCER_ID_VERSION)?;
        match response.error_code {
            0 => return Ok(response.producer_id),
            _ if began.elapsed() < patience => pause(Duration::from_millis(20)),
            code => return Err(format!("InitProducerId gave error {code}")),
        }
    }
}

impl Scribe {
    /// One part in `share` of the plan.
    fn write(&mut self, wire: &mut Wire, share: usize, patience: Duration) -> Result<(), String> {
        for (name, batches, records_max) in PLAN {
            for number in 0..batches.div_ceil(share) {
                let batch = self.batch(name, number, records_max)?;
                let request = produce(name.0, name.1, batch.clone());
                written(wire, &request, patience)?;
                if name == SEQUENCED {
                    self.model.producer = Some((self.producer_id, batch));
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, name: Name, number: usize, records_max: usize) -> Result<Bytes, String> {
        const CODECS: [Codec; 5] = [
            Codec::None,
            Codec::Gzip,
            Codec::Snappy,
            Codec::Lz4,
            Codec::Zstd,
        ];
        let codec = if name.0 == "packed" {
            CODECS[number % CODECS.len()]
        } else {
            Codec::None
        };
        let mut builder = BatchBuilder::new(codec);
        if name == SEQUENCED {
            builder = builder.producer(self.producer_id, 0, self.sequence);
        }
        for _ in 0..=self.chance.below(records_max) {
            let meant = self.record(name);
            builder
                .append(
                    meant.timestamp_ms,
                    meant.key.as_deref(),
                    meant.value.as_deref(),
                    &meant.headers,
                )
                .map_err(|error| error.to_string())?;
            self.sequence += i32::from(name == SEQUENCED);
            self.meant.entry(name).or_default().push(meant);
        }
        let batch = builder.build().map_err(|error| error.to_string())?;
        Ok(batch.into_bytes())
    }

    fn record(&mut self, name: Name) -> Meant {
        let number = self.meant.get(&name).map_or(0, Vec::len);
        let bytes = |chance: &mut Chance, most: usize| {
            let length = chance.below(most);
            Bytes::from(chance.bytes(length))
        };
        let chance = &mut self.chance;
        let is_odd = name.0 == "headers";
        let headers = if is_odd { chance.below(4) } else { 0 };
        Meant {
            timestamp_ms: self.first_timestamp_ms + i64::try_from(number).unwrap_or(0),
            key: (!is_odd || chance.one_in(2)).then(|| Bytes::from(format!("key-{number}"))),
            value: (!is_odd || !chance.one_in(4)).then(|| bytes(chance, 1000)),
            headers: (0..headers)
                .map(|header| Header::new(format!("header-{header}"), bytes(chance, 30)))
                .collect(),
        }
    }

    /// Takes from an undamaged broker what later ones are held against.
    fn look(&mut self, address: &str, subject: Subject) -> Result<(), String> {
        let mut wire = reading::connect(address)?;
        for (name, meant) in &self.meant {
            let end = i64::try_from(meant.len()).map_err(|error| error.to_string())?;
            let batches = reading::undamaged(&mut wire, *name, end)?;
            self.model.partitions.insert(*name, batches);
        }
        self.model.agrees(&self.meant)?;
        self.model.ids = aftermath::ids(&mut wire)?;
        if subject == Subject::Ottla {
            let batches = self.model.partitions.get(&CONSUMED);
            let at = batches.and_then(|batches| batches.get(batches.len() / 2));
            let position = at.map(|batch| batch.base);
            aftermath::commit_position(address, position.unwrap_or(0))?;
            self.model.position = position;
        }
        let names = self.model.partitions.keys();
        self.model.vouched = names.map(|name| (*name, self.model.end(*name))).collect();
        Ok(())
    }

    /// Starts on the copy of a clean directory, writes, and kills: some records are older than the
    /// broker's last note of what is durable, some are not.
    fn go_on_until_killed(
        &mut self,
        subject: Subject,
        places: &Places,
        folder: &Path,
    ) -> Result<(), String> {
        let vouched = self.model.vouched.clone();
        let mut broker = subject.start(places, folder)?;
        let mut wire = reading::connect(&broker.address)?;
        self.write(&mut wire, 10, subject.patience())?;
        // Longer than ottla's journal lets a note wait.
        pause(Duration::from_millis(1_500));
        self.write(&mut wire, 10, subject.patience())?;
        self.look(&broker.address, subject)?;
        broker.kill();
        self.model.vouched = vouched;
        Ok(())
    }

    fn state(&self, name: &'static str, folder: &Path, subject: Subject) -> Result<State, String> {
        let mut model = self.model.clone();
        model.find_places(&folder.join("data"), |name| subject.folder_of(name))?;
        Ok(State {
            name,
            folder: folder.to_path_buf(),
            model,
        })
    }
}

/// Sends a produce until it is taken: a new topic's leader may not be known at once.
fn written(wire: &mut Wire, request: &ProduceRequest, patience: Duration) -> Result<(), String> {
    let began = now();
    loop {
        match wire.produced(request) {
            Ok(_) => return Ok(()),
            Err(_not_yet) if began.elapsed() < patience => pause(Duration::from_millis(20)),
            Err(error) => return Err(error),
        }
    }
}
