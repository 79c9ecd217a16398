//! What the fuzz target of the commit file needs of its format.

use std::path::Path;

use records::Offset;
use storage::{PartitionId, TopicId};
use vfs::Vfs;

use super::contents::read_live;
use super::layout::{ENTRY_BYTES_MAX, ENTRY_HEAD_BYTES, Entry, Head};
use crate::fuzzing::CommitPiece;
use crate::position::Position;
use crate::watermarks::Run;

const RUN: Run = Run {
    boot_id: [3; 16],
    epoch: 1,
    started_ms: 5,
};

fn head(generation: u64) -> Head {
    Head {
        run: RUN,
        file_bytes: 0,
        generation,
    }
}

pub(crate) fn fuzz_piece(piece: &CommitPiece<'_>) -> Vec<u8> {
    let (generation, sequence, round, records) = match *piece {
        CommitPiece::Head(generation) => return head(generation).encode(),
        CommitPiece::Entry(generation, sequence, round, records) => {
            (generation, sequence, round, records)
        }
    };
    let entry = Entry {
        partition: PartitionId {
            topic: TopicId([7; 16]),
            partition: 0,
        },
        name_crc: 0,
        base: Offset::ZERO,
        next: Offset::new(1),
        position: Position::ZERO,
        size_bytes: records.len(),
        sequence,
        round,
    };
    let mut whole = vec![0; Entry::total_bytes(records.len())];
    let target = whole.get_mut(ENTRY_HEAD_BYTES..).unwrap_or_default();
    for (target, source) in target.iter_mut().zip(records) {
        *target = *source;
    }
    entry.seal(head(generation).seed(), &mut whole);
    whole
}

pub(crate) fn fuzz_read(vfs: &dyn Vfs, own_dir: &Path) -> usize {
    let live = read_live(vfs, own_dir, |run| *run == RUN).expect("a good disk");
    let mut count = 0_usize;
    for contents in &live.generations {
        let mut before = None;
        for (entry, at) in &contents.entries {
            assert!(before < Some(entry.sequence), "entries rise");
            before = Some(entry.sequence);
            assert!(entry.size_bytes <= ENTRY_BYTES_MAX, "entries are small");
            let records = contents.records(entry, *at).expect("they are there");
            assert_eq!(records.len(), entry.size_bytes, "and whole");
            count = count.saturating_add(1);
        }
    }
    count
}
