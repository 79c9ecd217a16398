//! Which topics have directories, and what their `topic.meta` says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use records::checksum::crc32c;
use storage::{TopicId, TopicName};
use vfs::{EntryKind, Vfs};

use crate::directory::partition_of;
use crate::topic_meta::StoredTopic;

/// A directory that is a topic's.
#[derive(Debug)]
pub(crate) struct FoundTopic {
    pub(crate) directory: PathBuf,
    pub(crate) stored: StoredTopic,
    /// `stored` is a guess: its file is missing or bad.
    pub(crate) unlabelled: bool,
    /// Partitions that have a directory.
    pub(crate) partitions: BTreeSet<u32>,
}

/// Lists the topics below a data directory, by name. A directory that holds neither a good
/// `topic.meta` nor partitions is what a crash left of a creation, and not listed.
pub(crate) fn find_topics(
    vfs: &dyn Vfs,
    data_dir: &Path,
    started_ms: i64,
) -> std::io::Result<Vec<FoundTopic>> {
    let mut found = Vec::new();
    for entry in vfs.read_dir(data_dir)? {
        let Ok(name) = TopicName::parse(&entry.name) else {
            continue;
        };
        if entry.kind != EntryKind::Directory {
            continue;
        }
        let directory = data_dir.join(&entry.name);
        let inside = vfs.read_dir(&directory)?;
        let directories = inside
            .iter()
            .filter(|entry| entry.kind == EntryKind::Directory);
        let partitions: BTreeSet<u32> = directories
            .filter_map(|entry| partition_of(&entry.name))
            .collect();
        let stored = match StoredTopic::read(vfs, &directory) {
            Ok(stored) => stored.filter(|stored| stored.name == name),
            Err(error) => {
                tracing::warn!(topic = %name, %error, "T: its topic.meta is not used");
                None
            }
        };
        let unlabelled = stored.is_none();
        if unlabelled && partitions.is_empty() {
            continue;
        }
        let stored = stored.unwrap_or_else(|| guess(&name, &partitions, started_ms));
        found.push(FoundTopic {
            directory,
            stored,
            unlabelled,
            partitions,
        });
    }
    Ok(found)
}

/// What a topic without a label is taken for, should nobody know better: a new id, made of the
/// name and the time of this start.
fn guess(name: &TopicName, partitions: &BTreeSet<u32>, started_ms: i64) -> StoredTopic {
    let name_crc = crc32c(name.as_str().as_bytes()).to_be_bytes();
    let time = started_ms.to_be_bytes();
    let mut id = [0; 16];
    for (target, source) in id
        .iter_mut()
        .zip(name_crc.into_iter().chain(time).chain(name_crc))
    {
        *target = source;
    }
    let count = partitions.last().map_or(0, |last| last.saturating_add(1));
    StoredTopic {
        id: TopicId(id),
        name: name.clone(),
        partitions: count,
        configs: std::collections::BTreeMap::new(),
    }
}
