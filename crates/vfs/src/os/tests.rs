//! What only the real file system shows: links, pipes, the kernel's ids, descriptors.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

#[test]
fn uuids_are_parsed_strictly() {
    let parsed = parse_uuid("00112233-4455-6677-8899-aabbccddeeff");
    let expected = [
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
        0xff,
    ];
    assert_eq!(parsed, Some(expected));
    for wrong in [
        "",
        "00112233-4455-6677-8899-aabbccddeef",
        "g0112233445566778899aabbccddeeff",
    ] {
        assert_eq!(parse_uuid(wrong), None, "{wrong}");
    }
    assert_eq!(parse_uuid("00112233-4455-6677-8899-aabbccddeeff0"), None);
}

#[cfg(target_os = "linux")]
#[test]
fn boot_id_is_the_kernels_and_stays() {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux has it");
    let expected = parse_uuid(text.trim_end());
    assert_eq!(Some(RealVfs::new().boot_id()), expected);
    assert_eq!(Some(RealVfs::new().boot_id()), expected);
}

#[test]
fn links_are_not_followed_to_files() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (file, link) = (home.path().join("file"), home.path().join("link"));
    let vfs = RealVfs::new();
    vfs.open(&file, OpenMode::CreateNew).expect("a new file");
    symlink(&file, &link).expect("a link");

    for mode in [
        OpenMode::Read,
        OpenMode::ReadWrite,
        OpenMode::ReadWriteCreate,
    ] {
        let error = vfs.open(&link, mode).expect_err("a link is not ours");
        assert_eq!(
            error.raw_os_error(),
            Some(Errno::LOOP.raw_os_error()),
            "{mode:?}"
        );
    }
    assert_eq!(
        vfs.stat(&link).expect("stat").map(|stat| stat.kind),
        Some(EntryKind::Other)
    );
    let entries = vfs.read_dir(home.path()).expect("a listing");
    let kinds: Vec<EntryKind> = entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::File, EntryKind::Other]);
    assert!(vfs.lock(&link).is_err());
}

#[test]
fn a_linked_directory_can_be_read_and_synced_and_built_in() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (real, link) = (home.path().join("real"), home.path().join("link"));
    let vfs = RealVfs::new();
    vfs.create_dir(&real).expect("a directory");
    symlink(&real, &link).expect("a link");
    crate::create_dirs(&vfs, &link).expect("it is there already");
    crate::create_dirs(&vfs, &link.join("a/b")).expect("below the link");
    assert_eq!(vfs.read_dir(&link.join("a")).expect("a listing").len(), 1);
    vfs.sync_dir(&link).expect("a sync");

    let dangling = home.path().join("dangling");
    symlink(home.path().join("nowhere"), &dangling).expect("a link");
    assert!(crate::create_dirs(&vfs, &dangling).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_refused_and_does_not_hang() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let pipe = home.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, FILE_MODE, 0).expect("a pipe");
    let error = RealVfs::new()
        .open(&pipe, OpenMode::Read)
        .expect_err("not a file");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn others_cannot_read_what_is_made() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let vfs = RealVfs::new();
    let (file, directory) = (home.path().join("file"), home.path().join("directory"));
    vfs.open(&file, OpenMode::CreateNew).expect("a new file");
    vfs.create_dir(&directory).expect("a directory");
    for path in [file, directory] {
        let mode = std::fs::metadata(&path)
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o027, 0, "{path:?}: {mode:o}");
    }
}

