//! Where a leader epoch ends: whatever happened to the file that says it, the answer is that of the
//! batches.

use storage::{EpochEnd, Log};
use vfs::{OpenMode, SimVfs, Vfs};

use super::harness::{batch, partition_dir, place, plain_topic, start};
use crate::Durability;
use crate::paths::EPOCH_FILE;

/// Five lives, the fourth of which writes nothing.
fn written() -> SimVfs {
    let vfs = SimVfs::new();
    for (life_number, batches) in [3, 2, 11, 0, 4].into_iter().enumerate() {
        let life = start(&vfs, Durability::Fsync);
        let log = match life_number {
            0 => life.create(&plain_topic()),
            _ => life.open(&plain_topic(), 0),
        };
        for _ in 0..batches {
            place(&*log, batch(&[b"one", b"two"]));
        }
        life.sync();
        life.maintain();
        drop(log);
        life.disk.close().expect("a clean end");
    }
    vfs
}

fn answers(log: &dyn Log) -> Vec<Option<EpochEnd>> {
    (0..8).map(|epoch| log.epoch_end(epoch)).collect()
}

#[test]
fn no_change_to_the_file_changes_where_an_epoch_ends() {
    let vfs = written();
    let path = partition_dir().join(EPOCH_FILE);
    let text = vfs::read_whole(&vfs, &path, 1 << 20).expect("read");
    let life = start(&vfs.fork(), Durability::Fsync);
    let expected = answers(&*life.open(&plain_topic(), 0));
    assert_eq!(expected.iter().flatten().count(), 7, "{expected:?}");
    let mut texts: Vec<Vec<u8>> = Vec::new();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut flipped = text.clone();
            flipped[at] ^= 1 << bit;
            texts.push(flipped);
        }
    }
    // A history of less, of more and of other epochs.
    texts.push(b"0\n1\n1 0\n".to_vec());
    texts.push(b"0\n3\n1 0\n2 6\n5 32\n".to_vec());
    texts.push(b"0\n5\n1 0\n2 6\n3 10\n4 20\n5 32\n".to_vec());
    texts.push(Vec::new());
    for changed in texts {
        let vfs = vfs.fork();
        let file = vfs.open(&path, OpenMode::ReadWrite).expect("it is there");
        file.set_size(0).expect("cut");
        vfs::write_all_at(&*file, &changed, 0).expect("written");
        let shown = String::from_utf8_lossy(&changed).into_owned();
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        assert_eq!(answers(&*log), expected, "{shown:?}");
        // And it stays so, whoever asks next.
        life.maintain();
        drop(log);
        life.disk.close().expect("a clean end");
        let life = start(&vfs, Durability::Fsync);
        let log = life.open(&plain_topic(), 0);
        let again: Vec<_> = answers(&*log).into_iter().take(6).collect();
        assert_eq!(again, expected[..6], "{shown:?}, a start later");
    }
}
