//! What the configs and the first records come to.

use kafka_client::{Config, ConfigSource};

use super::*;

fn config(name: &str, value: &str) -> Config {
    Config {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        source: ConfigSource::Default,
        read_only: false,
    }
}

fn oldest(times_ms: &[(i32, i64)], configs: &[(&str, &str)]) -> Oldest {
    let configs: Vec<Config> = configs
        .iter()
        .map(|(name, value)| config(name, value))
        .collect();
    Oldest::new(times_ms.iter().copied().collect(), &configs)
}

#[test]
fn the_oldest_of_all_partitions_counts() {
    let kept = [("cleanup.policy", "delete"), ("retention.ms", "86400000")];
    let known = oldest(&[(0, 7000), (2, 5000)], &kept);
    assert_eq!(
        (known.of(0), known.of(1), known.of(2)),
        (Some(7000), None, Some(5000))
    );
    assert_eq!(known.goes_ms(), Some(86_405_000));
    let cases = [
        (
            5000,
            "goes in 1 d 0 h at the earliest (retention.ms=86400000)",
        ),
        (
            3_605_000,
            "goes in 23 h 0 min at the earliest (retention.ms=86400000)",
        ),
        (
            86_345_000,
            "goes in 1 min at the earliest (retention.ms=86400000)",
        ),
        (
            86_404_999,
            "goes in less than a minute at the earliest (retention.ms=86400000)",
        ),
        (86_405_000, "may go at any time (retention.ms=86400000)"),
    ];
    for (now_ms, expected) in cases {
        assert_eq!(known.sentence(now_ms), Some(format!("oldest  {expected}")));
    }
}

#[test]
fn age_takes_nothing_without_retention() {
    let stays = "oldest  does not go because of its age";
    for configs in [
        &[("cleanup.policy", "delete"), ("retention.ms", "-1")][..],
        &[("cleanup.policy", "compact"), ("retention.ms", "5")],
    ] {
        let known = oldest(&[(0, 1)], configs);
        assert_eq!(
            (known.goes_ms(), known.sentence(9)),
            (None, Some(stays.to_owned()))
        );
    }
    let sized = [("retention.ms", "-1"), ("retention.bytes", "77")];
    let expected = format!("{stays}, or where a partition holds more than retention.bytes=77");
    assert_eq!(oldest(&[(0, 1)], &sized).sentence(9), Some(expected));
    assert_eq!(oldest(&[], &sized).sentence(9), None, "there is nothing");
}