#[test]
fn the_lock_names_this_process_and_ends_with_its_guard() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("lock");
    let vfs = RealVfs::new();
    let old = b"4194304999\nrest of an older, longer text\n";
    let file = vfs.open(&path, OpenMode::CreateNew).expect("a lock file");
    write_all_at(&*file, old, 0).expect("an older process's text");
    let held = vfs.lock(&path).expect("the first lock");
    let pid = std::process::id();
    assert_eq!(
        std::fs::read_to_string(&path).expect("text"),
        format!("{pid}\n")
    );

    let error = vfs.lock(&path).expect_err("held");
    assert!(matches!(error, LockError::Held { owner_pid: Some(owner) } if owner == pid));
    assert_eq!(error.to_string(), format!("held by process {pid}"));
    let error = RealVfs::new()
        .lock(&path)
        .expect_err("held for another instance too");
    assert!(matches!(error, LockError::Held { .. }));

    drop(held);
    vfs.lock(&path).expect("free again");
}

#[test]
fn a_descriptor_is_handed_out_for_the_same_file() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("file");
    let file = RealVfs::new()
        .open(&path, OpenMode::CreateNew)
        .expect("a new file");
    let seen = rustix::fs::fstat(file.descriptor().expect("a real file has one")).expect("fstat");
    let expected = std::fs::metadata(&path).expect("metadata");
    assert_eq!((seen.st_dev, seen.st_ino), (expected.dev(), expected.ino()));
}

#[cfg(target_os = "linux")]
#[test]
fn fresh_bytes_are_read_from_memory() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let file = RealVfs::new()
        .open(&home.path().join("file"), OpenMode::CreateNew)
        .expect("a new file");
    write_all_at(&*file, b"0123456789", 0).expect("a write");
    let mut buf = [0; 4];
    // Not every file system supports it (None), but one that does must tell the truth.
    match file.read_cached_at(&mut buf, 3).expect("no error") {
        Some(count) => assert_eq!(&buf[..count], &b"3456"[..count]),
        None => assert_eq!(buf, [0; 4]),
    }
    assert!(matches!(
        file.read_cached_at(&mut buf, 10),
        Ok(Some(0) | None)
    ));
}

#[cfg(target_os = "linux")]
#[test]
fn a_passing_read_leaves_memory_as_it_was() {
    use rustix::fs::{Advice, fadvise};

    const BYTES: usize = 256 * 1024;
    let home = tempfile::tempdir().expect("a temporary directory");
    let file = RealVfs::new()
        .open(&home.path().join("file"), OpenMode::CreateNew)
        .expect("a new file");
    let bytes: Vec<u8> = (0..BYTES)
        .map(|at| u8::try_from(at % 251).expect("small"))
        .collect();
    write_all_at(&*file, &bytes, 0).expect("a write");
    file.sync_data().expect("a sync");
    let mut buf = vec![0; BYTES];
    assert_eq!(
        file.read_passing_at(&mut buf, 0).expect("a read"),
        BYTES,
        "what is in memory"
    );
    assert!(buf == bytes);
    assert_eq!(
        file.read_passing_at(&mut buf, BYTES as u64)
            .expect("the end"),
        0
    );
    let descriptor = file.descriptor().expect("a real file has one");
    fadvise(descriptor, 0, None, Advice::DontNeed).expect("a hint");
    // Asked of one page only, because the question has it read. A file system in memory has it.
    let page = &mut [0; 4096];
    let last = (BYTES - page.len()) as u64;
    let is_on_disk = file.read_cached_at(page, last).expect("no error").is_none();
    let mut byte = [0];
    let slices = &mut [rustix::io::IoSliceMut::new(&mut byte)];
    let flags = rustix::io::ReadWriteFlags::from_bits_retain(0x80);
    // Not before Linux 6.14, and not on every file system.
    let is_known = rustix::io::preadv2(descriptor, slices, last, flags).is_ok();
    if is_on_disk && is_known {
        let half = &mut buf[..BYTES / 2];
        half.fill(0);
        assert_eq!(file.read_passing_at(half, 0).expect("a read"), BYTES / 2);
        assert!(*half == bytes[..BYTES / 2]);
        let cached = file.read_cached_at(page, 8192).expect("no error");
        assert_eq!(cached, None, "what was read in passing is not kept");
    }
}
