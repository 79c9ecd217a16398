//! What is told to a client when something cannot be done: a status code, a sentence, and
//! google.rpc details with the same facts for programs.
//!
//! Guarantee: every status made here carries an `ErrorInfo` whose reason is one of the constants
//! in this folder, in the domain `ottla`; the sentence names topic, partition and allowed range.
//! Both are short enough for the header list of any client, whatever a request held.

mod of_broker;
mod of_request;

use std::collections::HashMap;
use std::time::Duration;

use axum::response::Response;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) use of_broker::{
    add_partitions, append, batch, create_topic, delete_records, delete_topic, fetch, find_offset,
    group, partition, position, produce, storage,
};
pub(crate) use of_request::{
    invalid_limit, invalid_topic_name, negative_bound, negative_offset, negative_partition,
    negative_timestamp, out_of_range, position_out_of_range, read_failed, reset_to_nowhere,
    seek_to_nowhere, trim_before_nothing, unknown_consumer, unknown_topic, unreadable,
};

/// The domain of all reasons.
const DOMAIN: &str = "ottla";
/// Longest sentence. With every character escaped it stays below the 8 KiB of headers that
/// grpc-java takes.
const MESSAGE_BYTES_MAX: usize = 600;
/// Longest value of a fact: a topic name fits.
const FACT_BYTES_MAX: usize = 256;
/// When to try again what may succeed then.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A status in the making.
#[derive(Debug)]
struct Refusal {
    code: Code,
    message: String,
    reason: &'static str,
    facts: HashMap<String, String>,
    hint: Hint,
}

/// The detail that goes with the kind of error.
#[derive(Debug)]
enum Hint {
    None,
    /// This field of the request is wrong.
    Field(&'static str),
    /// This is not there, or is there already: a kind of thing, and its name.
    Resource(&'static str, String),
    /// The same call may succeed after a while.
    Retry,
}

impl Refusal {
    fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            reason,
            facts: HashMap::new(),
            hint: Hint::None,
        }
    }

    fn invalid(field: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            hint: Hint::Field(field),
            ..Self::new(Code::InvalidArgument, reason, message)
        }
    }

    fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            hint: Hint::Retry,
            ..Self::new(Code::Unavailable, reason, message)
        }
    }

    fn fact(mut self, name: &str, value: impl ToString) -> Self {
        let value = shortened(value.to_string(), FACT_BYTES_MAX);
        self.facts.insert(name.to_owned(), value);
        self
    }

    fn at(self, topic: &str, partition: i32) -> Self {
        self.fact("topic", topic).fact("partition", partition)
    }

    fn hint(mut self, hint: Hint) -> Self {
        self.hint = hint;
        self
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let message = shortened(refusal.message, MESSAGE_BYTES_MAX);
        let mut details = ErrorDetails::new();
        details.set_error_info(refusal.reason, DOMAIN, refusal.facts);
        match refusal.hint {
            Hint::None => {}
            Hint::Field(field) => {
                details.add_bad_request_violation(field, message.clone());
            }
            Hint::Resource(kind, name) => {
                let name = shortened(name, FACT_BYTES_MAX);
                details.set_resource_info(kind, name, "", message.clone());
            }
            Hint::Retry => {
                details.set_retry_info(Some(RETRY_AFTER));
            }
        }
        Self::with_error_details(refusal.code, message, details)
    }
}

fn shortened(mut text: String, limit_bytes: usize) -> String {
    const MARK: &str = "…";
    if text.len() > limit_bytes {
        let end = text.floor_char_boundary(limit_bytes - MARK.len());
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}

/// The broker is going down.
pub(crate) fn stopping() -> Status {
    Refusal::unavailable("BROKER_STOPPING", "the broker is stopping").into()
}

/// A status that tonic made for a request of a stream.
pub(crate) fn of_request(status: Status, limit_bytes: usize) -> Status {
    if status.code() == Code::OutOfRange && status.details().is_empty() {
        return too_large(limit_bytes);
    }
    status
}

/// For a request that is too large tonic answers OUT_OF_RANGE, which here means offsets. All other
/// statuses of that code are made in this folder and carry details.
pub(crate) fn say_too_large(response: Response, limit_bytes: usize) -> Response {
    let Some(status) = Status::from_header_map(response.headers()) else {
        return response;
    };
    if status.code() == Code::OutOfRange && status.details().is_empty() {
        return too_large(limit_bytes).into_http();
    }
    response
}

fn too_large(limit_bytes: usize) -> Status {
    let message = format!(
        "the request is larger than {limit_bytes} bytes, which are the broker's message.max.bytes \
         and room for names"
    );
    Refusal::new(Code::ResourceExhausted, "REQUEST_TOO_LARGE", message)
        .fact("limit_bytes", limit_bytes)
        .into()
}

#[cfg(test)]
mod tests;
