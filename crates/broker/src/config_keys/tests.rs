//! The registry: its tables, its rules, and that what it shows is true.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::config::BrokerConfig;

const BOTH: [ConfigScope; 2] = [ConfigScope::Topic, ConfigScope::Broker];

#[test]
fn keys_are_sorted_and_each_is_found() {
    for scope in BOTH {
        let names: Vec<_> = keys(scope).iter().map(|key| key.name).collect();
        assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
        for key in keys(scope) {
            assert_eq!(find(scope, key.name), Some(key));
            assert_eq!(key.scope, scope);
            assert!(key.documentation.ends_with('.'), "{}", key.name);
        }
    }
    assert_eq!(keys(ConfigScope::Topic).len(), 37);
}

#[test]
fn every_default_is_a_value_and_every_synonym_a_key() {
    for scope in BOTH {
        for key in keys(scope) {
            if let Some(default) = key.default {
                assert_eq!(validate(scope, key.name, default), Ok(()), "{}", key.name);
            }
        }
    }
    for key in keys(ConfigScope::Topic) {
        let Some(synonym) = key.synonym else { continue };
        let broker = find(ConfigScope::Broker, synonym);
        let broker = broker.unwrap_or_else(|| panic!("{} has no {synonym}", key.name));
        if broker.default.is_some() {
            assert_eq!(broker.default, key.default, "{}", key.name);
        }
        assert_eq!(broker.rule, key.rule, "{}", key.name);
        assert_eq!(broker.kind, key.kind, "{}", key.name);
        let pinned = |key: &ConfigKey| matches!(key.effect, Effect::Pinned { .. });
        assert_eq!(pinned(broker), pinned(key), "{}", key.name);
    }
}

