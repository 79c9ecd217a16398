//! Durability as an operator writes it.

use std::time::Duration;

use super::Durability;

#[test]
fn durability_is_read_and_shown() {
    let ms = |ms| Some(Durability::Interval(Duration::from_millis(ms)));
    let cases = [
        ("fsync", Some(Durability::Fsync)),
        ("os", Some(Durability::Os)),
        ("interval", ms(10)),
        ("interval=10ms", ms(10)),
        ("interval=250ms", ms(250)),
        ("interval=2s", ms(2000)),
        ("interval=0ms", None),
        ("interval=10", None),
        ("interval=", None),
        ("interval=-5ms", None),
        ("Fsync", None),
        ("", None),
    ];
    for (text, expected) in cases {
        let read: Option<Durability> = text.parse().ok();
        assert_eq!(read, expected, "{text:?}");
        if let Some(durability) = read {
            assert_eq!(durability.to_string().parse(), Ok(durability), "{text:?}");
        }
    }
}

#[test]
fn the_error_names_the_choices() {
    let error = "sometimes"
        .parse::<Durability>()
        .expect_err("not a durability");
    assert!(
        error
            .to_string()
            .contains("fsync, interval=<number>ms or os"),
        "{error}"
    );
}
