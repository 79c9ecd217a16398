//! The topics that a group sees, and which of them a regular expression means.
//!
//! Expressions have RE2's syntax and match whole names, as in Kafka. The time to match grows with
//! the length of a name only, and the memory of an expression is bounded before it is used.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::RegexBuilder;
use storage::TopicId;

use super::super::GroupError;
use crate::topics::{Topic, Topics};

/// The longest expression, in bytes.
const REGEX_BYTES_MAX: usize = 4096;
/// The most memory that an expression takes while it is matched.
const PROGRAM_BYTES_MAX: usize = 1024 * 1024;

/// What a group has to know of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) id: TopicId,
    pub(crate) name: Arc<str>,
    pub(crate) partitions: u32,
}

/// All topics at one moment.
pub(crate) trait TopicView {
    /// Another number for each moment at which they are not the same; never 0.
    fn revision(&self) -> u64;
    fn by_name(&self, name: &str) -> Option<Fact>;
    fn by_id(&self, id: TopicId) -> Option<Fact>;
    fn each(&self, visit: &mut dyn FnMut(&str, TopicId));
}

fn fact(topic: &Arc<Topic>) -> Fact {
    Fact {
        id: topic.id(),
        name: topic.name().as_str().into(),
        partitions: topic.partition_count(),
    }
}

impl TopicView for Topics {
    fn revision(&self) -> u64 {
        Self::revision(self)
    }

    fn by_name(&self, name: &str) -> Option<Fact> {
        Self::by_name(self, name).map(fact)
    }

    fn by_id(&self, id: TopicId) -> Option<Fact> {
        Self::by_id(self, id).map(fact)
    }

    fn each(&self, visit: &mut dyn FnMut(&str, TopicId)) {
        for topic in self {
            visit(topic.name().as_str(), topic.id());
        }
    }
}

/// The topics whose whole names match.
pub(super) fn matched(regex: &str, view: &dyn TopicView) -> Result<BTreeSet<TopicId>, GroupError> {
    let invalid = |reason: String| GroupError::InvalidRegex { reason };
    if regex.len() > REGEX_BYTES_MAX {
        return Err(invalid(format!("it has more than {REGEX_BYTES_MAX} bytes")));
    }
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(PROGRAM_BYTES_MAX)
            .dfa_size_limit(PROGRAM_BYTES_MAX)
            .build()
    };
    // By itself first: a bracket too many must not reach into what is put around it.
    let built = build(regex).and_then(|_| build(&format!("^(?:{regex})$")));
    let built = built.map_err(|error| invalid(error.to_string()))?;
    let mut found = BTreeSet::new();
    view.each(&mut |name, id| {
        if built.is_match(name) {
            found.insert(id);
        }
    });
    Ok(found)
}
