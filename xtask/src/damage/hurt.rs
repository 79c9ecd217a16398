//! Damage to one file of a directory, by chance: a bit, a cut, a file gone or old, a sector zeroed
//! or in the wrong place.
//!
//! Small files are as likely as large ones in one third of the choices, the heads of batches, which
//! no CRC of the producer covers, in another. Otherwise every byte is as likely as any other, but
//! for the zeros behind the entries of an index. Knows files, and of records only where batches
//! begin.

#![expect(
    clippy::disallowed_methods,
    reason = "it makes the damage that a broker must live with"
)]

use std::fs;
use std::path::{Path, PathBuf};

use super::model::Model;
use crate::chance::Chance;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Flip,
    Truncation,
    Removal,
    /// The file as it was at an earlier stop.
    Stale,
    /// A sector of 512 or 4096 bytes is zero.
    Zeroed,
    /// A sector of another file lies over one of this.
    Misdirected,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Flip,
        Self::Truncation,
        Self::Removal,
        Self::Stale,
        Self::Zeroed,
        Self::Misdirected,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Flip => "bit flipped",
            Self::Truncation => "file cut short",
            Self::Removal => "file removed",
            Self::Stale => "file of an earlier day",
            Self::Zeroed => "sector zeroed",
            Self::Misdirected => "sector misplaced",
        }
    }
}

/// A file of a directory.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// From the directory on.
    pub(super) path: PathBuf,
    /// Those that hold something: see [`used_bytes`].
    used_bytes: usize,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Hurt {
    pub(super) path: PathBuf,
    /// The byte that was aimed at.
    pub(super) at: usize,
    pub(super) what: String,
}

/// Bytes of a batch's head that its CRC does not cover, the CRC itself included.
const HEAD_BYTES: usize = 21;

/// Damages one file of `data`. `stale` is an earlier state of the same directory.
pub(super) fn hurt(
    kind: Kind,
    data: &Path,
    stale: &Path,
    model: &Model,
    chance: &mut Chance,
) -> Result<Hurt, String> {
    for _ in 0..1000 {
        let all = files(data)?;
        let (file, at) = choose(&all, model, kind, chance)?;
        let path = data.join(&file.path);
        let before = read(&path)?;
        let mut bytes = before.clone();
        let what = match kind {
            Kind::Flip => {
                let bit = chance.below(8);
                let Some(byte) = bytes.get_mut(at).filter(|_| at < file.used_bytes) else {
                    continue;
                };
                *byte ^= 1 << bit;
                format!("bit {bit} of byte {at} flipped")
            }
            Kind::Truncation => {
                bytes.truncate(at);
                format!("cut to {at} of {} bytes", before.len())
            }
            Kind::Removal => {
                fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let what = "removed".to_owned();
                return Ok(Hurt {
                    path: file.path,
                    at: 0,
                    what,
                });
            }
            Kind::Stale => {
                let Some(old) = earlier(&file.path, stale)? else {
                    continue;
                };
                bytes = old;
                format!(
                    "of an earlier stop, {} of {} bytes",
                    bytes.len(),
                    before.len()
                )
            }
            Kind::Zeroed => {
                let size = [512, 4096][chance.below(2)];
                let from = at / size * size;
                let end = (from + size).min(bytes.len());
                bytes.get_mut(from..end).unwrap_or_default().fill(0);
                format!("bytes {from} to {end} zeroed")
            }
            Kind::Misdirected => {
                let (other, there) = choose(&all, model, kind, chance)?;
                let (from, there) = (at / 512 * 512, there / 512 * 512);
                let source = read(&data.join(&other.path))?;
                let end = (from + 512).min(bytes.len());
                let sector = source.get(there..).unwrap_or_default();
                let target = bytes.get_mut(from..end).unwrap_or_default();
                let size = target.len().min(sector.len());
                target[..size].copy_from_slice(&sector[..size]);
                let other = other.path.display();
                format!("{size} bytes at {from} taken from {other} at {there}")
            }
        };
        if bytes != before {
            fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
            return Ok(Hurt {
                path: file.path,
                at,
                what,
            });
        }
    }
    Err("no file of the directory can be hurt in this way".to_owned())
}

/// What the file held at an earlier stop, or one there that differs in its number only.
fn earlier(path: &Path, stale: &Path) -> Result<Option<Vec<u8>>, String> {
    let without_number = |path: &Path| {
        let text = path.to_string_lossy();
        text.replace(|letter: char| letter.is_ascii_digit(), "")
    };
    let exact = stale.join(path);
    if exact.is_file() {
        return read(&exact).map(Some);
    }
    let all = files(stale)?;
    let like = all.iter().find(|file| {
        file.path.parent() == path.parent() && without_number(&file.path) == without_number(path)
    });
    like.map(|file| read(&stale.join(&file.path))).transpose()
}

/// A file and a byte of it.
fn choose(
    all: &[Found],
    model: &Model,
    kind: Kind,
    chance: &mut Chance,
) -> Result<(Found, usize), String> {
    let total: usize = all.iter().map(|file| file.used_bytes).sum();
    if total == 0 {
        return Err("an empty directory".to_owned());
    }
    let by_size = |mut at: usize| {
        let mut within = |file: &&Found| {
            let inside = at < file.used_bytes;
            at -= if inside { 0 } else { file.used_bytes };
            inside
        };
        let file = all.iter().find(|file| within(file)).unwrap_or(&all[0]);
        (file.clone(), at)
    };
    let any = by_size(chance.below(total));
    match chance.below(3) {
        0 => Ok(any),
        1 => {
            let heads = model.heads_in(&any.0.path);
            if heads.is_empty() || kind != Kind::Flip {
                return Ok(any);
            }
            let head = heads[chance.below(heads.len())];
            Ok((any.0, head + chance.below(HEAD_BYTES)))
        }
        _ => {
            let file = all[chance.below(all.len())].clone();
            let at = chance.below(file.used_bytes.max(1));
            Ok((file, at))
        }
    }
}

/// All files below a folder, in order.
pub(super) fn files(folder: &Path) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        let listed = fs::read_dir(&next).map_err(|error| format!("{}: {error}", next.display()))?;
        for entry in listed {
            let entry = entry.map_err(|error| error.to_string())?;
            let about = entry.metadata().map_err(|error| error.to_string())?;
            if about.is_dir() {
                open.push(entry.path());
                continue;
            }
            let path = entry.path();
            let path = path
                .strip_prefix(folder)
                .map_err(|error| error.to_string())?;
            found.push(Found {
                path: path.to_path_buf(),
                used_bytes: used_bytes(&entry.path(), about.len())?,
            });
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Bytes of a file that hold something: Kafka makes the indexes of a segment it writes to 10 MiB
/// long, all zeros behind the entries, and ottla a commit file 16 MiB. Damage there would be most of
/// all damage and change nothing.
fn used_bytes(path: &Path, size_bytes: u64) -> Result<usize, String> {
    let kind = path.extension().and_then(|kind| kind.to_str());
    let is_commit_file = path.file_stem().is_some_and(|stem| stem == "commit");
    if !matches!(kind, Some("index" | "timeindex")) && !is_commit_file {
        return usize::try_from(size_bytes).map_err(|error| error.to_string());
    }
    let bytes = read(path)?;
    let last = bytes.iter().rposition(|byte| *byte != 0);
    Ok(last.map_or(0, |last| last + 1))
}

/// Copies a folder with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    let listed = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in listed {
        let entry = entry.map_err(|error| error.to_string())?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(|error| error.to_string())?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .map_err(|error| format!("{}: {error}", target.display()))?;
        }
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
