//! One connection that reads all partitions, one Fetch after the other.

use kafka_client::{ClientOptions, Topic};
use kafka_wire::messages::{FetchRequest, FetchResponse};
use records::Batches;

use crate::answers::check;
use crate::connect::{Halves, open};
use crate::error::LoadError;
use crate::frame::{fetch_request, frame};

/// A connection and how far it has read.
#[derive(Debug)]
pub(crate) struct Fetches {
    halves: Halves,
    version: i16,
    topic: Topic,
    /// By the place of a partition in the topic.
    pub(crate) offsets: Vec<i64>,
    partition_bytes: i32,
    wait_ms: i32,
}

/// What came of one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetched {
    /// The place of its partition.
    pub(crate) place: usize,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Whether it was the last one that there was.
    pub(crate) at_end: bool,
}

impl Fetches {
    /// Connects; reads will begin at `offsets`.
    pub(crate) async fn open(
        options: &ClientOptions,
        topic: &Topic,
        offsets: Vec<i64>,
        (partition_bytes, wait_ms): (i32, i32),
    ) -> Result<Self, LoadError> {
        let (halves, version) = open::<FetchRequest>(options).await?;
        Ok(Self {
            halves,
            version,
            topic: topic.clone(),
            offsets,
            partition_bytes,
            wait_ms,
        })
    }

    /// Asks once, and tells every batch that came.
    pub(crate) async fn next(&mut self, mut told: impl FnMut(Fetched)) -> Result<(), LoadError> {
        let limits = (self.partition_bytes, self.wait_ms);
        let request = fetch_request(&self.topic, &self.offsets, limits, self.version);
        let request = frame(&request, self.version, 0)?;
        let (writing, answers) = &mut self.halves;
        writing.write(&request).await?;
        answers.wait().await?;
        let answer = answers.take::<FetchRequest>(self.version)?;
        let (_, answer) = answer.expect("an answer is whole when the wait for it is over");
        self.advance(&answer, &mut told)
    }

    fn advance(
        &mut self,
        answer: &FetchResponse,
        told: &mut impl FnMut(Fetched),
    ) -> Result<(), LoadError> {
        check(answer.error_code, -1)?;
        let topics = answer.responses.iter();
        for partition in topics.flat_map(|topic| &topic.partitions) {
            let number = partition.partition_index;
            check(partition.error_code, number)?;
            let known = &self.topic.partitions;
            let place = known.binary_search_by_key(&number, |known| known.index);
            let place = place.map_err(|_unknown| {
                let said = format!("partition {number} was not asked for");
                self.halves.1.protocol(said)
            })?;
            let bytes = partition.records.as_deref().unwrap_or_default();
            for batch in Batches::new(bytes) {
                let (_, header, batch) = batch.map_err(LoadError::Read)?;
                let next = header.next_offset().get();
                self.offsets[place] = next;
                told(Fetched {
                    place,
                    records: u64::try_from(header.record_count).unwrap_or_default(),
                    bytes: u64::try_from(batch.len()).unwrap_or(u64::MAX),
                    at_end: next >= partition.high_watermark,
                });
            }
        }
        Ok(())
    }
}
