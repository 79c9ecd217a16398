//! Every kind of fault is found, and nothing is found in a good history.

use super::super::producers::{Acknowledged, parse};
use super::{Verdict, judge};

/// `acks` are lines `partition offset sequence` of producer `a`.
fn judged(acks: &[&str], found: &[&str]) -> Verdict {
    let acks: Vec<Acknowledged> = acks
        .iter()
        .map(|line| parse(line).expect("a good line"))
        .collect();
    judge(&[("a", acks)], &found.join("\n")).expect("good lines")
}

#[test]
fn a_good_history_has_no_fault() {
    let verdict = judged(
        &["0 0 0", "0 2 1", "1 0 0", "0 -1 2"],
        &[
            "0 0 a 0", "0 1 b 0", "0 2 a 1", "0 3 a 2", "1 0 a 0", "0 4 a 3",
        ],
    );
    assert_eq!(verdict.outcome(), Ok(()));
    assert_eq!((verdict.read, verdict.without_offset), (6, 1));
    assert_eq!(verdict.acknowledged.get("a"), Some(&4));
}

#[test]
fn every_fault_is_found() {
    /// Faults: lost, moved, doubled, out of order, skipped.
    type Case = (
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
        [usize; 5],
    );
    let cases: [Case; 6] = [
        (
            "lost at the end",
            &["0 0 0", "0 1 1"],
            &["0 0 a 0"],
            [1, 0, 0, 0, 0],
        ),
        (
            "lost in the middle",
            &["0 0 0", "0 1 1", "0 2 2"],
            &["0 0 a 0", "0 2 a 2"],
            [1, 0, 0, 0, 1],
        ),
        ("moved", &["0 0 0"], &["0 5 a 0"], [0, 1, 0, 0, 0]),
        (
            "another partition",
            &["0 0 0"],
            &["1 0 a 0"],
            [1, 0, 0, 0, 0],
        ),
        (
            "doubled",
            &["0 0 0"],
            &["0 0 a 0", "0 1 a 0"],
            [0, 0, 1, 0, 0],
        ),
        (
            "out of order",
            &[],
            &["0 0 a 1", "0 1 a 0"],
            [0, 0, 0, 1, 0],
        ),
    ];
    for (name, acks, found, faults) in cases {
        let verdict = judged(acks, found);
        let got = [
            verdict.lost,
            verdict.moved,
            verdict.doubled,
            verdict.out_of_order,
            verdict.skipped,
        ];
        assert_eq!(got, faults, "{name}");
        assert!(verdict.outcome().is_err(), "{name}");
    }
}

#[test]
fn what_is_not_ours_is_an_error() {
    for line in ["", "0 0 a", "0 0 a 1 2", "x 0 a 1", "0 0 a -1"] {
        assert!(judge(&[], &format!("{line}\n")).is_err(), "'{line}'");
    }
    assert!(parse("1 2").is_err());
    assert!(parse("-1 2 3").is_err());
}
