//! The owner of a port that this test itself holds.

#[test]
#[cfg(target_os = "linux")]
fn names_this_process() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let owner = super::port_owner(listener.local_addr().unwrap().port()).unwrap();
    assert!(owner.contains(&std::process::id().to_string()), "{owner}");
}

#[test]
fn a_port_that_nobody_can_listen_on_has_no_owner() {
    assert_eq!(super::port_owner(0), None);
}
