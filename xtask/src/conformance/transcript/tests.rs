//! Every kind of difference is found, and equal transcripts have none.

use super::{differences, section};

const RECORDED: &str = "# one\na -> 1\nread -> x\nread -> y\n# two\na -> 2\n";

#[test]
fn kinds_of_difference() {
    for (got, found) in [
        (RECORDED, vec![]),
        (
            "# one\na -> 9\nread -> x\nread -> y\n# two\na -> 2\n",
            vec!["different  one: a"],
        ),
        (
            "# one\na -> 1\nread -> x\n# two\na -> 2\n",
            vec!["missing    one: read (2)"],
        ),
        (
            "# one\na -> 1\nread -> x\nread -> y\n# two\na -> 2\nb -> 3\n",
            vec!["unexpected two: b"],
        ),
        (
            "# one\nread -> x\na -> 1\nread -> y\n# two\na -> 2\n",
            vec!["the same lines in another"],
        ),
        (
            "",
            vec![
                "missing", "missing", "missing", "missing", "missing", "missing",
            ],
        ),
    ] {
        let all = differences(RECORDED, got);
        assert_eq!(all.len(), found.len(), "{got:?}: {all:?}");
        for (difference, start) in all.iter().zip(found) {
            assert!(difference.starts_with(start), "{difference}");
        }
    }
}

#[test]
fn a_long_line_is_shown_where_it_differs() {
    let same = "x".repeat(500);
    let shown = &differences(&format!("a -> {same}1"), &format!("a -> {same}2"))[0];
    assert!(
        shown.lines().all(|line| line.chars().count() < 260),
        "{shown}"
    );
    assert!(shown.contains("x1\n") && shown.ends_with("x2"), "{shown}");
}

#[test]
fn one_section() {
    assert_eq!(section(RECORDED, "two"), "# two\na -> 2\n");
    assert_eq!(section(RECORDED, "three"), "");
}
