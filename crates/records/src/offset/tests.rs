//! Arithmetic at the ends of the range.

use super::*;

#[test]
fn arithmetic_holds_at_the_ends() {
    let of = Offset::new;
    for (start, delta, saturating, checked) in [
        (of(5), 3, of(8), Some(of(8))),
        (of(5), -3, of(2), Some(of(2))),
        (Offset::ZERO, i64::MAX, Offset::MAX, Some(Offset::MAX)),
        (of(1), i64::MAX, Offset::MAX, None),
        (of(-2), i64::MIN, of(i64::MIN), None),
    ] {
        assert_eq!(start.plus(delta), saturating, "{start} + {delta}");
        assert_eq!(start.checked_plus(delta), checked, "{start} + {delta}");
    }
    assert_eq!(of(8).since(of(5)), 3);
    assert_eq!(of(5).since(of(8)), -3);
    assert_eq!(Offset::MAX.since(of(i64::MIN)), i64::MAX);
    assert_eq!(format!("{:>4}", of(42)), "  42");
    assert!(of(9) < of(10));
}
