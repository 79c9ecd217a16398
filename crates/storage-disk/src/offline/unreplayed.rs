//! What the commit file holds and logs do not: a start of the broker writes it there, so it is not
//! lost, and nobody may accept its loss.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vfs::Vfs;

use super::{OfflineError, VerifyReport, data_dir_above};
use crate::commit_file;
use crate::directory::OWN_DIR;
use crate::open::look_epoch;

/// Ranges of positions, by the paths of segments.
#[derive(Debug, Default)]
pub(super) struct Unreplayed {
    own_dir: PathBuf,
    /// What is damaged in the commit file.
    damage: Vec<String>,
    /// With where the first missing byte is, if any is.
    segments: BTreeMap<PathBuf, Ranges>,
}

#[derive(Debug, Default)]
struct Ranges {
    held: Vec<(u64, u64)>,
    first_missing: Option<u64>,
}

impl Unreplayed {
    /// Reads what is kept for the data directory that a path is in, if it is in one.
    pub(super) fn read(vfs: &dyn Vfs, path: &Path) -> Result<Self, OfflineError> {
        let data_dir = match data_dir_above(vfs, path) {
            Err(OfflineError::NoDataDirectory(_)) => return Ok(Self::default()),
            found => found?,
        };
        let mut segments: BTreeMap<PathBuf, Ranges> = BTreeMap::new();
        let own_dir = data_dir.join(OWN_DIR);
        let data_dir = (data_dir.as_path(), look_epoch(vfs, &own_dir));
        let damage =
            commit_file::survey(vfs, data_dir, &mut |segment, (start, end), is_missing| {
                let ranges = segments.entry(segment).or_default();
                ranges.held.push((start, end));
                if is_missing {
                    ranges.first_missing.get_or_insert(start);
                }
            })
            .map_err(|(path, source)| OfflineError::Io { path, source })?;
        Ok(Self {
            own_dir,
            damage,
            segments,
        })
    }

    /// Refuses where a start would write into logs.
    pub(super) fn refuse(&self, path: &Path) -> Result<(), OfflineError> {
        let mut all = self.segments.values();
        if all.any(|ranges| ranges.first_missing.is_some()) {
            return Err(OfflineError::Unreplayed(path.to_owned()));
        }
        Ok(())
    }

    /// Takes from the losses what a start puts back, and says what it will write.
    pub(super) fn excuse(&self, report: &mut VerifyReport) {
        for problem in report.problems.iter_mut().filter(|problem| problem.is_loss) {
            let absolute = std::path::absolute(&problem.path).ok();
            let ranges = absolute.and_then(|path| self.segments.get(&path));
            let held = |at: &u64| {
                let of = |(start, end): &(u64, u64)| start <= at && at < end;
                ranges.is_some_and(|ranges| ranges.held.iter().any(of))
            };
            if problem.position.as_ref().is_some_and(held) {
                problem.is_loss = false;
                problem
                    .what
                    .push_str("; the commit file has what belongs there");
            }
        }
        for what in &self.damage {
            report.problem(&self.own_dir, None, what.clone(), false);
        }
        let missing = |(path, ranges): (&PathBuf, &Ranges)| {
            ranges.first_missing.map(|first| (path.clone(), first))
        };
        let missing: Vec<_> = self.segments.iter().filter_map(missing).collect();
        for (path, first) in missing {
            let what = "the commit file has records from here on that the next start writes";
            report.problem(&path, Some(first), what.to_owned(), false);
        }
    }
}
