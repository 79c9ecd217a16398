//! The codes of both requests, in Kafka's order of checks; what is altered is tested in `broker`.

use kafka_wire::messages::incremental_alter_configs::AlterConfigsResource;
use kafka_wire::messages::incremental_alter_configs::AlterableConfig;

use super::*;
use crate::harness::Harness;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

type Change = (&'static str, i8, Option<&'static str>);

fn resource(kind: i8, name: &str, changes: &[Change]) -> AlterConfigsResource {
    let config = |(name, operation, value): &Change| AlterableConfig {
        name: (*name).into(),
        config_operation: *operation,
        value: value.map(Into::into),
    };
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name.into(),
        configs: changes.iter().map(config).collect(),
    }
}

async fn ask(
    harness: &Harness,
    version: i16,
    resources: Vec<AlterConfigsResource>,
) -> Vec<ErrorCode> {
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only: false,
    };
    let response = harness.ask(version, &request).await;
    let code = |row: &incremental_alter_configs::AlterConfigsResourceResponse| {
        let code = ErrorCode::from_code(row.error_code).expect("a code of Kafka");
        assert_eq!(row.error_message.is_some(), code != ErrorCode::None);
        code
    };
    response.responses.iter().map(code).collect()
}

#[tokio::test]
async fn changes_are_answered_with_kafkas_codes() {
    use ErrorCode::{InvalidConfig, InvalidRequest, InvalidTopicException};
    let good: &[Change] = &[("segment.ms", SET, Some("1000"))];
    let of_broker: &[Change] = &[("message.max.bytes", SET, Some("1000"))];
    let cases: [(i8, &str, &[Change], ErrorCode); 20] = [
        (TOPIC, "t", good, ErrorCode::None),
        (TOPIC, "t", &[], ErrorCode::None),
        (
            TOPIC,
            "t",
            &[("no.such.key", DELETE, None)],
            ErrorCode::None,
        ),
        (TOPIC, "absent", good, ErrorCode::UnknownTopicOrPartition),
        (
            TOPIC,
            "absent",
            &[("segment.ms", SET, Some("x"))],
            InvalidConfig,
        ),
        (TOPIC, "", good, InvalidRequest),
        (TOPIC, "a/b", good, InvalidTopicException),
        (TOPIC, "t", &[("segment.ms", SET, Some("x"))], InvalidConfig),
        (
            TOPIC,
            "t",
            &[("no.such.key", SET, Some("x"))],
            InvalidConfig,
        ),
        (
            TOPIC,
            "t",
            &[("segment.ms", APPEND, Some("1"))],
            InvalidConfig,
        ),
        (TOPIC, "t", &[("segment.ms", SET, None)], InvalidRequest),
        (TOPIC, "t", &[("segment.ms", 9, Some("1"))], InvalidRequest),
        (
            TOPIC,
            "t",
            &[("segment.ms", DELETE, None), ("segment.ms", SET, Some("1"))],
            InvalidRequest,
        ),
        (BROKER, "1", of_broker, ErrorCode::None),
        (BROKER, "", of_broker, ErrorCode::None),
        (BROKER, "2", of_broker, InvalidRequest),
        (BROKER, "x", of_broker, InvalidRequest),
        (
            BROKER,
            "1",
            &[("message.max.bytes", SET, Some("x"))],
            InvalidRequest,
        ),
        (BROKER, "1", &[("node.id", SET, Some("2"))], InvalidRequest),
        (99, "x", good, InvalidRequest),
    ];
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    for version in 0..=1 {
        for (kind, name, changes, code) in cases {
            let asked = vec![resource(kind, name, changes)];
            assert_eq!(
                ask(&harness, version, asked).await,
                [code],
                "{kind} {name} {changes:?}"
            );
        }
    }
}

#[tokio::test]
async fn each_resource_is_answered_by_itself() {
    use ErrorCode::InvalidRequest;
    let good: &[Change] = &[("segment.ms", SET, Some("1000"))];
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    for version in 0..=1 {
        let twice = vec![resource(TOPIC, "t", good), resource(TOPIC, "t", good)];
        assert_eq!(ask(&harness, version, twice).await, [InvalidRequest; 2]);
        let mixed = vec![resource(TOPIC, "absent", good), resource(TOPIC, "t", good)];
        let codes = ask(&harness, version, mixed).await;
        assert_eq!(codes, [ErrorCode::UnknownTopicOrPartition, ErrorCode::None]);
    }
}

#[tokio::test]
async fn a_whole_replacement_takes_away_what_it_does_not_name() {
    use kafka_wire::messages::alter_configs::{AlterConfigsResource, AlterableConfig};
    let harness = Harness::new().await;
    let ask = async |configs: &[(&str, Option<&str>)], validate_only| {
        let config = |(name, value): &(&str, Option<&str>)| AlterableConfig {
            name: (*name).into(),
            value: value.map(Into::into),
        };
        let request = AlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: "t".into(),
                configs: configs.iter().map(config).collect(),
            }],
            validate_only,
        };
        let response = harness.ask(2, &request).await;
        ErrorCode::from_code(response.responses[0].error_code)
    };
    harness
        .topic_with("t", 1, &[("segment.ms", "5"), ("flush.ms", "0")])
        .await;
    let configs = || {
        harness
            .broker()
            .topic("t")
            .expect("is there")
            .configs()
            .clone()
    };
    let before = configs();
    let good: &[(&str, Option<&str>)] = &[("max.message.bytes", Some("7"))];
    assert_eq!(ask(good, true).await, Some(ErrorCode::None));
    type Whole = &'static [(&'static str, Option<&'static str>)];
    let refusals: [(Whole, ErrorCode); 3] = [
        (&[("segment.ms", None)], ErrorCode::InvalidRequest),
        (
            &[("segment.ms", Some("1")), ("segment.ms", Some("2"))],
            ErrorCode::InvalidRequest,
        ),
        (&[("segment.ms", Some("x"))], ErrorCode::InvalidConfig),
    ];
    for (configs, code) in refusals {
        assert_eq!(ask(configs, false).await, Some(code), "{configs:?}");
    }
    assert_eq!(configs(), before);
    assert_eq!(ask(good, false).await, Some(ErrorCode::None));
    let after: Vec<_> = configs().into_iter().collect();
    assert_eq!(after, [("max.message.bytes".to_owned(), "7".to_owned())]);
}
