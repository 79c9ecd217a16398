//! Garbage for the other protocols of the port: HTTP/1.1, HTTP/2, TLS.

use super::attack::{Attack, Then, Wanted};
use crate::chance::Chance;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types of HTTP/2.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn attack(family: &'static str, name: impl Into<String>, bytes: Vec<u8>) -> Attack {
    Attack {
        family,
        name: name.into(),
        bytes,
        then: Then::HalfClose,
        wanted: Wanted::End,
    }
}

/// Requests that are no HTTP, or HTTP that lies.
pub(super) fn http(chance: &mut Chance) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for line in [
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
    ] {
        attacks.push(attack("HTTP/1.1", line.trim_end(), line.into()));
    }
    for size_bytes in [8 << 10, 64 << 10, 1 << 20, 8 << 20] {
        let long = "a".repeat(size_bytes);
        let shapes = [
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
        ];
        for (what, text) in shapes {
            attacks.push(attack(
                "HTTP/1.1",
                format!("a {what} of {size_bytes} bytes"),
                text.into(),
            ));
        }
    }
    for method in ["GET ", "PUT ", "POST ", "HEAD ", "PATCH ", "TRACE "] {
        let bytes = [method.as_bytes(), &chance.bytes(2_000)].concat();
        attacks.push(attack("HTTP/1.1", format!("{method}and noise"), bytes));
    }
    attacks
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames are short");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields in HPACK's plainest form: no table, no Huffman.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).expect("texts are short") & 0x7f);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// The head of a gRPC call.
fn call(method: &str) -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", method),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

fn opened(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frames.concat()].concat()
}

/// The ids a client gives its streams.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| number * 2 + 1)
}

