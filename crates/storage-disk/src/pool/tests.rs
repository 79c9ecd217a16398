//! Threads on demand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use parking_lot::Mutex;

use super::Pool;

#[test]
fn all_jobs_run_on_a_few_threads() {
    let pool = Pool::new("test", 3);
    let threads = Arc::new(Mutex::new(BTreeSet::new()));
    let (sender, receiver) = sync_channel(100);
    for job in 0..100 {
        let (sender, threads) = (sender.clone(), Arc::clone(&threads));
        pool.submit(Box::new(move || {
            let id = format!("{:?}", std::thread::current().id());
            threads.lock().insert(id);
            sender.send(job).expect("the test listens");
        }));
    }
    let done: BTreeSet<i32> = (0..100)
        .map(|_| receiver.recv().expect("it runs"))
        .collect();
    assert_eq!(done.len(), 100);
    let count = threads.lock().len();
    assert!((1..=3).contains(&count), "{count} threads");
}

#[test]
fn jobs_run_beside_each_other() {
    let pool = Pool::new("test", 2);
    // Each waits for the other: one thread alone would stand still.
    let (first_sender, first_receiver) = sync_channel(1);
    let (second_sender, second_receiver) = sync_channel(1);
    let (done_sender, done_receiver) = sync_channel(2);
    let done = done_sender.clone();
    pool.submit(Box::new(move || {
        first_sender.send(()).expect("the other lives");
        second_receiver.recv().expect("the other answers");
        done.send(()).expect("the test listens");
    }));
    pool.submit(Box::new(move || {
        second_sender.send(()).expect("the other lives");
        first_receiver.recv().expect("the other answers");
        done_sender.send(()).expect("the test listens");
    }));
    for _ in 0..2 {
        done_receiver.recv().expect("both end");
    }
}

#[test]
fn a_panic_costs_one_job() {
    let pool = Pool::new("test", 1);
    let (sender, receiver) = sync_channel(1);
    pool.submit(Box::new(|| panic!("on purpose")));
    pool.submit(Box::new(move || sender.send(()).expect("the test listens")));
    receiver.recv().expect("the next job runs");
}

#[test]
fn without_threads_jobs_run_at_once() {
    let pool = Pool::new("test", 0);
    let ran = Arc::new(Mutex::new(false));
    let set = Arc::clone(&ran);
    pool.submit(Box::new(move || *set.lock() = true));
    assert!(*ran.lock());
}
