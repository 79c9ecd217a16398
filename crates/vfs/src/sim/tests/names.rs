//! Power cuts and names: what a directory sync promises, and what nothing promises.

use std::collections::BTreeSet;

use super::*;
use crate::rename_durable;

fn names_after(vfs: &SimVfs, policy: &CutPolicy) -> Vec<String> {
    let copy = vfs.fork();
    copy.power_cut_with(policy);
    tree(&copy, "/")
}

fn tree(vfs: &SimVfs, directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in vfs.read_dir(Path::new(directory)).expect("a listing") {
        let path = format!("{}/{}", directory.trim_end_matches('/'), entry.name);
        if entry.kind == crate::EntryKind::Directory {
            found.extend(tree(vfs, &path));
        }
        found.push(path);
    }
    found
}

fn outcomes(vfs: &SimVfs) -> BTreeSet<Vec<String>> {
    (0..2_000)
        .map(|seed| names_after(vfs, &CutPolicy::Seed(seed)))
        .collect()
}

fn set(trees: &[&[&str]]) -> BTreeSet<Vec<String>> {
    trees
        .iter()
        .map(|tree| tree.iter().map(ToString::to_string).collect())
        .collect()
}

#[test]
fn a_synced_file_needs_its_directory_synced_too_except_under_a_journal() {
    for (names, survives) in [
        (NameRule::EachDirectory, false),
        (NameRule::JournalOrder, true),
    ] {
        let vfs = disk(names);
        let file = create(&vfs, "/log");
        file.write_at(b"1", 0).expect("a write");
        file.sync_data().expect("a sync");
        assert_eq!(
            names_after(&vfs, &CutPolicy::DropAll) == ["/log"],
            survives,
            "{names:?}"
        );
        vfs.sync_dir(Path::new("/")).expect("a directory sync");
        assert_eq!(names_after(&vfs, &CutPolicy::DropAll), ["/log"]);
    }
}

#[test]
fn a_durable_name_does_not_bring_its_bytes() {
    for names in RULES {
        let vfs = disk(names);
        create(&vfs, "/log").write_at(b"1", 0).expect("a write");
        vfs.sync_dir(Path::new("/")).expect("a directory sync");
        vfs.power_cut_with(&CutPolicy::DropAll);
        assert_eq!(bytes_of(&vfs, "/log").as_deref(), Some(&b""[..]));
    }
}

#[test]
fn a_directory_sync_reaches_neither_parents_nor_children() {
    let vfs = SimVfs::new();
    vfs.create_dir(Path::new("/a")).expect("a directory");
    vfs.create_dir(Path::new("/a/b")).expect("a directory");
    create(&vfs, "/a/b/log");
    vfs.sync_dir(Path::new("/a/b")).expect("a directory sync");
    assert_eq!(names_after(&vfs, &CutPolicy::DropAll), [""; 0]);
    vfs.sync_dir(Path::new("/")).expect("a directory sync");
    assert_eq!(names_after(&vfs, &CutPolicy::DropAll), ["/a"]);
    vfs.sync_dir(Path::new("/a")).expect("a directory sync");
    assert_eq!(
        names_after(&vfs, &CutPolicy::DropAll),
        ["/a/b/log", "/a/b", "/a"]
    );
}

#[test]
fn unsynced_names_come_in_any_order_or_in_the_journals() {
    for (names, expected) in [
        (
            NameRule::EachDirectory,
            set(&[&[], &["/a"], &["/b"], &["/a", "/b"]]),
        ),
        (NameRule::JournalOrder, set(&[&[], &["/a"], &["/a", "/b"]])),
    ] {
        let vfs = disk(names);
        create(&vfs, "/a");
        create(&vfs, "/b");
        assert_eq!(outcomes(&vfs), expected, "{names:?}");
        let ordered = usize::from(names == NameRule::JournalOrder);
        assert_eq!(names_after(&vfs, &CutPolicy::KeepOne(1)).len(), 1 + ordered);
        assert_eq!(names_after(&vfs, &CutPolicy::DropOne(0)).len(), 1 - ordered);
    }
}

#[test]
fn a_journal_takes_all_names_along_with_any_directory() {
    for (names, expected) in [
        (NameRule::EachDirectory, &[][..]),
        (NameRule::JournalOrder, &["/log", "/other"][..]),
    ] {
        let vfs = disk(names);
        vfs.create_dir(Path::new("/other")).expect("a directory");
        create(&vfs, "/log");
        vfs.sync_dir(Path::new("/other")).expect("a directory sync");
        assert_eq!(
            names_after(&vfs, &CutPolicy::DropAll),
            expected,
            "{names:?}"
        );
    }
}

