//! What callers rely on: repeatable draws, fair limits, clocks that move only as told.

use super::*;

/// The first five outputs for seed 1234567, as published with the generator.
const SPLITMIX_1234567: [u64; 5] = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
];

#[test]
fn a_seed_gives_the_published_sequence() {
    let rng = SeededRng::new(1234567);
    let drawn: Vec<u64> = (0..5).map(|_| rng.next_u64()).collect();
    assert_eq!(drawn, SPLITMIX_1234567);
    assert_eq!(rng.seed(), 1234567);
}

#[test]
fn fill_takes_the_draws_in_order_and_cuts_the_last() {
    let mut filled = [0; 11];
    SeededRng::new(1234567).fill(&mut filled);
    let mut expected = SPLITMIX_1234567[0].to_be_bytes().to_vec();
    expected.extend_from_slice(&SPLITMIX_1234567[1].to_be_bytes()[..3]);
    assert_eq!(filled, expected[..]);
}

#[test]
fn next_below_reaches_every_number_about_equally() {
    let rng = SeededRng::new(7);
    let mut seen = [0u32; 10];
    for _ in 0..100_000 {
        let drawn = usize::try_from(rng.next_below(10)).expect("below 10");
        seen[drawn] += 1;
    }
    // The standard deviation is 95: 500 is more than five of them.
    assert!(
        seen.iter().all(|&count| count.abs_diff(10_000) < 500),
        "{seen:?}"
    );
}

/// Hands out a fixed list, so that the rejected draws are visible.
#[derive(Debug)]
struct Listed(parking_lot::Mutex<Vec<u64>>);

impl Rng for Listed {
    fn next_u64(&self) -> u64 {
        self.0.lock().remove(0)
    }
}

#[test]
fn next_below_rejects_the_uneven_draws() {
    // 2^64 mod 3 is 1: the draw 0 would favour the remainder 0.
    let rng = Listed(parking_lot::Mutex::new(vec![0, 5]));
    assert_eq!(rng.next_below(3), 2);
    let half = 1u64 << 63;
    // 2^64 mod (2^63 + 1) is 2^63 - 1: half of all draws go again.
    let rng = Listed(parking_lot::Mutex::new(vec![half - 2, half - 1]));
    assert_eq!(rng.next_below(half + 1), half - 1);
}

#[test]
fn next_below_one_is_zero() {
    assert_eq!(SeededRng::new(1).next_below(1), 0);
}

#[test]
#[should_panic(expected = "no number is below 0")]
fn next_below_zero_is_refused() {
    SeededRng::new(1).next_below(0);
}

#[test]
fn uuids_carry_version_and_variant() {
    for seed in 0..200 {
        let uuid = SeededRng::new(seed).uuid_v4();
        assert_eq!(uuid[6] >> 4, 4, "seed {seed}");
        assert_eq!(uuid[8] >> 6, 0b10, "seed {seed}");
    }
    let (first, second) = (SystemRng.uuid_v4(), SystemRng.uuid_v4());
    assert_ne!(first, second);
    assert_eq!(first[6] >> 4, 4);
}

#[test]
fn system_draws_differ() {
    let drawn: std::collections::BTreeSet<u64> = (0..64).map(|_| SystemRng.next_u64()).collect();
    assert_eq!(drawn.len(), 64);
}

#[test]
fn sim_clock_moves_only_as_told_and_clones_agree() {
    let clock = SimClock::starting_at(1_000);
    let handle = clock.clone();
    assert_eq!(
        (clock.wall_ms(), clock.monotonic()),
        (1_000, Duration::ZERO)
    );

    handle.advance(Duration::from_micros(1_500));
    handle.advance(Duration::from_micros(1_500));
    assert_eq!(
        (clock.wall_ms(), clock.monotonic()),
        (1_003, Duration::from_millis(3))
    );

    handle.set_wall_ms(-5);
    assert_eq!(
        (clock.wall_ms(), clock.monotonic()),
        (-5, Duration::from_millis(3))
    );

    handle.advance_frozen_wall(Duration::from_secs(1));
    assert_eq!(
        (clock.wall_ms(), clock.monotonic()),
        (-5, Duration::from_millis(1_003))
    );

    handle.advance(Duration::from_millis(5));
    assert_eq!(clock.wall_ms(), 0);
}

#[test]
fn system_clock_shows_this_century_and_never_goes_back() {
    // 2020-01-01 and 2100-01-01.
    assert!((1_577_836_800_000..4_102_444_800_000).contains(&SystemClock.wall_ms()));
    let mut last = SystemClock.monotonic();
    for _ in 0..1_000 {
        let now = SystemClock.monotonic();
        assert!(now >= last);
        last = now;
    }
}
