//! What is said of words and ports that cannot be used.

use std::io;

use server::{BindError, StartError};

use super::{Shares, called_as, explain, log_filter};
use crate::failure::Exit;

#[test]
fn a_log_level_is_a_level() {
    for good in ["error", "info", "TRACE", "off", "info,storage_disk=debug"] {
        assert!(log_filter(good).is_ok(), "{good}");
    }
    for bad in ["", "loud", "inf", "info,loud", "nonsense=="] {
        let failure = log_filter(bad).expect_err(bad);
        assert_eq!(failure.exit, Exit::Usage, "{bad}");
        assert!(failure.to_string().contains("use error, warn"), "{bad}");
    }
}

#[test]
fn a_port_that_needs_a_privilege_is_not_taken_for_a_wrong_address() {
    let refused = BindError::System {
        address: ([127, 0, 0, 1], 80).into(),
        error: io::ErrorKind::PermissionDenied.into(),
    };
    let said = explain(StartError::Bind(refused)).to_string();
    assert!(said.contains("port 80"), "{said}");
    assert!(said.contains("above 1023"), "{said}");
    let elsewhere = BindError::System {
        address: ([10, 1, 2, 3], 80).into(),
        error: io::ErrorKind::AddrNotAvailable.into(),
    };
    let said = explain(StartError::Bind(elsewhere)).to_string();
    assert!(said.contains("--host"), "{said}");
}

#[test]
fn the_banner_names_the_program_as_it_was_started() {
    let called = |word: &str| called_as(Some(word.to_owned()));
    assert_eq!(called("ottla"), "ottla");
    assert_eq!(called("target/release/ottla"), "target/release/ottla");
    assert_eq!(called("/a b/ottla"), "ottla");
    assert_eq!(called_as(None), "ottla");
}

#[test]
fn connections_leave_descriptors_for_log_files() {
    let cases = [
        (256, 128, 16),
        (1024, 512, 192),
        (4096, 2048, 1728),
        (65_536, 4096, 61_120),
        (1 << 20, 4096, 100_000),
        (u64::MAX, 4096, 100_000),
    ];
    for (limit, files, connections) in cases {
        assert_eq!(Shares::of(limit), Shares { files, connections }, "{limit}");
    }
}
