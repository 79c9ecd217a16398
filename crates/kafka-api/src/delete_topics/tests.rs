//! By name, by id, by neither, by both.

use kafka_wire::WireString;

use super::*;
use crate::harness::{Harness, id_of};

const VERSIONS: std::ops::RangeInclusive<i16> = 1..=6;
const ABSENT: Uuid = Uuid([7; 16]);

fn names(version: i16, names: &[&str]) -> DeleteTopicsRequest {
    let names = names.iter().map(|name| WireString::from(*name));
    if version < STATES_FROM {
        return DeleteTopicsRequest {
            topic_names: names.collect(),
            ..Default::default()
        };
    }
    let states = names.map(|name| DeleteTopicState {
        name: Some(name),
        topic_id: Uuid::ZERO,
    });
    rows(states.collect())
}

fn rows(topics: Vec<DeleteTopicState>) -> DeleteTopicsRequest {
    DeleteTopicsRequest {
        topics,
        ..Default::default()
    }
}

fn state(name: Option<&str>, topic_id: Uuid) -> DeleteTopicState {
    DeleteTopicState {
        name: name.map(Into::into),
        topic_id,
    }
}

type Told = (Option<String>, Uuid, ErrorCode);

fn told(response: &DeleteTopicsResponse) -> Vec<Told> {
    let rows = response.responses.iter().map(|row| {
        let code = ErrorCode::from_code(row.error_code).expect("a code of Kafka");
        let name = row.name.as_ref().map(ToString::to_string);
        (name, row.topic_id, code)
    });
    rows.collect()
}

fn row(name: &str, id: Uuid, code: ErrorCode) -> Told {
    (Some(name.to_owned()), id, code)
}

#[tokio::test]
async fn by_name_in_every_version() {
    let harness = Harness::new().await;
    for version in VERSIONS {
        let topic = harness.topic("t", 1).await;
        let id = if version >= STATES_FROM {
            id_of(&topic)
        } else {
            Uuid::ZERO
        };
        let response = harness
            .ask(version, &names(version, &["absent", "t", ".."]))
            .await;
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let mut got = told(&response);
        got.sort();
        let expected = [
            row("..", Uuid::ZERO, unknown),
            row("absent", Uuid::ZERO, unknown),
            row("t", id, ErrorCode::None),
        ];
        assert_eq!(got, expected, "v{version}");
        for row in &response.responses {
            let says = version >= 5 && row.error_code != 0;
            assert_eq!(row.error_message.is_some(), says, "v{version}");
        }
        assert!(harness.broker().topics().is_empty());
        assert!(
            harness
                .ask(version, &names(version, &[]))
                .await
                .responses
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_name_that_comes_twice_is_refused_once() {
    let harness = Harness::new().await;
    harness.topic("t", 1).await;
    for version in VERSIONS {
        let response = harness
            .ask(version, &names(version, &["t", "t", "t"]))
            .await;
        assert_eq!(
            told(&response),
            [row("t", Uuid::ZERO, ErrorCode::InvalidRequest)]
        );
        assert_eq!(harness.broker().topics().len(), 1);
    }
}

#[tokio::test]
async fn by_id() {
    let harness = Harness::new().await;
    let (t, u) = (harness.topic("t", 1).await, harness.topic("u", 1).await);
    let (t_id, u_id) = (id_of(&t), id_of(&u));
    let invalid = ErrorCode::InvalidRequest;
    let cases = [
        (
            vec![state(None, ABSENT)],
            vec![(None, ABSENT, ErrorCode::UnknownTopicId)],
        ),
        (
            vec![state(None, Uuid::ZERO)],
            vec![(None, Uuid::ZERO, invalid)],
        ),
        (vec![state(Some("t"), t_id)], vec![row("t", t_id, invalid)]),
        (
            vec![state(Some("t"), ABSENT)],
            vec![row("t", ABSENT, invalid)],
        ),
        (
            vec![state(None, t_id), state(None, t_id)],
            vec![(None, t_id, invalid)],
        ),
        // One topic, meant twice.
        (
            vec![state(None, t_id), state(Some("t"), Uuid::ZERO)],
            vec![row("t", t_id, invalid)],
        ),
    ];
    for (asked, expected) in cases {
        let response = harness.ask(6, &rows(asked.clone())).await;
        assert_eq!(told(&response), expected, "{asked:?}");
        assert_eq!(harness.broker().topics().len(), 2, "{asked:?}");
    }
    let both = rows(vec![state(None, t_id), state(Some("u"), Uuid::ZERO)]);
    let response = harness.ask(6, &both).await;
    let expected = [
        row("t", t_id, ErrorCode::None),
        row("u", u_id, ErrorCode::None),
    ];
    assert_eq!(told(&response), expected);
    assert!(harness.broker().topics().is_empty());
}

#[tokio::test]
async fn a_topic_made_again_is_another_one() {
    let harness = Harness::new().await;
    let old = harness.topic("t", 1).await;
    harness.append(&old, 0, &["old"]);
    harness.ask(6, &names(6, &["t"])).await;
    let new = harness.topic("t", 1).await;
    assert_ne!(old.id(), new.id());
    assert_eq!(
        new.log(0).expect("opens").ends().log_end,
        records::Offset::ZERO
    );
}
