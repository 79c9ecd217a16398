//! Versions of the table over replay and snapshots; the rest is in the common suite.

use bytes::Bytes;

use super::*;
use crate::metadata::Space;

fn key(name: &str) -> Key {
    Key::space(Space::Topic).part(name.as_bytes())
}

fn put(name: &str) -> Write {
    Write {
        key: key(name),
        value: Some(Bytes::from_static(b"value")),
    }
}

#[test]
fn a_refused_commit_changes_nothing() {
    let mut table = Table::new();
    let version = table.apply(&[], &[put("a")]).expect("no checks");
    let before = table.clone();
    let refused = table.apply(&[(key("a"), Version::ABSENT)], &[put("b")]);
    assert_eq!(refused, Err(CommitError::Conflict { key: key("a") }));
    assert_eq!((&table, table.version_of(&key("a"))), (&before, version));
}

#[test]
fn skipped_versions_are_not_given_out() {
    let mut table = Table::new();
    table.skip_versions(Version(40));
    assert_eq!(
        (table.last_version(), table.next_version()),
        (Version(40), Version(41))
    );
    table.skip_versions(Version(7));
    assert_eq!(table.apply(&[], &[put("a")]), Ok(Version(41)));
}

#[test]
fn a_table_loaded_from_its_rows_goes_on_above_them() {
    let mut table = Table::new();
    for name in ["a", "b", "c"] {
        table.apply(&[], &[put(name)]).expect("no checks");
    }
    let mut loaded = Table::new();
    for (key, row) in table.iter() {
        loaded.load(key.clone(), row.clone());
    }
    assert_eq!(loaded, table);
    assert_eq!((loaded.len(), loaded.is_empty()), (3, false));
    assert_eq!(loaded.next_version(), Version(4));
}

#[test]
#[should_panic(expected = "was given out before")]
fn a_replayed_version_must_rise() {
    let mut table = Table::new();
    table.write(Version(5), &[put("a")]);
    table.write(Version(5), &[put("b")]);
}

#[test]
#[should_panic(expected = "a row has a version")]
fn a_row_without_a_version_is_a_bug() {
    Table::new().load(
        key("a"),
        Versioned {
            value: Bytes::new(),
            version: Version::ABSENT,
        },
    );
}
