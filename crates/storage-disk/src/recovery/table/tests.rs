//! Every combination of facts has one decision, and nothing durable is ever cut.

use super::{CASES, Decision, Facts, Label, Rest, decide};

const RESTS: [Rest; 3] = [Rest::Nothing, Rest::Zeros, Rest::Junk];

fn all_facts() -> impl Iterator<Item = Facts> {
    RESTS.into_iter().flat_map(|rest| {
        (0..16_u8).map(move |bits| Facts {
            below_watermark: bits & 8 != 0,
            rest,
            good_later: bits & 1 != 0,
            watermark_known: bits & 2 != 0,
            same_boot: bits & 4 != 0,
        })
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn labels_stand_for_their_decisions() {
    let facts = |rest, good_later, watermark_known, same_boot| Facts {
        below_watermark: false,
        rest,
        good_later,
        watermark_known,
        same_boot,
    };
    let cases = [
        (
            facts(Rest::Nothing, false, true, true),
            Label::G,
            Decision::Accept,
            false,
        ),
        (
            facts(Rest::Zeros, false, true, true),
            Label::E,
            Decision::Cut,
            false,
        ),
        (
            facts(Rest::Zeros, false, false, true),
            Label::E,
            Decision::Cut,
            false,
        ),
        (
            facts(Rest::Zeros, true, true, false),
            Label::E,
            Decision::Cut,
            false,
        ),
        (
            facts(Rest::Zeros, true, true, true),
            Label::D,
            Decision::StepOver,
            true,
        ),
        (
            facts(Rest::Junk, false, true, true),
            Label::C,
            Decision::Cut,
            false,
        ),
        (
            facts(Rest::Junk, false, true, false),
            Label::C,
            Decision::Cut,
            false,
        ),
        (
            facts(Rest::Junk, false, false, false),
            Label::C,
            Decision::Cut,
            true,
        ),
        (
            facts(Rest::Junk, true, true, false),
            Label::C,
            Decision::Cut,
            false,
        ),
        (
            facts(Rest::Junk, true, true, true),
            Label::D,
            Decision::StepOver,
            true,
        ),
        (
            facts(Rest::Junk, true, false, false),
            Label::D,
            Decision::StepOver,
            true,
        ),
        (
            facts(Rest::Junk, true, false, true),
            Label::D,
            Decision::StepOver,
            true,
        ),
    ];
    for (facts, label, decision, alarm) in cases {
        let case = decide(facts);
        assert_eq!(
            (case.label, case.decision, case.alarm),
            (label, decision, alarm),
            "{facts:?}"
        );
    }
}

#[test]
fn nothing_below_the_watermark_is_cut() {
    for facts in all_facts().filter(|facts| facts.below_watermark) {
        assert_ne!(decide(facts).decision, Decision::Cut, "{facts:?}");
    }
}

#[test]
fn good_batches_are_cut_only_after_a_power_cut_past_a_known_watermark() {
    for facts in all_facts() {
        let cuts = decide(facts).decision == Decision::Cut;
        if facts.good_later && (facts.same_boot || !facts.watermark_known) {
            assert!(!cuts, "{facts:?}");
        }
        assert!(!(cuts && facts.rest == Rest::Nothing), "{facts:?}");
    }
}

#[test]
fn every_row_is_needed() {
    for (row, case) in CASES.iter().enumerate() {
        let first = |facts: &Facts| CASES.iter().position(|case| (case.found)(*facts));
        let needed = all_facts().any(|facts| first(&facts) == Some(row));
        assert!(needed, "row {row}, {}, decides nothing", case.label);
    }
}
