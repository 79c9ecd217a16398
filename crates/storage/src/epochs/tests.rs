//! The history of leader epochs: questions, cuts at both ends, Kafka's text.

use super::*;

fn history(starts: &[(i32, i64)]) -> LeaderEpochs {
    let mut epochs = LeaderEpochs::new();
    for &(epoch, start) in starts {
        assert!(epochs.on_append(epoch, Offset::new(start)));
    }
    epochs
}

fn starts(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
    epochs
        .starts()
        .iter()
        .map(|known| (known.epoch, known.start.get()))
        .collect()
}

/// Label, history, epoch asked for, answer.
type Question<'a> = (&'a str, &'a [(i32, i64)], i32, Option<(i32, i64)>);

#[test]
fn the_end_of_an_epoch() {
    let cases: &[Question<'_>] = &[
        ("nobody has led", &[], 0, None),
        ("no epoch is meant", &[(2, 0)], -1, None),
        ("current", &[(2, 0), (5, 10)], 5, Some((5, 100))),
        ("above the newest", &[(2, 0), (5, 10)], 6, None),
        ("known", &[(2, 0), (5, 10)], 2, Some((2, 10))),
        ("between two", &[(2, 0), (5, 10)], 4, Some((2, 10))),
        ("below the first", &[(2, 0), (5, 10)], 1, Some((1, 0))),
        (
            "below the first, log cut",
            &[(2, 40), (5, 50)],
            1,
            Some((1, 40)),
        ),
        (
            "in the middle of three",
            &[(0, 0), (1, 7), (9, 30)],
            3,
            Some((1, 30)),
        ),
    ];
    for (label, known, asked, expected) in cases {
        let found = history(known).end_of(*asked, Offset::new(100), Offset::ZERO);
        let found = found.map(|end| (end.leader_epoch, end.end.get()));
        assert_eq!(found, *expected, "{label}");
    }
}

#[test]
fn an_end_is_never_below_the_log_start() {
    let epochs = history(&[(2, 3), (5, 10), (7, 20)]);
    let end_of = |asked| epochs.end_of(asked, Offset::new(100), Offset::new(12));
    let end = |leader_epoch, end| {
        Some(EpochEnd {
            leader_epoch,
            end: Offset::new(end),
        })
    };
    assert_eq!(end_of(1), end(1, 12));
    assert_eq!(end_of(2), end(2, 12));
    assert_eq!(end_of(5), end(5, 20));
}

#[test]
fn only_a_new_epoch_changes_the_history() {
    let mut epochs = history(&[(2, 0)]);
    assert_eq!(epochs.latest(), Some(2));
    for (epoch, offset) in [(2, 5), (1, 6), (-1, 7), (0, 8)] {
        assert!(!epochs.on_append(epoch, Offset::new(offset)), "{epoch}");
    }
    assert_eq!(starts(&epochs), [(2, 0)]);
    assert!(epochs.on_append(3, Offset::new(9)));
    assert_eq!(
        (starts(&epochs), epochs.latest()),
        (vec![(2, 0), (3, 9)], Some(3))
    );
}

#[test]
fn an_epoch_that_wrote_nothing_leaves_no_trace() {
    let mut epochs = history(&[(1, 0), (2, 10), (3, 10), (4, 10)]);
    assert_eq!(starts(&epochs), [(1, 0), (4, 10)]);
    // Even if the log was cut between.
    assert!(epochs.on_append(5, Offset::ZERO));
    assert_eq!(starts(&epochs), [(5, 0)]);
}

#[test]
fn cuts_at_the_end() {
    let all = [(1, 0), (2, 10), (3, 20)];
    for (end, left) in [(100, 3), (21, 3), (20, 2), (11, 2), (10, 1), (1, 1), (0, 0)] {
        let mut epochs = history(&all);
        epochs.truncate_to(Offset::new(end));
        assert_eq!(starts(&epochs), &all[..left], "cut at {end}");
    }
}

#[test]
fn cuts_at_the_start() {
    let cases: [(i64, &[(i32, i64)]); 6] = [
        (0, &[(1, 5), (2, 10), (3, 20)]),
        (5, &[(1, 5), (2, 10), (3, 20)]),
        (7, &[(1, 7), (2, 10), (3, 20)]),
        (10, &[(2, 10), (3, 20)]),
        (19, &[(2, 19), (3, 20)]),
        (50, &[(3, 50)]),
    ];
    for (log_start, expected) in cases {
        let mut epochs = history(&[(1, 5), (2, 10), (3, 20)]);
        epochs.truncate_from_start(Offset::new(log_start));
        assert_eq!(starts(&epochs), expected, "log starts at {log_start}");
    }
    let mut nobody = LeaderEpochs::new();
    nobody.truncate_from_start(Offset::new(5));
    assert_eq!(nobody, LeaderEpochs::new());
}

#[test]
fn text_is_kafkas() {
    let cases: [(&[(i32, i64)], &str); 3] = [
        (&[], "0\n0\n"),
        (&[(0, 0)], "0\n1\n0 0\n"),
        (
            &[(3, 0), (7, 1_234_567_890_123)],
            "0\n2\n3 0\n7 1234567890123\n",
        ),
    ];
    for (known, text) in cases {
        assert_eq!(history(known).encode(), text);
        assert_eq!(LeaderEpochs::decode(text), Ok(history(known)), "{text:?}");
    }
    // Without the newline at the end, and from a machine that ends lines otherwise.
    assert_eq!(LeaderEpochs::decode("0\n1\n4 9"), Ok(history(&[(4, 9)])));
    assert_eq!(
        LeaderEpochs::decode("0\r\n1\r\n4 9\r\n"),
        Ok(history(&[(4, 9)]))
    );
}

#[test]
fn other_texts_are_refused() {
    let line = |line, got: &str, expected| EpochTextError::Line {
        line,
        got: got.to_owned(),
        expected,
    };
    let entry = "an epoch and its start";
    let cases = [
        ("", EpochTextError::Missing { line: 1 }),
        ("0", EpochTextError::Missing { line: 2 }),
        (
            "1\n0\n",
            EpochTextError::Version {
                got: "1".to_owned(),
            },
        ),
        ("0\n-1\n", line(2, "-1", "a count")),
        ("0\nmany\n", line(2, "many", "a count")),
        ("0\n2\n0 0\n", EpochTextError::Missing { line: 4 }),
        (
            "0\n18446744073709551615\n0 0\n",
            EpochTextError::Missing { line: 4 },
        ),
        (
            "0\n1\n0 0\n1 1\n",
            EpochTextError::TooLong { line: 4, count: 1 },
        ),
        ("0\n1\n0\n", line(3, "0", entry)),
        ("0\n1\n0 0 0\n", line(3, "0 0 0", entry)),
        ("0\n1\n-1 0\n", line(3, "-1 0", entry)),
        ("0\n1\n0 -1\n", line(3, "0 -1", entry)),
        ("0\n1\n4294967296 0\n", line(3, "4294967296 0", entry)),
        ("0\n2\n1 0\n1 5\n", EpochTextError::Order { line: 4 }),
        ("0\n2\n1 5\n2 5\n", EpochTextError::Order { line: 4 }),
        ("0\n2\n2 0\n1 5\n", EpochTextError::Order { line: 4 }),
    ];
    for (text, expected) in cases {
        assert_eq!(LeaderEpochs::decode(text), Err(expected), "{text:?}");
    }
}
