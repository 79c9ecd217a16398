//! Patterns, and the exit code of several outcomes.

use super::{Outcomes, matches};
use crate::failure::{Exit, Failure};

#[test]
fn patterns() {
    let cases = [
        ("orders", "orders", true),
        ("orders", "order", false),
        ("orders*", "orders", true),
        ("orders*", "orders-eu", true),
        ("*-eu", "orders-eu", true),
        ("*-eu", "orders-eu2", false),
        ("*d*s*", "orders", true),
        ("o?ders", "orders", true),
        ("o?ders", "oders", false),
        ("?", "", false),
        ("*", "", true),
        ("", "a", false),
        ("a.c", "abc", false),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn several_outcomes_have_one_exit_code() {
    let failed = |exit| Err(Failure::new(exit, "x"));
    type Case = (Vec<Result<(), Failure>>, Option<Exit>);
    let cases: Vec<Case> = vec![
        (vec![], None),
        (vec![Ok(()), Ok(())], None),
        (vec![failed(Exit::NotFound)], Some(Exit::NotFound)),
        (
            vec![failed(Exit::NotFound), failed(Exit::Error)],
            Some(Exit::NotFound),
        ),
        (
            vec![Ok(()), failed(Exit::NotFound)],
            Some(Exit::PartlyFailed),
        ),
    ];
    for (given, expected) in cases {
        let mut outcomes = Outcomes::of("topics");
        for outcome in given {
            outcomes.note(outcome).unwrap();
        }
        assert_eq!(
            outcomes.end("done").err().map(|failure| failure.exit),
            expected
        );
    }
    let mut outcomes = Outcomes::of("topics");
    assert!(
        outcomes.note(failed(Exit::Unreachable)).is_err(),
        "a broker that is gone ends it"
    );
}
