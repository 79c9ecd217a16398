//! A record as a line of JSON.

use records::Record;
use serde_json::{Value, json};

/// Adds a record and the end of its line to `out`.
pub(super) fn write(topic: &str, partition: i32, record: &Record, out: &mut Vec<u8>) {
    let headers = record.headers.iter().map(|header| {
        json!({"key": header.key_text(), "value": text_or_base64(header.value.as_deref())})
    });
    let line = json!({
        "topic": topic,
        "partition": partition,
        "offset": record.offset.get().to_string(),
        "timestamp_ms": record.timestamp_ms.to_string(),
        "key": text_or_base64(record.key.as_deref()),
        "value": text_or_base64(record.value.as_deref()),
        "headers": headers.collect::<Vec<_>>(),
    });
    out.extend_from_slice(line.to_string().as_bytes());
    out.push(b'\n');
}

fn text_or_base64(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => Value::Null,
        Some((Ok(text), _)) => Value::from(text),
        Some((Err(_), bytes)) => json!({"base64": base64(bytes)}),
    }
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            if place > group.len() {
                text.push('=');
                continue;
            }
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).expect("six bits");
            text.push(char::from(ALPHABET[digit]));
        }
    }
    text
}

#[cfg(test)]
mod tests;
