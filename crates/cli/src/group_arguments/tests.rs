//! Words and what they mean.

use std::time::Duration;

use super::{LagLimit, Place, To};

#[test]
fn a_reset_goes_to_a_place_a_time_or_a_distance() {
    let cases = [
        ("start", Some(To::Start)),
        ("end", Some(To::End)),
        ("42", Some(To::Offset(42))),
        ("+3", Some(To::Shift(3))),
        ("-3", Some(To::Shift(-3))),
        ("-5m", Some(To::Ago(Duration::from_mins(5)))),
        ("@1700000000000", Some(To::Time(1_700_000_000_000))),
        ("+-3", None),
        ("+", None),
        ("", None),
        ("soon", None),
        ("@soon", None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<To>().ok(), expected, "{text:?}");
    }
}

#[test]
fn a_place_is_a_topic_or_a_partition_of_it() {
    let place = |topic: &str, partition| Place {
        topic: topic.to_owned(),
        partition,
    };
    let cases = [
        ("orders", Some(place("orders", None))),
        ("orders:3", Some(place("orders", Some(3)))),
        ("orders:", None),
        ("orders:-1", None),
        ("orders:x", None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Place>().ok(), expected, "{text:?}");
    }
}

#[test]
fn a_limit_is_a_number_or_an_age() {
    let cases = [
        ("0", Some(LagLimit::Records(0))),
        ("1000", Some(LagLimit::Records(1000))),
        ("30s", Some(LagLimit::Age(Duration::from_secs(30)))),
        ("-1", None),
        ("much", None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<LagLimit>().ok(), expected, "{text:?}");
    }
}
