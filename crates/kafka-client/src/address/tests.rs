//! Every form of an address, and what is none.

use super::Address;

#[test]
fn forms() {
    let cases = [
        (
            "localhost:19092",
            Some(("localhost", 19092, "localhost:19092")),
        ),
        ("localhost", Some(("localhost", 9092, "localhost:9092"))),
        ("10.0.0.7:1", Some(("10.0.0.7", 1, "10.0.0.7:1"))),
        ("::1", Some(("::1", 9092, "[::1]:9092"))),
        ("[::1]:7", Some(("::1", 7, "[::1]:7"))),
        ("[::1]", Some(("::1", 9092, "[::1]:9092"))),
        ("", None),
        (":9092", None),
        ("host:", None),
        ("host:0", None),
        ("host:70000", None),
        ("host:port", None),
        ("[::1]x", None),
        ("[::1", None),
        ("a b:1", None),
        ("kafka://host:1", None),
    ];
    for (text, expected) in cases {
        let parsed = text.parse::<Address>().ok();
        let parts = parsed.map(|address| (address.host.clone(), address.port, address.to_string()));
        let expected =
            expected.map(|(host, port, shown)| (host.to_owned(), port, shown.to_owned()));
        assert_eq!(parts, expected, "{text:?}");
    }
}
