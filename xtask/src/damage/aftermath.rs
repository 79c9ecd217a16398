//! What is asked beside the records: topic ids, a config, the position of a named consumer, that no
//! offset and no producer id is given again, and that a repeated batch is known.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::Uuid;
use kafka_wire::messages::describe_configs::DescribeConfigsResource;
use kafka_wire::messages::{DescribeConfigsRequest, MetadataRequest};
use records::{BatchBuilder, Codec};

use super::model::{Model, Name};
use super::reading::{Fate, Fates, connect};
use super::world::{CONFIG, CONSUMED, CONSUMER, SEQUENCED, new_producer};
use crate::conformance::process;
use crate::wire::{Wire, produce};

const METADATA_VERSION: i16 = 12;
const DESCRIBE_CONFIGS_VERSION: i16 = 4;
const TOPIC_RESOURCE: i8 = 2;

/// Topic ids by name.
pub(super) fn ids(wire: &mut Wire) -> Result<BTreeMap<String, Uuid>, String> {
    let request = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let response = wire.call(&request, METADATA_VERSION)?;
    let topics = response.topics.into_iter();
    let named = topics.filter_map(|topic| Some((topic.name?.to_string(), topic.topic_id)));
    Ok(named.collect())
}

/// Everything that is not as it was, beside the records. `cut` are the partitions whose end nobody
/// could vouch for and that were cut there.
pub(super) fn forgotten(
    address: &str,
    (model, fates): (&Model, &Fates),
    cut: &BTreeSet<Name>,
    patience: Duration,
) -> Result<Vec<String>, String> {
    let mut wire = connect(address)?;
    let mut found = Vec::new();
    let ids = ids(&mut wire)?;
    for (topic, id) in &model.ids {
        match ids.get(topic) {
            Some(now) if now == id => {}
            Some(_) => found.push(format!("topic {topic} has another id")),
            None => found.push(format!("topic {topic} is gone")),
        }
    }
    for topic in model.ids.keys() {
        if config(&mut wire, topic)?.as_deref() != Some(CONFIG.1) {
            found.push(format!("topic {topic} lost its {}", CONFIG.0));
        }
    }
    if let Some(wanted) = model.position
        && fates.get(&(CONSUMED, wanted)) == Some(&Fate::Served)
    {
        match position(address) {
            Ok(now) if now == wanted => {}
            Ok(now) => found.push(format!("the position is {now}, not {wanted}")),
            Err(error) => found.push(format!("the position: {error}")),
        }
    }
    if let Some((producer_id, last)) = &model.producer {
        found.extend(repeated(&mut wire, (model, fates), last));
        match new_producer(&mut wire, patience) {
            Ok(id) if id > *producer_id => {}
            Ok(id) => found.push(format!("producer id {id} was given again")),
            Err(error) => found.push(error),
        }
    }
    for name in model.partitions.keys() {
        // What cannot be written to gives no offset again.
        if let Ok(offset) = write(&mut wire, *name)
            && offset < model.end(*name)
            && !cut.contains(name)
        {
            found.push(format!("{name:?} gave offset {offset} again"));
        }
    }
    Ok(found)
}

fn config(wire: &mut Wire, topic: &str) -> Result<Option<String>, String> {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: topic.into(),
        configuration_keys: Some(vec![CONFIG.0.into()]),
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        ..DescribeConfigsRequest::default()
    };
    let response = wire.call(&request, DESCRIBE_CONFIGS_VERSION)?;
    let mut entries = response
        .results
        .into_iter()
        .flat_map(|result| result.configs);
    Ok(entries
        .next()
        .and_then(|entry| Some(entry.value?.to_string())))
}

/// The last batch of an idempotent producer, sent once more, must get its offset, if it is there.
fn repeated(wire: &mut Wire, (model, fates): (&Model, &Fates), last: &Bytes) -> Option<String> {
    let wanted = model.partitions.get(&SEQUENCED)?.last()?.base;
    if fates.get(&(SEQUENCED, wanted)) != Some(&Fate::Served) {
        return None;
    }
    match wire.produced(&produce(SEQUENCED.0, SEQUENCED.1, last.clone())) {
        Ok(offset) if offset == wanted => None,
        Ok(offset) => Some(format!("a repeated batch of {wanted} was put at {offset}")),
        Err(error) => Some(format!("a repeated batch of {wanted}: {error}")),
    }
}

fn write(wire: &mut Wire, (topic, partition): Name) -> Result<i64, String> {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(1, None, Some(b"after"), &[])
        .map_err(|error| error.to_string())?;
    let batch = builder.build().map_err(|error| error.to_string())?;
    wire.produced(&produce(topic, partition, batch.into_bytes()))
}

/// Notes over gRPC where the named consumer stands.
pub(super) fn commit_position(address: &str, offset: i64) -> Result<(), String> {
    let (topic, partition) = CONSUMED;
    let call = serde_json::json!({
        "consumer": CONSUMER, "topic": topic, "partition": partition, "offset": offset,
    });
    grpc(address, "CommitOffset", &call).map(drop)
}

/// Where the named consumer goes on: the offset of the first record that it is given.
fn position(address: &str) -> Result<i64, String> {
    let (topic, partition) = CONSUMED;
    let call = serde_json::json!({
        "consumer": CONSUMER, "topic": topic, "partition": partition,
        "untilEnd": true, "maxMessages": 1, "autoAdvance": false,
    });
    let said = grpc(address, "Consume", &call)?;
    let record: serde_json::Value =
        serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))?;
    let offset = record.get("offset").and_then(|offset| offset.as_str());
    let offset = offset.and_then(|offset| offset.parse().ok());
    offset.ok_or_else(|| format!("no offset in {said}"))
}

fn grpc(address: &str, method: &str, call: &serde_json::Value) -> Result<String, String> {
    let root = crate::root();
    let grpcurl: PathBuf = root.join("conformance/.cache/bin/grpcurl");
    let mut grpcurl = Command::new(grpcurl);
    grpcurl
        .args(["-plaintext", "-max-time", "10", "-import-path"])
        .arg(root.join("proto"))
        .args(["-proto", "broker.proto", "-d", &call.to_string()])
        .args([address, &format!("broker.Broker/{method}")]);
    process::succeed(grpcurl)
}
