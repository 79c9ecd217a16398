//! Which partitions are told, and their sizes.

use kafka_wire::messages::describe_log_dirs::DescribableLogDirTopic;

use super::*;
use crate::harness::{Harness, batch};

#[tokio::test]
async fn sizes_are_told_of_what_is_known() {
    let harness = Harness::new().await;
    let topic = harness.topic("t", 2).await;
    harness.topic("u", 1).await;
    harness.append(&topic, 0, &["a"]);
    let size = i64::try_from(batch(&["a"]).len()).expect("small");
    type Rows = &'static [(&'static str, i32)];
    let cases: [(Option<Rows>, Rows); 6] = [
        (None, &[("t", 0), ("t", 1), ("u", 0)]),
        (Some(&[]), &[]),
        (Some(&[("t", 1)]), &[("t", 1)]),
        (Some(&[("t", 0), ("u", 0)]), &[("t", 0), ("u", 0)]),
        (Some(&[("t", 2), ("t", -1), ("absent", 0)]), &[]),
        (Some(&[("u", 0)]), &[("u", 0)]),
    ];
    for version in 1..=5 {
        for (asked, told) in cases {
            let one = |(topic, partition): &(&str, i32)| DescribableLogDirTopic {
                topic: (*topic).into(),
                partitions: vec![*partition],
            };
            let request = DescribeLogDirsRequest {
                topics: asked.map(|rows| rows.iter().map(one).collect()),
            };
            let response = harness.ask(version, &request).await;
            let [directory] = response.results.as_slice() else {
                panic!("one directory, not {response:?}");
            };
            assert_eq!(directory.log_dir.as_str(), "memory");
            let row = |topic: &str, partition: &DescribeLogDirsPartition| {
                (
                    topic.to_owned(),
                    partition.partition_index,
                    partition.partition_size,
                )
            };
            let rows = directory.topics.iter().flat_map(|topic| {
                let rows = topic.partitions.iter();
                rows.map(|partition| row(&topic.name, partition))
                    .collect::<Vec<_>>()
            });
            let size = |row: &(&str, i32)| if *row == ("t", 0) { size } else { 0 };
            let expected = told.iter().map(|row| (row.0.to_owned(), row.1, size(row)));
            assert!(rows.eq(expected), "{asked:?}: {:?}", directory.topics);
        }
    }
}
