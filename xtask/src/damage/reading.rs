//! Everything read back: what became of every batch of the model.
//!
//! Reads as a consumer does that wants all it can get: a batch that is refused is passed over, a
//! batch whose CRC is bad is the client's to refuse. Must not know what was damaged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_wire::messages::FetchRequest;
use records::{Batches, crc_ok};

use super::model::{Batch, Model, Name, opened};
use crate::conformance::process::{now, pause};
use crate::wire::{FETCH_VERSION, Wire, fetch};

const PARTITION_BYTES: i32 = 4 << 20;
/// An answer that takes longer is none.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const OFFSET_OUT_OF_RANGE: i16 = 1;
const CORRUPT_MESSAGE: i16 = 2;
/// Unknown topic or partition, no leader, not the leader: what a broker says that has just begun.
const NOT_YET: [i16; 3] = [3, 5, 6];

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// Every byte as it was written.
    Served,
    /// The reader was told, by the broker or by the CRC.
    Refused(String),
    /// The reader was told nothing and got what follows, or the end.
    Skipped,
    /// Something else came in its place, and no check says so.
    Different(String),
}

/// The fate of every batch, by partition and base offset.
pub(super) type Fates = BTreeMap<(Name, i64), Fate>;

/// One answer to a fetch of one partition.
struct Answer {
    code: i16,
    high_watermark: i64,
    records: Bytes,
}

/// A connection with a limit on every answer.
pub(crate) fn connect(address: &str) -> Result<Wire, String> {
    let wire = Wire::connect(address)?;
    wire.stream
        .set_read_timeout(Some(ANSWER_LIMIT))
        .map_err(|error| error.to_string())?;
    Ok(wire)
}

/// Reads all; a leader that is not there yet is asked again for `patience`.
pub(super) fn all(address: &str, model: &Model, patience: Duration) -> Fates {
    let began = now();
    let mut fates = Fates::new();
    for (name, batches) in &model.partitions {
        let mut reader = Reader {
            name: *name,
            batches,
            at: 0,
            fates: Vec::new(),
        };
        if let Err(error) = reader.run(address, (began, patience)) {
            reader.rest(&Fate::Refused(error));
        }
        let named = batches.iter().map(|batch| (*name, batch.base));
        fates.extend(named.zip(reader.fates));
    }
    fates
}

/// All batches of a partition up to `end`, of a broker whose directory nobody hurt.
pub(crate) fn undamaged(wire: &mut Wire, name: Name, end: i64) -> Result<Vec<Batch>, String> {
    let mut found: Vec<Batch> = Vec::new();
    let mut next = 0;
    while next < end {
        let answer = ask(wire, name, next)?;
        if answer.code != 0 || answer.records.is_empty() {
            return Err(format!("{name:?} at {next}: error {}", answer.code));
        }
        for batch in Batches::new(&answer.records) {
            let (_, header, bytes) = batch.map_err(|error| error.to_string())?;
            next = header.next_offset().get();
            found.push(Batch {
                base: header.base_offset.get(),
                next,
                bytes: Bytes::copy_from_slice(bytes),
            });
        }
    }
    Ok(found)
}

fn ask(wire: &mut Wire, (topic, partition): Name, offset: i64) -> Result<Answer, String> {
    let mut request: FetchRequest = fetch(topic, &[offset], PARTITION_BYTES, 0);
    for asked in request
        .topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
    {
        asked.partition = partition;
    }
    let response = wire.call(&request, FETCH_VERSION)?;
    let mut topics = response.responses.into_iter();
    let first = topics.find_map(|topic| topic.partitions.into_iter().next());
    let partition = first.ok_or("no partition in the answer")?;
    Ok(Answer {
        code: partition.error_code,
        high_watermark: partition.high_watermark,
        records: partition.records.unwrap_or_default(),
    })
}

/// On its way through one partition.
struct Reader<'a> {
    name: Name,
    batches: &'a [Batch],
    /// The batch that is wanted next; each before it has its fate.
    at: usize,
    fates: Vec<Fate>,
}

impl Reader<'_> {
    fn run(&mut self, address: &str, patience: (Instant, Duration)) -> Result<(), String> {
        let (began, patience) = patience;
        let mut wire = connect(address)?;
        while let Some(wanted) = self.batches.get(self.at) {
            let answer = ask(&mut wire, self.name, wanted.base)?;
            match answer.code {
                0 => self.take(wanted, &answer),
                CORRUPT_MESSAGE => self.settle(Fate::Refused("CORRUPT_MESSAGE".to_owned())),
                OFFSET_OUT_OF_RANGE => {
                    self.settle(Fate::Refused("OFFSET_OUT_OF_RANGE".to_owned()));
                }
                code if NOT_YET.contains(&code) && began.elapsed() < patience => {
                    pause(Duration::from_millis(20));
                }
                code => return Err(format!("error {code}")),
            }
        }
        Ok(())
    }

    fn settle(&mut self, fate: Fate) {
        self.fates.push(fate);
        self.at += 1;
    }

    fn rest(&mut self, fate: &Fate) {
        self.fates.resize(self.batches.len(), fate.clone());
        self.at = self.batches.len();
    }

    fn take(&mut self, wanted: &Batch, answer: &Answer) {
        if answer.records.is_empty() {
            if answer.high_watermark <= wanted.base {
                self.rest(&Fate::Skipped);
            } else {
                self.settle(Fate::Refused("no record and no error".to_owned()));
            }
            return;
        }
        let before = self.at;
        for batch in Batches::new(&answer.records) {
            let Some(wanted) = self.batches.get(self.at) else {
                return;
            };
            match batch {
                Err(error) => {
                    self.settle(Fate::Refused(format!("by the client: {error}")));
                    return;
                }
                Ok((_, _, bytes)) if !crc_ok(bytes) => {
                    self.settle(Fate::Refused("by the client: CRC".to_owned()));
                }
                Ok((_, header, _)) if header.next_offset().get() <= wanted.base => {}
                Ok((_, header, bytes)) => self.compare(header.base_offset.get(), bytes),
            }
        }
        if self.at == before {
            self.settle(Fate::Refused("only bytes before it came".to_owned()));
        }
    }

    /// A good batch with this base offset came next.
    fn compare(&mut self, base: i64, bytes: &[u8]) {
        let later = self.batches.get(self.at..).unwrap_or_default();
        let Some(skipped) = later.iter().position(|batch| batch.base == base) else {
            self.settle(Fate::Different(format!("a batch at offset {base} came")));
            return;
        };
        for _ in 0..skipped {
            self.settle(Fate::Skipped);
        }
        let meant = &later[skipped].bytes;
        self.settle(if **meant == *bytes {
            Fate::Served
        } else {
            Fate::Different(difference(meant, bytes))
        });
    }
}

/// What is not the same in two batches whose CRCs are good.
fn difference(meant: &Bytes, came: &[u8]) -> String {
    let came = Bytes::copy_from_slice(came);
    if opened(meant).ok() != opened(&came).ok() {
        return "other records".to_owned();
    }
    let at = meant
        .iter()
        .zip(&came)
        .position(|(one, other)| one != other);
    match at {
        Some(12..=15) => "another leader epoch".to_owned(),
        Some(at) => format!("byte {at} of the batch"),
        None => "another length".to_owned(),
    }
}
