//! One suite for every [`Vfs`]: what the simulated disk answers must be what Linux answers.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says where it stands and fails"
)]

mod files;
mod names;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use vfs::{
    LockError, NameRule, OpenMode, RealVfs, SimOptions, SimVfs, Vfs, create_dirs, read_whole,
    write_all_at,
};

/// A fresh directory on some file system.
struct Place<'a> {
    vfs: &'a dyn Vfs,
    home: PathBuf,
}

impl Place<'_> {
    fn at(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    /// Makes a tree: names that end with `/` are directories, others files that hold their name.
    fn plant(&self, names: &[&str]) {
        for name in names {
            match name.strip_suffix('/') {
                Some(directory) => create_dirs(self.vfs, &self.at(directory)).expect("directory"),
                None => {
                    let mode = OpenMode::CreateNew;
                    let file = self.vfs.open(&self.at(name), mode).expect("new file");
                    write_all_at(&*file, name.as_bytes(), 0).expect("write");
                }
            }
        }
    }

    fn text(&self, name: &str) -> String {
        let bytes = read_whole(self.vfs, &self.at(name), 1 << 20).expect("readable");
        String::from_utf8(bytes).expect("text")
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = self.vfs.read_dir(&self.at(directory)).expect("a listing");
        entries.into_iter().map(|entry| entry.name).collect()
    }
}

type Case = fn(&Place<'_>);

const CASES: &[(&str, Case)] = &[
    ("open modes", files::open_modes),
    ("open finds what is in the way", files::open_obstacles),
    ("read and write anywhere", files::read_and_write),
    ("a read-only file refuses changes", files::read_only),
    ("sizes", files::sizes),
    ("renames", names::renames),
    ("renames that are refused", names::refused_renames),
    ("an open file survives its name", files::open_survives_name),
    ("listings", names::listings),
    ("stat", names::stat),
    ("removal", names::removal),
    ("directories", names::directories),
    ("syncs", syncs),
    ("locks", locks),
    ("space", space),
    ("long names", names::long_names),
    ("boot id", boot_id),
];

#[test]
fn the_real_file_system_conforms() {
    for (name, case) in CASES {
        println!("{name}");
        let home = tempfile::tempdir().expect("a temporary directory");
        case(&Place {
            vfs: &RealVfs::new(),
            home: home.path().to_owned(),
        });
    }
}

#[test]
fn the_simulated_disk_conforms() {
    for names in [NameRule::EachDirectory, NameRule::JournalOrder] {
        for (name, case) in CASES {
            println!("{name}, {names:?}");
            let vfs = SimVfs::with_options(SimOptions {
                names,
                ..SimOptions::default()
            });
            create_dirs(&vfs, Path::new("/some/home")).expect("a home");
            case(&Place {
                vfs: &vfs,
                home: PathBuf::from("/some/home"),
            });
            assert_eq!(vfs.open_handles(), 0, "{name}: every handle was given back");
        }
    }
}

#[track_caller]
fn refused<T>(result: io::Result<T>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("expected {kind:?}, but it succeeded"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

fn syncs(place: &Place<'_>) {
    place.plant(&["file"]);
    place.vfs.sync_dir(&place.home).expect("a directory");
    refused(
        place.vfs.sync_dir(&place.at("missing")),
        ErrorKind::NotFound,
    );
    refused(
        place.vfs.sync_dir(&place.at("file")),
        ErrorKind::NotADirectory,
    );
    match place.vfs.open_file_system(&place.home) {
        Ok(file_system) => {
            file_system.sync().expect("a whole file system");
            refused(
                place.vfs.open_file_system(&place.at("missing")),
                ErrorKind::NotFound,
            );
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    }
}

fn locks(place: &Place<'_>) {
    let lock = |path: &str| place.vfs.lock(&place.at(path));
    let held = lock("lock").expect("the first");
    let text = place.text("lock");
    let pid: u32 = text
        .strip_suffix('\n')
        .expect("a line")
        .parse()
        .expect("a process id");
    match lock("lock").expect_err("held, by this process too") {
        LockError::Held { owner_pid } => assert_eq!(owner_pid, Some(pid)),
        LockError::Io(error) => panic!("{error}"),
    }
    let other = lock("other").expect("another file is another lock");
    drop(held);
    let again = lock("lock").expect("free after the guard is dropped");
    assert!(matches!(lock("other"), Err(LockError::Held { .. })));
    drop((other, again));
    match lock("missing/lock").expect_err("no directory") {
        LockError::Io(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        LockError::Held { .. } => panic!("nobody holds it"),
    }
}

fn space(place: &Place<'_>) {
    let free_bytes = place.vfs.free_bytes(&place.home).expect("free bytes");
    let total_bytes = place.vfs.total_bytes(&place.home).expect("total bytes");
    assert!(0 < free_bytes && free_bytes <= total_bytes);
    refused(
        place.vfs.free_bytes(&place.at("missing")),
        ErrorKind::NotFound,
    );
}

fn boot_id(place: &Place<'_>) {
    assert_eq!(place.vfs.boot_id(), place.vfs.boot_id());
    assert_ne!(place.vfs.boot_id(), [0; 16]);
}