#[test]
fn values_are_checked_by_type_and_range() {
    // (key, good values, bad values)
    let cases: [(&str, &[&str], &[&str]); 14] = [
        (
            "segment.bytes",
            &["1048576", " 2147483647 "],
            &["1048575", "2147483648", "1e9", "", "x"],
        ),
        (
            "segment.ms",
            &["1", "9223372036854775807"],
            &["0", "-1", "9223372036854775808"],
        ),
        ("index.interval.bytes", &["0", "4096"], &["-1", "4k"]),
        ("max.message.bytes", &["0", "+5"], &["-1", "5.0"]),
        (
            "message.timestamp.type",
            &["CreateTime", "LogAppendTime"],
            &["createtime", ""],
        ),
        ("min.insync.replicas", &["1", "3"], &["0"]),
        (
            "min.cleanable.dirty.ratio",
            &["0", "0.5", "1"],
            &["1.01", "-0.1", "NaN", "half"],
        ),
        (
            "compression.gzip.level",
            &["-1", "1", "9"],
            &["0", "10", "-2"],
        ),
        ("compression.lz4.level", &["1", "17"], &["0", "18"]),
        (
            "compression.type",
            &["producer", "uncompressed", "zstd"],
            &["none", "ZSTD", ""],
        ),
        ("compression.zstd.level", &["-131072", "22"], &["23"]),
        (
            "unclean.leader.election.enable",
            &["true", "FALSE"],
            &["yes", "1", ""],
        ),
        (
            "leader.replication.throttled.replicas",
            &["", "*", "0:1", "0:1, 1:2"],
            &["0", "a:b", "*,0:1", "0:1,"],
        ),
        ("local.retention.ms", &["-2", "-1", "5"], &["-3"]),
    ];
    for (key, good, bad) in cases {
        for value in good {
            assert_eq!(
                validate(ConfigScope::Topic, key, value),
                Ok(()),
                "{key}={value}"
            );
        }
        for value in bad {
            let error = validate(ConfigScope::Topic, key, value).expect_err(value);
            assert!(
                matches!(&error, InvalidConfig::BadValue { .. }),
                "{key}={value}: {error}"
            );
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let cases = [
        ("remote.storage.enable", "true", "false"),
        ("segment.jitter.ms", "1", "0"),
        ("preallocate", "true", "false"),
    ];
    for (key, value, instead) in cases {
        let error = validate(ConfigScope::Topic, key, value).expect_err(key);
        assert!(matches!(&error, InvalidConfig::NotBuilt { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("not built") && text.contains(instead),
            "{text}"
        );
        assert_eq!(
            validate(ConfigScope::Topic, key, instead),
            Ok(()),
            "{key}={instead}"
        );
    }
    assert_eq!(
        validate(ConfigScope::Topic, "preallocate", "False"),
        Ok(()),
        "the same value"
    );
}

#[test]
fn unknown_keys_are_answered_with_the_closest_one() {
    let cases = [
        ("segment.byte", Some("segment.bytes")),
        ("retention.m", Some("retention.ms")),
        ("max.mesage.bytes", Some("max.message.bytes")),
        ("cleanup_policy", Some("cleanup.policy")),
        ("x", None),
        ("", None),
        ("colour", None),
    ];
    for (name, suggestion) in cases {
        let error = validate(ConfigScope::Topic, name, "1").expect_err(name);
        let unknown = InvalidConfig::Unknown {
            scope: ConfigScope::Topic,
            key: name.to_owned(),
            suggestion,
        };
        assert_eq!(error, unknown);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("Unknown topic config name: {name}")),
            "{text}"
        );
    }
    let long = "é".repeat(100_000);
    let error = validate(ConfigScope::Topic, &long, &long).expect_err("unknown");
    assert!(
        error.to_string().len() < 1000,
        "no message grows with the input"
    );
    let error = validate(ConfigScope::Topic, "segment.ms", &long).expect_err("no number");
    assert!(
        error.to_string().len() < 1000,
        "no message grows with the input"
    );
}

#[test]
fn distances_count_keystrokes() {
    for (left, right, distance) in [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("abc", "abc", 0),
        ("abc", "abd", 1),
        ("abc", "ac", 1),
        ("kitten", "sitting", 3),
    ] {
        assert_eq!(keystrokes(left, right), distance, "{left} {right}");
        assert_eq!(keystrokes(right, left), distance, "{right} {left}");
    }
}

#[test]
fn every_broker_setting_is_set_and_shown_by_its_key() {
    // (key, a value, and it as it is shown)
    let cases = [
        ("node.id", "7", "7"),
        ("num.partitions", "3", "3"),
        ("auto.create.topics.enable", "FALSE", "false"),
        ("message.max.bytes", "2000", "2000"),
        (
            "log.message.timestamp.type",
            "LogAppendTime",
            "LogAppendTime",
        ),
        ("log.message.timestamp.before.max.ms", "5", "5"),
        ("log.message.timestamp.after.max.ms", "6", "6"),
        ("min.insync.replicas", "2", "2"),
        ("log.segment.bytes", "1048576", "1048576"),
        ("log.roll.ms", "1000", "1000"),
        ("log.index.interval.bytes", "100", "100"),
        ("offset.metadata.max.bytes", "10", "10"),
        ("fetch.max.bytes", "2048", "2048"),
        ("broker.rack", "r1", "r1"),
        ("listeners", "PLAINTEXT://[::1]:9", "PLAINTEXT://[::1]:9"),
        ("durability", "interval=10ms", "interval=10ms"),
    ];
    let defaults = BrokerConfig::default();
    for (name, value, shown) in cases {
        let key = find(ConfigScope::Broker, name).expect(name);
        assert_eq!(
            defaults.value_of(key).as_deref(),
            key.default,
            "{name} when nobody sets it"
        );
        let mut config = BrokerConfig::default();
        config.set(name, value).expect(name);
        assert_eq!(config.value_of(key).as_deref(), Some(shown), "{name}");
        let entries = describe_broker(&Layers::started(Arc::new(config.clone())));
        let changed = entries
            .iter()
            .filter(|entry| entry.source == ConfigSource::StaticBroker);
        let mut changed: Vec<_> = changed.map(|entry| entry.key.name).collect();
        changed.retain(|name| *name != "broker.id");
        assert_eq!(changed, [name], "setting a key changes that key only");
    }
    for key in keys(ConfigScope::Broker) {
        assert_eq!(
            defaults.value_of(key).as_deref(),
            key.default,
            "{}",
            key.name
        );
    }
}

#[test]
fn broker_settings_that_are_wrong_change_nothing() {
    let mut config = BrokerConfig::default();
    for (name, value) in [
        ("num.partitions", "0"),
        ("log.preallocate", "true"),
        ("default.replication.factor", "2"),
        ("delete.topic.enable", "false"),
        ("node.ids", "1"),
    ] {
        config.set(name, value).expect_err(name);
    }
    assert_eq!(config, BrokerConfig::default());
}

fn configs(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_topic_acts_by_its_own_configs_over_the_brokers() {
    let mut config = BrokerConfig::default();
    config.set("message.max.bytes", "500").expect("good");
    config.set("log.segment.bytes", "2000000").expect("good");
    config.set("log.roll.ms", "7").expect("good");
    let inherited = TopicSettings::new(&config, &configs(&[])).expect("good");
    assert_eq!(inherited.message_bytes_max, 500);
    assert_eq!(inherited.log, config.log);
    let own = configs(&[
        ("max.message.bytes", "600"),
        ("message.timestamp.type", "LogAppendTime"),
        ("message.timestamp.before.max.ms", "1"),
        ("message.timestamp.after.max.ms", "2"),
        ("segment.bytes", "3000000"),
        ("segment.ms", "8"),
        ("index.interval.bytes", "9"),
        ("file.delete.delay.ms", "10"),
        ("retention.ms", "11"),
        ("retention.bytes", "12"),
        ("min.insync.replicas", "2"),
        ("compression.type", "zstd"),
        ("compression.zstd.level", "7"),
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "13"),
        ("min.compaction.lag.ms", "14"),
        ("max.compaction.lag.ms", "15"),
    ]);
    let mut compression = crate::StoredCompression::default();
    assert!(compression.set("compression.type", &Value::Text("zstd".into())));
    assert!(compression.set("compression.zstd.level", &Value::Integer(7)));
    let expected = TopicSettings {
        compression,
        message_bytes_max: 600,
        timestamp_type: records::TimestampType::LogAppendTime,
        timestamp_before_max_ms: 1,
        timestamp_after_max_ms: 2,
        log: storage::LogConfig {
            segment_bytes: 3_000_000,
            segment_ms: std::time::Duration::from_millis(8),
            index_interval_bytes: 9,
            file_delete_delay: std::time::Duration::from_millis(10),
            deletes: false,
            retention: Some(std::time::Duration::from_millis(11)),
            retention_bytes: Some(12),
            compacts: true,
            compaction: storage::CompactionConfig {
                dirty_ratio_min_ppm: 10_000,
                delete_retention: std::time::Duration::from_millis(13),
                lag_min: std::time::Duration::from_millis(14),
                lag_max: std::time::Duration::from_millis(15),
            },
        },
    };
    assert_eq!(TopicSettings::new(&config, &own), Ok(expected));
}

#[test]
fn the_broker_says_how_topics_are_compacted() {
    let mut config = BrokerConfig::default();
    let compaction = TopicSettings::new(&config, &configs(&[]))
        .expect("good")
        .log;
    assert!(compaction.deletes && !compaction.compacts);
    for (name, value) in [
        ("log.cleanup.policy", "compact,delete"),
        ("log.cleaner.min.cleanable.ratio", "0.25"),
        ("log.cleaner.delete.retention.ms", "1"),
        ("log.cleaner.min.compaction.lag.ms", "2"),
        ("log.cleaner.max.compaction.lag.ms", "3"),
        ("log.cleaner.enable", "false"),
        ("log.cleaner.backoff.ms", "4"),
        ("log.cleaner.dedupe.buffer.size", "5000000"),
        ("log.cleaner.io.max.bytes.per.second", "6.5"),
    ] {
        config.set(name, value).expect(name);
        let key = find(ConfigScope::Broker, name).expect("it is known");
        assert_eq!(config.value_of(key).as_deref(), Some(value), "{name}");
    }
    let log = TopicSettings::new(&config, &configs(&[]))
        .expect("good")
        .log;
    assert!(log.deletes && log.compacts);
    let compaction = log.compaction;
    assert_eq!(compaction.dirty_ratio_min_ppm, 250_000);
    let times = [
        compaction.delete_retention,
        compaction.lag_min,
        compaction.lag_max,
    ];
    assert_eq!(times.map(|time| time.as_millis()), [1, 2, 3]);
    let expected = crate::config::CleanerConfig {
        enabled: false,
        dedupe_bytes: 5_000_000,
        bytes_per_second: Some(6),
        backoff: std::time::Duration::from_millis(4),
    };
    assert_eq!(config.cleaner, expected);
    let unlimited = BrokerConfig::default().cleaner.bytes_per_second;
    assert_eq!(unlimited, None);
    for bad in ["0", "-1", "NaN", "fast"] {
        let set = config.set("log.cleaner.io.max.bytes.per.second", bad);
        set.expect_err(bad);
    }
    let default = "1.7976931348623157E308";
    let set = config.set("log.cleaner.io.max.bytes.per.second", default);
    set.expect("Kafka's default");
    assert_eq!(config.cleaner.bytes_per_second, None);
}

#[test]
fn a_sync_interval_is_accepted_where_it_is_kept() {
    let mut config = BrokerConfig::default();
    let every = configs(&[("flush.messages", "1"), ("flush.ms", "0")]);
    let never = configs(&[("flush.messages", "9223372036854775807")]);
    TopicSettings::new(&config, &every).expect("every append is synced");
    TopicSettings::new(&config, &never).expect("oftener than asked");
    config.set("durability", "os").expect("good");
    let error = TopicSettings::new(&config, &every).expect_err("not kept");
    assert!(error.to_string().contains("not built"), "{error}");
    TopicSettings::new(&config, &never).expect("nothing is promised");
}

#[test]
fn a_listing_says_where_each_value_comes_from() {
    let mut config = BrokerConfig::default();
    config.set("message.max.bytes", "500").expect("good");
    let own = configs(&[("segment.bytes", "3000000"), ("max.message.bytes", "600")]);
    let entries = describe_topic(&Layers::started(Arc::new(config.clone())), &own);
    assert_eq!(entries.len(), 37);
    let entry = |name: &str| {
        let found = entries.iter().find(|entry| entry.key.name == name);
        let found = found.expect("every key is listed");
        let synonyms: Vec<_> = found
            .synonyms
            .iter()
            .map(|synonym| {
                (
                    synonym.name,
                    synonym.value.as_deref().unwrap_or("null"),
                    synonym.source,
                )
            })
            .collect();
        (found.value.as_deref(), found.source, synonyms)
    };
    let default = ConfigSource::Default;
    let expected = vec![
        ("max.message.bytes", "600", ConfigSource::Topic),
        ("message.max.bytes", "500", ConfigSource::StaticBroker),
        ("message.max.bytes", "1048588", default),
    ];
    assert_eq!(
        entry("max.message.bytes"),
        (Some("600"), ConfigSource::Topic, expected)
    );
    let expected = vec![
        ("segment.bytes", "3000000", ConfigSource::Topic),
        ("log.segment.bytes", "134217728", default),
    ];
    assert_eq!(
        entry("segment.bytes"),
        (Some("3000000"), ConfigSource::Topic, expected)
    );
    let expected = vec![("log.retention.hours", "168", default)];
    assert_eq!(
        entry("retention.ms"),
        (Some("604800000"), default, expected)
    );
    // As in Kafka: no broker key, or one that is null until it is set.
    for (name, value) in [
        ("remote.storage.enable", "false"),
        ("segment.ms", "604800000"),
        ("segment.jitter.ms", "0"),
        ("flush.ms", "9223372036854775807"),
    ] {
        assert_eq!(entry(name), (Some(value), default, Vec::new()), "{name}");
    }
    config.set("log.roll.ms", "7").expect("good");
    let entries = describe_topic(&Layers::started(Arc::new(config.clone())), &own);
    let entry = entries
        .iter()
        .find(|entry| entry.key.name == "segment.ms")
        .expect("listed");
    let expected = ConfigSynonym {
        name: "log.roll.ms",
        value: Some("7".to_owned()),
        source: ConfigSource::StaticBroker,
    };
    assert_eq!(
        (entry.value.as_deref(), &entry.synonyms),
        (Some("7"), &vec![expected])
    );
}

/// As in Kafka: milliseconds before minutes before hours, negative for ever, and a topic before all.
#[test]
fn the_finest_unit_of_the_retention_counts() {
    // What is set, what is shown, and what holds.
    type Case = (
        &'static [(&'static str, &'static str)],
        &'static str,
        Option<u64>,
    );
    let cases: [Case; 8] = [
        (&[], "604800000", Some(604_800_000)),
        (&[("log.retention.hours", "2")], "7200000", Some(7_200_000)),
        (
            &[("log.retention.hours", "2"), ("log.retention.minutes", "3")],
            "180000",
            Some(180_000),
        ),
        (
            &[("log.retention.minutes", "3"), ("log.retention.ms", "4")],
            "4",
            Some(4),
        ),
        (&[("log.retention.ms", "-1")], "-1", None),
        (&[("log.retention.hours", "-1")], "-1", None),
        (&[("log.retention.minutes", "-5")], "-1", None),
        (&[("log.retention.ms", "0")], "0", Some(0)),
    ];
    for (set, shown, expected) in cases {
        let mut config = BrokerConfig::default();
        for (name, value) in set {
            config.set(name, value).expect("good");
        }
        let expected = expected.map(std::time::Duration::from_millis);
        let none = BTreeMap::new();
        let settings = TopicSettings::new(&config, &none).expect("good");
        assert_eq!(settings.log.retention, expected, "{set:?}");
        let layers = Layers::started(Arc::new(config.clone()));
        let listed = describe_topic(&layers, &none);
        let listed = listed.iter().find(|entry| entry.key.name == "retention.ms");
        let listed = listed.expect("listed");
        assert_eq!(listed.value.as_deref(), Some(shown), "{set:?}");
        let own = configs(&[("retention.ms", "9")]);
        let settings = TopicSettings::new(&config, &own).expect("good");
        let nine = std::time::Duration::from_millis(9);
        assert_eq!(settings.log.retention, Some(nine), "{set:?}");
    }
}
