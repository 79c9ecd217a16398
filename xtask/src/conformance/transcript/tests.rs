//! Every kind of difference is found, and equal transcripts have none.

use super::{differences, section};

const RECORDED: &str = "# one\na -> 1\nread -> x\nread -> y\n# two\na v2-4 -> 2\n";

fn check(got: &str, expected: &[&str]) {
    let all = differences(RECORDED, got);
    assert_eq!(all, expected, "for {got:?}");
}

#[test]
fn kinds_of_difference() {
    check(RECORDED, &[]);
    check(
        "# one\na -> 1\nread -> x\nread -> y\n# two\na v2-3 -> 2\na v4 -> 2\n",
        &[],
    );
    check(
        "# one\na -> 9\nread -> x\nread -> y\n# two\na v2-4 -> 2\n",
        &["one: a\n  expected   1\n  got        9"],
    );
    check(
        "# one\na -> 1\nread -> x\n# two\na v2-4 -> 2\n",
        &["one: read (2)\n  missing    y"],
    );
    check(
        "# one\na -> 1\nread -> x\nread -> y\n# two\na v2-4 -> 2\nb -> 3\n",
        &["two: b\n  unexpected 3"],
    );
    check(
        "# one\nread -> x\na -> 1\nread -> y\n# two\na v2-4 -> 2\n",
        &["the same lines in another order"],
    );
    assert_eq!(
        differences(RECORDED, "").len(),
        6,
        "nothing at all is not equal"
    );
}

#[test]
fn versions_share_one_sentence() {
    check(
        "# one\na -> 1\nread -> x\nread -> y\n# two\na v2 -> 2\na v3-5 -> 7\n",
        &[
            "two: a v3 v4\n  expected   2\n  got        7",
            "two: a v5\n  unexpected 7",
        ],
    );
}

#[test]
fn two_questions_do_not_share_a_sentence() {
    let all = differences("a v1 -> 1\nb v1 -> 1\n", "a v1 -> 2\nb v1 -> 2\n");
    assert_eq!(all.len(), 2, "{all:?}");
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
    assert_eq!(section(RECORDED, "two"), "# two\na v2-4 -> 2\n");
    assert_eq!(section(RECORDED, "three"), "");
}
