//! Open files: modes, positions, sizes, and what outlives a name.

use std::io::ErrorKind;
use std::path::Path;

use vfs::{OpenMode, read_whole, write_all_at};

use crate::{Place, refused};

pub(crate) fn open_modes(place: &Place<'_>) {
    use OpenMode::{CreateNew, Read, ReadWrite, ReadWriteCreate};
    place.plant(&["old"]);
    for (path, mode, expected) in [
        ("new", Read, Err(ErrorKind::NotFound)),
        ("new", ReadWrite, Err(ErrorKind::NotFound)),
        ("new", CreateNew, Ok("")),
        ("new", CreateNew, Err(ErrorKind::AlreadyExists)),
        ("other", ReadWriteCreate, Ok("")),
        ("old", Read, Ok("old")),
        ("old", ReadWrite, Ok("old")),
        ("old", ReadWriteCreate, Ok("old")),
        ("old", CreateNew, Err(ErrorKind::AlreadyExists)),
        ("missing/new", CreateNew, Err(ErrorKind::NotFound)),
        ("old/new", ReadWriteCreate, Err(ErrorKind::NotADirectory)),
    ] {
        let opened = place.vfs.open(&place.at(path), mode);
        let found = opened
            .map(|_| place.text(path))
            .map_err(|error| error.kind());
        assert_eq!(found, expected.map(str::to_owned), "{path} {mode:?}");
    }
}

pub(crate) fn open_obstacles(place: &Place<'_>) {
    place.plant(&["directory/"]);
    let path = place.at("directory");
    for mode in [
        OpenMode::Read,
        OpenMode::ReadWrite,
        OpenMode::ReadWriteCreate,
    ] {
        refused(place.vfs.open(&path, mode), ErrorKind::IsADirectory);
    }
    refused(
        place.vfs.open(&path, OpenMode::CreateNew),
        ErrorKind::AlreadyExists,
    );
    refused(
        place.vfs.open(Path::new("/"), OpenMode::Read),
        ErrorKind::IsADirectory,
    );
}

pub(crate) fn read_and_write(place: &Place<'_>) {
    let file = place
        .vfs
        .open(&place.at("file"), OpenMode::CreateNew)
        .expect("new");
    assert_eq!(file.write_at(b"", 7).expect("nothing to write"), 0);
    assert_eq!(
        file.size_bytes().expect("size"),
        0,
        "an empty write does not grow"
    );
    write_all_at(&*file, b"world", 10_000).expect("behind the end");
    write_all_at(&*file, b"hello", 0).expect("at the start");
    write_all_at(&*file, b"W", 10_000).expect("in the middle");
    assert_eq!(file.size_bytes().expect("size"), 10_005);

    let mut whole = vec![0; 10_005];
    whole[..5].copy_from_slice(b"hello");
    whole[10_000..].copy_from_slice(b"World");
    assert_eq!(
        read_whole(place.vfs, &place.at("file"), 10_005).expect("whole"),
        whole
    );

    let mut buf = [9; 8];
    assert_eq!(file.read_at(&mut buf, 10_001).expect("the tail"), 4);
    assert_eq!(
        &buf, b"orld\x09\x09\x09\x09",
        "the rest of the buffer is left alone"
    );
    assert_eq!(file.read_at(&mut buf, 10_005).expect("the end"), 0);
    assert_eq!(
        file.read_at(&mut buf, 1 << 40).expect("far behind the end"),
        0
    );
    assert_eq!(file.read_at(&mut [], 0).expect("no buffer"), 0);
    if let Some(count) = file.read_cached_at(&mut buf, 0).expect("from memory") {
        assert_eq!(&buf[..count.min(5)], &b"hello"[..count.min(5)]);
    }
    assert!(matches!(
        file.read_cached_at(&mut buf, 10_005).expect("the end"),
        None | Some(0)
    ));
    assert_eq!(file.read_passing_at(&mut buf, 10_005).expect("the end"), 0);
    assert_eq!(file.read_passing_at(&mut buf[..5], 0).expect("a read"), 5);
    assert_eq!(&buf[..5], b"hello");
}

pub(crate) fn read_only(place: &Place<'_>) {
    place.plant(&["file"]);
    let file = place
        .vfs
        .open(&place.at("file"), OpenMode::Read)
        .expect("open");
    let written = file.write_at(b"x", 0).map_err(|error| error.raw_os_error());
    assert_eq!(written.expect_err("read only"), Some(9), "EBADF");
    refused(file.set_size(0), ErrorKind::InvalidInput);
    file.sync_data().expect("a sync needs no right to write");
    assert_eq!(place.text("file"), "file");
}

pub(crate) fn sizes(place: &Place<'_>) {
    place.plant(&["file"]);
    let file = place
        .vfs
        .open(&place.at("file"), OpenMode::ReadWrite)
        .expect("open");
    for (size_bytes, expected) in [
        (4, "file"),
        (2, "fi"),
        (5, "fi\0\0\0"),
        (0, ""),
        (3, "\0\0\0"),
        (3, "\0\0\0"),
    ] {
        file.set_size(size_bytes).expect("set size");
        assert_eq!(place.text("file"), expected, "{size_bytes}");
        assert_eq!(file.size_bytes().expect("size"), size_bytes);
    }
    // What was cut off must not come back, over page borders too.
    write_all_at(&*file, &[7; 9_000], 0).expect("three pages");
    file.set_size(4_100).expect("cut");
    file.set_size(9_000).expect("grow");
    let bytes = read_whole(place.vfs, &place.at("file"), 9_000).expect("whole");
    let (kept, grown) = bytes.split_at(4_100);
    assert!(kept.iter().all(|byte| *byte == 7) && grown.iter().all(|byte| *byte == 0));
    refused(
        read_whole(place.vfs, &place.at("file"), 8_999),
        ErrorKind::FileTooLarge,
    );
}

pub(crate) fn open_survives_name(place: &Place<'_>) {
    place.plant(&["moved", "removed", "replaced"]);
    let open = |name: &str| {
        place
            .vfs
            .open(&place.at(name), OpenMode::ReadWrite)
            .expect("open")
    };
    let (moved, removed, replaced) = (open("moved"), open("removed"), open("replaced"));
    place.vfs.remove_file(&place.at("removed")).expect("remove");
    place
        .vfs
        .rename(&place.at("moved"), &place.at("replaced"))
        .expect("rename");
    for (file, expected) in [
        (moved, "moved"),
        (removed, "removed"),
        (replaced, "replaced"),
    ] {
        let mut buf = [0; 16];
        let count = file.read_at(&mut buf, 0).expect("still readable");
        assert_eq!(&buf[..count], expected.as_bytes());
        file.write_at(b"!", 0).expect("still writable");
        file.sync_data().expect("still syncable");
    }
    assert_eq!(place.names(""), ["replaced"]);
    assert_eq!(place.text("replaced"), "!oved");
}
