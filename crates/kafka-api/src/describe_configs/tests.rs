//! All keys, some keys, sources, and resources that are not there.

use super::*;
use crate::harness::Harness;

const VERSIONS: std::ops::RangeInclusive<i16> = 1..=4;
/// First version with types and documentation.
const TYPES_FROM: i16 = 3;

fn resource(resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys
            .map(|keys| keys.iter().map(|key| WireString::from(*key)).collect()),
    }
}

fn request(resources: Vec<DescribeConfigsResource>) -> DescribeConfigsRequest {
    DescribeConfigsRequest {
        resources,
        ..Default::default()
    }
}

async fn one(
    harness: &Harness,
    version: i16,
    asked: DescribeConfigsResource,
) -> DescribeConfigsResult {
    let mut response = harness.ask(version, &request(vec![asked.clone()])).await;
    let row = response.results.pop().expect("a row");
    assert!(response.results.is_empty());
    assert_eq!(
        (row.resource_type, &row.resource_name),
        (asked.resource_type, &asked.resource_name)
    );
    row
}

fn find<'a>(row: &'a DescribeConfigsResult, key: &str) -> &'a DescribeConfigsResourceResult {
    let found = row.configs.iter().find(|config| config.name == key);
    found.unwrap_or_else(|| panic!("{key} is told"))
}

#[tokio::test]
async fn every_key_of_topic_and_broker() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 1).await;
    let topic_keys = harness.broker().describe_topic_configs(&topic).len();
    let broker_keys = harness.broker().describe_broker_configs().len();
    assert!(topic_keys > 20 && broker_keys > 20);
    for version in VERSIONS {
        for keys in [None, Some(&[][..])] {
            let row = one(&harness, version, resource(TOPIC, "t", keys)).await;
            assert_eq!(
                (row.error_code, row.configs.len()),
                (0, topic_keys),
                "v{version}"
            );
            let size = find(&row, "max.message.bytes");
            assert_eq!(size.value.as_deref(), Some("1048588"));
            assert_eq!(
                (size.config_source, size.read_only, size.is_sensitive),
                (5, false, false)
            );
            assert_eq!(size.config_type, if version >= TYPES_FROM { 3 } else { 0 });
            assert!(size.synonyms.is_empty(), "nobody asked");
            assert_eq!(size.documentation.as_deref().unwrap_or_default(), "");
            let row = one(&harness, version, resource(BROKER, "1", keys)).await;
            assert_eq!((row.error_code, row.configs.len()), (0, broker_keys));
            let partitions = find(&row, "num.partitions");
            assert_eq!(
                (partitions.value.as_deref(), partitions.read_only),
                (Some("1"), true)
            );
        }
    }
}

#[tokio::test]
async fn some_keys_with_synonyms_and_words() {
    let harness = Harness::new().await;
    harness
        .topic_with("t", 1, &[("segment.ms", "123456")])
        .await;
    for version in VERSIONS {
        let keys = ["no.such.key", "segment.ms", "cleanup.policy"];
        let request = DescribeConfigsRequest {
            include_synonyms: true,
            include_documentation: version >= TYPES_FROM,
            ..request(vec![resource(TOPIC, "t", Some(&keys))])
        };
        let response = harness.ask(version, &request).await;
        let row = &response.results[0];
        assert_eq!(
            (row.error_code, row.configs.len()),
            (0, 2),
            "unknown keys are left out"
        );
        let own_value = find(row, "segment.ms");
        assert_eq!(
            (own_value.value.as_deref(), own_value.config_source),
            (Some("123456"), 1)
        );
        let own = DescribeConfigsSynonym {
            name: "segment.ms".into(),
            value: Some("123456".into()),
            source: 1,
        };
        assert_eq!(own_value.synonyms.first(), Some(&own));
        let policy = find(row, "cleanup.policy");
        let inherited = DescribeConfigsSynonym {
            name: "log.cleanup.policy".into(),
            value: policy.value.clone(),
            source: 5,
        };
        assert_eq!(policy.synonyms, [inherited]);
        let says = policy
            .documentation
            .as_ref()
            .is_some_and(|text| !text.is_empty());
        assert_eq!(says, version >= TYPES_FROM);
    }
}

#[tokio::test]
async fn resources_that_are_not_there() {
    let harness = Harness::new().await;
    let cases = [
        (TOPIC, "absent", ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "..", ErrorCode::InvalidTopicException),
        (TOPIC, "", ErrorCode::InvalidTopicException),
        (BROKER, "4711", ErrorCode::InvalidRequest),
        (BROKER, "first", ErrorCode::InvalidRequest),
        (BROKER, "", ErrorCode::None),
        (99, "x", ErrorCode::InvalidRequest),
        (0, "x", ErrorCode::InvalidRequest),
        (-1, "x", ErrorCode::InvalidRequest),
    ];
    for (kind, name, expected) in cases {
        for version in VERSIONS {
            let row = one(&harness, version, resource(kind, name, None)).await;
            assert_eq!(
                row.error_code,
                expected.code(),
                "{kind} {name:?} v{version}"
            );
            assert!(row.configs.is_empty());
            assert_eq!(row.error_message.is_some(), expected != ErrorCode::None);
        }
    }
    assert!(
        harness
            .ask(4, &request(Vec::new()))
            .await
            .results
            .is_empty()
    );
}

#[tokio::test]
async fn a_question_may_be_repeated_but_not_at_will() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    harness.topic("u", 1).await;
    let keys = Some(&["retention.ms"][..]);
    let mut asked = vec![resource(TOPIC, "t", keys); 4];
    asked.push(resource(TOPIC, "u", keys));
    let response = harness.ask(4, &request(asked)).await;
    let told: Vec<_> = response
        .results
        .iter()
        .map(|row| (row.error_code, row.configs.len()))
        .collect();
    let refused = (ErrorCode::InvalidRequest.code(), 0);
    assert_eq!(told, [(0, 1), (0, 1), refused, refused, (0, 1)]);
}

#[test]
fn numbers_of_kinds_and_sources_are_kafkas() {
    let kinds = [
        (ConfigKind::Boolean, 1),
        (ConfigKind::String, 2),
        (ConfigKind::Int, 3),
        (ConfigKind::Long, 5),
        (ConfigKind::Double, 6),
        (ConfigKind::List, 7),
    ];
    for (kind, number) in kinds {
        assert_eq!(kind_number(kind), number);
    }
    let sources = [
        ConfigSource::Topic,
        ConfigSource::StaticBroker,
        ConfigSource::Default,
    ];
    assert_eq!(sources.map(source_number), [1, 4, 5]);
}
