//! What is wrong with a request before the broker is asked, and with what was read for it.

use broker::Topic;
use records::Offset;
use storage::InvalidTopicName;
use tonic::{Code, Status};

use super::{Hint, Refusal};
use crate::lookup::Range;
use crate::read_ahead::Unreadable;

pub(crate) fn unknown_topic(name: &str, similar: Option<&str>) -> Status {
    let hint = match similar {
        Some(similar) => format!("did you mean {similar:?}?"),
        None => "ListTopics names those that do, CreateTopic makes one".to_owned(),
    };
    let refusal = Refusal::new(
        Code::NotFound,
        "UNKNOWN_TOPIC",
        format!("topic {name:?} does not exist; {hint}"),
    );
    let refusal = match similar {
        Some(similar) => refusal.fact("similar_topic", similar),
        None => refusal,
    };
    let resource = Hint::Resource("topic", name.to_owned());
    refusal.fact("topic", name).hint(resource).into()
}

pub(crate) fn invalid_topic_name(name: &str, reason: &InvalidTopicName) -> Status {
    // The rule first, so that a long name does not push it out of the sentence.
    let message = format!("{reason}: topic {name:?}");
    Refusal::invalid("topic", "INVALID_TOPIC_NAME", message)
        .fact("topic", name)
        .into()
}

pub(crate) fn negative_partition(topic: &str, partition: i32) -> Status {
    let message = format!(
        "partition {partition} of topic {topic:?} is negative; they count from 0, and only Produce \
         takes -1: the broker chooses"
    );
    Refusal::invalid("partition", "INVALID_PARTITION", message)
        .at(topic, partition)
        .into()
}

pub(crate) fn negative_offset(topic: &Topic, partition: i32, offset: i64) -> Status {
    let name = topic.name();
    let message =
        format!("offset {offset} for {name}-{partition} is negative; offsets count from 0");
    Refusal::invalid("offset", "INVALID_OFFSET", message)
        .at(name.as_str(), partition)
        .fact("offset", offset)
        .into()
}

pub(crate) fn negative_timestamp(topic: &Topic, partition: i32, timestamp_ms: i64) -> Status {
    let name = topic.name();
    let message = format!(
        "timestamp_ms {timestamp_ms} for {name}-{partition} is negative; times are milliseconds \
         since 1970"
    );
    Refusal::invalid("timestamp_ms", "INVALID_TIMESTAMP", message)
        .at(name.as_str(), partition)
        .fact("timestamp_ms", timestamp_ms)
        .into()
}

pub(crate) fn negative_bound(
    field: &'static str,
    value: i64,
    topic: &Topic,
    partition: i32,
) -> Status {
    let name = topic.name();
    let message = format!("{field} {value} for {name}-{partition} is negative");
    Refusal::invalid(field, "INVALID_REQUEST", message)
        .at(name.as_str(), partition)
        .fact(field, value)
        .into()
}

pub(crate) fn seek_to_nowhere(field: &'static str, topic: &Topic, partition: i32) -> Status {
    let name = topic.name();
    let message = format!(
        "Seek for {name}-{partition} does not say where to: set one of offset, timestamp_ms, \
         start (true), end (true)"
    );
    Refusal::invalid(field, "INVALID_REQUEST", message)
        .at(name.as_str(), partition)
        .into()
}

pub(crate) fn reset_to_nowhere(topic: &Topic) -> Status {
    let name = topic.name();
    let message = format!(
        "ResetOffset for {name} does not say where to: set one of offset, timestamp_ms, start \
         (true), end (true)"
    );
    Refusal::invalid("to", "INVALID_REQUEST", message)
        .fact("topic", name)
        .into()
}

pub(crate) fn invalid_limit(asked: i32, limit_max: usize) -> Status {
    let message = format!("limit {asked} is not between 1 and {limit_max}");
    Refusal::invalid("limit", "INVALID_REQUEST", message)
        .fact("limit", asked)
        .into()
}

pub(crate) fn unknown_consumer(name: &str) -> Status {
    let message =
        format!("consumer {name:?} has committed nothing; ListConsumers names those that have");
    Refusal::new(Code::NotFound, "UNKNOWN_CONSUMER", message)
        .fact("consumer", name)
        .hint(Hint::Resource("consumer", name.to_owned()))
        .into()
}

/// TrimTopic without a place.
pub(crate) fn trim_before_nothing(field: &'static str, topic: &Topic, partition: i32) -> Status {
    let name = topic.name();
    let message = format!(
        "TrimTopic for {name}-{partition} does not say what goes: set one of offset, \
         timestamp_ms, end (true)"
    );
    Refusal::invalid(field, "INVALID_REQUEST", message)
        .at(name.as_str(), partition)
        .into()
}

/// An offset that is not in the log.
pub(crate) fn out_of_range(topic: &Topic, partition: i32, offset: Offset, range: Range) -> Status {
    let name = topic.name();
    let held = held(range);
    let message = format!("offset {offset} is outside {name}-{partition}, which {held}");
    with_range(message, topic, partition, offset, range).into()
}

/// A stored position that is not in the log any more.
pub(crate) fn position_out_of_range(
    consumer: &str,
    topic: &Topic,
    partition: i32,
    offset: Offset,
    range: Range,
) -> Status {
    let name = topic.name();
    let held = held(range);
    let message = format!(
        "the stored position {offset} is outside {name}-{partition}, which {held}; move it with \
         Seek, or give an offset. Consumer: {consumer:?}"
    );
    with_range(message, topic, partition, offset, range)
        .fact("consumer", consumer)
        .into()
}

fn with_range(
    message: String,
    topic: &Topic,
    partition: i32,
    offset: Offset,
    range: Range,
) -> Refusal {
    let refusal = Refusal::new(Code::OutOfRange, "OFFSET_OUT_OF_RANGE", message)
        .at(topic.name().as_str(), partition)
        .fact("offset", offset)
        .fact("first_offset", range.start)
        .fact("end_offset", range.end);
    match last_of(range) {
        Some(last) => refusal.fact("last_offset", last),
        None => refusal,
    }
}

/// What a range holds, as the end of a sentence.
fn held(range: Range) -> String {
    let Range { start, end } = range;
    match last_of(range) {
        Some(last) => format!("has offsets {start} to {last}; the next is {end}"),
        None => format!("has no records; the next offset is {end}"),
    }
}

fn last_of(range: Range) -> Option<Offset> {
    (range.start < range.end).then(|| range.end.plus(-1))
}

/// A batch that a producer filled with something else than records.
pub(crate) fn unreadable(unreadable: &Unreadable, topic: &Topic, partition: i32) -> Status {
    let Unreadable { from, next, reason } = unreadable;
    let name = topic.name();
    let message = format!(
        "the batch of {name}-{partition} that holds offset {from} cannot be opened: {reason}; \
         reading can go on at offset {next}"
    );
    Refusal::new(Code::DataLoss, "CORRUPT_MESSAGE", message)
        .at(name.as_str(), partition)
        .fact("offset", from)
        .fact("next_offset", next)
        .into()
}

/// A read that failed after its place was found.
pub(crate) fn read_failed(reason: &std::io::Error, topic: &Topic, partition: i32) -> Status {
    let name = topic.name();
    let message = format!("{name}-{partition} cannot be read: {reason}");
    Refusal::unavailable("STORAGE_FAILURE", message)
        .at(name.as_str(), partition)
        .into()
}
