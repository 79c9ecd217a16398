//! Bytes written by Kafka's Java client, for every API and version.
//!
//! A line is `API key version request|response HEX`. What the Java client wrote must decode, and
//! encode back to the same bytes.

use crate::codecs;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::path::Path;

fn unhex(text: &str) -> Bytes {
    assert_eq!(text.len() % 2, 0, "{text}");
    let digit = |letter: u8| char::from(letter).to_digit(16).expect("a hex digit");
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("a byte");
    text.as_bytes().chunks(2).map(byte).collect()
}

#[test]
fn bytes_of_the_java_client_decode_and_encode_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/golden");
    let codecs = codecs::all();
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("the golden folder is committed") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable file");
        for (number, line) in text.lines().enumerate() {
            let label = format!("{}:{}", path.display(), number + 1);
            let words: Vec<&str> = line.split(' ').collect();
            let [api, key, version, side, hex] = words[..] else {
                panic!("{label}: {line}")
            };
            let codec = codecs
                .iter()
                .find(|codec| codec.api == api && codec.side == side);
            let codec = codec.unwrap_or_else(|| panic!("{label}: {api} {side} is not generated"));
            let version: i16 = version.parse().expect(&label);
            assert_eq!(key, codec.key.to_string(), "{label}");
            let bytes = unhex(hex);
            let position = (codec.decode)(bytes.clone(), version);
            assert_eq!(position, Ok(bytes.len()), "{label}");
            assert_eq!((codec.recode)(bytes.clone(), version), Ok(bytes), "{label}");
            seen.insert((codec.api, codec.side, version));
        }
    }
    let wanted: BTreeSet<_> = codecs
        .iter()
        .flat_map(|codec| codec.versions.clone().map(|v| (codec.api, codec.side, v)))
        .collect();
    let missing: Vec<_> = wanted.difference(&seen).collect();
    assert!(missing.is_empty(), "no golden bytes for {missing:?}");
}
