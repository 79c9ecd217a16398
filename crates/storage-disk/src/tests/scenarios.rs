//! Small stories of a data directory: each is cut short at every change it makes to the disk.

use clock::{Rng, SeededRng};

use super::script::Step::{self, *};

/// A segment that holds all of a script.
const WIDE: u32 = 1 << 20;
/// One that holds a few batches.
const NARROW: u32 = 700;

#[rustfmt::skip]
pub(super) const SCENARIOS: &[(&str, &[Step])] = &[
    ("nothing but starts", &[Close, Kill, Cut(1), Close]),
    ("a topic", &[Create(0, 1, WIDE)]),
    ("a topic of three partitions", &[Create(0, 3, WIDE)]),
    ("a topic of six partitions", &[Create(0, 6, WIDE), Append(0, 5, 1, 50), Sync]),
    ("two topics", &[Create(0, 1, WIDE), Create(1, 1, WIDE), Append(1, 0, 1, 50), Sync]),
    ("a topic grows", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Grow(0, 3), Append(0, 2, 1, 50), Sync]),
    ("a topic grows twice", &[Create(0, 1, WIDE), Grow(0, 2), Grow(0, 7), Append(0, 6, 1, 50), Sync]),
    ("a topic goes", &[Create(0, 2, WIDE), Append(0, 0, 1, 50), Sync, Remove(0), Maintain]),
    ("a topic goes with what is not synced", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Remove(0), Sync, Maintain]),
    ("a name is used again", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Remove(0), Create(0, 2, WIDE), Append(0, 0, 1, 60), Sync, Maintain]),
    ("a name is used again and again", &[Create(0, 1, WIDE), Remove(0), Create(0, 1, WIDE), Remove(0), Maintain, Create(0, 1, WIDE), Append(0, 0, 1, 9), Sync]),
    ("the trash is emptied after a kill", &[Create(0, 1, NARROW), Append(0, 0, 1, 50), Sync, Remove(0), Kill, Maintain]),
    ("one record", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync]),
    ("records one by one", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Append(0, 0, 1, 50), Sync, Append(0, 0, 1, 50), Sync, Read(0, 0)]),
    ("records nobody waits for", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Append(0, 0, 2, 50), Append(0, 0, 1, 700)]),
    ("a batch of many sectors", &[Create(0, 1, WIDE), Append(0, 0, 3, 2000), Append(0, 0, 1, 9000), Sync, Append(0, 0, 2, 3000)]),
    ("a group over partitions", &[Create(0, 3, WIDE), Append(0, 0, 1, 50), Append(0, 1, 1, 50), Append(0, 2, 1, 50), Sync, Append(0, 2, 1, 50), Append(0, 0, 1, 50), Sync]),
    ("groups over topics", &[Create(0, 2, WIDE), Create(1, 2, NARROW), Append(0, 0, 1, 50), Append(1, 1, 1, 50), Sync, Append(1, 1, 4, 200), Append(0, 1, 1, 50), Sync, Maintain]),
    ("a roll", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Sync, Append(0, 0, 1, 500), Sync]),
    ("a roll in a group", &[Create(0, 1, NARROW), Append(0, 0, 1, 300), Append(0, 0, 1, 500), Append(0, 0, 1, 400), Sync]),
    ("two rolls in a group", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Sync, Maintain]),
    ("rolls with maintenance", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Sync, Maintain, Append(0, 0, 1, 500), Sync, Maintain, Append(0, 0, 1, 500), Sync, Maintain]),
    ("a roll that nobody waits for", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Sync, Append(0, 0, 1, 500), Append(0, 0, 1, 500), Maintain]),
    ("maintenance before the sync", &[Create(0, 1, NARROW), Append(0, 0, 1, 300), Sync, Append(0, 0, 1, 200), Maintain, Append(0, 0, 1, 500), Maintain, Sync]),
    ("a roll by age", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Wait(2000), Append(0, 0, 1, 50), Sync]),
    ("rolls over partitions", &[Create(0, 2, NARROW), Append(0, 0, 1, 500), Append(0, 1, 1, 500), Sync, Append(0, 0, 1, 500), Append(0, 1, 1, 500), Sync, Maintain]),
    ("a producer", &[Create(0, 1, WIDE), Produce(0, 0, 1, 50), Sync, Produce(0, 0, 1, 50), Produce(0, 0, 1, 50), Sync]),
    ("two producers", &[Create(0, 1, WIDE), Produce(0, 0, 1, 50), Produce(0, 0, 2, 50), Sync, Produce(0, 0, 2, 50), Sync]),
    ("a producer over rolls", &[Create(0, 1, NARROW), Produce(0, 0, 1, 500), Sync, Maintain, Produce(0, 0, 1, 500), Sync, Maintain, Produce(0, 0, 1, 50), Sync, Maintain]),
    ("a producer over a roll in a group", &[Create(0, 1, NARROW), Produce(0, 0, 1, 400), Sync, Produce(0, 0, 1, 400), Produce(0, 0, 2, 400), Maintain, Sync, Maintain]),
    ("a producer over a kill", &[Create(0, 1, NARROW), Produce(0, 0, 1, 400), Sync, Produce(0, 0, 1, 400), Kill, Produce(0, 0, 1, 50), Sync]),
    ("a producer over a cut", &[Create(0, 1, NARROW), Produce(0, 0, 1, 400), Sync, Maintain, Produce(0, 0, 1, 400), Sync, Cut(3), Produce(0, 0, 1, 50), Sync]),
    ("a producer over a clean end", &[Create(0, 1, NARROW), Produce(0, 0, 1, 400), Sync, Close, Produce(0, 0, 1, 400), Sync, Close, Produce(0, 0, 1, 50)]),
    ("a clean end", &[Create(0, 2, WIDE), Append(0, 0, 1, 50), Append(0, 1, 1, 50), Close]),
    ("a clean end after a roll", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Close, Append(0, 0, 1, 50), Sync]),
    ("life after a clean end", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Close, Append(0, 0, 1, 60), Sync, Append(0, 0, 1, 60), Sync]),
    ("two clean ends", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Close, Close, Append(0, 0, 1, 50), Sync]),
    ("a clean end, then a roll", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Close, Append(0, 0, 1, 500), Sync]),
    ("a kill", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Append(0, 0, 1, 50), Kill, Append(0, 0, 1, 50), Sync]),
    ("a kill in a roll", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Sync, Append(0, 0, 1, 500), Kill, Append(0, 0, 1, 500), Sync]),
    ("a kill while topics change", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Kill, Grow(0, 3), Kill, Remove(0), Kill, Create(0, 1, WIDE)]),
    ("a cut, and life after it", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Sync, Append(0, 0, 2, 200), Cut(11), Append(0, 0, 1, 300), Sync, Maintain]),
    ("cuts in rolls", &[Create(0, 1, NARROW), Append(0, 0, 1, 400), Sync, Append(0, 0, 1, 400), Append(0, 0, 1, 400), Cut(5), Append(0, 0, 1, 400), Append(0, 0, 1, 400), Cut(6), Append(0, 0, 1, 400), Sync]),
    ("a cut after a kill", &[Create(0, 1, NARROW), Append(0, 0, 1, 400), Sync, Append(0, 0, 1, 400), Kill, Cut(7), Append(0, 0, 1, 50), Sync]),
    ("a trim", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Append(0, 0, 1, 50), Sync, Trim(0, 0, 70), Maintain]),
    ("a trim inside a batch", &[Create(0, 1, WIDE), Append(0, 0, 5, 50), Sync, Trim(0, 0, 40), Read(0, 0), Append(0, 0, 1, 50), Sync, Maintain]),
    ("a trim to the end", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Sync, Trim(0, 0, 100), Maintain, Append(0, 0, 1, 500), Sync, Maintain]),
    ("trims one after the other", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Sync, Trim(0, 0, 50), Maintain, Append(0, 0, 1, 500), Append(0, 0, 1, 500), Sync, Trim(0, 0, 75), Trim(0, 0, 30), Maintain, Trim(0, 0, 100)]),
    ("a trim with a producer", &[Create(0, 1, NARROW), Produce(0, 0, 1, 400), Produce(0, 0, 2, 400), Produce(0, 0, 1, 400), Sync, Trim(0, 0, 100), Append(0, 0, 1, 400), Maintain, Sync, Append(0, 0, 1, 50), Maintain]),
    ("a trim after a kill", &[Create(0, 1, NARROW), Produce(0, 0, 1, 400), Append(0, 0, 1, 400), Append(0, 0, 1, 400), Sync, Kill, Trim(0, 0, 100), Append(0, 0, 1, 50), Maintain, Sync, Maintain]),
    ("a trim, and a clean end", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Sync, Trim(0, 0, 50), Close, Append(0, 0, 1, 500), Sync, Trim(0, 0, 100), Close, Read(0, 0)]),
    ("a trim of what nobody synced", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Trim(0, 0, 100), Maintain, Append(0, 0, 1, 50), Sync]),
    ("a trim beside a roll that nobody synced", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Sync, Maintain, Append(0, 0, 1, 500), Trim(0, 0, 100), Maintain, Maintain]),
    ("trims over partitions", &[Create(0, 2, NARROW), Append(0, 0, 1, 500), Append(0, 1, 1, 500), Append(0, 0, 1, 500), Append(0, 1, 1, 500), Sync, Trim(0, 1, 100), Trim(0, 0, 50), Maintain, Append(0, 0, 1, 50), Sync, Maintain]),
    ("a trim, and the topic goes", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Sync, Trim(0, 0, 100), Maintain, Remove(0), Maintain, Create(0, 1, NARROW), Append(0, 0, 1, 50), Sync]),
    ("a trim on a full disk", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Append(0, 0, 1, 500), Sync, Room(50), Trim(0, 0, 50), Maintain, Space, Trim(0, 0, 100), Maintain]),
    ("the commit file turns", &[Create(0, 2, WIDE), Append(0, 0, 1, 50), Append(0, 1, 1, 50), Sync, Turn, Append(0, 0, 1, 50), Sync, Turn, Append(0, 1, 1, 50), Sync]),
    ("the commit file is full", &[Create(0, 1, WIDE), Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync]),
    ("the commit file goes round", &[Create(0, 1, WIDE), Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Turn, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Append(0, 0, 1, 1500), Sync, Turn, Append(0, 0, 1, 1500), Sync, Maintain]),
    ("more logs than the commit file takes", &[Create(0, 6, WIDE), Append(0, 0, 1, 50), Append(0, 1, 1, 50), Append(0, 2, 1, 50), Append(0, 3, 1, 50), Append(0, 4, 1, 50), Append(0, 5, 1, 50), Sync, Turn, Append(0, 5, 1, 50), Append(0, 0, 1, 50), Sync]),
    ("small and large in turn", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Append(0, 0, 2, 2000), Sync, Append(0, 0, 1, 50), Sync, Append(0, 0, 1, 50), Append(0, 0, 1, 3000), Sync, Turn, Append(0, 0, 1, 50), Sync]),
    ("a roll behind the commit file", &[Create(0, 1, NARROW), Append(0, 0, 1, 300), Sync, Append(0, 0, 1, 200), Sync, Append(0, 0, 1, 500), Sync, Append(0, 0, 1, 50), Sync, Turn, Append(0, 0, 1, 500), Sync, Turn]),
    ("the journal speaks of what the commit file has", &[Create(0, 2, WIDE), Append(0, 0, 1, 50), Sync, Maintain, Append(0, 0, 1, 50), Append(0, 1, 1, 50), Sync, Maintain, Append(0, 1, 1, 50), Sync]),
    ("a kill with the commit file", &[Create(0, 2, WIDE), Append(0, 0, 1, 50), Append(0, 1, 1, 50), Sync, Maintain, Kill, Append(0, 0, 1, 50), Sync, Kill, Append(0, 1, 1, 50), Sync, Turn]),
    ("cuts with the commit file", &[Create(0, 2, WIDE), Append(0, 0, 1, 50), Append(0, 1, 1, 50), Sync, Maintain, Cut(21), Append(0, 0, 1, 50), Sync, Cut(22), Append(0, 1, 1, 50), Sync]),
    ("a clean end with the commit file", &[Create(0, 2, WIDE), Append(0, 0, 1, 50), Sync, Close, Append(0, 1, 1, 50), Sync, Turn, Append(0, 0, 1, 50), Sync, Close, Append(0, 0, 1, 50), Sync]),
    ("a topic goes from the commit file", &[Create(0, 1, WIDE), Append(0, 0, 1, 50), Sync, Remove(0), Create(0, 1, WIDE), Append(0, 0, 1, 60), Sync, Maintain, Turn, Append(0, 0, 1, 60), Sync]),
    ("rows", &[Commit(0, 50), Commit(1, 50), Commit(0, 60), Forget(1), Commit(1, 70)]),
    ("rows over lives", &[Commit(0, 50), Kill, Commit(0, 60), Close, Commit(1, 50), Cut(9), Forget(0)]),
    ("rows that fill the files", &[Commit(0, 1500), Commit(0, 1500), Commit(0, 1500), Commit(0, 1500), Commit(1, 50), Commit(0, 1500)]),
    ("rows and records", &[Create(0, 1, NARROW), Commit(0, 50), Append(0, 0, 1, 500), Sync, Commit(0, 50), Append(0, 0, 1, 500), Sync, Forget(0), Maintain]),
    ("the journal rolls", &[Create(0, 1, WIDE), Append(0, 0, 1, 9), Sync, Maintain, Append(0, 0, 1, 9), Sync, Maintain, Append(0, 0, 1, 9), Sync, Maintain, Append(0, 0, 1, 9), Sync, Maintain, Append(0, 0, 1, 9), Sync, Maintain]),
    ("the journal rolls with many partitions", &[Create(0, 4, WIDE), Append(0, 0, 1, 9), Append(0, 1, 1, 9), Sync, Maintain, Append(0, 2, 1, 9), Append(0, 3, 1, 9), Sync, Maintain, Append(0, 1, 1, 9), Sync, Maintain]),
    ("a full disk", &[Create(0, 1, NARROW), Append(0, 0, 1, 300), Sync, Room(200), Append(0, 0, 1, 400), Append(0, 0, 1, 50), Sync, Space, Append(0, 0, 1, 300), Sync]),
    ("a full disk in a roll", &[Create(0, 1, NARROW), Append(0, 0, 1, 500), Sync, Maintain, Room(100), Append(0, 0, 1, 500), Maintain, Space, Append(0, 0, 1, 500), Sync, Maintain]),
    ("a full disk for topics and rows", &[Create(0, 1, WIDE), Room(10), Create(1, 1, WIDE), Commit(0, 500), Remove(0), Space, Create(1, 1, WIDE), Commit(0, 500)]),
];

