//! The table: medians of each variant, ratios pair by pair.

use super::{Figures, lines, variant};
use crate::compare::Plan;

#[test]
fn a_ratio_is_taken_pair_by_pair() {
    let figures = |requests_s: f64| Figures {
        requests_s,
        p50_ms: 1.0,
        p99_ms: 2.0,
        cpu_us_request: requests_s / 10.0,
        cpu_s_gib: 3.0,
    };
    let measured = [
        [50.0, 20.0, 30.0].map(figures).to_vec(),
        [100.0, 10.0, 20.0].map(figures).to_vec(),
    ];
    let base = Plan::default();
    let variants = [variant("fsync", &base), variant("os@other/ottla", &base)];
    assert_eq!(variants[1].plan.durability, "os");
    assert!(variants[1].plan.ottla.ends_with("other/ottla"));
    let text = lines("load", &variants, &measured);
    let expected = "| load | fsync | 30.00 | 1.00 | 2.00 | 3.00 | 3.00 | – | – |\n\
         | load | os@other/ottla | 20.00 | 1.00 | 2.00 | 2.00 | 3.00 | 1.50 (0.50–2.00) | 1.50 (0.50–2.00) |\n";
    assert_eq!(text, expected);
}
