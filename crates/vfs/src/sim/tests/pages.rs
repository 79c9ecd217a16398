//! Pages against a plain vector, and what sharing must not leak.

use clock::{Rng, SeededRng};

use crate::sim::pages::Pages;

fn below(rng: &SeededRng, limit: u64) -> usize {
    usize::try_from(rng.next_below(limit)).expect("small")
}

#[test]
fn pages_behave_like_a_vector() {
    for seed in 0..200 {
        let rng = SeededRng::new(seed);
        let (mut pages, mut model) = (Pages::default(), Vec::<u8>::new());
        for step in 0..40 {
            let (at, len) = (below(&rng, 12_000), below(&rng, 9_000));
            // A clone that must not see what follows.
            let (before, before_model) = (pages.clone(), model.clone());
            match rng.next_below(4) {
                0 => {
                    pages.set_size(at);
                    model.resize(at, 0);
                }
                _ => {
                    let mut bytes = vec![0; len];
                    rng.fill(&mut bytes);
                    pages.write_at(&bytes, at);
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].copy_from_slice(&bytes);
                }
            }
            assert_eq!(pages.size(), model.len(), "seed {seed} step {step}");
            assert_eq!(pages.to_vec(), model, "seed {seed} step {step}");
            assert_eq!(
                before.to_vec(),
                before_model,
                "seed {seed} step {step}: copy"
            );
            let mut buf = vec![0; len];
            let count = pages.read_at(&mut buf, at);
            let expected = model.get(at..model.len().min(at + len)).unwrap_or_default();
            assert_eq!(&buf[..count], expected, "seed {seed} step {step}: read");
        }
    }
}

#[test]
fn a_shared_range_is_whole_pages_and_no_more() {
    let (mut source, mut target) = (Pages::default(), Pages::default());
    source.write_at(&[1; 3 * 4096], 0);
    target.write_at(&[2; 100], 0);
    target.share_range(&source, 5_000, 10);
    assert_eq!(target.size(), 5_010);
    target.set_size(source.size());
    let bytes = target.to_vec();
    let runs: Vec<(u8, usize)> = bytes
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .collect();
    assert_eq!(runs, [(2, 100), (0, 3_996), (1, 4_096), (0, 4_096)]);

    target.share_range(&source, 4 * 4096, 10);
    assert_eq!(target.size(), 3 * 4096, "nothing lies behind the source");
}
