//! A Fetch request, read in place.
//!
//! Fields that a version does not carry have the schema's defaults. It must not know fetch sessions.

use super::Elements;
use crate::cursor::Cursor;
use crate::error::{DecodeError, InField};
use crate::message::Message;
use crate::messages::FetchRequest;
use crate::uuid::Uuid;

/// The first version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;
/// The first version with fetch sessions.
const SESSIONS_FROM: i16 = 7;
/// The first version that names the replica in a tagged field.
const REPLICA_STATE_FROM: i16 = 15;

/// A Fetch request of any version.
#[derive(Debug, Clone)]
pub struct FetchView<'a> {
    /// The cluster the client expects, if it says one.
    pub cluster_id: Option<&'a str>,
    /// −1 for consumers, whichever field the version keeps it in.
    pub replica_id: i32,
    /// The epoch of a follower, else −1.
    pub replica_epoch: i64,
    /// How long to wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// How much is worth an answer.
    pub min_bytes: i32,
    /// How much is enough.
    pub max_bytes: i32,
    /// 0 is read_uncommitted, 1 is read_committed.
    pub isolation_level: i8,
    /// The session, or 0.
    pub session_id: i32,
    /// The epoch of the session; 0 opens one, −1 closes it.
    pub session_epoch: i32,
    /// The rack of the consumer.
    pub rack_id: &'a str,
    topics: Elements<'a, FetchTopicView<'a>>,
    forgotten_topics: Elements<'a, ForgottenTopicView<'a>>,
    end: usize,
}

/// One topic to fetch from.
#[derive(Debug, Clone)]
pub struct FetchTopicView<'a> {
    /// Empty from version 13.
    pub topic: &'a str,
    /// Zero before version 13.
    pub topic_id: Uuid,
    partitions: Elements<'a, FetchPartitionView>,
}

/// One partition to fetch from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPartitionView {
    /// The partition.
    pub partition: i32,
    /// The leader epoch the client knows, or −1.
    pub current_leader_epoch: i32,
    /// Where to begin.
    pub fetch_offset: i64,
    /// The epoch of the last record the client has, or −1.
    pub last_fetched_epoch: i32,
    /// Where a follower's log begins, or −1.
    pub log_start_offset: i64,
    /// How much is enough from this partition.
    pub partition_max_bytes: i32,
    /// The directory of a follower.
    pub replica_directory_id: Uuid,
    /// The high watermark a follower knows, or `i64::MAX`.
    pub high_watermark: i64,
}

/// One topic to drop from the session.
#[derive(Debug, Clone)]
pub struct ForgottenTopicView<'a> {
    /// Empty from version 13.
    pub topic: &'a str,
    /// Zero before version 13.
    pub topic_id: Uuid,
    partitions: Elements<'a, i32>,
}

fn is_flexible(version: i16) -> bool {
    version >= FetchRequest::FIRST_FLEXIBLE
}

/// The same for topics to fetch and topics to forget: a name or an id, and an array.
fn topic_bytes_min(version: i16) -> usize {
    if version >= TOPIC_IDS_FROM {
        18
    } else if is_flexible(version) {
        3
    } else {
        6
    }
}

fn partition_bytes_min(version: i16) -> usize {
    match version {
        ..=4 => 16,
        5..=8 => 24,
        9..=11 => 28,
        _ => 33,
    }
}

impl<'a> FetchView<'a> {
    /// Reads the request whose body begins at a position of its frame.
    pub fn parse(frame: &'a [u8], body_at: usize, version: i16) -> Result<Self, DecodeError> {
        FetchRequest::check_decode(version)?;
        let flexible = is_flexible(version);
        let mut cursor = Cursor::new(frame, body_at);
        let mut view = Self::empty(&cursor, version);
        if version < REPLICA_STATE_FROM {
            view.replica_id = cursor.int32().field("replica_id")?;
        }
        view.max_wait_ms = cursor.int32().field("max_wait_ms")?;
        view.min_bytes = cursor.int32().field("min_bytes")?;
        view.max_bytes = cursor.int32().field("max_bytes")?;
        view.isolation_level = cursor.int8().field("isolation_level")?;
        if version >= SESSIONS_FROM {
            view.session_id = cursor.int32().field("session_id")?;
            view.session_epoch = cursor.int32().field("session_epoch")?;
        }
        let bytes_min = topic_bytes_min(version);
        let count = cursor.array_count(flexible, bytes_min).field("topics")?;
        view.topics = Elements::walk(&mut cursor, version, count, read_topic)?;
        if version >= SESSIONS_FROM {
            let count = cursor
                .array_count(flexible, bytes_min)
                .field("forgotten_topics_data")?;
            view.forgotten_topics = Elements::walk(&mut cursor, version, count, read_forgotten)?;
        }
        if version >= 11 {
            view.rack_id = cursor.string(flexible).field("rack_id")?;
        }
        if flexible {
            cursor.tagged_fields(|cursor, tag| view.read_tag(cursor, tag, version))?;
        }
        view.end = cursor.position();
        Ok(view)
    }

