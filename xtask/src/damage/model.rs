//! What a data directory holds: every batch of every partition, as bytes, and where each lies.
//!
//! The bytes are those that the undamaged directory served, and every record in them was held
//! against what was written ([`Model::agrees`]). Must not know brokers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kafka_wire::Uuid;
use records::{Batches, DecodeBudget, Header, Record};

/// Room for the records of one batch, opened.
const OPENED_BYTES_MAX: usize = 16 << 20;

/// One record as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meant {
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<Header>,
}

/// One batch as it was served undamaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) base: i64,
    /// One behind its last offset.
    pub(crate) next: i64,
    pub(crate) bytes: Bytes,
}

impl Batch {
    pub(super) fn records(&self) -> u64 {
        u64::try_from(self.next - self.base).unwrap_or(0)
    }
}

/// A partition: topic and number.
pub(crate) type Name = (&'static str, i32);

/// Where in the files of a directory a batch lies.
#[derive(Debug, Clone)]
struct Place {
    file: PathBuf,
    position: usize,
}

/// All that was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) partitions: BTreeMap<Name, Vec<Batch>>,
    places: BTreeMap<(Name, i64), Place>,
    pub(super) ids: BTreeMap<String, Uuid>,
    /// From here on nothing but the process that was killed had vouched for the records.
    pub(super) vouched: BTreeMap<Name, i64>,
    /// The producer that wrote the topic of idempotent batches, and its last batch there.
    pub(super) producer: Option<(i64, Bytes)>,
    /// Where the named consumer goes on.
    pub(super) position: Option<i64>,
}

impl Model {
    pub(super) fn records(&self) -> u64 {
        self.partitions.values().flatten().map(Batch::records).sum()
    }

    pub(super) fn batches(&self) -> usize {
        self.partitions.values().map(Vec::len).sum()
    }

    /// One behind the last offset of a partition.
    pub(super) fn end(&self, name: Name) -> i64 {
        let batches = self.partitions.get(&name);
        batches
            .and_then(|batches| batches.last())
            .map_or(0, |last| last.next)
    }

    /// Every record must be what was meant, and none may be there beside.
    pub(super) fn agrees(&self, meant: &BTreeMap<Name, Vec<Meant>>) -> Result<(), String> {
        for (name, batches) in &self.partitions {
            let mut found = Vec::new();
            for batch in batches {
                found.extend(opened(&batch.bytes)?);
            }
            let wanted = meant.get(name).map_or(&[][..], Vec::as_slice);
            let same = |(at, (record, meant)): (usize, (&Record, &Meant))| {
                usize::try_from(record.offset.get()) == Ok(at)
                    && (
                        record.timestamp_ms,
                        &record.key,
                        &record.value,
                        &record.headers,
                    ) == (meant.timestamp_ms, &meant.key, &meant.value, &meant.headers)
            };
            if found.len() != wanted.len() || !found.iter().zip(wanted).enumerate().all(same) {
                return Err(format!(
                    "{name:?} is not what was written before any damage"
                ));
            }
        }
        Ok(())
    }

    /// Notes where in `data` each batch lies; `folder_of` says which folder a partition has.
    pub(super) fn find_places(
        &mut self,
        data: &Path,
        folder_of: impl Fn(Name) -> PathBuf,
    ) -> Result<(), String> {
        for name in self.partitions.keys() {
            let folder = folder_of(*name);
            for file in super::hurt::files(&data.join(&folder))? {
                if file.path.extension().is_none_or(|found| found != "log") {
                    continue;
                }
                let path = folder.join(&file.path);
                let bytes = super::hurt::read(&data.join(&path))?;
                for batch in Batches::new(&bytes) {
                    let (position, header, _) = batch.map_err(|error| error.to_string())?;
                    let place = Place {
                        file: path.clone(),
                        position,
                    };
                    self.places.insert((*name, header.base_offset.get()), place);
                }
            }
        }
        if self.places.len() == self.batches() {
            return Ok(());
        }
        Err(format!(
            "{} batches were served, {} are in the files",
            self.batches(),
            self.places.len()
        ))
    }

    /// The batches that are no longer whole in a directory whose file `path` was changed.
    pub(super) fn touched(&self, data: &Path, path: &Path) -> Vec<(Name, i64)> {
        // A file that is gone holds no batch.
        let now = super::hurt::read(&data.join(path)).unwrap_or_default();
        let mut touched = Vec::new();
        for (name, batches) in &self.partitions {
            for batch in batches {
                let Some(place) = self.places.get(&(*name, batch.base)) else {
                    continue;
                };
                let end = place.position + batch.bytes.len();
                if place.file == path && now.get(place.position..end) != Some(&*batch.bytes) {
                    touched.push((*name, batch.base));
                }
            }
        }
        touched
    }

    /// The batch that a byte of a file belongs to, and which byte of it that is.
    pub(super) fn inside(&self, path: &Path, at: usize) -> Option<(usize, (Name, i64))> {
        let before = self.places.iter();
        let before = before.filter(|(_, place)| place.file == path && place.position <= at);
        let (batch, place) = before.max_by_key(|(_, place)| place.position)?;
        Some((at - place.position, *batch))
    }

    /// Position of every batch in a file.
    pub(super) fn heads_in(&self, path: &Path) -> Vec<usize> {
        let places = self.places.values();
        places
            .filter(|place| place.file == path)
            .map(|place| place.position)
            .collect()
    }
}

/// The records of a batch.
pub(crate) fn opened(batch: &Bytes) -> Result<Vec<Record>, String> {
    let mut budget = DecodeBudget::new(OPENED_BYTES_MAX);
    let records = records::records(batch, &mut budget).map_err(|error| error.to_string())?;
    records
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}
