//! The corrupt batches are corrupt, and only in the way that was meant.

use bytes::{Bytes, BytesMut};
use records::{CheckLimits, Codec, DecodeBudget, check, records};

use super::{Aim, good, junk, sealed};
use crate::chance::Chance;

const NOW_MS: i64 = 1_700_000_000_000;

fn fits(batch: &[u8]) -> bool {
    check(BytesMut::from(batch), &CheckLimits::default()).is_ok()
}

#[test]
fn a_good_batch_is_good_and_sealing_changes_nothing() {
    for codec in Codec::ALL {
        let batch = good(codec, 3, NOW_MS, b"value").expect("three records fit");
        assert!(fits(&batch), "{codec}");
        assert_eq!(sealed(batch.clone()), batch, "{codec}");
    }
}

#[test]
fn junk_is_well_formed_outside_and_wrong_inside() {
    for codec in Codec::ALL {
        for (kind, batch) in junk(codec, NOW_MS, &mut Chance::new(1)).expect("junk is made") {
            assert!(fits(&batch), "{codec} {kind}");
            let mut budget = DecodeBudget::new(1 << 20);
            let bytes = Bytes::from(batch);
            let opened = records(&bytes, &mut budget);
            let is_wrong = match opened {
                Err(_) => true,
                Ok(mut opened) => opened.any(|record| record.is_err()),
            };
            assert!(is_wrong, "{codec} {kind}");
        }
    }
}

#[test]
fn there_is_a_refused_batch_of_every_codec() {
    let aim = Aim {
        topic: "t",
        now_ms: NOW_MS,
    };
    let attacks = aim.refused(&mut Chance::new(1)).expect("batches are made");
    for codec in Codec::ALL {
        let name = codec.name();
        assert!(attacks.iter().any(|attack| attack.name.starts_with(name)));
    }
    assert!(attacks.len() > 500, "{}", attacks.len());
}
