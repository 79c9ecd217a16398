//! What a change comes to, that it is in force and lasts, and that a failure changes nothing.

use storage::{LogConfig, LogStore, StorageFailure};

use super::*;
use crate::ConfigSource;
use crate::harness::{Harness, create_with, failure};

const THROTTLED: &str = "leader.replication.throttled.replicas";

fn set(name: &str, value: &str) -> ConfigChange {
    changed(name, ConfigOperation::Set(value.to_owned()))
}

fn unset(name: &str) -> ConfigChange {
    changed(name, ConfigOperation::Delete)
}

fn append(name: &str, entries: &str) -> ConfigChange {
    changed(name, ConfigOperation::Append(entries.to_owned()))
}

fn subtract(name: &str, entries: &str) -> ConfigChange {
    changed(name, ConfigOperation::Subtract(entries.to_owned()))
}

fn changed(name: &str, operation: ConfigOperation) -> ConfigChange {
    ConfigChange {
        name: name.to_owned(),
        operation,
    }
}

fn values(of: &[(&str, &str)]) -> Values {
    of.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn changes_come_to() {
    type Pairs = &'static [(&'static str, &'static str)];
    let cases: [(Pairs, Vec<ConfigChange>, Pairs); 12] = [
        (&[], vec![], &[]),
        (
            &[("a", "1")],
            vec![set("b", " 2 ")],
            &[("a", "1"), ("b", "2")],
        ),
        (&[("a", "1")], vec![set("a", "2")], &[("a", "2")]),
        (&[("a", "1")], vec![unset("a"), unset("b")], &[]),
        (
            &[],
            vec![append(THROTTLED, "0:1, 1:1,0:1")],
            &[(THROTTLED, "0:1,1:1")],
        ),
        (
            &[(THROTTLED, "0:1")],
            vec![append(THROTTLED, "1:1")],
            &[(THROTTLED, "0:1,1:1")],
        ),
        // Not set, a list begins as the default of its key.
        (
            &[],
            vec![append("cleanup.policy", "compact")],
            &[("cleanup.policy", "delete,compact")],
        ),
        (
            &[],
            vec![append("cleanup.policy", "delete")],
            &[("cleanup.policy", "delete")],
        ),
        (&[], vec![subtract(THROTTLED, "0:1")], &[(THROTTLED, "")]),
        (
            &[(THROTTLED, "0:1,1:1,2:1")],
            vec![subtract(THROTTLED, "1:1,5:1")],
            &[(THROTTLED, "0:1,2:1")],
        ),
        (
            &[(THROTTLED, "0:1")],
            vec![subtract(THROTTLED, "0:1")],
            &[(THROTTLED, "")],
        ),
        (
            &[("a", "1")],
            vec![set("a", "2"), unset("a"), set("a", "3")],
            &[("a", "3")],
        ),
    ];
    for (before, changes, after) in cases {
        let edit = ConfigEdit::Changes(changes);
        let applied = edit.applied_to(ConfigScope::Topic, &values(before));
        assert_eq!(applied, Ok(values(after)), "{edit:?}");
    }
    let whole = ConfigEdit::Whole(vec![("b".into(), "1".into()), ("b".into(), " 2".into())]);
    let applied = whole.applied_to(ConfigScope::Topic, &values(&[("a", "1")]));
    assert_eq!(applied, Ok(values(&[("b", "2")])));
    for change in [append("segment.ms", "1"), subtract("no.such.key", "1")] {
        let edit = ConfigEdit::Changes(vec![change]);
        let refused = edit.applied_to(ConfigScope::Topic, &Values::new());
        let error = refused.expect_err("no list");
        assert!(error.to_string().contains("type is not LIST"), "{error}");
    }
}

fn edit(changes: &[ConfigChange]) -> ConfigEdit {
    ConfigEdit::Changes(changes.to_vec())
}

#[tokio::test]
async fn a_topics_configs_are_in_force_at_once_and_after_a_restart() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let before = create_with(&broker, "t", &[("segment.ms", "5000")]).await;
    before.log(0).expect("opens");
    let changes = edit(&[
        set("max.message.bytes", "77"),
        set("segment.bytes", "2000000"),
        unset("segment.ms"),
    ]);
    for validate_only in [true, false] {
        let altered = broker.alter_topic_configs("t", &changes, validate_only);
        altered.await.expect("altered");
        let now = broker.topic("t").expect("is there");
        let expected = if validate_only { 1_048_588 } else { 77 };
        assert_eq!(now.settings().message_bytes_max, expected);
    }
    let log_config = LogConfig {
        segment_bytes: 2_000_000,
        ..harness.config.log
    };
    let now = broker.topic("t").expect("is there");
    assert_eq!(now.settings().log, log_config);
    assert_eq!(
        harness.store.faults.lock().opened_by,
        Some(log_config),
        "the store was told"
    );
    let open = |topic: &Topic| topic.log(0).expect("opens").ends();
    assert_eq!(open(&now), open(&before), "the same log");
    let labels = harness.memory.topics().await.expect("lists");
    let wanted = values(&[("max.message.bytes", "77"), ("segment.bytes", "2000000")]);
    assert_eq!(labels[0].configs, wanted, "the label says it too");
    let harness = harness.restarted();
    let broker = harness.broker().await;
    assert_eq!(
        broker.topic("t").expect("is there").settings(),
        now.settings()
    );
}

