//! Writes a Fetch response of any version, with records that are only named.
//!
//! Topics and partitions are written as the broker finds them; record chunks, in memory or in a file,
//! are counted into the lengths and never copied here. With chunks in memory the bytes equal those
//! of the generated encoder; the tests prove it for every version.

use crate::error::{EncodeError, EncodeFault, InField};
use crate::header::ResponseHeader;
use crate::message::Message;
use crate::messages::FetchResponse;
use crate::messages::fetch::{
    EpochEndOffset, LeaderIdAndEpoch, NodeEndpoint, PartitionData, SnapshotId,
};
use crate::segments::{Response, ResponseWriter};
use crate::uuid::Uuid;
use crate::writer::TaggedFields;

/// A Fetch response that is being written.
///
/// Call [`topic`](Self::topic) as often as announced, and after each
/// [`partition`](Self::partition) as often as announced there.
#[derive(Debug)]
pub struct FetchResponseWriter<T> {
    response: ResponseWriter<T>,
    version: i16,
    topics: Count,
    partitions: Count,
}

/// How many elements were announced and how many were written.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    announced: usize,
    written: usize,
}

impl Count {
    fn of(announced: usize) -> Self {
        Self {
            announced,
            written: 0,
        }
    }

    /// One more; fails above the announced number.
    fn step(&mut self) -> Result<(), EncodeError> {
        self.written = self.written.saturating_add(1);
        if self.written > self.announced {
            self.check()
        } else {
            Ok(())
        }
    }

    fn check(self) -> Result<(), EncodeError> {
        let Self { announced, written } = self;
        if announced == written {
            return Ok(());
        }
        Err(EncodeError::new(EncodeFault::Miscounted {
            announced,
            written,
        }))
    }
}

impl<T> FetchResponseWriter<T> {
    /// Starts a response. Of `head` only throttle time, error code and session id are used.
    pub fn new(
        header: ResponseHeader,
        version: i16,
        head: &FetchResponse,
        topic_count: usize,
    ) -> Result<Self, EncodeError> {
        FetchResponse::check_encode(version)?;
        let mut response = ResponseWriter::new(header, FetchResponse::KEY, version);
        let writer = response.writer();
        writer.int32(head.throttle_time_ms);
        if version >= 7 {
            writer.int16(head.error_code);
            writer.int32(head.session_id);
        } else if head.session_id != 0 {
            return Err(EncodeError::not_in_version("session_id", version));
        }
        writer
            .array_count(is_flexible(version), Some(topic_count))
            .field("responses")?;
        let topics = Count::of(topic_count);
        Ok(Self {
            response,
            version,
            topics,
            partitions: Count::default(),
        })
    }

    /// Starts a topic: by name up to version 12, by id from version 13.
    pub fn topic(
        &mut self,
        name: &str,
        topic_id: Uuid,
        partition_count: usize,
    ) -> Result<(), EncodeError> {
        self.partitions.check().field("partitions")?;
        self.topics.step().field("responses")?;
        self.partitions = Count::of(partition_count);
        let flexible = is_flexible(self.version);
        let writer = self.response.writer();
        if self.version >= 13 {
            writer.uuid(topic_id);
        } else {
            writer.string(flexible, name).field("topic")?;
        }
        writer
            .array_count(flexible, Some(partition_count))
            .field("partitions")?;
        self.end_topic();
        Ok(())
    }

    /// Closes the topic behind its last partition.
    fn end_topic(&mut self) {
        if is_flexible(self.version) && self.partitions.check().is_ok() {
            self.response.writer().no_tagged_fields();
        }
    }

    /// Writes a partition. Its `records` field is ignored: the records are the chunks with their
    /// lengths, or null.
    pub fn partition(
        &mut self,
        partition: &PartitionData,
        records: Option<Vec<(T, usize)>>,
    ) -> Result<(), EncodeError> {
        self.partitions.step().field("partitions")?;
        let (version, flexible) = (self.version, is_flexible(self.version));
        let writer = self.response.writer();
        writer.int32(partition.partition_index);
        writer.int16(partition.error_code);
        writer.int64(partition.high_watermark);
        writer.int64(partition.last_stable_offset);
        if version >= 5 {
            writer.int64(partition.log_start_offset);
        }
        writer
            .nullable_array(
                flexible,
                partition.aborted_transactions.as_deref(),
                |writer, aborted| aborted.write(writer, version),
            )
            .field("aborted_transactions")?;
        if version >= 11 {
            writer.int32(partition.preferred_read_replica);
        } else if partition.preferred_read_replica != -1 {
            return Err(EncodeError::not_in_version(
                "preferred_read_replica",
                version,
            ));
        }
        let length = records.as_ref().map(|chunks| {
            chunks
                .iter()
                .fold(0_usize, |sum, (_, length)| sum.saturating_add(*length))
        });
        writer.bytes_length(flexible, length).field("records")?;
        for (chunk, length) in records.into_iter().flatten() {
            self.response.external(chunk, length);
        }
        self.partition_tags(partition)?;
        self.end_topic();
        Ok(())
    }

    fn partition_tags(&mut self, partition: &PartitionData) -> Result<(), EncodeError> {
        let version = self.version;
        let PartitionData {
            diverging_epoch,
            current_leader,
            snapshot_id,
            ..
        } = partition;
        let diverging = *diverging_epoch != EpochEndOffset::default();
        let moved = *current_leader != LeaderIdAndEpoch::default();
        let snapshot = *snapshot_id != SnapshotId::default();
        if !is_flexible(version) {
            let tags = [
                (diverging, "diverging_epoch"),
                (moved, "current_leader"),
                (snapshot, "snapshot_id"),
            ];
            let set = tags.iter().find(|(set, _)| *set);
            return set.map_or(Ok(()), |(_, name)| {
                Err(EncodeError::not_in_version(name, version))
            });
        }
        let mut tags = TaggedFields::new();
        if diverging {
            tags.add(0, |writer| diverging_epoch.write(writer, version))?;
        }
        if moved {
            tags.add(1, |writer| current_leader.write(writer, version))?;
        }
        if snapshot {
            tags.add(2, |writer| snapshot_id.write(writer, version))?;
        }
        self.response.writer().tagged_fields(tags);
        Ok(())
    }

    /// Ends the response. Endpoints of other leaders are known from version 16.
    pub fn finish(mut self, node_endpoints: &[NodeEndpoint]) -> Result<Response<T>, EncodeError> {
        self.partitions.check().field("partitions")?;
        self.topics.check().field("responses")?;
        let version = self.version;
        if version < 16 && !node_endpoints.is_empty() {
            return Err(EncodeError::not_in_version("node_endpoints", version));
        }
        if is_flexible(version) {
            let mut tags = TaggedFields::new();
            if !node_endpoints.is_empty() {
                tags.add(0, |writer| {
                    writer.array(true, node_endpoints, |writer, node| {
                        node.write(writer, version)
                    })
                })?;
            }
            self.response.writer().tagged_fields(tags);
        }
        self.response.finish()
    }
}

fn is_flexible(version: i16) -> bool {
    version >= FetchResponse::FIRST_FLEXIBLE
}
