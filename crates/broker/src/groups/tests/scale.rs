//! Many groups, and many members in one: nothing that is done for one grows out of hand.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use storage::{Space, TopicId};

use super::durable::stored;
use super::*;
use crate::harness::{Harness, create};
use crate::{Beat, Broker};

const GROUPS: usize = 10_000;

/// All of them at once; the answers in their order.
async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<(Pin<Box<_>>, Option<T>)> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, answer) in &mut waiting {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *answer = Some(ready),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    let answers = waiting.into_iter().map(|(_, answer)| answer);
    answers.map(|answer| answer.expect("ready")).collect()
}

fn group(number: usize) -> String {
    format!("g{number}")
}

#[tokio::test]
async fn ten_thousand_groups_live_beside_each_other() {
    let mut harness = Harness::new();
    let broker = harness.broker().await;
    let groups = broker.groups();
    let join = |number| async move { groups.join(&group(number), join_request("", &["x"])).await };
    let joined = stored(&broker, all((0..GROUPS).map(join))).await;
    let ids: Vec<String> = joined.into_iter().map(|answer| answer.member_id).collect();
    harness.clock.advance(Duration::from_secs(8));
    let silent = [0, 4_321, GROUPS - 1];
    let lives = |number: &usize| !silent.contains(number);
    for number in (0..GROUPS).filter(lives) {
        assert_eq!(
            groups.heartbeat(&group(number), &member(&ids[number], 1)),
            Ok(())
        );
    }
    harness.clock.advance(Duration::from_secs(3));
    // What is due is done in parts, so that others come to the lock.
    for _ in 0..GROUPS / 256 + 2 {
        groups.fire_timers();
        groups.work_off().await;
    }
    for (number, id) in ids.iter().enumerate() {
        let alive = groups.heartbeat(&group(number), &member(id, 1));
        assert_eq!(alive.is_ok(), lives(&number), "{number}: {alive:?}");
    }
    drop(broker);
    harness = harness.restarted();
    let broker = harness.broker().await;
    assert_eq!(harness.count(Space::Group).await, GROUPS);
    assert_eq!(broker.groups().list().len(), GROUPS);
    let last = GROUPS - 2;
    let alive = broker
        .groups()
        .heartbeat(&group(last), &member(&ids[last], 1));
    assert_eq!(alive, Ok(()));
}

/// A beat of a member of the new protocol; the partitions that it is told, if any.
async fn beat(
    broker: &Broker,
    id: &str,
    epoch: i32,
    owned: Option<Vec<i32>>,
) -> (i32, Option<Vec<i32>>) {
    let topic = broker.topic("t").expect("exists").id();
    let joins = epoch == 0;
    let owned: Option<Vec<(TopicId, Vec<i32>)>> = match owned {
        Some(partitions) => Some(vec![(topic, partitions)]),
        None => joins.then(Vec::new),
    };
    let beat = Beat {
        member_id: id.to_owned(),
        epoch,
        rebalance_timeout_ms: joins.then_some(60_000),
        names: joins.then(|| vec!["t".to_owned()]),
        owned,
        ..Beat::default()
    };
    let answer = stored(broker, broker.groups().beat("g", &beat, true)).await;
    let answer = answer.expect("a member");
    let told = answer.assignment.map(|of| {
        let partitions = of.into_values().flatten();
        partitions.map(u32::cast_signed).collect()
    });
    (answer.epoch, told)
}

#[tokio::test]
async fn many_members_of_the_new_protocol_get_a_partition_each() {
    const YOUNG: usize = 400;
    let harness = Harness::new();
    let broker = harness.broker().await;
    create(&broker, "t", i32::try_from(YOUNG).expect("small")).await;
    let mut members: Vec<(String, i32, Vec<i32>)> = (0..YOUNG)
        .map(|number| (format!("m{number}"), 0, Vec::new()))
        .collect();
    for _round in 0..6 {
        for (id, epoch, owned) in &mut members {
            let says = (*epoch > 0).then(|| owned.clone());
            let (now, told) = beat(&broker, id, *epoch, says).await;
            *epoch = now;
            if let Some(told) = told {
                *owned = told;
            }
        }
    }
    let all: BTreeSet<i32> = members
        .iter()
        .flat_map(|(_, _, owned)| owned.clone())
        .collect();
    assert!(
        members.iter().all(|(_, _, owned)| owned.len() == 1),
        "one each"
    );
    assert_eq!(all.len(), YOUNG, "and nobody has another's");
}
