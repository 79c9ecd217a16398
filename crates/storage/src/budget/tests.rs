//! A full budget makes the taker wait, in turn, and gives back what is dropped.

use futures_util::FutureExt;

use super::*;

#[test]
fn a_full_budget_makes_the_taker_wait() {
    let budget = BytesBudget::new(4 * UNIT_BYTES);
    let first = budget
        .take(3 * UNIT_BYTES)
        .now_or_never()
        .expect("there is room");
    let mut second = Box::pin(budget.take(2 * UNIT_BYTES));
    assert!((&mut second).now_or_never().is_none(), "3 and 2 exceed 4");
    drop(first);
    let second = second.now_or_never().expect("the first gave back");
    let third = budget
        .take(2 * UNIT_BYTES)
        .now_or_never()
        .expect("2 and 2 fit");
    assert!(budget.take(1).now_or_never().is_none());
    drop((second, third));
    assert!(budget.take(4 * UNIT_BYTES).now_or_never().is_some());
}

#[test]
fn more_than_the_whole_is_served_alone() {
    let budget = BytesBudget::new(4 * UNIT_BYTES);
    let small = budget.take(1).now_or_never().expect("there is room");
    let mut huge = Box::pin(budget.take(usize::MAX));
    assert!((&mut huge).now_or_never().is_none(), "not beside another");
    drop(small);
    let huge = huge.now_or_never().expect("alone it is served");
    assert!(budget.take(1).now_or_never().is_none());
    drop(huge);
    assert!(budget.take(1).now_or_never().is_some());
}

#[test]
fn small_takers_do_not_pass_a_large_one() {
    let budget = BytesBudget::new(4 * UNIT_BYTES);
    let first = budget
        .take(2 * UNIT_BYTES)
        .now_or_never()
        .expect("there is room");
    let mut large = Box::pin(budget.take(4 * UNIT_BYTES));
    assert!((&mut large).now_or_never().is_none());
    assert!(
        budget.take(1).now_or_never().is_none(),
        "in turn, though there is room for it"
    );
    drop(first);
    assert!(large.now_or_never().is_some());
}

#[test]
fn a_taker_that_gives_up_takes_nothing() {
    let budget = BytesBudget::new(UNIT_BYTES);
    let first = budget.take(1).now_or_never().expect("there is room");
    let mut second = Box::pin(budget.take(1));
    assert!((&mut second).now_or_never().is_none());
    drop(second);
    drop(first);
    assert!(budget.take(1).now_or_never().is_some());
}

#[test]
fn sizes_round_up_and_nothing_costs_nothing() {
    let budget = BytesBudget::new(1);
    let whole = budget.take(1).now_or_never().expect("a unit is the least");
    assert!(budget.take(1).now_or_never().is_none());
    assert!(budget.take(0).now_or_never().is_some());
    let _free = BytesPermit::free();
    drop(whole);
    assert!(budget.take(UNIT_BYTES).now_or_never().is_some());
}

#[test]
fn more_than_4_gib_can_be_budgeted() {
    let gib = 1024 * 1024 * 1024;
    let budget = BytesBudget::new(8 * gib);
    let first = budget.take(7 * gib).now_or_never().expect("there is room");
    assert!(budget.take(2 * gib).now_or_never().is_none());
    drop(first);
    assert!(budget.take(8 * gib).now_or_never().is_some());
}