/// HTTP/2 that is garbage, floods, or lies about lengths.
pub(super) fn http2(chance: &mut Chance) -> Vec<Attack> {
    let call = call("/broker.Broker/ListTopics");
    let end = END_STREAM | END_HEADERS;
    let resets = streams(2_000).flat_map(|stream| {
        [
            frame(HEADERS, END_HEADERS, stream, &call),
            frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ]
    });
    let calls = streams(2_000).map(|stream| frame(HEADERS, END_HEADERS, stream, &call));
    let mut endless = vec![frame(HEADERS, 0, 1, &call)];
    endless.extend((0..2_000).map(|_| frame(CONTINUATION, 0, 1, &[b'a'; 1_000])));
    let huge = frame(DATA, 0, 1, b"\0\xff\xff\xff\xffshort");
    let not_grpc = fields(&[(":method", "POST"), (":path", "\0"), (":scheme", "")]);
    let shapes: Vec<(&str, Vec<u8>)> = vec![
        ("preface", PREFACE.to_vec()),
        ("half a preface", PREFACE[..10].to_vec()),
        ("preface twice", [PREFACE, PREFACE].concat()),
        ("rapid reset", opened(&resets.collect::<Vec<_>>())),
        ("calls without an end", opened(&calls.collect::<Vec<_>>())),
        ("headers without an end", opened(&endless)),
        (
            "settings flood",
            opened(&vec![frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]); 10_000]),
        ),
        (
            "ping flood",
            opened(&vec![frame(PING, 0, 0, &[1; 8]); 10_000]),
        ),
        (
            "empty data flood",
            opened(
                &[
                    vec![frame(HEADERS, END_HEADERS, 1, &call)],
                    vec![frame(DATA, 0, 1, &[]); 10_000],
                ]
                .concat(),
            ),
        ),
        (
            "window of nothing",
            opened(&[frame(WINDOW_UPDATE, 0, 0, &[0; 4])]),
        ),
        (
            "window beyond all",
            opened(&vec![
                frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]);
                3
            ]),
        ),
        (
            "a zero window",
            opened(&[
                frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]),
                frame(HEADERS, end, 1, &call),
            ]),
        ),
        (
            "settings of 5 bytes",
            opened(&[frame(SETTINGS, 0, 0, &[0; 5])]),
        ),
        (
            "settings on a stream",
            opened(&[frame(SETTINGS, 0, 1, &[])]),
        ),
        ("data on no stream", opened(&[frame(DATA, 0, 0, b"x")])),
        (
            "data on an idle stream",
            opened(&[frame(DATA, 0, 99, b"x")]),
        ),
        (
            "a stream of the server",
            opened(&[frame(HEADERS, end, 2, &call)]),
        ),
        (
            "a frame of 16 MiB",
            opened(&[b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec()]),
        ),
        (
            "padding beyond the frame",
            opened(&[frame(HEADERS, end | 8, 1, &[0xff, 0x82])]),
        ),
        (
            "an index out of the table",
            opened(&[frame(HEADERS, end, 1, &[0xff, 0xff, 0xff, 0xff, 0x0f])]),
        ),
        (
            "a table of 4 GiB",
            opened(&[frame(
                HEADERS,
                end,
                1,
                &[0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f],
            )]),
        ),
        (
            "a text beyond the frame",
            opened(&[frame(HEADERS, end, 1, &[0, 0x7f, 0xff, 0xff, b'a'])]),
        ),
        (
            "fields that are not gRPC's",
            opened(&[frame(HEADERS, end, 1, &not_grpc)]),
        ),
        (
            "continuation of nothing",
            opened(&[frame(CONTINUATION, END_HEADERS, 1, &call)]),
        ),
        (
            "a message of 4 GiB",
            opened(&[frame(HEADERS, END_HEADERS, 1, &call), huge]),
        ),
    ];
    let mut attacks: Vec<Attack> = shapes
        .into_iter()
        .map(|(name, bytes)| attack("HTTP/2", name, bytes))
        .collect();
    for method in [
        "/broker.Broker/Produce",
        "/broker.Broker/Consume",
        "/broker.Broker/CreateTopic",
        "/broker.Broker/Nothing",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Check",
        "//",
    ] {
        for _ in 0..12 {
            let length = chance.below(200);
            let message = chance.bytes(length);
            let claimed = match chance.below(3) {
                0 => u32::MAX,
                1 => 0,
                _ => u32::try_from(length).expect("short"),
            };
            let flags = u8::from(chance.one_in(4));
            let body = [&[flags][..], &claimed.to_be_bytes(), &message].concat();
            let head = frame(HEADERS, END_HEADERS, 1, &self::call(method));
            let bytes = opened(&[head, frame(DATA, END_STREAM, 1, &body)]);
            attacks.push(attack("HTTP/2", format!("{method} with noise"), bytes));
        }
    }
    for _ in 0..100 {
        let length = chance.below(4_000);
        let noise = chance.bytes(length);
        attacks.push(attack(
            "HTTP/2",
            "preface and noise",
            [PREFACE, &noise].concat(),
        ));
        let kind = chance.byte() % 12;
        let flags = chance.byte();
        let stream = u32::try_from(chance.below(5)).expect("few");
        let framed = frame(kind, flags, stream, &noise[..length.min(300)]);
        attacks.push(attack(
            "HTTP/2",
            format!("a noisy frame of kind {kind}"),
            opened(&[framed]),
        ));
    }
    attacks
}

/// Asks over gRPC for the records of a partition: what was stored as junk is opened now.
pub(super) fn consume(topic: &str, offset: i64) -> Attack {
    let length = u8::try_from(topic.len()).expect("topics are short");
    let mut message = [&[0x0a, length][..], topic.as_bytes()].concat();
    // Field 3 is the offset, a varint; field 4 asks to end at the end.
    message.push(0x18);
    let mut left = offset.unsigned_abs();
    while left > 0x7f {
        let [.., low] = left.to_be_bytes();
        message.push(low | 0x80);
        left >>= 7;
    }
    let [.., low] = left.to_be_bytes();
    message.extend([low, 0x20, 1]);
    let size = u32::try_from(message.len()).expect("messages are short");
    let body = [&[0][..], &size.to_be_bytes(), &message].concat();
    let head = frame(HEADERS, END_HEADERS, 1, &call("/broker.Broker/Consume"));
    let bytes = opened(&[head, frame(DATA, END_STREAM, 1, &body)]);
    attack("reading junk", format!("{topic} from {offset}"), bytes)
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
