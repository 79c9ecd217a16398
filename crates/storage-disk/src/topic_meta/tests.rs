//! `topic.meta`: golden bytes, every flip, every cut.

use vfs::SimVfs;

use super::*;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/topic-meta-1.bin");

fn sample() -> StoredTopic {
    let configs = [
        ("retention.ms", "1000"),
        ("segment.bytes", "1048576"),
        ("x", ""),
    ];
    StoredTopic {
        id: TopicId(*b"0123456789abcdef"),
        name: TopicName::parse("orders.v1").expect("a valid name"),
        partitions: 12,
        configs: configs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    }
}

#[test]
fn what_is_written_is_the_golden_file() {
    crate::golden::check("topic-meta-1.bin", GOLDEN, &sample().encode());
    assert_eq!(StoredTopic::decode(GOLDEN), Ok(sample()));
}

#[test]
fn every_flip_and_every_cut_is_refused() {
    let bytes = sample().encode();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(
                StoredTopic::decode(&flipped).is_err(),
                "byte {at} bit {bit}"
            );
        }
        assert!(StoredTopic::decode(&bytes[..at]).is_err(), "cut at {at}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(StoredTopic::decode(&longer).is_err());
}

/// Changes bytes and makes the checksum good again, as a bug or an attacker would.
fn forged(at: usize, bytes: &[u8]) -> Result<StoredTopic, TopicMetaError> {
    let mut file = sample().encode();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&file[CHECKED_AT..]);
    file[CRC_AT..CHECKED_AT].copy_from_slice(&crc.to_be_bytes());
    StoredTopic::decode(&file)
}

#[test]
fn a_good_checksum_over_nonsense_is_refused() {
    let length = TopicMetaError::Length(sample().encode().len());
    let cases: [(&str, usize, &[u8], TopicMetaError); 7] = [
        ("a version", 8, &[0, 2], TopicMetaError::Version(2)),
        (
            "a path as name",
            38,
            b"../",
            TopicMetaError::Name(InvalidTopicName::Character('/')),
        ),
        (
            "a name that is not UTF-8",
            38,
            &[0xff],
            TopicMetaError::Text,
        ),
        ("a name beyond the end", 32, &[0xff, 0xff], length.clone()),
        (
            "more configs than there are",
            34,
            &[0xff; 4],
            length.clone(),
        ),
        (
            "fewer configs than there are",
            34,
            &[0, 0, 0, 1],
            length.clone(),
        ),
        ("a value beyond the end", 49, &[0xff; 4], length),
    ];
    for (what, at, bytes, expected) in cases {
        assert_eq!(forged(at, bytes), Err(expected), "{what}");
    }
}

#[test]
fn it_is_written_durably_and_read_back() {
    let disk = SimVfs::new();
    let dir = Path::new("/orders.v1");
    vfs::create_dirs(&disk, dir).expect("room");
    assert_eq!(StoredTopic::read(&disk, dir), Ok(None));
    sample().write(&disk, dir).expect("room");
    disk.power_cut_with(&vfs::CutPolicy::DropAll);
    assert_eq!(StoredTopic::read(&disk, dir), Ok(Some(sample())));
    let fault = vfs::Fault::fail(vfs::Operation::Read, vfs::DiskError::Io);
    disk.inject(fault);
    let unread = StoredTopic::read(&disk, dir);
    assert!(matches!(unread, Err(TopicMetaError::Read(_))), "{unread:?}");
}

#[test]
fn a_topic_of_the_seam_is_stored_without_what_is_derived() {
    let meta = TopicMeta {
        id: sample().id,
        name: sample().name,
        partitions: 12,
        configs: sample().configs,
        log_config: storage::LogConfig::default(),
    };
    assert_eq!(StoredTopic::from(&meta), sample());
}
