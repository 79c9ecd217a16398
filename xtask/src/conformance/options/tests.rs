//! Which command lines mean what, and which are refused.

use super::{Options, Target};

fn parse(line: &str) -> Result<Options, String> {
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    Options::parse(&arguments)
}

#[test]
fn targets() {
    for (line, target, record) in [
        ("", Target::Ottla, false),
        ("--kafka java", Target::Kafka, false),
        ("--record", Target::Kafka, true),
        (
            "--bootstrap localhost:1",
            Target::Running("localhost:1".to_owned()),
            false,
        ),
    ] {
        let options = parse(line).expect(line);
        assert_eq!(
            (&options.target, options.record),
            (&target, record),
            "{line}"
        );
    }
}

#[test]
fn clients_and_scenario() {
    let options = parse("java --scenario offsets kcat").expect("a good line");
    assert_eq!(options.clients, ["java", "kcat"]);
    assert_eq!(options.scenario.as_deref(), Some("offsets"));
}

#[test]
fn refused() {
    for line in [
        "--scenario",
        "--bogus",
        "--record --scenario x",
        "--record --bootstrap localhost:1",
    ] {
        assert!(parse(line).is_err(), "{line} must be refused");
    }
}
