//! Every combination of facts has one decision, and nothing durable is ever cut.

use super::{CASES, Decision, Facts, Label, Rest, decide};

const RESTS: [Rest; 5] = [
    Rest::Nothing,
    Rest::Zeros,
    Rest::Torn,
    Rest::Complete,
    Rest::Junk,
];

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
fn labels_stand_for_their_decisions() {
    use Decision::{Accept, Cut, StepOver};
    use Label::{C, D, E, G};
    use Rest::{Complete, Junk, Nothing, Torn, Zeros};
    // Rest; a good batch later, watermark known, same boot; label, decision, alarm.
    let cases = [
        (Nothing, (false, true, true), G, Accept, false),
        (Zeros, (false, true, false), E, Cut, false),
        (Zeros, (false, true, true), E, Cut, true),
        (Zeros, (false, false, true), E, Cut, true),
        (Zeros, (true, true, false), E, Cut, true),
        (Zeros, (true, true, true), D, StepOver, true),
        (Torn, (false, true, true), C, Cut, false),
        (Torn, (false, true, false), C, Cut, false),
        (Torn, (false, false, true), C, Cut, true),
        (Torn, (true, true, true), D, StepOver, true),
        (Complete, (false, true, true), D, StepOver, true),
        (Complete, (false, false, false), D, StepOver, true),
        (Complete, (false, true, false), C, Cut, false),
        (Junk, (false, true, true), C, Cut, true),
        (Junk, (false, true, false), C, Cut, false),
        (Junk, (false, false, false), C, Cut, true),
        (Junk, (true, true, false), C, Cut, true),
        (Junk, (true, true, true), D, StepOver, true),
        (Junk, (true, false, false), D, StepOver, true),
    ];
    for (rest, (good_later, watermark_known, same_boot), label, decision, alarm) in cases {
        let facts = Facts {
            below_watermark: false,
            rest,
            good_later,
            watermark_known,
            same_boot,
        };
        let case = decide(facts);
        assert_eq!(
            (case.label, case.decision, case.alarm),
            (label, decision, alarm),
            "{facts:?}"
        );
    }
}

#[test]
fn what_may_have_been_acknowledged_is_never_lost_in_silence() {
    for facts in all_facts() {
        let case = decide(facts);
        let crash = facts.watermark_known
            && !facts.good_later
            && (!facts.same_boot || facts.rest == Rest::Torn);
        if facts.rest != Rest::Nothing && !crash {
            assert!(case.alarm, "{facts:?}");
        }
    }
}

#[test]
fn letters_name_labels() {
    for letter in 0..=u8::MAX {
        if let Some(label) = Label::of_letter(letter) {
            assert_eq!(label.letter(), letter);
            assert_eq!(label.to_string(), char::from(letter).to_string());
        }
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
