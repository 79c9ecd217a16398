//! Absurd topic names, in every request that names a topic.
//!
//! CreateTopics, Metadata and Produce must refuse each by its code; the other APIs must survive it.

use super::attack::{Attack, Then, Wanted};
use super::forms::{Filling, form};
use crate::codegen::facts::Api;

const INVALID_TOPIC_EXCEPTION: i16 = 17;

/// Names that no topic may have. `outside` is a path that must not appear.
fn names(outside: &str) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "",
        ".",
        "..",
        "/",
        "//",
        "a/b",
        "../escaped",
        "../../escaped",
        "..\\escaped",
        "/etc/passwd",
        "./a",
        "a/..",
        "a/../../escaped",
        "@ottla",
        "@ottla/metadata.a.1",
        "@ottla/trash",
        " ",
        "a b",
        "a\0b",
        "\0",
        "a\n",
        "\r\n\r\n",
        "\u{1b}[31m",
        "%2e%2e%2f",
        "~",
        "$HOME",
        "*",
        "?",
        "a:b",
        "con:",
        "ä",
        "名前",
        "\u{202e}cipot",
        "a\u{0301}",
        "😀",
        "\u{feff}",
        "'; --",
        "<script>",
        "${jndi:ldap://x}",
        "{}",
        "a,b",
        "a=b",
        "a#1",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(outside.as_bytes().to_vec());
    names.push(format!("../{}", "../".repeat(30)).into_bytes());
    for length in [250, 255, 256, 1_000, 4_096, 32_767] {
        names.push(vec![b'a'; length]);
    }
    names.push("ü".repeat(125).into_bytes());
    names
}

/// Bytes that are no text at all.
const NOT_UTF8: [&[u8]; 4] = [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf"];

/// Requests of every API in every version with each of the names.
pub(super) fn attacks(apis: &[Api], filling: &Filling, outside: &str) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let texts = names(outside).into_iter().map(|name| (name, true));
    let junk = NOT_UTF8.iter().map(|name| (name.to_vec(), false));
    for (name, is_text) in texts.chain(junk) {
        let filling = Filling {
            topic: name.clone(),
            // Asked for by name, not by id.
            topic_id: [0; 16],
            ..filling.clone()
        };
        for api in apis {
            let valid = api.request.valid;
            // The oldest and the newest version that carry names, and one without compact lengths.
            let mut versions = vec![
                valid.first,
                valid.last,
                valid.last - 1,
                api.request.flexible.first - 1,
            ];
            versions.retain(|version| valid.contains(*version));
            versions.sort_unstable();
            versions.dedup();
            for version in versions {
                let form = form(api, version, &filling);
                if !form.has_text(&name) {
                    continue;
                }
                attacks.push(Attack {
                    family: "absurd names",
                    name: format!("{} {:?}", form.name, shown(&name)),
                    bytes: form.frame(),
                    then: Then::HalfClose,
                    wanted: if is_text {
                        wanted(&api.name, version)
                    } else {
                        Wanted::End
                    },
                });
            }
        }
    }
    attacks
}

fn wanted(api: &str, version: i16) -> Wanted {
    match api {
        "Produce" => Wanted::ProduceRefused {
            version,
            codes: Vec::new(),
        },
        "CreateTopics" => Wanted::TopicsRefused {
            version,
            code: INVALID_TOPIC_EXCEPTION,
        },
        "Metadata" => Wanted::NamesRefused {
            version,
            code: INVALID_TOPIC_EXCEPTION,
        },
        _ => Wanted::End,
    }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(40)]).into_owned()
}
