//! Requests that are not what they say: lying counts at every place of every API and version,
//! lying frame lengths, unknown APIs and versions, damaged requests, noise.

use kafka_wire::Message;
use kafka_wire::messages::ApiVersionsRequest;

use super::attack::{Attack, Then, Wanted};
use super::forms::{Count, Counts, Form, framed, header};
use crate::chance::Chance;

/// Every lie at every count of every form.
pub(super) fn counts(forms: &[Form]) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for form in forms {
        for count in &form.counts {
            for value in values(form, count) {
                attacks.push(Attack {
                    family: "lying counts",
                    name: format!("{} {} = {value:#x}", form.name, count.path),
                    bytes: form.lie(count, value),
                    then: Then::HalfClose,
                    wanted: Wanted::End,
                });
            }
        }
    }
    attacks
}

/// Raw values that are not the truth: null or −1, −2, nothing, one too many, one more than the
/// bytes that remain, more than any array may have, the most.
fn values(form: &Form, count: &Count) -> Vec<u32> {
    let honest = &form.bytes[count.place.clone()];
    let remain = u32::try_from(form.bytes.len() - count.place.end).expect("forms are short");
    let (truth, all) = match count.counts {
        _ if count.is_compact => (
            uvarint_of(honest),
            vec![0, 1, remain + 2, 1_000_002, 0x7fff_ffff, u32::MAX],
        ),
        Counts::String | Counts::ClientId => (
            honest
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
            vec![0, 0xffff, 0xfffe, 0x8000, 0x7fff, remain + 1],
        ),
        Counts::Elements | Counts::Bytes | Counts::Tags | Counts::TagBytes => (
            honest
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
            vec![
                0,
                u32::MAX,
                0xffff_fffe,
                remain + 1,
                1_000_001,
                0x7fff_ffff,
                0x8000_0000,
            ],
        ),
    };
    let mut values = all;
    values.push(truth.wrapping_add(1));
    values.retain(|value| *value != truth);
    values.sort_unstable();
    values.dedup();
    values
}

fn uvarint_of(bytes: &[u8]) -> u32 {
    let groups = bytes.iter().rev();
    groups.fold(0, |value, byte| value << 7 | u32::from(byte & 0x7f))
}

/// Frame lengths that no frame may have, and lengths of frames that cannot hold a header.
pub(super) fn frame_lengths() -> Vec<Attack> {
    // First bytes above 0x14 are no Kafka client; the limit for frames is 100 MiB.
    let refused = [
        -1,
        -2,
        i32::MIN,
        i32::MAX,
        0x1500_0000,
        0x14ff_ffff,
        0x1000_0000,
        104_857_601,
        0,
        1,
        2,
        4,
        7,
    ];
    let mut attacks = Vec::new();
    for length in refused {
        for behind in [0, 1, 8, 64] {
            attacks.push(Attack {
                family: "frame lengths",
                name: format!("a frame of {length} bytes with {behind}"),
                bytes: [&length.to_be_bytes()[..], &vec![0; behind]].concat(),
                then: Then::HalfClose,
                wanted: Wanted::Silence,
            });
        }
    }
    // Closed by the broker alone: nothing that follows could make it right.
    for length in [-1, i32::MIN, i32::MAX, 0x14ff_ffff_i32, 104_857_601] {
        attacks.push(Attack {
            family: "frame lengths",
            name: format!("a frame of {length} bytes, waiting"),
            bytes: length.to_be_bytes().to_vec(),
            then: Then::Wait,
            wanted: Wanted::Silence,
        });
    }
    for length in [65, 1_000, 65_536, 1 << 20, 100 << 20] {
        attacks.push(Attack {
            family: "frame lengths",
            name: format!("a frame of {length} bytes that ends after 64"),
            bytes: [&i32::to_be_bytes(length)[..], &[0; 64]].concat(),
            then: Then::HalfClose,
            wanted: Wanted::Silence,
        });
    }
    attacks
}

