//! The judge, on three batches of which the last is vouched for by nobody.

use bytes::Bytes;

use super::*;
use crate::damage::model::Batch;

const NAME: Name = ("topic", 0);

fn model() -> Model {
    let batch = |base: i64| Batch {
        base,
        next: base + 10,
        bytes: Bytes::new(),
    };
    let mut model = Model::default();
    model
        .partitions
        .insert(NAME, vec![batch(0), batch(10), batch(20)]);
    model.vouched.insert(NAME, 20);
    model
}

/// Fates as letters: Served, Refused, sKipped, Different. `touched` are the damaged batches.
fn check(fates: &str, touched: &[i64], expected: &[&str]) {
    let fate = |letter: char| match letter {
        'S' => Fate::Served,
        'R' => Fate::Refused("said".to_owned()),
        'K' => Fate::Skipped,
        _ => Fate::Different("how".to_owned()),
    };
    let named = fates.chars().zip([0, 10, 20]);
    let found: Fates = named
        .map(|(letter, base)| ((NAME, base), fate(letter)))
        .collect();
    let touched: Vec<_> = touched.iter().map(|base| (NAME, *base)).collect();
    let outcome = Outcome::of(&model(), &found, &touched);
    let what = |complaint: &String| complaint.split(':').next().unwrap_or_default().to_owned();
    let complaints: Vec<String> = outcome.complaints().iter().map(what).collect();
    assert_eq!(complaints, expected, "{fates} {touched:?}");
    let served = fates.matches('S').count() as u64 * 10;
    assert_eq!((outcome.served, outcome.records), (served, 30), "{fates}");
}

#[test]
fn a_round_is_judged_by_what_was_touched() {
    check("SSS", &[], &[]);
    check("SSS", &[10], &[]);
    check("SRS", &[10], &[]);
    check("SRR", &[10], &["lost beside the damage"]);
    check("RSS", &[10], &["lost beside the damage"]);
    check("SDS", &[10], &["silently different"]);
    check("SKS", &[10], &["silently lost"]);
    // The end of a log that only the killed process knew of may be cut, if it is damaged.
    check("SSK", &[20], &[]);
    check("SSK", &[], &["silently lost"]);
    check("SKK", &[10], &["silently lost", "silently lost"]);
    check("SKK", &[20], &["silently lost", "silently lost"]);
}
