//! The table: rows, order, compare-and-set.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{Fixture, run};
use crate::metadata::{CommitError, Key, Metadata, Space, Version, Versioned, Write};

fn key(space: Space, parts: &[&str]) -> Key {
    parts
        .iter()
        .fold(Key::space(space), |key, part| key.part(part.as_bytes()))
}

fn topic(name: &str) -> Key {
    key(Space::Topic, &[name])
}

fn put(key: &Key, value: &str) -> Write {
    Write {
        key: key.clone(),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
    }
}

fn remove(key: &Key) -> Write {
    Write {
        key: key.clone(),
        value: None,
    }
}

async fn commit(table: &dyn Metadata, writes: &[Write]) -> Version {
    table
        .commit(&[], writes)
        .await
        .expect("a commit without checks has no conflict")
}

async fn get(table: &dyn Metadata, key: &Key) -> Option<Versioned> {
    table.get(key).await.expect("the table can be read")
}

async fn list(table: &dyn Metadata, prefix: &Key, after: Option<&Key>, limit: usize) -> Vec<Key> {
    let entries = table
        .list(prefix, after, limit)
        .await
        .expect("the table can be read");
    entries.into_iter().map(|entry| entry.key).collect()
}

/// A row has the value and the version of the commit that wrote it.
pub async fn what_was_committed_is_read(fixture: Fixture) {
    let table = &*fixture.metadata;
    assert_eq!(get(table, &topic("a")).await, None);
    let first = commit(table, &[put(&topic("a"), "1"), put(&topic("b"), "")]).await;
    let expected = |value: &'static str, version| {
        Some(Versioned {
            value: Bytes::from_static(value.as_bytes()),
            version,
        })
    };
    assert_eq!(get(table, &topic("a")).await, expected("1", first));
    assert_eq!(
        get(table, &topic("b")).await,
        expected("", first),
        "empty is not absent"
    );
    let second = commit(table, &[put(&topic("a"), "2")]).await;
    assert!(second > first);
    assert_eq!(get(table, &topic("a")).await, expected("2", second));
    assert_eq!(get(table, &topic("b")).await, expected("", first));
    let third = commit(table, &[put(&topic("a"), "3"), put(&topic("a"), "4")]).await;
    assert_eq!(
        get(table, &topic("a")).await,
        expected("4", third),
        "the later write counts"
    );
}

/// A removed key is as one that never was, but its versions are not used again.
pub async fn a_removed_key_is_absent(fixture: Fixture) {
    let (table, key) = (&*fixture.metadata, topic("a"));
    let first = commit(table, &[put(&key, "1")]).await;
    commit(table, &[remove(&key), remove(&topic("never there"))]).await;
    assert_eq!(get(table, &key).await, None);
    assert!(
        list(table, &Key::space(Space::Topic), None, 10)
            .await
            .is_empty()
    );
    let checks = [(key.clone(), Version::ABSENT)];
    let again = table
        .commit(&checks, &[put(&key, "2")])
        .await
        .expect("the key is absent");
    assert!(again > first);
    let stale = table
        .commit(&[(key.clone(), first)], &[put(&key, "3")])
        .await;
    assert_eq!(
        stale,
        Err(CommitError::Conflict { key }),
        "a recreated key is another state"
    );
}

/// A listing goes in the order of the keys, from behind `after`, no further than the prefix and
/// the limit.
pub async fn lists_are_ordered_and_bounded(fixture: Fixture) {
    let table = &*fixture.metadata;
    let keys: Vec<Key> = ["a", "c", "e", "g"].map(topic).into();
    let mut writes: Vec<Write> = keys.iter().rev().map(|key| put(key, "value")).collect();
    writes.push(put(&key(Space::Deletion, &["a"]), "value"));
    writes.push(put(&Key::space(Space::ProducerIds), "value"));
    commit(table, &writes).await;
    let all = Key::space(Space::Topic);
    let cases = [
        ("all", None, 10, &keys[..]),
        ("no room", None, 0, &[]),
        ("the first two", None, 2, &keys[..2]),
        ("after a row", Some(topic("c")), 10, &keys[2..]),
        ("after no row", Some(topic("d")), 1, &keys[2..3]),
        ("after the last", Some(topic("g")), 10, &[]),
        (
            "after the space before",
            Some(Key::from_bytes(Bytes::new())),
            10,
            &keys[..],
        ),
        (
            "after a later space",
            Some(Key::space(Space::Offset)),
            10,
            &[],
        ),
    ];
    for (label, after, limit, expected) in cases {
        assert_eq!(
            list(table, &all, after.as_ref(), limit).await,
            expected,
            "{label}"
        );
    }
    // A store may keep rows of its own under `Space::Node`.
    let root = Key::space(Space::ProducerIds);
    assert!(
        list(table, &root, Some(&root), 10).await.is_empty(),
        "after the prefix itself"
    );
    assert_eq!(
        list(table, &root, None, 10).await,
        [root],
        "a prefix lists itself"
    );
}