/// Somebody holds the topic as it was, and opens a partition that was not open yet.
#[tokio::test]
async fn an_older_state_of_a_topic_does_not_take_the_store_back() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let before = crate::harness::create(&broker, "t", 2).await;
    before.log(0).expect("opens");
    let changes = edit(&[set("segment.bytes", "2000000")]);
    broker
        .alter_topic_configs("t", &changes, false)
        .await
        .expect("altered");
    before.log(1).expect("opens");
    let told = harness.store.faults.lock().opened_by.expect("was told");
    assert_eq!(told.segment_bytes, 2_000_000);
}

#[tokio::test]
async fn what_is_refused_on_a_topic_changes_nothing() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    create_with(&broker, "t", &[("segment.ms", "5000")]).await;
    let cases: [(&str, ConfigChange, &str); 8] = [
        (
            "t",
            set("segment.ms", "soon"),
            "Invalid value soon for configuration segment.ms: Not a number of type LONG",
        ),
        (
            "t",
            set("segment.ms", "0"),
            "Invalid value 0 for configuration segment.ms: Value must be at least 1",
        ),
        (
            "t",
            set("segment.bytes", "13"),
            "Invalid value 13 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            "t",
            set("message.timestamp.type", "x"),
            "Invalid value x for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime",
        ),
        (
            "t",
            set("no.such.key", "1"),
            "Unknown topic config name: no.such.key",
        ),
        (
            "t",
            set("preallocate", "true"),
            "preallocate cannot be \"true\": preallocating segments is not built",
        ),
        (
            "absent",
            set("segment.ms", "1"),
            "The topic 'absent' does not exist.",
        ),
        (
            "absent",
            set("segment.ms", "soon"),
            "Invalid value soon for configuration segment.ms",
        ),
    ];
    for (topic, change, says) in cases {
        let changes = edit(&[set("max.message.bytes", "77"), change]);
        let refused = broker.alter_topic_configs(topic, &changes, false).await;
        let error = refused.expect_err("refused").to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let topic = broker.topic("t").expect("is there");
    assert_eq!(*topic.configs(), values(&[("segment.ms", "5000")]));
}

