//! A Produce request, read in place.
//!
//! Record batches are given as their places in the frame, so that the caller can cut its own buffer
//! into one piece per batch without copying. It must not know record batches.

use super::Elements;
use crate::cursor::Cursor;
use crate::error::{DecodeError, InField};
use crate::message::Message;
use crate::messages::ProduceRequest;
use crate::uuid::Uuid;
use bytes::BytesMut;
use std::ops::Range;

/// The first version that names topics by id.
const TOPIC_IDS_FROM: i16 = 13;

/// A Produce request of any version.
#[derive(Debug, Clone)]
pub struct ProduceView<'a> {
    /// Set by transactional producers.
    pub transactional_id: Option<&'a str>,
    /// −1, 0 or 1 if the client is right.
    pub acks: i16,
    /// How long the client waits.
    pub timeout_ms: i32,
    topics: Elements<'a, ProduceTopicView<'a>>,
    end: usize,
}

/// One topic of the request.
#[derive(Debug, Clone)]
pub struct ProduceTopicView<'a> {
    /// Empty from version 13.
    pub name: &'a str,
    /// Zero before version 13.
    pub topic_id: Uuid,
    partitions: Elements<'a, ProducePartitionView>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducePartitionView {
    /// The partition.
    pub index: i32,
    /// Where the records are in the frame; `None` is null.
    pub records: Option<Range<usize>>,
}

fn is_flexible(version: i16) -> bool {
    version >= ProduceRequest::FIRST_FLEXIBLE
}

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
    if is_flexible(version) { 6 } else { 8 }
}

impl<'a> ProduceView<'a> {
    /// Reads the request whose body begins at a position of its frame. All places refer to the
    /// frame.
    pub fn parse(frame: &'a [u8], body_at: usize, version: i16) -> Result<Self, DecodeError> {
        ProduceRequest::check_decode(version)?;
        let flexible = is_flexible(version);
        let mut cursor = Cursor::new(frame, body_at);
        let transactional_id = cursor.nullable_string(flexible).field("transactional_id")?;
        let acks = cursor.int16().field("acks")?;
        let timeout_ms = cursor.int32().field("timeout_ms")?;
        let count = cursor
            .array_count(flexible, topic_bytes_min(version))
            .field("topic_data")?;
        let topics = Elements::walk(&mut cursor, version, count, read_topic)?;
        if flexible {
            cursor.skip_tagged_fields()?;
        }
        Ok(Self {
            transactional_id,
            acks,
            timeout_ms,
            topics,
            end: cursor.position(),
        })
    }

    /// The topics in request order.
    pub fn topics(&self) -> Elements<'a, ProduceTopicView<'a>> {
        self.topics.clone()
    }

    /// The position behind the request.
    pub fn end(&self) -> usize {
        self.end
    }
}

impl<'a> ProduceTopicView<'a> {
    /// The partitions in request order.
    pub fn partitions(&self) -> Elements<'a, ProducePartitionView> {
        self.partitions.clone()
    }
}

fn read_topic<'a>(
    cursor: &mut Cursor<'a>,
    version: i16,
) -> Result<ProduceTopicView<'a>, DecodeError> {
    let flexible = is_flexible(version);
    let (mut name, mut topic_id) = ("", Uuid::ZERO);
    if version >= TOPIC_IDS_FROM {
        topic_id = cursor.uuid().field("topic_id")?;
    } else {
        name = cursor.string(flexible).field("name")?;
    }
    let count = cursor
        .array_count(flexible, partition_bytes_min(version))
        .field("partition_data")?;
    let partitions = Elements::walk(cursor, version, count, read_partition)?;
    if flexible {
        cursor.skip_tagged_fields()?;
    }
    Ok(ProduceTopicView {
        name,
        topic_id,
        partitions,
    })
}

fn read_partition(
    cursor: &mut Cursor<'_>,
    version: i16,
) -> Result<ProducePartitionView, DecodeError> {
    let flexible = is_flexible(version);
    let index = cursor.int32().field("index")?;
    let records = cursor.nullable_bytes_range(flexible).field("records")?;
    if flexible {
        cursor.skip_tagged_fields()?;
    }
    Ok(ProducePartitionView { index, records })
}

/// Cuts pieces out of a frame without copying. The places must ascend, as those of a view do.
pub fn split_frame<'r>(
    mut frame: BytesMut,
    places: impl IntoIterator<Item = &'r Range<usize>>,
) -> Vec<BytesMut> {
    let mut pieces = Vec::new();
    let mut cut = 0;
    for place in places {
        assert!(
            cut <= place.start && place.start <= place.end,
            "places of a frame ascend"
        );
        drop(frame.split_to(place.start.saturating_sub(cut)));
        pieces.push(frame.split_to(place.len()));
        cut = place.end;
    }
    pieces
}