#[test]
fn a_removed_name_may_come_back_until_the_sync() {
    let vfs = SimVfs::new();
    drop(plant(&vfs, "/log", b"1"));
    vfs.remove_file(Path::new("/log")).expect("removed");
    assert_eq!(outcomes(&vfs), set(&[&[], &["/log"]]));
    vfs.sync_dir(Path::new("/")).expect("a directory sync");
    assert_eq!(outcomes(&vfs), set(&[&[]]));

    vfs.create_dir(Path::new("/empty")).expect("a directory");
    vfs.sync_dir(Path::new("/")).expect("a directory sync");
    vfs.remove_dir(Path::new("/empty")).expect("removed");
    assert_eq!(outcomes(&vfs), set(&[&[], &["/empty"]]));
}

#[test]
fn a_replacing_rename_shows_the_old_file_or_the_new_one() {
    for names in RULES {
        let vfs = disk(names);
        drop(plant(&vfs, "/target", b"old"));
        drop(plant(&vfs, "/source", b"new"));
        vfs.rename(Path::new("/source"), Path::new("/target"))
            .expect("rename");
        assert_eq!(vfs.pending_items(), 1);
        let found: BTreeSet<_> = (0..100)
            .map(|seed| {
                let copy = vfs.fork();
                copy.power_cut(seed);
                (
                    bytes_of(&copy, "/target").expect("never neither"),
                    bytes_of(&copy, "/source"),
                )
            })
            .collect();
        let (old, new) = (b"old".to_vec(), b"new".to_vec());
        assert_eq!(
            found,
            BTreeSet::from([(old, Some(new.clone())), (new, None)])
        );
    }
}

#[test]
fn a_rename_without_a_sync_of_the_bytes_can_leave_an_empty_file() {
    let vfs = SimVfs::new();
    drop(plant(&vfs, "/target", b"old"));
    create(&vfs, "/target.tmp")
        .write_at(b"new", 0)
        .expect("a write");
    vfs.rename(Path::new("/target.tmp"), Path::new("/target"))
        .expect("rename");
    vfs.sync_dir(Path::new("/")).expect("a directory sync");
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(bytes_of(&vfs, "/target").as_deref(), Some(&b""[..]));
}

fn two_directories() -> SimVfs {
    let vfs = SimVfs::new();
    vfs.create_dir(Path::new("/a")).expect("a directory");
    vfs.create_dir(Path::new("/b")).expect("a directory");
    vfs.sync_dir(Path::new("/")).expect("a directory sync");
    drop(plant(&vfs, "/a/log", b"1"));
    vfs
}

#[test]
fn a_rename_between_directories_is_one_change_and_needs_both_synced() {
    let vfs = two_directories();
    vfs.rename(Path::new("/a/log"), Path::new("/b/log"))
        .expect("rename");
    let (old, new) = (["/a/log", "/a", "/b"], ["/a", "/b/log", "/b"]);
    assert_eq!(
        outcomes(&vfs),
        set(&[&old, &new]),
        "never both, never neither"
    );

    for (first, second) in [("/a", "/b"), ("/b", "/a")] {
        let copy = vfs.fork();
        copy.sync_dir(Path::new(first)).expect("a directory sync");
        assert_eq!(outcomes(&copy), set(&[&old, &new]), "{first} alone");
        copy.sync_dir(Path::new(second)).expect("a directory sync");
        assert_eq!(outcomes(&copy), set(&[&new]));
    }
    let vfs = two_directories();
    rename_durable(&vfs, Path::new("/a/log"), Path::new("/b/log")).expect("rename");
    assert_eq!(outcomes(&vfs), set(&[&new]));
}

#[test]
fn what_follows_a_rename_takes_it_along() {
    // The second change of /b/log is synced: the rename that came before it must be on the disk.
    let vfs = two_directories();
    vfs.rename(Path::new("/a/log"), Path::new("/b/log"))
        .expect("rename");
    vfs.remove_file(Path::new("/b/log")).expect("removed");
    vfs.sync_dir(Path::new("/b")).expect("a directory sync");
    assert_eq!(outcomes(&vfs), set(&[&["/a", "/b"]]));

    // The freed source name is used again.
    let vfs = two_directories();
    vfs.rename(Path::new("/a/log"), Path::new("/b/log"))
        .expect("rename");
    create(&vfs, "/a/log");
    create(&vfs, "/b/unrelated");
    vfs.sync_dir(Path::new("/a")).expect("a directory sync");
    assert_eq!(
        outcomes(&vfs),
        set(&[
            &["/a/log", "/a", "/b/log", "/b"],
            &["/a/log", "/a", "/b/log", "/b/unrelated", "/b"]
        ])
    );
}

