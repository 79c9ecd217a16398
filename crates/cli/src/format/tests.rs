//! Formats of output and input, and what is none.

use bytes::Bytes;
use records::{Header, Offset, Record};

use super::{InputFormat, OutputFormat};

fn record() -> Record {
    Record {
        offset: Offset::new(7),
        timestamp_ms: 1_700_000_000_000,
        key: Some(Bytes::from_static(b"k\xff")),
        value: Some(Bytes::from_static(b"v")),
        headers: vec![
            Header::new("a", "1"),
            Header {
                key: Bytes::from_static(b"b"),
                value: None,
            },
        ],
    }
}

#[test]
fn records_are_printed_as_asked() {
    let cases: [(&str, &[u8]); 8] = [
        (r"%v\n", b"v\n"),
        (r"%k=%v\0", b"k\xff=v\0"),
        (r"%t[%p]@%o", b"orders[2]@7"),
        (r"%T %h\r\n", b"1700000000000 a=1,b=\r\n"),
        ("100%%\\\\", b"100%\\"),
        ("", b""),
        ("\u{e4}\\t%v", b"\xc3\xa4\tv"),
        ("%v%v", b"vv"),
    ];
    for (text, expected) in cases {
        let mut out = Vec::new();
        text.parse::<OutputFormat>()
            .unwrap()
            .write("orders", 2, &record(), &mut out);
        assert_eq!(out, expected, "{text:?}");
    }
    let absent = Record {
        key: None,
        value: None,
        headers: Vec::new(),
        ..record()
    };
    let mut out = Vec::new();
    "<%k|%v|%h>"
        .parse::<OutputFormat>()
        .unwrap()
        .write("orders", 2, &absent, &mut out);
    assert_eq!(out, b"<||>");
}

#[test]
fn nonsense_is_refused() {
    for text in ["%", "%x", "\\", "\\x"] {
        assert!(text.parse::<OutputFormat>().is_err(), "{text:?}");
        assert!(text.parse::<InputFormat>().is_err(), "{text:?}");
    }
    for text in [
        "", "%k", "%k%v", "%v%k", r"%k\n%v", "%v%v", "%t %v", "x%v", r"%v\n\n", "%k\t%v!",
    ] {
        assert!(text.parse::<InputFormat>().is_err(), "{text:?}");
    }
}

#[test]
fn lines_are_split_at_the_first_separator() {
    type Split<'a> = Option<(Option<&'a [u8]>, &'a [u8])>;
    let cases: [(&str, &[u8], Split<'_>); 9] = [
        (r"%v\n", b"a\tb", Some((None, b"a\tb"))),
        ("%v", b"", Some((None, b""))),
        (r"%k\t%v\n", b"a\tb\tc", Some((Some(b"a"), b"b\tc"))),
        (r"%k\t%v", b"a\t", Some((Some(b"a"), b""))),
        (r"%k\t%v", b"\tb", Some((Some(b""), b"b"))),
        (r"%k\t%v", b"ab", None),
        (r"%k\t%v", b"", None),
        (
            r"%v => %k\n",
            b"\xfe => a => b",
            Some((Some(b"a => b"), b"\xfe")),
        ),
        ("%k::%v", b"a:b::c", Some((Some(b"a:b"), b"c"))),
    ];
    for (format, line, expected) in cases {
        let format: InputFormat = format.parse().unwrap();
        assert_eq!(format.split(line), expected, "{format:?} {line:?}");
    }
}
