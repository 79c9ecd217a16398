//! From the names in a request to a topic, a partition and its ends, or to the error that says
//! what is wrong with them.

use std::sync::Arc;

use broker::{Broker, Topic};
use records::Offset;
use storage::TopicName;
use tonic::Status;

use crate::error;

/// Above this many topics no similar name is looked for: a mistake must stay cheap to answer.
const SIMILAR_AMONG_MAX: usize = 1000;
/// Names that differ in more characters are not similar.
const SIMILAR_EDITS_MAX: usize = 2;

/// The topic of that name.
pub(crate) fn topic(broker: &Broker, name: &str) -> Result<Arc<Topic>, Status> {
    if let Some(topic) = broker.topic(name) {
        return Ok(topic);
    }
    match TopicName::parse(name) {
        Ok(_) => Err(error::unknown_topic(name, similar(broker, name).as_deref())),
        Err(reason) => Err(error::invalid_topic_name(name, &reason)),
    }
}

/// Checks that the topic has that partition.
pub(crate) fn partition(topic: &Topic, partition: i32) -> Result<i32, Status> {
    if partition < 0 {
        return Err(error::negative_partition(topic.name().as_str(), partition));
    }
    match topic.partition(partition) {
        Ok(_) => Ok(partition),
        Err(reason) => Err(error::partition(&reason, topic, partition)),
    }
}

/// Checks that an offset of a request counts from 0.
pub(crate) fn offset(topic: &Topic, partition: i32, offset: i64) -> Result<Offset, Status> {
    if offset < 0 {
        return Err(error::negative_offset(topic, partition, offset));
    }
    Ok(Offset::new(offset))
}

/// Where the visible records of a partition begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: Offset,
    /// The offset of the next record to become visible.
    pub(crate) end: Offset,
}

/// The range, not older than the last acknowledgement anybody got before the call.
pub(crate) async fn range(topic: &Topic, partition: i32) -> Result<Range, Status> {
    let log = topic.log(partition);
    let log = log.map_err(|reason| error::partition(&reason, topic, partition))?;
    match log.settled().await {
        Ok(ends) => Ok(Range {
            start: ends.log_start,
            end: ends.high_watermark,
        }),
        Err(failure) => Err(error::storage(&failure, topic, partition)),
    }
}

/// The name of a topic that the caller may have meant.
fn similar(broker: &Broker, name: &str) -> Option<String> {
    let topics = broker.topics();
    if topics.len() > SIMILAR_AMONG_MAX {
        return None;
    }
    let distance = |topic: &Arc<Topic>| (edits(name, topic.name().as_str()), topic.name().clone());
    let (least, nearest) = topics.iter().map(distance).min()?;
    (least <= SIMILAR_EDITS_MAX).then(|| nearest.as_str().to_owned())
}

/// How many characters must be put in, taken out or replaced to make one name the other; more than
/// [`SIMILAR_EDITS_MAX`] are not counted.
fn edits(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > SIMILAR_EDITS_MAX {
        return SIMILAR_EDITS_MAX + 1;
    }
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, left) in one.bytes().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (cell, right) in row.iter_mut().skip(1).zip(other) {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = *cell;
            before = replaced.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