#[test]
fn changes_of_one_name_keep_their_order_over_a_cut() {
    let vfs = SimVfs::new();
    create(&vfs, "/a");
    vfs.rename(Path::new("/a"), Path::new("/b"))
        .expect("rename");
    vfs.rename(Path::new("/b"), Path::new("/c"))
        .expect("rename");
    assert_eq!(
        outcomes(&vfs),
        set(&[&[], &["/a"], &["/b"], &["/c"]]),
        "one name at a time"
    );
    assert_eq!(names_after(&vfs, &CutPolicy::KeepOne(2)), ["/c"]);
    assert_eq!(names_after(&vfs, &CutPolicy::DropOne(1)), ["/a"]);
}

#[test]
fn a_moved_directory_takes_its_content_along() {
    let vfs = two_directories();
    rename_durable(&vfs, Path::new("/a"), Path::new("/b/a")).expect("rename");
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(tree(&vfs, "/"), ["/b/a/log", "/b/a", "/b"]);
    assert_eq!(bytes_of(&vfs, "/b/a/log").as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_failed_directory_sync_loses_its_names_for_good() {
    let vfs = SimVfs::new();
    create(&vfs, "/log").sync_data().expect("a sync");
    vfs.inject(Fault::fail(Operation::SyncDir, DiskError::Io).nth(1));
    assert_eq!(errno(vfs.sync_dir(Path::new("/"))), EIO);
    vfs.sync_dir(Path::new("/"))
        .expect("the second one claims success");
    assert_eq!(tree(&vfs, "/"), ["/log"], "still visible");
    vfs.power_cut_with(&CutPolicy::KeepAll);
    assert_eq!(tree(&vfs, "/"), [""; 0]);
}

#[test]
fn a_name_that_outlived_a_failed_sync_is_not_doubled() {
    let vfs = SimVfs::new();
    drop(plant(&vfs, "/a", b"1"));
    vfs.rename(Path::new("/a"), Path::new("/b"))
        .expect("rename");
    vfs.inject(Fault::fail(Operation::SyncDir, DiskError::Io).nth(1));
    assert_eq!(errno(vfs.sync_dir(Path::new("/"))), EIO);
    vfs.rename(Path::new("/b"), Path::new("/c"))
        .expect("rename");
    assert_eq!(outcomes(&vfs), set(&[&["/a"], &["/c"]]));
}

#[test]
fn removed_files_are_swept_and_open_ones_are_not() {
    let vfs = SimVfs::new();
    let open = create(&vfs, "/open");
    open.write_at(b"open", 0).expect("a write");
    vfs.remove_file(Path::new("/open")).expect("removed");
    for _ in 0..1_000 {
        create(&vfs, "/short-lived");
        vfs.remove_file(Path::new("/short-lived")).expect("removed");
        vfs.sync_dir(Path::new("/")).expect("a directory sync");
    }
    assert!(
        vfs.shared.look().disk.nodes.len() < 150,
        "nodes are not kept for ever"
    );
    let mut buf = [0; 4];
    assert_eq!(open.read_at(&mut buf, 0).expect("still open"), 4);
    assert_eq!(&buf, b"open");
}

#[test]
fn a_pending_removal_keeps_the_file_for_the_cut() {
    let vfs = SimVfs::new();
    vfs.create_dir(Path::new("/other")).expect("a directory");
    vfs.sync_dir(Path::new("/")).expect("a directory sync");
    drop(plant(&vfs, "/kept", b"kept"));
    vfs.remove_file(Path::new("/kept"))
        .expect("removed, not synced");
    for _ in 0..1_000 {
        create(&vfs, "/other/short-lived");
        vfs.remove_file(Path::new("/other/short-lived"))
            .expect("removed");
        vfs.sync_dir(Path::new("/other")).expect("a directory sync");
    }
    vfs.power_cut_with(&CutPolicy::DropAll);
    assert_eq!(bytes_of(&vfs, "/kept").as_deref(), Some(&b"kept"[..]));
}
