//! Garbage for HTTP/1.1 and TLS.

use super::attack::{Attack, Then, Wanted};
use crate::chance::Chance;

fn attack(family: &'static str, name: impl Into<String>, bytes: Vec<u8>) -> Attack {
    Attack {
        family,
        name: name.into(),
        bytes,
        then: Then::HalfClose,
        wanted: Wanted::End,
    }
}

/// Requests as they are sent.
const LINES: [&str; 32] = [
    "GET",
    "GET ",
    "GET /",
    "GET / HTTP/1.1",
    "GET / HTTP/9.9\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET  /  HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http:///// HTTP/1.1\r\nHost:\r\n\r\n",
    "GET /../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /%2e%2e/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "GET /metrics HTTP/1.1\nHost: x\n\n",
    "GET / HTTP/1.1\r\nHost: x\r\n Folded: y\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nshort",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nx",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\nx\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
    "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: !!\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "DELETE /healthz HTTP/1.0\r\n\r\n",
    "BREW / HTCPCP/1.0\r\n\r\n",
    "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /",
];

/// Requests of which one part is long, each with what it is.
fn long(size_bytes: usize) -> [(&'static str, String); 7] {
    let long = "a".repeat(size_bytes);
    [
        ("path", format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        (
            "method",
            format!("GET{} / HTTP/1.1\r\nHost: x\r\n\r\n", long.to_uppercase()),
        ),
        (
            "header name",
            format!("GET / HTTP/1.1\r\nHost: x\r\n{long}: x\r\n\r\n"),
        ),
        (
            "header value",
            format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n"),
        ),
        (
            "row of headers",
            format!(
                "GET / HTTP/1.1\r\n{}\r\n",
                "A: b\r\n".repeat(size_bytes / 6)
            ),
        ),
        (
            "body",
            format!(
                "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {size_bytes}\r\n\r\n{long}"
            ),
        ),
        (
            "row of requests",
            "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(size_bytes / 4096),
        ),
    ]
}

/// Requests that are no HTTP, or HTTP that lies.
pub(super) fn http(chance: &mut Chance) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for line in LINES {
        attacks.push(attack("HTTP/1.1", line.trim_end(), line.into()));
    }
    for size_bytes in [8 << 10, 64 << 10, 1 << 20, 8 << 20] {
        for (what, text) in long(size_bytes) {
            let name = format!("a {what} of {size_bytes} bytes");
            attacks.push(attack("HTTP/1.1", name, text.into()));
        }
    }
    for method in ["GET ", "PUT ", "POST ", "HEAD ", "PATCH ", "TRACE "] {
        let bytes = [method.as_bytes(), &chance.bytes(2_000)].concat();
        attacks.push(attack("HTTP/1.1", format!("{method}and noise"), bytes));
    }
    attacks
}

/// The beginnings of a TLS handshake, and records that lie.
pub(super) fn tls(chance: &mut Chance) -> Vec<Attack> {
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.extend(chance.bytes(506));
    let mut attacks = Vec::new();
    for length in [1, 2, 3, 5, 6, 9, 11, 100, 516, hello.len()] {
        let cut = hello[..length.min(hello.len())].to_vec();
        attacks.push(attack(
            "TLS",
            format!("{length} bytes of a ClientHello"),
            cut,
        ));
    }
    for _ in 0..40 {
        let length = chance.below(1_000);
        let bytes = [&b"\x16\x03"[..], &chance.bytes(length)].concat();
        attacks.push(attack("TLS", "a handshake of noise", bytes));
    }
    for record in [
        &b"\x15\x03\x01\x00\x02\x02\x28"[..],
        b"\x16\x03\x03\xff\xff",
        b"\x17\x03\x03\x00\x00",
        b"\x16\x00",
    ] {
        attacks.push(attack("TLS", format!("{record:?}"), record.to_vec()));
    }
    attacks
}
