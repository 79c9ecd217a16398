//! The generator on small made-up schemas, and on the committed facts.

use super::facts::{self, Versions};
use super::rust::{self, When};
use super::{check, emit, facts_path, generate, messages_folder};
use crate::root;

#[test]
fn names_become_snake_case() {
    for (name, expected) in [
        ("ThrottleTimeMs", "throttle_time_ms"),
        ("timeoutMs", "timeout_ms"),
        ("Enable2Pc", "enable2_pc"),
        ("Type", "r#type"),
        ("OffsetForLeaderEpoch", "offset_for_leader_epoch"),
    ] {
        assert_eq!(rust::snake_case(name), expected);
    }
}

#[test]
fn version_ranges_read_back() {
    for text in ["none", "0+", "3", "7-12"] {
        assert_eq!(Versions::parse(text).expect(text).to_string(), text);
    }
    for text in ["", "x", "1-", "-1-x"] {
        Versions::parse(text).expect_err(text);
    }
}

#[test]
fn conditions_are_as_short_as_the_context_allows() {
    let context = Versions { first: 3, last: 13 };
    let when = |text| rust::when(Versions::parse(text).expect(text), context);
    let condition = |text| match when(text) {
        When::If { holds, fails } => (holds, fails),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(when("0+"), When::Always);
    assert_eq!(when("3-13"), When::Always);
    assert_eq!(when("0-2"), When::Never);
    assert_eq!(when("none"), When::Never);
    assert_eq!(
        condition("9+"),
        ("version >= 9".into(), "version < 9".into())
    );
    assert_eq!(
        condition("0-12"),
        ("version <= 12".into(), "version > 12".into())
    );
    assert_eq!(
        condition("5"),
        ("version == 5".into(), "version != 5".into())
    );
    let (holds, fails) = condition("8-10");
    assert_eq!(holds, "(8..=10).contains(&version)");
    assert_eq!(fails, "!(8..=10).contains(&version)");
}

const CLASH: &str = "
api 7 Clash
request 0-1 flexible=1+
  Topics []Topic 0+
    Parts []Part 0+
      Index int32 0+
response 0-1 flexible=1+
  Topics []Topic 0+
    Parts []Part 0+
      Index int32 0+
      ErrorCode int16 0+ default=-1
";

#[test]
fn a_struct_that_differs_between_request_and_response_gets_its_own_name_and_so_do_its_owners() {
    let apis = facts::parse(CLASH).expect("well formed");
    let text = emit::api(&apis[0]).expect("it generates");
    for expected in [
        "pub struct Topic {",
        "pub parts: Vec<Part>",
        "pub struct ResponseTopic {",
        "pub parts: Vec<ResponsePart>",
        "pub topics: Vec<ResponseTopic>",
    ] {
        assert_eq!(text.matches(expected).count(), 1, "{expected} in {text}");
    }
}

#[test]
fn facts_read_back_as_they_were_written() {
    let shared = CLASH.replace(
        "request 0-1 flexible=1+",
        concat!(
            "request 0-1 flexible=1+\n",
            "struct Shared\n",
            "  Name string 0+ nullable=1+ tag=3 tagged=1+ ignorable default=null\n",
            "fields\n",
            "  One Shared 0+"
        ),
    );
    for text in [CLASH, &shared] {
        let apis = facts::parse(text).expect("well formed");
        assert_eq!(
            facts::parse(&facts::print(&apis)).expect("it was printed"),
            apis
        );
    }
    for broken in [
        "api 1",
        "api 1 X\nresponse 0 flexible=none",
        "api x Y\nrequest 0 flexible=none",
    ] {
        facts::parse(broken).expect_err(broken);
    }
}

#[test]
fn the_committed_messages_are_fresh_and_a_difference_is_noticed() {
    let root = root();
    let mut files = generate(&root, &facts_path(&root)).expect("the committed facts generate");
    check(&messages_folder(&root), &files).expect("run: cargo xtask codegen");

    let name = files[1].0.clone();
    files[1].1.push('\n');
    let error = check(&messages_folder(&root), &files).expect_err("a changed file");
    assert!(error.contains(&name), "{error}");
    files.remove(1);
    let error = check(&messages_folder(&root), &files).expect_err("a file that nothing generates");
    assert!(error.contains(&name), "{error}");
}
