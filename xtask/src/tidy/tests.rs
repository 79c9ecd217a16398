//! Each rule of tidy finds what it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{FILE_LINES_MAX, check_arrows, check_file, check_switches};

#[test]
fn a_good_file_has_no_findings() {
    assert!(check_file(Path::new("crates/records/src/header.rs"), "//! Head.\n").is_empty());
}

#[test]
fn each_bad_file_is_found() {
    let long = format!("//! Head.\n{}", "\n".repeat(FILE_LINES_MAX));
    let mark = format!("//! Head.\n// {}: later\n", concat!("TO", "DO"));
    let cases = [
        (
            "crates/a/src/lib.rs",
            "use std::io;\n",
            "without a `//!` head",
        ),
        ("crates/a/src/lib.rs", long.as_str(), "lines"),
        ("crates/a/src/utils.rs", "//! Head.\n", "tells nothing"),
        ("crates/a/src/common/mod.rs", "//! Head.\n", "tells nothing"),
        (
            "crates/a/src/lib.rs",
            mark.as_str(),
            "without an issue number",
        ),
    ];
    for (file, text, expected) in cases {
        let findings = check_file(Path::new(file), text);
        assert!(
            findings.iter().any(|f| f.contains(expected)),
            "{file}: {findings:?}"
        );
    }
}

#[test]
fn a_forbidden_arrow_is_found() {
    let set = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    let dependencies = BTreeMap::from([
        ("records".to_owned(), set(&["tokio", "bytes"])),
        ("broker".to_owned(), set(&["storage-disk", "records"])),
        ("storage-disk".to_owned(), set(&[])),
        ("newcomer".to_owned(), set(&[])),
    ]);
    let findings = check_arrows(&dependencies).join("\n");
    assert!(
        findings.contains("crates/broker: must not depend on storage-disk"),
        "{findings}"
    );
    assert!(
        findings.contains("crates/records: must not depend on tokio"),
        "{findings}"
    );
    assert!(
        findings.contains("crates/newcomer: not in the picture"),
        "{findings}"
    );
    assert_eq!(findings.lines().count(), 3, "{findings}");
}

#[test]
fn a_manifest_that_removes_safeguards_is_found() {
    let package = |name: &str, features: &str, of_dependency: &str| {
        let text = format!(
            r#"{{"packages": [{{"name": "{name}", "features": {features},
            "dependencies": [{{"name": "storage-disk", "features": {of_dependency}}}]}}]}}"#
        );
        check_switches(&serde_json::from_str(&text).expect("good JSON"))
    };
    let cases = [
        (
            "storage-disk",
            r#"{"sabotage": ["sabotage/switches"]}"#,
            "[]",
            0,
        ),
        ("storage-disk", r#"{"default": ["sabotage"]}"#, "[]", 1),
        ("sabotage", r#"{"switches": []}"#, "[]", 0),
        (
            "sabotage",
            r#"{"default": ["switches"], "switches": []}"#,
            "[]",
            1,
        ),
        ("server", r#"{"fast": ["storage-disk/sabotage"]}"#, "[]", 1),
        ("server", "{}", r#"["sabotage"]"#, 1),
        ("server", "{}", r#"["rt"]"#, 0),
    ];
    for (name, features, of_dependency, expected) in cases {
        let findings = package(name, features, of_dependency);
        assert_eq!(findings.len(), expected, "{name} {features}: {findings:?}");
    }
}
