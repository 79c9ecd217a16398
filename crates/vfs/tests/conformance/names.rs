//! Names in directories: making, moving, removing and listing them.

use std::io::ErrorKind;
use std::path::Path;

use vfs::{DirEntry, EntryKind, OpenMode, Stat, create_dirs};

use crate::{Place, refused};

pub(crate) fn renames(place: &Place<'_>) {
    place.plant(&["a", "b", "from/", "from/inner", "to/", "empty/"]);
    let rename = |source: &str, target: &str| {
        place
            .vfs
            .rename(&place.at(source), &place.at(target))
            .expect("rename");
    };
    rename("a", "c");
    assert_eq!(place.text("c"), "a");
    rename("c", "b");
    assert_eq!(place.text("b"), "a", "a file is replaced");
    rename("b", "b");
    assert_eq!(place.text("b"), "a", "onto itself");
    rename("b", "to/b");
    assert_eq!(place.text("to/b"), "a", "into another directory");
    rename("from", "empty");
    assert_eq!(
        place.text("empty/inner"),
        "from/inner",
        "an empty directory is replaced"
    );
    rename("empty", "to/moved");
    assert_eq!(place.text("to/moved/inner"), "from/inner");
    rename("to/moved", "to/moved");
    assert_eq!(place.names(""), ["to"]);
    assert_eq!(place.names("to"), ["b", "moved"]);
}

pub(crate) fn refused_renames(place: &Place<'_>) {
    place.plant(&["file", "empty/", "full/", "full/inner", "full/deep/"]);
    for (source, target, kind) in [
        ("missing", "file", ErrorKind::NotFound),
        ("missing", "empty", ErrorKind::NotFound),
        ("file", "missing/file", ErrorKind::NotFound),
        ("file", "empty", ErrorKind::IsADirectory),
        ("empty", "file", ErrorKind::NotADirectory),
        ("empty", "full", ErrorKind::DirectoryNotEmpty),
        ("full", "full/inside", ErrorKind::InvalidInput),
        ("full", "full/deep/inside", ErrorKind::InvalidInput),
        ("file", "full/inner/below", ErrorKind::NotADirectory),
        ("full/inner", "full", ErrorKind::DirectoryNotEmpty),
        ("full/deep", "full", ErrorKind::DirectoryNotEmpty),
    ] {
        println!("{source} to {target}");
        refused(place.vfs.rename(&place.at(source), &place.at(target)), kind);
    }
    assert_eq!(place.names(""), ["empty", "file", "full"]);
    assert_eq!(place.text("full/inner"), "full/inner");
}

pub(crate) fn listings(place: &Place<'_>) {
    assert_eq!(place.names(""), [""; 0]);
    place.plant(&["b", "a/", "a/below", "B", "aa", "00000000000000000010.log"]);
    let entries = place.vfs.read_dir(&place.home).expect("a listing");
    let entry = |name: &str, kind| DirEntry {
        name: name.to_owned(),
        kind,
    };
    let expected = [
        entry("00000000000000000010.log", EntryKind::File),
        entry("B", EntryKind::File),
        entry("a", EntryKind::Directory),
        entry("aa", EntryKind::File),
        entry("b", EntryKind::File),
    ];
    assert_eq!(entries, expected);
    refused(place.vfs.read_dir(&place.at("b")), ErrorKind::NotADirectory);
    refused(
        place.vfs.read_dir(&place.at("missing")),
        ErrorKind::NotFound,
    );
}

pub(crate) fn stat(place: &Place<'_>) {
    place.plant(&["file", "directory/"]);
    let stat = |path: &str| place.vfs.stat(&place.at(path)).expect("stat");
    assert_eq!(
        stat("file"),
        Some(Stat {
            kind: EntryKind::File,
            size_bytes: 4
        })
    );
    assert_eq!(
        stat("directory").map(|stat| stat.kind),
        Some(EntryKind::Directory)
    );
    assert_eq!(stat("missing"), None);
    assert_eq!(stat("missing/file"), None);
    assert_eq!(stat("file/below"), None);
    let root = place
        .vfs
        .stat(Path::new("/"))
        .expect("stat")
        .map(|stat| stat.kind);
    assert_eq!(root, Some(EntryKind::Directory));
}

pub(crate) fn removal(place: &Place<'_>) {
    place.plant(&["file", "empty/", "full/", "full/inner"]);
    let remove_file = |path: &str| place.vfs.remove_file(&place.at(path));
    let remove_dir = |path: &str| place.vfs.remove_dir(&place.at(path));
    refused(remove_file("missing"), ErrorKind::NotFound);
    refused(remove_file("empty"), ErrorKind::IsADirectory);
    refused(remove_dir("missing"), ErrorKind::NotFound);
    refused(remove_dir("file"), ErrorKind::NotADirectory);
    refused(remove_dir("full"), ErrorKind::DirectoryNotEmpty);
    remove_file("file").expect("file");
    remove_dir("empty").expect("empty directory");
    remove_file("full/inner").expect("file below");
    remove_dir("full").expect("now empty");
    assert_eq!(place.names(""), [""; 0]);
}

pub(crate) fn directories(place: &Place<'_>) {
    place.plant(&["file"]);
    let create_dir = |path: &str| place.vfs.create_dir(&place.at(path));
    create_dir("new").expect("new");
    refused(create_dir("new"), ErrorKind::AlreadyExists);
    refused(create_dir("file"), ErrorKind::AlreadyExists);
    refused(create_dir("missing/new"), ErrorKind::NotFound);
    refused(create_dir("file/new"), ErrorKind::NotADirectory);
    refused(
        place.vfs.create_dir(Path::new("/")),
        ErrorKind::AlreadyExists,
    );
    create_dirs(place.vfs, &place.at("new/deep/deeper")).expect("missing parents are made");
    create_dirs(place.vfs, &place.at("new/deep/deeper")).expect("again is fine");
    assert_eq!(place.names("new/deep"), ["deeper"]);
    refused(
        create_dirs(place.vfs, &place.at("file")),
        ErrorKind::NotADirectory,
    );
    refused(
        create_dirs(place.vfs, &place.at("file/below")),
        ErrorKind::NotADirectory,
    );
}

pub(crate) fn long_names(place: &Place<'_>) {
    place.plant(&[&"n".repeat(255)]);
    let long = place.at(&"n".repeat(256));
    refused(
        place.vfs.open(&long, OpenMode::CreateNew),
        ErrorKind::InvalidFilename,
    );
    refused(place.vfs.create_dir(&long), ErrorKind::InvalidFilename);
}