#[tokio::test]
async fn what_is_refused_on_a_broker_changes_nothing() {
    let broker = Harness::new().broker().await;
    let cases = [
        (
            set("node.id", "2"),
            "Cannot update these configs dynamically: Set(node.id)",
        ),
        (
            set("message.max.bytes", "-1"),
            "Invalid value -1 for configuration message.max.bytes",
        ),
        (
            set("no.such.key", "1"),
            "Unknown broker config name: no.such.key",
        ),
        (
            set("log.preallocate", "true"),
            "log.preallocate cannot be \"true\": preallocating segments",
        ),
    ];
    for scope in [BrokerScope::This, BrokerScope::Every] {
        for (change, says) in &cases {
            let changes = edit(&[set("log.segment.bytes", "2000000"), change.clone()]);
            let refused = broker.alter_broker_configs(scope, &changes, false).await;
            let error = refused.expect_err("refused").to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
    assert_eq!(
        *broker.layers.load_full(),
        Layers::started(Arc::clone(&broker.config))
    );
}

/// (value, source) of max.message.bytes of the topic.
fn shown(broker: &Broker) -> (String, ConfigSource) {
    let topic = broker.topic("t").expect("is there");
    let configs = broker.describe_topic_configs(&topic);
    let found = configs
        .into_iter()
        .find(|entry| entry.key.name == "max.message.bytes");
    let found = found.expect("every key is listed");
    let value = found.value.expect("it has a value");
    assert_eq!(
        value,
        topic.settings().message_bytes_max.to_string(),
        "what is shown holds"
    );
    (value, found.source)
}

#[tokio::test]
async fn a_broker_is_stronger_than_every_broker_and_a_topic_than_both() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    create_with(&broker, "t", &[]).await;
    let key = "message.max.bytes";
    let steps = [
        (
            BrokerScope::Every,
            set(key, "100"),
            ("100", ConfigSource::EveryBroker),
        ),
        (
            BrokerScope::This,
            set(key, "200"),
            ("200", ConfigSource::ThisBroker),
        ),
        (
            BrokerScope::Every,
            set(key, "300"),
            ("200", ConfigSource::ThisBroker),
        ),
        (
            BrokerScope::This,
            unset(key),
            ("300", ConfigSource::EveryBroker),
        ),
        (
            BrokerScope::Every,
            unset(key),
            ("1048588", ConfigSource::Default),
        ),
        (
            BrokerScope::This,
            set(key, "400"),
            ("400", ConfigSource::ThisBroker),
        ),
    ];
    for (scope, change, (value, source)) in steps {
        let change = edit(&[change]);
        let altered = broker.alter_broker_configs(scope, &change, false);
        altered.await.expect("altered");
        assert_eq!(shown(&broker), (value.to_owned(), source));
    }
    let own = edit(&[set("max.message.bytes", "500")]);
    broker
        .alter_topic_configs("t", &own, false)
        .await
        .expect("altered");
    assert_eq!(shown(&broker), ("500".to_owned(), ConfigSource::Topic));
    let later = create_with(&broker, "later", &[]).await;
    assert_eq!(later.settings().message_bytes_max, 400);
    let harness = harness.restarted();
    let broker = harness.broker().await;
    assert_eq!(shown(&broker), ("500".to_owned(), ConfigSource::Topic));
    let later = broker.topic("later").expect("is there");
    assert_eq!(later.settings().message_bytes_max, 400, "over restarts too");
    // Another node is another broker.
    let mut harness = harness.restarted();
    harness.config.node_id = 2;
    let broker = harness.broker().await;
    let later = broker.topic("later").expect("is there");
    assert_eq!(later.settings().message_bytes_max, 1_048_588);
}

#[tokio::test]
async fn a_kept_config_that_is_not_allowed_any_more_is_left_out() {
    let harness = Harness::new();
    let kept = [
        ("log.segment.bytes", "2000000"),
        ("node.id", "7"),
        ("gone.key", "1"),
    ];
    let write = Write {
        key: keys::broker_configs(None),
        value: Some(encode_configs(&values(&kept))),
    };
    harness
        .metadata
        .commit(&[], &[write])
        .await
        .expect("commits");
    let broker = harness.broker().await;
    let topic = create_with(&broker, "t", &[]).await;
    assert_eq!(topic.settings().log.segment_bytes, 2_000_000);
    assert_eq!(broker.describe_every_broker_configs().len(), 1);
}

#[tokio::test]
async fn a_commit_that_fails_leaves_all_as_it_was() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    create_with(&broker, "t", &[]).await;
    let refused = CommitError::Storage(failure("the disk is gone"));
    harness.metadata.refuse_commits(Some(refused));
    let gone = |outcome: Result<(), AlterConfigsError>| {
        let failed = AlterConfigsError::Storage(StorageFailure::new("the disk is gone"));
        assert_eq!(outcome, Err(failed));
    };
    let own = edit(&[set("max.message.bytes", "100")]);
    gone(broker.alter_topic_configs("t", &own, false).await);
    let all = edit(&[set("message.max.bytes", "100")]);
    gone(
        broker
            .alter_broker_configs(BrokerScope::This, &all, false)
            .await,
    );
    assert_eq!(shown(&broker).1, ConfigSource::Default);
    harness.metadata.refuse_commits(None);
    broker
        .alter_topic_configs("t", &own, false)
        .await
        .expect("altered");
    assert_eq!(shown(&broker).0, "100");
    // The answer got lost and the commit did not.
    let unset = edit(&[unset("max.message.bytes")]);
    harness.metadata.lose_next_answer(failure("no answer"));
    broker
        .alter_topic_configs("t", &unset, false)
        .await
        .expect("altered");
    harness.metadata.lose_next_answer(failure("no answer"));
    broker
        .alter_broker_configs(BrokerScope::This, &all, false)
        .await
        .expect("altered");
    assert_eq!(shown(&broker), ("100".to_owned(), ConfigSource::ThisBroker));
}

/// A caller went away after the commit; the next operation brings all together.
#[tokio::test]
async fn what_was_committed_and_not_published_is_in_force_after_the_next_operation() {
    let harness = Harness::new();
    let broker = harness.broker().await;
    let topic = create_with(&broker, "t", &[]).await;
    let configs = values(&[("message.max.bytes", "100")]);
    broker
        .write_configs(keys::broker_configs(None), &configs)
        .await
        .expect("commits");
    let configs = values(&[("segment.bytes", "2000000")]);
    let record = TopicRecord {
        configs,
        ..record_of(&topic)
    };
    let written = broker.write_topic(topic.name(), &record, topic.version());
    written.await.expect("commits");
    broker.admin.lock().await.unsettled = true;
    create_with(&broker, "other", &[]).await;
    assert_eq!(
        shown(&broker),
        ("100".to_owned(), ConfigSource::EveryBroker)
    );
    let topic = broker.topic("t").expect("is there");
    assert_eq!(topic.settings().log.segment_bytes, 2_000_000);
}
