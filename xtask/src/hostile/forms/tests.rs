//! The forms against the decoders of `kafka-wire`.

use bytes::Bytes;
use kafka_wire::messages::{APIS, MetadataRequest};
use kafka_wire::{DecodeError, Message, Reader, RequestHeader, for_each_api};

use super::{Counts, Filling, Form, form};
use crate::codegen::facts;

fn filling() -> Filling {
    Filling {
        topic: b"a-topic".to_vec(),
        topic_id: [9; 16],
        records: vec![1, 2, 3],
    }
}

fn forms() -> Vec<Form> {
    let text = include_str!("../../../../crates/kafka-wire/schema/messages.txt");
    let apis = facts::parse(text).expect("the committed facts parse");
    let mut forms = Vec::new();
    for api in &apis {
        for version in api.request.valid.first..=api.request.valid.last {
            forms.push(form(api, version, &filling()));
        }
    }
    forms
}

/// Bytes left behind the body, for a request of this key.
fn decode(bytes: Vec<u8>, key: i16, version: i16) -> Result<usize, DecodeError> {
    let bytes = Bytes::from(bytes);
    let (_, body_at) = RequestHeader::parse(&bytes).expect("the header is whole");
    let mut reader = Reader::at(bytes, body_at);
    macro_rules! body {
        ($(($api:ident, $request:ty, $response:ty))*) => {
            match key {
                $(<$request>::KEY => { <$request>::decode(&mut reader, version)?; })*
                other => assert_eq!(other, -1, "every API has a decoder"),
            }
        };
    }
    for_each_api!(body);
    Ok(reader.remaining())
}

#[test]
fn every_form_decodes_to_its_end() {
    let forms = forms();
    let versions: i16 = APIS
        .iter()
        .map(|api| api.version_max - api.version_min + 1)
        .sum();
    assert_eq!(forms.len(), usize::try_from(versions).expect("some"));
    for form in forms {
        let left = decode(form.bytes.clone(), form.key, form.version);
        assert_eq!(left.map_err(|e| e.to_string()), Ok(0), "{}", form.name);
    }
}

#[test]
fn every_count_is_where_it_is_said_to_be() {
    for form in forms() {
        for count in &form.counts {
            // The header is left out: it is not what `decode` may fail on.
            if count.counts == Counts::ClientId || count.path.starts_with("header") {
                continue;
            }
            // The most, and not null: 16 bits of ones would be.
            let is_short = count.counts == Counts::String && !count.is_compact;
            let most = if is_short { 0x7fff } else { 0x7fff_ffff };
            let lied = form.lie(count, most);
            let decoded = decode(lied[4..].to_vec(), form.key, form.version);
            assert!(decoded.is_err(), "{} {}", form.name, count.path);
        }
    }
}

#[test]
fn a_lie_changes_the_count_and_nothing_else() {
    let all = forms();
    let found = all
        .iter()
        .find(|form| form.key == MetadataRequest::KEY && form.version == 4);
    let form = found.expect("Metadata has a version 4");
    let topics = form
        .counts
        .iter()
        .find(|count| count.path == "Topics")
        .expect("it has topics");
    let (honest, lied) = (form.frame(), form.lie(topics, 0x0102_0304));
    let at = 4 + topics.place.start;
    assert_eq!(lied[..at], honest[..at]);
    assert_eq!(lied[at..at + 4], [1, 2, 3, 4]);
    assert_eq!(lied[at + 4..], honest[at + 4..]);
}
