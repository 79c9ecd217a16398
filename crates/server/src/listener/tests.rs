//! Binding the port.

use super::{BindError, bind};

#[test]
fn port_zero_gives_one_port_on_both_loopbacks() {
    let listeners = bind(None, 0).unwrap();
    let ports: Vec<u16> = listeners
        .iter()
        .map(|l| l.local_addr().unwrap().port())
        .collect();
    assert_ne!(ports[0], 0);
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    assert!(
        listeners
            .iter()
            .all(|l| l.local_addr().unwrap().ip().is_loopback())
    );
}

#[test]
fn a_port_in_use_is_told_as_such() {
    let first = bind(None, 0).unwrap();
    let port = first[0].local_addr().unwrap().port();
    let error = bind(None, port).unwrap_err();
    assert!(
        matches!(error, BindError::InUse { port: told, .. } if told == port),
        "{error}"
    );
}

#[test]
fn a_host_that_is_not_ours_is_refused_with_its_name() {
    let error = bind(Some("192.0.2.1"), 0).unwrap_err();
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
    let error = bind(Some("not a host"), 0).unwrap_err();
    assert!(error.to_string().contains("not a host"), "{error}");
}
