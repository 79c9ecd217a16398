//! Fetching: one question about many partitions of a topic, and the records in its answer.
//!
//! No fetch session is opened: each question names all partitions. The CRC of every batch is
//! checked before its records are handed out.

use std::time::Duration;

use bytes::Bytes;
use kafka_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use kafka_wire::{ErrorCode, Uuid};
use records::{BatchError, BatchHeader, Batches, DecodeBudget, Offset, Record, Records};

use crate::admin::Topic;
use crate::client::Client;
use crate::error::ClientError;

/// First version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;
/// First version with sessions; this epoch says that none is wanted.
const NO_SESSION_EPOCH: i32 = -1;
/// Memory that opening one batch may take.
const OPENED_BYTES_MAX: usize = 512 * 1024 * 1024;

/// How much one fetch may bring, and how long it may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// Bytes that are worth an answer.
    pub bytes_min: i32,
    /// Bytes that are enough, in all.
    pub bytes_max: i32,
    /// Bytes that are enough, of one partition.
    pub partition_bytes_max: i32,
    /// How long the broker may wait for `bytes_min`.
    pub wait: Duration,
}

/// What came of one partition.
#[derive(Debug, Clone)]
pub struct FetchedPartition {
    /// Its number.
    pub partition: i32,
    /// What the broker refused it with.
    pub error: Option<ErrorCode>,
    /// The end of what can be read.
    pub high_watermark: i64,
    /// Whole batches; the first may begin before the offset that was asked for.
    pub batches: Bytes,
}

impl Client {
    /// Fetches from partitions of a topic, each from an offset. Waits as the limits say.
    pub async fn fetch(
        &mut self,
        topic: &Topic,
        partitions: &[(i32, i64)],
        limits: FetchLimits,
    ) -> Result<Vec<FetchedPartition>, ClientError> {
        let by_id = self.version_of::<FetchRequest>().await? >= TOPIC_IDS_FROM;
        let wanted = partitions
            .iter()
            .map(|&(partition, fetch_offset)| FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: limits.partition_bytes_max,
                ..Default::default()
            });
        let request = FetchRequest {
            max_wait_ms: i32::try_from(limits.wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: limits.bytes_min,
            max_bytes: limits.bytes_max,
            session_epoch: NO_SESSION_EPOCH,
            topics: vec![FetchTopic {
                topic: if by_id {
                    "".into()
                } else {
                    topic.name.as_str().into()
                },
                topic_id: if by_id { topic.id } else { Uuid::ZERO },
                partitions: wanted.collect(),
            }],
            ..Default::default()
        };
        let patience = self.options().timeout.saturating_add(limits.wait);
        let answer = self.call_within(&request, patience).await?;
        ClientError::check(answer.error_code, None)?;
        let partitions = answer
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let fetched = partitions.map(|partition| {
            let code = ErrorCode::from_code(partition.error_code);
            let code = code.unwrap_or(ErrorCode::UnknownServerError);
            FetchedPartition {
                partition: partition.partition_index,
                error: (code != ErrorCode::None).then_some(code),
                high_watermark: partition.high_watermark,
                batches: partition.records.unwrap_or_default(),
            }
        });
        Ok(fetched.collect())
    }
}

impl FetchedPartition {
    /// The records from `from` on.
    pub fn records(&self, from: i64) -> FetchedRecords {
        FetchedRecords {
            batches: self.batches.clone(),
            position: 0,
            open: None,
            from: Offset::new(from),
            next: Offset::new(from),
        }
    }
}

/// Iterator over the records of fetched batches. Skips control batches and what lies before the
/// offset that was asked for; ends at a part of a batch, and after the first error.
#[derive(Debug)]
pub struct FetchedRecords {
    batches: Bytes,
    position: usize,
    open: Option<(Records, BatchHeader)>,
    from: Offset,
    next: Offset,
}

impl FetchedRecords {
    /// The offset to fetch from next: behind all that was handed out. Batches without records
    /// (compacted, or control) move it too.
    pub fn next_offset(&self) -> i64 {
        self.next.get()
    }

    fn open_next(&mut self) -> Result<bool, BatchError> {
        let rest = self.batches.get(self.position..).unwrap_or_default();
        let Some((_, header, batch)) = Batches::new(rest).next().transpose()? else {
            return Ok(false);
        };
        let batch = self.batches.slice_ref(batch);
        self.position = self.position.saturating_add(batch.len());
        let got = records::crc_of(&batch);
        if got != header.crc {
            let expected = header.crc;
            return Err(BatchError::CrcMismatch { got, expected });
        }
        if header.attributes.is_control() {
            self.next = self.next.max(header.next_offset());
            return Ok(true);
        }
        let mut budget = DecodeBudget::new(OPENED_BYTES_MAX);
        self.open = Some((records::records(&batch, &mut budget)?, header));
        Ok(true)
    }

    fn step(&mut self) -> Result<Option<Record>, BatchError> {
        loop {
            let Some((records, header)) = &mut self.open else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            match records.next().transpose()? {
                None => {
                    self.next = self.next.max(header.next_offset());
                    self.open = None;
                }
                Some(record) if record.offset < self.from => {}
                Some(record) => {
                    self.next = record.offset.plus(1);
                    return Ok(Some(record));
                }
            }
        }
    }
}

impl Iterator for FetchedRecords {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            self.position = self.batches.len();
            self.open = None;
        }
        step
    }
}