/// A story that nobody wrote.
pub(super) fn random(rng: &SeededRng) -> Vec<Step> {
    let below = |limit: u64| rng.next_below(limit);
    let size = |limit: u64| usize::try_from(below(limit)).expect("small");
    let partition = || u32::try_from(below(3)).expect("small");
    let topic = || u8::try_from(below(3)).expect("small");
    let segment_bytes = || 400 + u32::try_from(below(2000)).expect("small");
    let steps = 10 + below(40);
    let mut script = vec![Create(topic(), 1 + partition(), segment_bytes())];
    for _ in 0..steps {
        script.push(match below(33) {
            0 => Create(topic(), 1 + partition(), segment_bytes()),
            1 => Remove(topic()),
            2 => Grow(topic(), 1 + partition() + partition()),
            3..=5 => Maintain,
            6..=9 => Sync,
            10 => Read(topic(), partition()),
            11 => Commit(topic(), size(1500)),
            12 => Forget(topic()),
            13 => Close,
            14 => Kill,
            15 => Cut(rng.next_u64()),
            16 => Wait(below(1500)),
            17 | 18 => Turn,
            19..=22 => {
                let producer = i64::try_from(1 + below(3)).expect("small");
                Produce(topic(), partition(), producer, size(400))
            }
            28..=30 => Trim(
                topic(),
                partition(),
                i64::try_from(below(101)).expect("small"),
            ),
            23 => Append(topic(), partition(), 1 + size(4), size(3000)),
            _ => Append(topic(), partition(), 1 + size(2), size(400)),
        });
    }
    script
}