    fn empty(cursor: &Cursor<'a>, version: i16) -> Self {
        Self {
            cluster_id: None,
            replica_id: -1,
            replica_epoch: -1,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: i32::MAX,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            rack_id: "",
            topics: Elements::none(cursor, version, read_topic),
            forgotten_topics: Elements::none(cursor, version, read_forgotten),
            end: 0,
        }
    }

    fn read_tag(
        &mut self,
        cursor: &mut Cursor<'a>,
        tag: u32,
        version: i16,
    ) -> Result<bool, DecodeError> {
        match tag {
            0 => self.cluster_id = cursor.nullable_string(true).field("cluster_id")?,
            1 if version >= REPLICA_STATE_FROM => {
                self.replica_id = cursor.int32().field("replica_id")?;
                self.replica_epoch = cursor.int64().field("replica_epoch")?;
                cursor.skip_tagged_fields()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The topics in request order.
    pub fn topics(&self) -> Elements<'a, FetchTopicView<'a>> {
        self.topics.clone()
    }

    /// The topics to drop from the session.
    pub fn forgotten_topics(&self) -> Elements<'a, ForgottenTopicView<'a>> {
        self.forgotten_topics.clone()
    }

    /// The position behind the request.
    pub fn end(&self) -> usize {
        self.end
    }
}

impl<'a> FetchTopicView<'a> {
    /// The partitions in request order.
    pub fn partitions(&self) -> Elements<'a, FetchPartitionView> {
        self.partitions.clone()
    }
}

impl<'a> ForgottenTopicView<'a> {
    /// The partitions to drop.
    pub fn partitions(&self) -> Elements<'a, i32> {
        self.partitions.clone()
    }
}

fn read_topic_key<'a>(
    cursor: &mut Cursor<'a>,
    version: i16,
) -> Result<(&'a str, Uuid), DecodeError> {
    if version >= TOPIC_IDS_FROM {
        return Ok(("", cursor.uuid().field("topic_id")?));
    }
    Ok((
        cursor.string(is_flexible(version)).field("topic")?,
        Uuid::ZERO,
    ))
}

fn read_topic<'a>(
    cursor: &mut Cursor<'a>,
    version: i16,
) -> Result<FetchTopicView<'a>, DecodeError> {
    let flexible = is_flexible(version);
    let (topic, topic_id) = read_topic_key(cursor, version)?;
    let count = cursor
        .array_count(flexible, partition_bytes_min(version))
        .field("partitions")?;
    let partitions = Elements::walk(cursor, version, count, read_partition)?;
    if flexible {
        cursor.skip_tagged_fields()?;
    }
    Ok(FetchTopicView {
        topic,
        topic_id,
        partitions,
    })
}

fn read_partition(
    cursor: &mut Cursor<'_>,
    version: i16,
) -> Result<FetchPartitionView, DecodeError> {
    let mut view = FetchPartitionView {
        partition: cursor.int32().field("partition")?,
        current_leader_epoch: -1,
        fetch_offset: 0,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 0,
        replica_directory_id: Uuid::ZERO,
        high_watermark: i64::MAX,
    };
    if version >= 9 {
        view.current_leader_epoch = cursor.int32().field("current_leader_epoch")?;
    }
    view.fetch_offset = cursor.int64().field("fetch_offset")?;
    if version >= 12 {
        view.last_fetched_epoch = cursor.int32().field("last_fetched_epoch")?;
    }
    if version >= 5 {
        view.log_start_offset = cursor.int64().field("log_start_offset")?;
    }
    view.partition_max_bytes = cursor.int32().field("partition_max_bytes")?;
    if is_flexible(version) {
        cursor.tagged_fields(|cursor, tag| {
            match tag {
                0 if version >= 17 => view.replica_directory_id = cursor.uuid()?,
                1 if version >= 18 => view.high_watermark = cursor.int64()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
    }
    Ok(view)
}

fn read_forgotten<'a>(
    cursor: &mut Cursor<'a>,
    version: i16,
) -> Result<ForgottenTopicView<'a>, DecodeError> {
    let flexible = is_flexible(version);
    let (topic, topic_id) = read_topic_key(cursor, version)?;
    let count = cursor.array_count(flexible, 4).field("partitions")?;
    let partitions = Elements::walk(cursor, version, count, |cursor, _version| cursor.int32())?;
    if flexible {
        cursor.skip_tagged_fields()?;
    }
    Ok(ForgottenTopicView {
        topic,
        topic_id,
        partitions,
    })
}
