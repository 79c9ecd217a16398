//! Every form of a time, and what is none.

use std::time::Duration;

use super::{From, parse_duration};

#[test]
fn where_to_begin() {
    let hour = Duration::from_hours(1);
    let cases = [
        ("start", Some(From::Start)),
        ("end", Some(From::End)),
        ("0", Some(From::Offset(0))),
        ("9223372036854775807", Some(From::Offset(i64::MAX))),
        ("-5", Some(From::Last(5))),
        ("-1h", Some(From::Ago(hour))),
        ("-60m", Some(From::Ago(hour))),
        ("@1700000000000", Some(From::Time(1_700_000_000_000))),
        ("@1970-01-01", Some(From::Time(0))),
        ("@1969-12-31T23:59:59.999Z", Some(From::Time(-1))),
        ("@2024-02-29T12:30", Some(From::Time(1_709_209_800_000))),
        ("@2024-02-29 12:30", Some(From::Time(1_709_209_800_000))),
        (
            "@2000-03-01T00:00:01.250Z",
            Some(From::Time(951_868_801_250)),
        ),
        (
            "@2030-01-31T10:00+01:00",
            Some(From::Time(1_896_080_400_000)),
        ),
        (
            "@2030-01-31T08:00-01:00",
            Some(From::Time(1_896_080_400_000)),
        ),
        (
            "@9999-12-31T23:59:59Z",
            Some(From::Time(253_402_300_799_000)),
        ),
        ("", None),
        ("begin", None),
        ("-", None),
        ("--5", None),
        ("-1w", None),
        ("+5", None),
        ("1.5", None),
        ("9223372036854775808", None),
        ("@", None),
        ("@tomorrow", None),
        ("@2023-02-29", None),
        ("@1900-02-29", None),
        ("@2030-13-01", None),
        ("@2030-00-01", None),
        ("@2030-01-00", None),
        ("@2030-1-1", None),
        ("@2030-01-31T24:00", None),
        ("@2030-01-31T10", None),
        ("@2030-01-31T10:00:00:00", None),
        ("@2030-01-31T10:00+0100", None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<From>().ok(), expected, "{text:?}");
    }
}

#[test]
fn durations() {
    let cases = [
        ("500ms", Some(500)),
        ("10s", Some(10_000)),
        ("2m", Some(120_000)),
        ("1h", Some(3_600_000)),
        ("7d", Some(604_800_000)),
        ("0s", None),
        ("10", None),
        ("s", None),
        ("-1s", None),
        ("1.5s", None),
        ("10 s", None),
        ("99999999999999999999s", None),
        ("9223372036854775807d", None),
    ];
    for (text, expected) in cases {
        let expected = expected.map(Duration::from_millis);
        assert_eq!(parse_duration(text).ok(), expected, "{text:?}");
    }
}
