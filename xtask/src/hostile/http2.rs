//! Garbage for HTTP/2: broken prefaces and frames, floods, calls that lie about their messages.
//!
//! Frames and header fields are put together by hand, because no library makes wrong ones.

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

/// All of it.
pub(super) fn attacks(chance: &mut Chance) -> Vec<Attack> {
    let shapes = prefaces().into_iter().chain(floods()).chain(faults());
    let mut attacks: Vec<Attack> = shapes
        .map(|(name, bytes)| attack("HTTP/2", name, bytes))
        .collect();
    attacks.extend(calls_of_noise(chance));
    for _ in 0..100 {
        let length = chance.below(4_000);
        let noise = chance.bytes(length);
        let bytes = [PREFACE, &noise].concat();
        attacks.push(attack("HTTP/2", "preface and noise", bytes));
        let (kind, flags) = (chance.byte() % 12, chance.byte());
        let stream = u32::try_from(chance.below(5)).expect("few");
        let framed = frame(kind, flags, stream, &noise[..length.min(300)]);
        let name = format!("a noisy frame of kind {kind}");
        attacks.push(attack("HTTP/2", name, opened(&[framed])));
    }
    attacks
}

type Shape = (&'static str, Vec<u8>);

fn prefaces() -> Vec<Shape> {
    vec![
        ("preface", PREFACE.to_vec()),
        ("half a preface", PREFACE[..10].to_vec()),
        ("preface twice", [PREFACE, PREFACE].concat()),
    ]
}

/// Frames that are allowed one by one, by the thousand.
fn floods() -> Vec<Shape> {
    const TIMES: usize = 10_000;
    let call = call("/broker.Broker/ListTopics");
    let open_call = frame(HEADERS, END_HEADERS, 1, &call);
    let calls = streams(2_000).map(|stream| frame(HEADERS, END_HEADERS, stream, &call));
    let resets = streams(2_000).flat_map(|stream| {
        [
            frame(HEADERS, END_HEADERS, stream, &call),
            frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ]
    });
    let mut endless = vec![frame(HEADERS, 0, 1, &call)];
    endless.extend((0..2_000).map(|_| frame(CONTINUATION, 0, 1, &[b'a'; 1_000])));
    let mut empty = vec![open_call];
    empty.extend(vec![frame(DATA, 0, 1, &[]); TIMES]);
    let settings = vec![frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]); TIMES];
    let pings = vec![frame(PING, 0, 0, &[1; 8]); TIMES];
    let windows = vec![frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]); 3];
    vec![
        ("rapid reset", opened(&resets.collect::<Vec<_>>())),
        ("calls without an end", opened(&calls.collect::<Vec<_>>())),
        ("headers without an end", opened(&endless)),
        ("empty data flood", opened(&empty)),
        ("settings flood", opened(&settings)),
        ("ping flood", opened(&pings)),
        ("window beyond all", opened(&windows)),
    ]
}

/// Single frames that are not allowed.
fn faults() -> Vec<Shape> {
    const END: u8 = END_STREAM | END_HEADERS;
    const PADDED: u8 = 8;
    let call = call("/broker.Broker/ListTopics");
    let not_grpc = fields(&[(":method", "POST"), (":path", "\0"), (":scheme", "")]);
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let huge = frame(DATA, 0, 1, b"\0\xff\xff\xff\xffshort");
    let open_call = frame(HEADERS, END_HEADERS, 1, &call);
    let too_long = b"\xff\xff\xff\x00\x00\x00\x00\x00\x01".to_vec();
    let single: [(&str, u8, u8, u32, &[u8]); 13] = [
        ("window of nothing", WINDOW_UPDATE, 0, 0, &[0; 4]),
        ("settings of 5 bytes", SETTINGS, 0, 0, &[0; 5]),
        ("settings on a stream", SETTINGS, 0, 1, &[]),
        ("data on no stream", DATA, 0, 0, b"x"),
        ("data on an idle stream", DATA, 0, 99, b"x"),
        ("a stream of the server", HEADERS, END, 2, &call),
        (
            "padding beyond the frame",
            HEADERS,
            END | PADDED,
            1,
            &[0xff, 0x82],
        ),
        (
            "an index out of the table",
            HEADERS,
            END,
            1,
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            "a table of 4 GiB",
            HEADERS,
            END,
            1,
            &[0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            "a text beyond the frame",
            HEADERS,
            END,
            1,
            &[0, 0x7f, 0xff, 0xff, b'a'],
        ),
        ("fields that are not gRPC's", HEADERS, END, 1, &not_grpc),
        (
            "continuation of nothing",
            CONTINUATION,
            END_HEADERS,
            1,
            &call,
        ),
        ("headers of nothing", HEADERS, END, 1, &[]),
    ];
    let mut shapes: Vec<Shape> = single
        .into_iter()
        .map(|(name, kind, flags, stream, payload)| {
            (name, opened(&[frame(kind, flags, stream, payload)]))
        })
        .collect();
    shapes.push(("a frame of 16 MiB", opened(&[too_long])));
    shapes.push((
        "a zero window",
        opened(&[no_window, frame(HEADERS, END, 1, &call)]),
    ));
    shapes.push(("a message of 4 GiB", opened(&[open_call, huge])));
    shapes
}

/// Calls of every service whose messages are noise of a true, false or no length.
fn calls_of_noise(chance: &mut Chance) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for method in [
        "/broker.Broker/Produce",
        "/broker.Broker/ProduceStream",
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
            let head = frame(HEADERS, END_HEADERS, 1, &call(method));
            let bytes = opened(&[head, frame(DATA, END_STREAM, 1, &body)]);
            attacks.push(attack("HTTP/2", format!("{method} with noise"), bytes));
        }
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
