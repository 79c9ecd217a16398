//! OffsetDelete (KIP-496): forgets what a group has committed in partitions it does not consume.

use std::collections::{BTreeMap, BTreeSet};

use broker::GroupError;
use kafka_wire::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse,
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_wire::{ErrorCode, WireString};

use crate::Context;
use crate::error::Coded;

pub(crate) async fn handle(context: Context, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let groups = context.broker().groups();
    if let Err(error) = groups.check_offset_deletion(&request.group_id) {
        return refused(&error);
    }
    let mut topics = Vec::new();
    // What is named twice is answered once: each topic is a commit.
    let mut answered: BTreeMap<WireString, BTreeSet<i32>> = BTreeMap::new();
    for mut topic in request.topics {
        tokio::task::consume_budget().await;
        let answered = answered.entry(topic.name.clone()).or_default();
        let names_any = !topic.partitions.is_empty();
        topic
            .partitions
            .retain(|row| answered.insert(row.partition_index));
        if names_any && topic.partitions.is_empty() {
            continue;
        }
        match delete(&context, &request.group_id, topic).await {
            Ok(topic) => topics.push(topic),
            Err(error) => return refused(&error),
        }
    }
    OffsetDeleteResponse {
        topics,
        ..Default::default()
    }
}

async fn delete(
    context: &Context,
    group: &str,
    asked: OffsetDeleteRequestTopic,
) -> Result<OffsetDeleteResponseTopic, GroupError> {
    let topic = context.broker().topic(&asked.name);
    let number = |index: i32| topic.as_ref().and_then(|topic| topic.partition(index).ok());
    let known: Vec<u32> = asked
        .partitions
        .iter()
        .filter_map(|row| number(row.partition_index))
        .collect();
    let code = match &topic {
        Some(topic) if !known.is_empty() => {
            let groups = context.broker().groups();
            let deleted = groups.delete_offsets(group, topic, &known).await?;
            if deleted {
                ErrorCode::None
            } else {
                ErrorCode::GroupSubscribedToTopic
            }
        }
        _ => ErrorCode::None,
    };
    let row = |index: i32| OffsetDeleteResponsePartition {
        partition_index: index,
        error_code: match number(index) {
            Some(_) => code.code(),
            None => ErrorCode::UnknownTopicOrPartition.code(),
        },
    };
    let rows = asked
        .partitions
        .iter()
        .map(|asked| row(asked.partition_index));
    Ok(OffsetDeleteResponseTopic {
        name: asked.name.clone(),
        partitions: rows.collect(),
    })
}

fn refused(error: &GroupError) -> OffsetDeleteResponse {
    OffsetDeleteResponse {
        error_code: error.code().code(),
        ..Default::default()
    }
}
