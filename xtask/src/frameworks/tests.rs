//! What the command line of the frameworks means.

use super::parse;
use crate::conformance::options::Target;

fn check(arguments: &[&str], names: &[&str], target: &Target) {
    let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let (chosen, found) = parse(&arguments).expect("it is a command line");
    let chosen: Vec<&str> = chosen.iter().map(|scenario| scenario.name).collect();
    assert_eq!((chosen.as_slice(), &found), (names, target));
}

#[test]
fn all_frameworks_or_those_that_are_named_in_their_order() {
    let all = ["connect", "schemas", "apicurio", "streams", "mirror"];
    check(&[], &all, &Target::Ottla);
    check(
        &["--only", "streams", "--only", "connect"],
        &["streams", "connect"],
        &Target::Ottla,
    );
    check(&["--kafka"], &all, &Target::Kafka);
}

#[test]
fn a_name_that_nobody_has_is_an_error() {
    for arguments in [&["--only"][..], &["--only", "absent"], &["connect"]] {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        assert!(parse(&arguments).is_err(), "{arguments:?}");
    }
}
