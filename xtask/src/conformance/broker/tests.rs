//! The port is found in any banner that names an address.

use super::port_in;

#[test]
fn ports_in_lines() {
    for (line, port) in [
        ("ottla 0.1.0 on 127.0.0.1:9092", Some(9092)),
        ("listening on 127.0.0.1:41233 and [::1]:41233", Some(41233)),
        ("  kcat -b localhost:7000 -L", Some(7000)),
        ("asked for 127.0.0.1:0", None),
        ("data in /tmp/x", None),
        ("127.0.0.1:99999", None),
    ] {
        assert_eq!(port_in(line), port, "{line}");
    }
}
