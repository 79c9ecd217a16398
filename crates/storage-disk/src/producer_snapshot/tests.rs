//! The format of `.snapshot`.

use records::Offset;
use storage::{ProducedBatch, ProducerTable};

use super::{decode, encode};

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/snapshot-1.bin");
const AT: Offset = Offset::new(19);

fn table() -> ProducerTable {
    let produced = |first_sequence, last_sequence, base, timestamp_ms| ProducedBatch {
        first_sequence,
        last_sequence,
        base: Offset::new(base),
        timestamp_ms,
    };
    let mut table = ProducerTable::new();
    table.insert_loaded(
        4000,
        0,
        1_700_000_000_000,
        &[produced(0, 4, 10, 1_700_000_000_000)],
    );
    let batches = [
        produced(i32::MAX - 1, 0, 15, 1_700_000_000_800),
        produced(1, 1, 18, 1_700_000_000_900),
    ];
    table.insert_loaded(4001, 7, 1_700_000_000_900, &batches);
    table
}

#[test]
fn what_is_written_is_the_golden_file() {
    crate::golden::check("snapshot-1.bin", GOLDEN, &encode(&table(), AT));
    assert_eq!(decode(GOLDEN, AT), Ok(table()));
}

#[test]
fn every_length_and_every_flipped_bit_is_refused_or_harmless() {
    for length in 0..GOLDEN.len() {
        assert!(decode(&GOLDEN[..length], AT).is_err(), "{length} bytes");
    }
    assert!(
        decode(&[GOLDEN, &[0]].concat(), AT).is_err(),
        "one byte more"
    );
    for bit in 0..GOLDEN.len() * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&bytes, AT).is_err(), "bit {bit}");
    }
    assert!(
        decode(GOLDEN, Offset::new(20)).is_err(),
        "another offset in the name"
    );
}

#[test]
fn an_empty_table_is_a_head() {
    let bytes = encode(&ProducerTable::new(), Offset::ZERO);
    assert_eq!(bytes.len(), 24);
    assert_eq!(decode(&bytes, Offset::ZERO), Ok(ProducerTable::new()));
}
