//! From the old segments to the one that takes their place, so that a crash leaves the old ones or
//! the new one and never a mix.
//!
//! ```text
//!     {base}.log.cleaned            written and synced; a start removes it
//!     {base}-{end}.swap             renamed, the directory synced: from here on it is the log
//!                                   from base to before end, and a start goes on as follows:
//!       files of the old segments behind the first are removed, and what stands beside the first
//!                                   the directory is synced
//!     {base}.log                    renamed over the first old log; the directory is synced
//! ```
//!
//! The name says which offsets it stands for, and batches without gaps fill them: so a start can tell
//! a whole one from anything else before it removes what it replaces.

use std::io;
use std::path::{Path, PathBuf};

use records::Offset;
use sabotage::{Safeguard, skips};
use vfs::{OpenMode, Vfs};

use crate::listing::BASE_MAX;
use crate::names;
use crate::paths::SegmentFile;
use crate::position::Position;
use crate::walk::{EpochRange, Step, Walk};
use crate::window::{Access, Fault};

/// Ends the name of a segment that is being written.
pub(crate) const CLEANED_SUFFIX: &str = ".cleaned";
const SWAP_SUFFIX: &str = ".swap";
/// Ends the name of a segment that was to take the place of others and is not good.
const DAMAGED_SUFFIX: &str = ".damaged";
const DIGITS: usize = 20;

/// A segment that is to take the place of all from `base` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Swap {
    pub(crate) base: Offset,
    pub(crate) end: Offset,
}

impl Swap {
    /// Where it is written.
    pub(crate) fn cleaned_path(directory: &Path, base: Offset) -> PathBuf {
        let mut path = SegmentFile::Log.path(directory, base).into_os_string();
        path.push(CLEANED_SUFFIX);
        PathBuf::from(path)
    }

    /// Where it stands once it counts.
    pub(crate) fn path(self, directory: &Path) -> PathBuf {
        let Self { base, end } = self;
        assert!(
            Offset::ZERO <= base && base < end,
            "it has offsets, from {base} to {end}"
        );
        directory.join(format!("{:020}-{:020}{SWAP_SUFFIX}", base.get(), end.get()))
    }

    /// What a file name says; `None` if it is none of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (base, end) = name.strip_suffix(SWAP_SUFFIX)?.split_once('-')?;
        let offset = |digits: &str| {
            let is_number = digits.len() == DIGITS && digits.bytes().all(|it| it.is_ascii_digit());
            let number = is_number.then(|| digits.parse().ok()).flatten();
            number.map(Offset::new).filter(|offset| *offset <= BASE_MAX)
        };
        let (base, end) = (offset(base)?, offset(end)?);
        (base < end).then_some(Self { base, end })
    }

    /// Whether the segment at this base offset is one of those that it replaces.
    pub(crate) fn replaces(self, base: Offset) -> bool {
        (self.base..self.end).contains(&base)
    }

    /// Puts it in the place of the old segments, which have these base offsets.
    pub(crate) fn finish(
        self,
        vfs: &dyn Vfs,
        directory: &Path,
        old: impl Iterator<Item = Offset>,
    ) -> io::Result<()> {
        for base in old.filter(|base| self.replaces(*base) && *base != self.base) {
            for kind in SegmentFile::OF_SEGMENT {
                remove(vfs, &kind.path(directory, base))?;
            }
        }
        for kind in SegmentFile::BESIDE_LOG {
            remove(vfs, &kind.path(directory, self.base))?;
        }
        // IMPORTANT: before its name says no more what it replaces.
        if !skips(Safeguard::SwapRemovalSync) {
            names::sync_dir(vfs, directory)?;
        }
        let log = SegmentFile::Log.path(directory, self.base);
        vfs.rename(&self.path(directory), &log)?;
        names::sync_dir(vfs, directory)
    }

    /// Whether its file holds good batches for all of its offsets, and nothing else.
    pub(crate) fn is_whole(self, vfs: &dyn Vfs, directory: &Path) -> Result<bool, Fault> {
        let file = vfs.open(&self.path(directory), OpenMode::Read)?;
        let size = Position::end_of(file.size_bytes()?);
        let range = (Position::ZERO, size);
        let (access, epochs) = (Access::Blocking, EpochRange::ANY);
        let mut walk = Walk::checked(&*file, access, range, Some(self.base), epochs);
        loop {
            match walk.step()? {
                Step::Batch(_) => {}
                Step::End => return Ok(walk.expected() == Some(self.end)),
                Step::Damaged { .. } => return Ok(false),
            }
        }
    }

    /// Takes it out of the way of the segments that it was to replace.
    pub(crate) fn set_aside(self, vfs: &dyn Vfs, directory: &Path) -> io::Result<()> {
        let source = self.path(directory);
        let mut target = source.clone().into_os_string();
        target.push(DAMAGED_SUFFIX);
        vfs.rename(&source, Path::new(&target))
    }
}

fn remove(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    match vfs.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_offsets_and_nothing_else_is_taken_for_one() {
        let swap = Swap {
            base: Offset::new(7),
            end: Offset::new(1000),
        };
        let path = swap.path(Path::new("/p"));
        let name = "00000000000000000007-00000000000000001000.swap";
        assert_eq!(path, Path::new("/p").join(name));
        assert_eq!(Swap::parse(name), Some(swap));
        for bad in [
            "00000000000000000007.swap",
            "7-1000.swap",
            "00000000000000001000-00000000000000000007.swap",
            "00000000000000000007-00000000000000000007.swap",
            "00000000000000000007-00000000000000001000.swap.damaged",
            "00000000000000000007-99999999999999999999.swap",
            "00000000000000000007-0000000000000000100x.swap",
            "+0000000000000000007-00000000000000001000.swap",
        ] {
            assert_eq!(Swap::parse(bad), None, "{bad}");
        }
        assert_eq!(SegmentFile::parse(name), None);
        let cleaned = Swap::cleaned_path(Path::new("/p"), Offset::new(7));
        let cleaned = cleaned.file_name().expect("a name").to_string_lossy();
        assert_eq!(SegmentFile::parse(&cleaned), None);
    }

    #[test]
    fn it_replaces_what_begins_inside() {
        let swap = Swap {
            base: Offset::new(7),
            end: Offset::new(10),
        };
        let replaced = (5..12).filter(|base| swap.replaces(Offset::new(*base)));
        assert_eq!(replaced.collect::<Vec<_>>(), [7, 8, 9]);
    }
}
