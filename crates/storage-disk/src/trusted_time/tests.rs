//! Clocks that go well, jump, come back and stay away.

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

fn check(last_seen_ms: Option<i64>, looks: &[(i64, u64, Verdict)]) {
    let mut time = TrustedTime::new(last_seen_ms);
    for (number, (wall_ms, minutes, expected)) in looks.iter().enumerate() {
        let verdict = time.look(*wall_ms, Duration::from_mins(*minutes));
        assert_eq!(verdict, *expected, "look {number}");
    }
}

fn after(minutes: i64) -> i64 {
    NOW_MS + minutes * 60_000
}

#[test]
fn a_clock_that_goes_well_is_believed() {
    check(
        Some(NOW_MS - HOUR_MS),
        &[
            (NOW_MS, 0, Verdict::Now(NOW_MS)),
            (after(10), 10, Verdict::Now(after(10))),
            (after(500), 500, Verdict::Now(after(500))),
        ],
    );
}

#[test]
fn a_jump_is_waited_out_and_said_once() {
    for jump_ms in [10 * YEAR_MS, -10 * YEAR_MS, 2 * HOUR_MS, -2 * HOUR_MS] {
        let jumped = |minutes: i64| after(minutes) + jump_ms;
        check(
            Some(NOW_MS),
            &[
                (NOW_MS, 0, Verdict::Now(NOW_MS)),
                (jumped(1), 1, Verdict::Jumped(Some(jump_ms))),
                (jumped(2), 2, Verdict::Waiting),
                (jumped(60), 60, Verdict::Waiting),
                // It stays there: it was the old time that was wrong.
                (jumped(61), 61, Verdict::Now(jumped(61))),
                (jumped(62), 62, Verdict::Now(jumped(62))),
            ],
        );
    }
}

#[test]
fn a_clock_that_comes_back_is_believed_at_once() {
    check(
        Some(NOW_MS),
        &[
            (NOW_MS, 0, Verdict::Now(NOW_MS)),
            (after(1) + YEAR_MS, 1, Verdict::Jumped(Some(YEAR_MS))),
            (after(2), 2, Verdict::Now(after(2))),
            (after(3) + YEAR_MS, 3, Verdict::Jumped(Some(YEAR_MS))),
            (
                after(50) + 2 * YEAR_MS,
                50,
                Verdict::Jumped(Some(2 * YEAR_MS)),
            ),
            (after(109) + 2 * YEAR_MS, 109, Verdict::Waiting),
        ],
    );
}

#[test]
fn a_small_correction_is_no_jump() {
    check(
        Some(NOW_MS),
        &[
            (NOW_MS, 0, Verdict::Now(NOW_MS)),
            (after(1) + HOUR_MS, 1, Verdict::Now(after(1) + HOUR_MS)),
            (
                after(2) + 2 * HOUR_MS,
                2,
                Verdict::Now(after(2) + 2 * HOUR_MS),
            ),
        ],
    );
}

#[test]
fn a_start_long_after_the_last_end_waits() {
    let week = 7 * 24 * HOUR_MS;
    check(Some(NOW_MS - week), &[(NOW_MS, 5, Verdict::Now(NOW_MS))]);
    check(Some(NOW_MS + YEAR_MS), &[(NOW_MS, 5, Verdict::Now(NOW_MS))]);
    let late = week + 1;
    check(
        Some(NOW_MS - late),
        &[
            (NOW_MS, 5, Verdict::Jumped(Some(late))),
            (after(59), 64, Verdict::Waiting),
            (after(60), 65, Verdict::Now(after(60))),
        ],
    );
    check(
        None,
        &[
            (NOW_MS, 0, Verdict::Jumped(None)),
            (after(60), 60, Verdict::Now(after(60))),
        ],
    );
}

/// The clock was wrong at the start, and is set right in the hour.
#[test]
fn a_wrong_clock_at_the_start_deletes_nothing_once_it_is_right() {
    let mut time = TrustedTime::new(Some(NOW_MS));
    let look = time.look(NOW_MS + 10 * YEAR_MS, Duration::ZERO);
    assert_eq!(look, Verdict::Jumped(Some(10 * YEAR_MS)));
    let look = time.look(after(30), Duration::from_mins(30));
    assert!(matches!(look, Verdict::Jumped(_)));
    let look = time.look(after(90), Duration::from_mins(90));
    assert_eq!(look, Verdict::Now(after(90)));
}