/// Ids that look like each other when joined stay apart, as keys and as prefixes.
pub async fn keys_do_not_imitate_each_other(fixture: Fixture) {
    let table = &*fixture.metadata;
    let parts: [&[&str]; 10] = [
        &["a", "b"],
        &["ab"],
        &["a"],
        &["a/b"],
        &["a", ""],
        &["", "a"],
        &["a\0b"],
        &["a", "b", ""],
        &[""],
        &["a\0\u{1}b"],
    ];
    let keys: Vec<Key> = parts
        .iter()
        .map(|parts| key(Space::Offset, parts))
        .collect();
    for (index, key) in keys.iter().enumerate() {
        commit(table, &[put(key, &index.to_string())]).await;
    }
    for (index, (key, parts)) in keys.iter().zip(parts).enumerate() {
        let row = get(table, key)
            .await
            .expect("every key has a row of its own");
        assert_eq!(row.value, index.to_string());
        let mut expected: Vec<Key> = keys
            .iter()
            .zip(parts_of(&keys))
            .filter(|(_, other)| begins(other, parts))
            .map(|(key, _)| key.clone())
            .collect();
        expected.sort();
        assert_eq!(
            list(table, key, None, 100).await,
            expected,
            "below {parts:?}"
        );
    }
}

fn parts_of(keys: &[Key]) -> Vec<Vec<Bytes>> {
    keys.iter()
        .map(|key| key.parts().expect("the key was made of parts"))
        .collect()
}

fn begins(parts: &[Bytes], with: &[&str]) -> bool {
    parts.len() >= with.len()
        && parts
            .iter()
            .zip(with)
            .all(|(part, with)| part == with.as_bytes())
}

/// A check holds for the version that was read and no other; the error names the key.
pub async fn a_changed_key_is_a_conflict(fixture: Fixture) {
    let table = &*fixture.metadata;
    let (a, b, absent) = (topic("a"), topic("b"), topic("absent"));
    let old = commit(table, &[put(&a, "1")]).await;
    let b_version = commit(table, &[put(&b, "1")]).await;
    let new = commit(table, &[put(&a, "2")]).await;
    let cases: [(&[(&Key, Version)], &Key); 6] = [
        (&[(&a, old)], &a),
        (&[(&a, Version::ABSENT)], &a),
        (&[(&a, Version(new.0 + 1))], &a),
        (&[(&absent, new)], &absent),
        (&[(&a, new), (&b, new)], &b),
        (
            &[(&absent, Version::ABSENT), (&a, b_version), (&b, old)],
            &a,
        ),
    ];
    for (checks, named) in cases {
        let owned: Vec<(Key, Version)> = checks
            .iter()
            .map(|(key, version)| ((*key).clone(), *version))
            .collect();
        let answer = table.commit(&owned, &[put(&a, "3")]).await;
        assert_eq!(
            answer,
            Err(CommitError::Conflict { key: named.clone() }),
            "{checks:?}"
        );
    }
    let good = [(a.clone(), new), (b, b_version), (absent, Version::ABSENT)];
    let version = table
        .commit(&good, &[put(&a, "3")])
        .await
        .expect("all checks hold");
    assert_eq!(get(table, &a).await.map(|row| row.version), Some(version));
}

/// When one check fails, no write happens.
pub async fn a_conflict_writes_nothing(fixture: Fixture) {
    let table = &*fixture.metadata;
    let (a, b, c) = (topic("a"), topic("b"), topic("c"));
    let version = commit(table, &[put(&a, "1"), put(&b, "1")]).await;
    let checks = [(a.clone(), version), (c.clone(), version)];
    let answer = table
        .commit(&checks, &[put(&a, "2"), remove(&b), put(&c, "2")])
        .await;
    assert_eq!(answer, Err(CommitError::Conflict { key: c.clone() }));
    for (key, expected) in [(&a, Some("1")), (&b, Some("1")), (&c, None)] {
        let row = get(table, key).await;
        let expected = expected.map(|value| Versioned {
            value: value.into(),
            version,
        });
        assert_eq!(row, expected, "{key:?}");
    }
}

/// Each commit has a version of its own, above all before it.
pub async fn versions_only_rise(fixture: Fixture) {
    let table = &*fixture.metadata;
    let mut newest = Version::ABSENT;
    for number in 0..50 {
        let key = topic(&format!("{}", number % 5));
        let write = if number % 3 == 2 {
            remove(&key)
        } else {
            put(&key, "value")
        };
        let version = commit(table, &[write]).await;
        assert!(version > newest, "{version:?} after {newest:?}");
        newest = version;
    }
}

/// Threads that count one number up with compare-and-set lose no count.
pub async fn concurrent_commits_lose_nothing(fixture: Fixture) {
    const THREADS: usize = 4;
    const COUNTS: usize = 25;
    let table: Arc<dyn Metadata> = fixture.metadata;
    let count_up = || {
        let (key, mut versions) = (topic("count"), Vec::new());
        while versions.len() < COUNTS {
            let row = run(table.get(&key)).expect("the table can be read");
            let version = row.as_ref().map_or(Version::ABSENT, |row| row.version);
            let count: usize = row.map_or(0, |row| {
                let text = std::str::from_utf8(&row.value).expect("a number as text");
                text.parse().expect("a number as text")
            });
            let write = put(&key, &(count + 1).to_string());
            match run(table.commit(&[(key.clone(), version)], &[write])) {
                Ok(version) => versions.push(version),
                Err(CommitError::Conflict { key: named }) => assert_eq!(named, key),
                Err(error) => unreachable!("{error}"),
            }
        }
        versions
    };
    let versions: Vec<Version> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(count_up)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let distinct: BTreeSet<Version> = versions.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        THREADS * COUNTS,
        "no version was given out twice"
    );
    let row = get(&*table, &topic("count"))
        .await
        .expect("the number is there");
    assert_eq!(row.value, (THREADS * COUNTS).to_string());
    assert_eq!(Some(&row.version), distinct.last());
}
