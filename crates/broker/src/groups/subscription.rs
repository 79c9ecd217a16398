//! The topics in a subscription of Kafka's `consumer` protocol: all that the broker reads of the
//! metadata that members send. Other protocol types are never opened.

use std::collections::BTreeSet;

use bytes::Buf;

/// The topics of one subscription; `None` if the bytes are not one.
pub(super) fn topics(mut metadata: &[u8]) -> Option<BTreeSet<String>> {
    let version = metadata.try_get_i16().ok()?;
    let count = metadata.try_get_i32().ok()?;
    if version < 0 || count < 0 {
        return None;
    }
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        let (name, rest) = metadata.split_at_checked(length)?;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
        metadata = rest;
    }
    Some(topics)
}

#[cfg(test)]
mod tests;
