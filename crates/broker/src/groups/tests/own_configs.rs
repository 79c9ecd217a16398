//! Configs of single groups: what is allowed, what members are told, and what lasts.

use storage::{CommitError, Space, TopicId};

use super::durable::stored;
use crate::error::AlterConfigsError;
use crate::harness::{Harness, create, failure};
use crate::{Beat, Broker, ConfigChange, ConfigEdit, ConfigOperation, ConfigSource};

const SESSION: &str = "consumer.session.timeout.ms";
const INTERVAL: &str = "consumer.heartbeat.interval.ms";

fn set(configs: &[(&str, &str)]) -> ConfigEdit {
    let change = |(name, value): &(&str, &str)| ConfigChange {
        name: (*name).to_owned(),
        operation: ConfigOperation::Set((*value).to_owned()),
    };
    ConfigEdit::Changes(configs.iter().map(change).collect())
}

async fn alter(
    broker: &Broker,
    group: &str,
    configs: &[(&str, &str)],
) -> Result<(), AlterConfigsError> {
    broker
        .alter_group_configs(group, &set(configs), false)
        .await
}

fn shown(broker: &Broker, group: &str, name: &str) -> (String, ConfigSource) {
    let entries = broker.describe_group_configs(group);
    let entry = entries.into_iter().find(|entry| entry.key.name == name);
    let entry = entry.expect("every key is listed");
    (entry.value.expect("has a value"), entry.source)
}

/// The interval that a new member of a group is told.
async fn told(broker: &Broker, group: &str) -> i32 {
    let beat = Beat {
        member_id: "m".to_owned(),
        rebalance_timeout_ms: Some(10_000),
        names: Some(vec!["t".to_owned()]),
        owned: Some(Vec::<(TopicId, Vec<i32>)>::new()),
        ..Beat::default()
    };
    let answer = stored(broker, broker.groups().beat(group, &beat, true)).await;
    answer.expect("joins").interval_ms
}

#[tokio::test]
async fn members_are_told_what_their_group_has_of_its_own() {
    let mut harness = Harness::new();
    let broker = harness.broker().await;
    create(&broker, "t", 1).await;
    assert_eq!(told(&broker, "a").await, 5000);
    alter(&broker, "a", &[(INTERVAL, "7000"), (SESSION, " 50000 ")])
        .await
        .expect("allowed");
    assert_eq!(told(&broker, "a").await, 7000);
    assert_eq!(told(&broker, "b").await, 5000);
    let own = ("50000".to_owned(), ConfigSource::Group);
    assert_eq!(shown(&broker, "a", SESSION), own);
    let default = ("45000".to_owned(), ConfigSource::Default);
    assert_eq!(shown(&broker, "b", SESSION), default);
    drop(broker);
    harness = harness.restarted();
    let broker = harness.broker().await;
    assert_eq!(told(&broker, "a").await, 7000);
    assert_eq!(shown(&broker, "a", SESSION), own);
    assert_eq!(broker.groups().with_own_configs(), ["a".into()]);
    let whole = ConfigEdit::Whole(vec![(SESSION.to_owned(), "46000".to_owned())]);
    broker
        .alter_group_configs("a", &whole, false)
        .await
        .expect("allowed");
    assert_eq!(told(&broker, "a").await, 5000);
    let nothing = ConfigEdit::Whole(Vec::new());
    broker
        .alter_group_configs("a", &nothing, false)
        .await
        .expect("allowed");
    assert!(broker.groups().with_own_configs().is_empty());
    assert_eq!(harness.restarted().count(Space::Group).await, 2);
}

