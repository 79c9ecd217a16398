//! Names that are wrong, and names that are nearly right.

use tonic::Code;
use tonic_types::StatusExt;

use super::*;
use crate::harness::{Harness, create};

#[test]
fn edits_are_counted_up_to_the_limit() {
    for (one, other, expected) in [
        ("", "", 0),
        ("orders", "orders", 0),
        ("ordres", "orders", 2),
        ("order", "orders", 1),
        ("orders", "order", 1),
        ("xrders", "orders", 1),
        ("ab", "", 2),
        ("abc", "", SIMILAR_EDITS_MAX + 1),
        ("", "abcdefgh", SIMILAR_EDITS_MAX + 1),
    ] {
        assert_eq!(edits(one, other), expected, "{one:?} and {other:?}");
    }
    assert!(edits("abcdef", "uvwxyz") > SIMILAR_EDITS_MAX);
}

#[tokio::test]
async fn a_wrong_name_is_told_from_an_unknown_one() {
    let broker = Harness::new().broker().await;
    create(&broker, "orders", 1, &[]).await;
    assert!(topic(&broker, "orders").is_ok());
    let long = "n".repeat(250);
    for (name, code, reason, similar) in [
        ("", Code::InvalidArgument, "INVALID_TOPIC_NAME", None),
        ("..", Code::InvalidArgument, "INVALID_TOPIC_NAME", None),
        ("a/b", Code::InvalidArgument, "INVALID_TOPIC_NAME", None),
        ("größe", Code::InvalidArgument, "INVALID_TOPIC_NAME", None),
        (&*long, Code::InvalidArgument, "INVALID_TOPIC_NAME", None),
        ("ordres", Code::NotFound, "UNKNOWN_TOPIC", Some("orders")),
        ("payments", Code::NotFound, "UNKNOWN_TOPIC", None),
    ] {
        let status = topic(&broker, name).expect_err("no such topic");
        assert_eq!(status.code(), code, "{name:?}");
        let info = status.get_details_error_info().expect("details");
        assert_eq!(
            (&*info.reason, &*info.domain),
            (reason, "ottla"),
            "{name:?}"
        );
        let found = info.metadata.get("similar_topic").map(String::as_str);
        assert_eq!(found, similar, "{name:?}");
    }
    let status = topic(&broker, "ordres").expect_err("no such topic");
    let expected = "topic \"ordres\" does not exist; did you mean \"orders\"?";
    assert_eq!(status.message(), expected);
}

#[tokio::test]
async fn partitions_and_offsets_are_checked() {
    let broker = Harness::new().broker().await;
    let topic = create(&broker, "orders", 3, &[]).await;
    assert_eq!(partition(&topic, 2).expect("it has 0 to 2"), 2);
    let status = partition(&topic, 3).expect_err("it has 0 to 2");
    assert_eq!(status.code(), Code::NotFound);
    let message = "topic orders has no partition 3; it has 3, counted from 0";
    assert_eq!(status.message(), message);
    let resource = status.get_details_resource_info().expect("details");
    assert_eq!(resource.resource_name, "orders-3");
    for negative in [-1, i32::MIN] {
        let status = partition(&topic, negative).expect_err("negative");
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    assert_eq!(offset(&topic, 0, 0).expect("allowed"), Offset::ZERO);
    let status = offset(&topic, 0, -1).expect_err("negative");
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().expect("details");
    assert_eq!(violations.field_violations[0].field, "offset");
}
