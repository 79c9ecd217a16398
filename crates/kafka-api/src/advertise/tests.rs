//! Every form of the setting, every kind of peer.

use super::Advertise;
use crate::Ends;

#[test]
fn forms_of_the_setting() {
    let fixed = |host: &str, port| {
        Some(Advertise::Fixed {
            host: host.to_owned(),
            port,
        })
    };
    let cases = [
        ("auto", Some(Advertise::Auto)),
        ("broker.example", fixed("broker.example", None)),
        ("broker.example:19092", fixed("broker.example", Some(19092))),
        ("10.0.0.7:1", fixed("10.0.0.7", Some(1))),
        ("2001:db8::1", fixed("2001:db8::1", None)),
        ("[2001:db8::1]:7", fixed("2001:db8::1", Some(7))),
        ("[2001:db8::1]", fixed("2001:db8::1", None)),
        ("", None),
        (":9092", None),
        ("host:", None),
        ("host:port", None),
        ("host:70000", None),
        ("[::1]x", None),
        ("a b", None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Advertise>().ok(), expected, "{text:?}");
    }
}

#[test]
fn what_each_peer_is_told() {
    let ends = |peer: &str, local: &str| Ends {
        peer: peer.parse().unwrap(),
        local: local.parse().unwrap(),
    };
    let auto = Advertise::Auto;
    let cases = [
        (ends("127.0.0.1:5", "127.0.0.1:9092"), "localhost"),
        (ends("[::1]:5", "[::1]:9092"), "localhost"),
        (
            ends("[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:9092"),
            "localhost",
        ),
        (ends("10.0.0.9:5", "10.0.0.7:9092"), "10.0.0.7"),
        (
            ends("[::ffff:10.0.0.9]:5", "[::ffff:10.0.0.7]:9092"),
            "10.0.0.7",
        ),
    ];
    for (ends, host) in cases {
        assert_eq!(auto.to(ends), (host.to_owned(), 9092), "{ends:?}");
    }
    let fixed: Advertise = "example:1".parse().unwrap();
    assert_eq!(
        fixed.to(ends("127.0.0.1:5", "127.0.0.1:9092")),
        ("example".to_owned(), 1)
    );
}