/// Versions outside of the window and APIs that nobody serves.
pub(super) fn versions(forms: &[Form]) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut keys: Vec<i16> = forms.iter().map(|form| form.key).collect();
    keys.dedup();
    for key in keys {
        let of_key = |form: &&Form| form.key == key;
        let known = || forms.iter().filter(of_key).map(|form| form.version);
        let (first, last) = (
            known().min().unwrap_or_default(),
            known().max().unwrap_or_default(),
        );
        let body = forms.iter().rfind(|form| of_key(form));
        let tail = body.map(|form| &form.bytes[8..]).unwrap_or_default();
        let versions = [last + 1, last + 2, 100, i16::MAX, -1, i16::MIN, first - 1];
        for version in versions {
            let is_versions = key == ApiVersionsRequest::KEY;
            let mut bytes = header(key, version, b"")[..8].to_vec();
            bytes.extend(tail);
            attacks.push(Attack {
                family: "unknown versions",
                name: format!("api {key} version {version}"),
                bytes: framed(&bytes),
                then: Then::HalfClose,
                wanted: if is_versions && version > last {
                    Wanted::UnsupportedVersion
                } else if is_versions {
                    Wanted::End
                } else {
                    Wanted::Silence
                },
            });
        }
    }
    for key in [
        -1,
        4,
        5,
        6,
        7,
        52,
        53,
        54,
        55,
        58,
        59,
        62,
        63,
        64,
        70,
        81,
        100,
        1_000,
        i16::MAX,
        i16::MIN,
    ] {
        for version in [0, 1, i16::MAX] {
            attacks.push(Attack {
                family: "unknown versions",
                name: format!("api {key} version {version}"),
                bytes: framed(&header(key, version, b"hostile")),
                then: Then::HalfClose,
                wanted: Wanted::Silence,
            });
        }
    }
    attacks
}

/// A valid request with some of its bytes changed, cut off or doubled. The length is true.
pub(super) fn damaged(forms: &[Form], chance: &mut Chance) -> Attack {
    let form = &forms[chance.below(forms.len())];
    let mut bytes = form.bytes.clone();
    match chance.below(4) {
        0 => bytes.truncate(chance.below(bytes.len())),
        1 => {
            let at = chance.below(bytes.len());
            let length = chance.below(32);
            let more = chance.bytes(length);
            bytes.splice(at..at, more);
        }
        _ => {
            // The key and the version stay: otherwise most would end there.
            for _ in 0..=chance.below(4) {
                let at = 4 + chance.below(bytes.len() - 4);
                bytes[at] = chance.byte();
            }
        }
    }
    Attack {
        family: "damaged requests",
        name: form.name.clone(),
        bytes: framed(&bytes),
        then: Then::HalfClose,
        wanted: Wanted::End,
    }
}

/// Random bytes, every second time behind an honest length.
pub(super) fn noise(chance: &mut Chance) -> Attack {
    let length = 1 + chance.below(4_096);
    let bytes = chance.bytes(length);
    let is_framed = chance.one_in(2);
    Attack {
        family: "noise",
        name: format!("{length} bytes"),
        bytes: if is_framed { framed(&bytes) } else { bytes },
        then: if chance.one_in(8) {
            Then::Leave
        } else {
            Then::HalfClose
        },
        wanted: Wanted::End,
    }
}

/// One to three bytes of anything, then gone.
pub(super) fn half_handshake(chance: &mut Chance) -> Attack {
    const FIRST: [u8; 8] = [0, 0, 0x14, 0x15, 0x16, b'P', b'G', 0xff];
    let mut bytes = vec![FIRST[chance.below(FIRST.len())]];
    let more = chance.below(3);
    bytes.extend(chance.bytes(more));
    Attack {
        family: "half handshakes",
        name: format!("{bytes:?}"),
        bytes,
        then: if chance.one_in(2) {
            Then::Leave
        } else {
            Then::HalfClose
        },
        wanted: Wanted::End,
    }
}