#[tokio::test]
async fn a_group_without_members_has_configs_too_and_keeps_them_when_it_is_deleted() {
    let broker = Harness::new().broker().await;
    alter(&broker, "a/b", &[(SESSION, "60000")])
        .await
        .expect("allowed");
    let deleted = broker.groups().delete("a/b").await;
    assert!(deleted.is_err(), "there is no such group");
    assert_eq!(shown(&broker, "a/b", SESSION).0, "60000");
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_and_changes_nothing() {
    let mut harness = Harness::new();
    for (key, value) in [
        ("group.consumer.min.session.timeout.ms", "2000"),
        ("group.consumer.max.heartbeat.interval.ms", "9000"),
    ] {
        harness.config.set(key, value).expect("allowed");
    }
    let broker = harness.broker().await;
    for (name, value, says) in [
        ("no.such", "1", "Unknown group config name: no.such"),
        (
            "share.auto.offset.reset",
            "earliest",
            "Unknown group config name",
        ),
        (SESSION, "soon", "Not a number of type INT"),
        (SESSION, "0", "Value must be at least 1"),
        (SESSION, "1999", "in the range 2000 to 60000"),
        (SESSION, "60001", "in the range 2000 to 60000"),
        (
            SESSION,
            "5000",
            "greater than consumer.heartbeat.interval.ms",
        ),
        (INTERVAL, "4999", "in the range 5000 to 9000"),
        (INTERVAL, "9001", "in the range 5000 to 9000"),
        ("consumer.assignment.interval.ms", "1000", "is not built"),
    ] {
        let refused = alter(&broker, "g", &[(name, value)]).await;
        let refused = refused.expect_err(value).to_string();
        assert!(refused.contains(says), "{name}={value}: {refused}");
    }
    let long = "g".repeat(32_768);
    for name in ["", long.as_str()] {
        let refused = alter(&broker, name, &[(SESSION, "50000")]).await;
        assert!(
            matches!(refused, Err(AlterConfigsError::InvalidGroup { .. })),
            "{refused:?}"
        );
    }
    let edit = set(&[(SESSION, "50000")]);
    let checked = broker.alter_group_configs("g", &edit, true).await;
    assert_eq!(checked, Ok(()));
    assert!(broker.groups().with_own_configs().is_empty());
}

/// A value of before the broker's limits were changed acts as the nearest that they allow.
#[tokio::test]
async fn limits_of_a_later_start_hold() {
    let mut harness = Harness::new();
    let broker = harness.broker().await;
    create(&broker, "t", 1).await;
    alter(&broker, "g", &[(INTERVAL, "14000")])
        .await
        .expect("allowed");
    drop(broker);
    harness = harness.restarted();
    let limit = ("group.consumer.max.heartbeat.interval.ms", "9000");
    harness.config.set(limit.0, limit.1).expect("allowed");
    let broker = harness.broker().await;
    assert_eq!(told(&broker, "g").await, 9000);
}

#[tokio::test]
async fn all_together_have_a_limit() {
    let broker = Harness::new().broker().await;
    let mut refused = None;
    for number in 0..600 {
        let group = format!("{number}-{}", "g".repeat(32_000));
        let altered = alter(&broker, &group, &[(SESSION, "50000")]).await;
        if altered.is_err() {
            refused = altered.err();
            break;
        }
    }
    let too_large = AlterConfigsError::TooLarge {
        limit_bytes: 16 * 1024 * 1024,
    };
    assert_eq!(refused, Some(too_large));
}

#[tokio::test]
async fn a_failed_commit_leaves_the_configs_as_they_were() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    alter(&broker, "g", &[(SESSION, "50000")])
        .await
        .expect("allowed");
    let gone = CommitError::Storage(failure("the disk is gone"));
    harness.metadata.refuse_commits(Some(gone));
    let refused = alter(&broker, "g", &[(SESSION, "55000")]).await;
    assert!(
        matches!(refused, Err(AlterConfigsError::Storage(_))),
        "{refused:?}"
    );
    assert_eq!(shown(&broker, "g", SESSION).0, "50000");
    harness.metadata.refuse_commits(None);
    // One whose answer is lost is looked up.
    harness.metadata.lose_next_answer(failure("no answer"));
    assert_eq!(alter(&broker, "g", &[(SESSION, "56000")]).await, Ok(()));
    assert_eq!(shown(&broker, "g", SESSION).0, "56000");
}
