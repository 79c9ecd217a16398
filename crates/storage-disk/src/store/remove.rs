//! Moving a topic out of the way: one rename, durable before it is answered. The space comes back
//! later, and nothing that was open can reach the files of a topic that takes the name.

use std::io;
use std::path::PathBuf;

use sabotage::{Safeguard, skips};
use storage::{StorageFailure, StoreError, TopicMeta};

use super::Shared;
use crate::error::is_no_space;

impl Shared {
    /// See [`storage::LogStore::remove`].
    pub(super) fn remove(&self, meta: &TopicMeta) -> Result<(), StoreError> {
        let _one_at_a_time = self.changes.lock();
        self.context.health.check()?;
        let Some(topic) = self.topic(&meta.name).filter(|topic| topic.id() == meta.id) else {
            return Ok(());
        };
        let logs = topic.logs();
        // IMPORTANT: announced under each log's lock before the directory moves; from here on no
        // file of it is opened by its path, which may soon be another topic's.
        for log in &logs {
            log.begin_removal();
        }
        let source = &topic.place.directory;
        let target = self.trash_place(meta);
        match self.context.vfs.rename(source, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                for log in &logs {
                    log.cancel_removal();
                }
                let failure = StorageFailure::new(format!(
                    "cannot move {} to {}: {error}",
                    source.display(),
                    target.display()
                ));
                return Err(if is_no_space(&error) {
                    StoreError::NoSpace(failure)
                } else {
                    failure.into()
                });
            }
        }
        // Target first: a crash in between must not forget the old name before the new is known.
        for directory in [&self.trash_dir, &self.data_dir] {
            if !skips(Safeguard::RemovalDirectorySync)
                && let Err(error) = self.context.vfs.sync_dir(directory)
            {
                let directory = directory.display();
                let failure = StorageFailure::new(format!("cannot sync {directory}: {error}"));
                self.context.health.fail(&failure);
                return Err(failure.into());
            }
        }
        self.topics.write().remove(&meta.name);
        for log in &logs {
            log.finish_removal();
        }
        self.context.upkeep.submit_trash(target);
        Ok(())
    }

    /// A free name in the trash. Where the disk does not say, the rename will.
    pub(super) fn trash_place(&self, meta: &TopicMeta) -> PathBuf {
        let name = meta.id.to_string();
        let taken = |path: &PathBuf| matches!(self.context.vfs.stat(path), Ok(Some(_)));
        let mut path = self.trash_dir.join(&name);
        let mut attempt = 0_u32;
        while taken(&path) {
            attempt = attempt.saturating_add(1);
            path = self.trash_dir.join(format!("{name}.{attempt}"));
        }
        path
    }
}
