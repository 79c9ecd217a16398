//! Bringing metadata and storage together, at the start and after an operation that did not come
//! to its end.
//!
//! | Found | Done |
//! |---|---|
//! | deletion record | finished, before anything else is looked at |
//! | topic record, storage not all made | the rest is made |
//! | topic record, storage was made and is gone | kept: the partitions are offline, never silently empty |
//! | storage without record (only at the start) | adopted, with a warning |
//! | storage with the id of another topic, or under a blocked name | left alone, with a warning |

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use clock::Rng;
use storage::{BytesBudget, CommitError, Entry, Key, Space, TopicMeta, TopicName, Version, Write};

use crate::admin::Admin;
use crate::alter_configs::load_layers;
use crate::config::BrokerConfig;
use crate::config_keys::{self, TopicSettings};
use crate::counters::Counters;
use crate::error::{OpenBrokerError, Trouble, UnreadableValue};
use crate::groups::Groups;
use crate::offload::Workshop;
use crate::producer_ids::ProducerIds;
use crate::topics::{Topic, Topics};
use crate::values::{self, DeletionRecord, TopicRecord};
use crate::{Broker, Parts, keys};

/// Rows of one listing.
pub(crate) const PAGE: usize = 1000;

/// The records of topics, by name.
type Records = BTreeMap<TopicName, (TopicRecord, Version)>;

impl Broker {
    /// Loads the topics from the metadata and finishes what a crash left half-done.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, OpenBrokerError> {
        check_config(&parts.config)?;
        let cluster_id = cluster_id(&parts).await?;
        let config = Arc::new(parts.config.clone());
        let topics = Arc::new(ArcSwap::from_pointee(Topics::default()));
        let groups = Groups::load(&parts, &config, &topics).await?;
        let layers = load_layers(&*parts.metadata, &config).await?;
        let broker = Self {
            budget: BytesBudget::new(config.request_bytes_in_flight),
            config,
            layers: ArcSwap::from_pointee(layers),
            store: parts.store,
            producer_ids: ProducerIds::new(Arc::clone(&parts.metadata)),
            metadata: parts.metadata,
            clock: parts.clock,
            rng: parts.rng,
            cluster_id,
            topics,
            admin: tokio::sync::Mutex::default(),
            groups,
            workshop: Workshop::default(),
            counters: Counters::default(),
        };
        broker.start().await?;
        Ok(Arc::new(broker))
    }

    async fn start(&self) -> Result<(), OpenBrokerError> {
        let mut admin = self.admin.lock().await;
        self.finish_deletions(&mut admin).await?;
        let mut records = self.load_records().await?;
        self.adopt(&admin, &mut records).await?;
        self.make_missing(&mut admin, &mut records).await;
        self.publish_records(&records);
        for topic in &*self.topics.load_full() {
            // Opening is how a store learns how long it keeps the records of a topic that nobody
            // uses; what cannot be opened has nothing to keep.
            let _ = self.store.open(topic.meta(), 0);
        }
        Ok(())
    }

    /// What [`Broker::open`] does, except that nothing is adopted: in a running broker, storage
    /// without record belongs to an operation.
    pub(crate) async fn settle(&self, admin: &mut Admin) -> Result<(), Trouble> {
        admin.unsettled = true;
        admin.leftovers = false;
        self.reload_layers().await?;
        self.groups.load_own_configs().await?;
        self.finish_deletions(admin).await?;
        let mut records = self.load_records().await?;
        self.make_missing(admin, &mut records).await;
        self.publish_records(&records);
        admin.unsettled = false;
        Ok(())
    }

    /// A deletion that cannot be finished keeps its name blocked; the others go on.
    async fn finish_deletions(&self, admin: &mut Admin) -> Result<(), Trouble> {
        admin.blocked.clear();
        for entry in self.list_all(&Key::space(Space::Deletion)).await? {
            let deletion = DeletionRecord::decode(&entry.value)?;
            let meta = self.loaded_meta(&deletion.name, &deletion.topic);
            match self.finish_deletion(&meta, entry.version).await {
                Ok(()) => tracing::info!(topic = %deletion.name, "finished a deletion"),
                Err(trouble) => admin.note_blocked(&meta, trouble),
            }
        }
        Ok(())
    }

    async fn load_records(&self) -> Result<Records, Trouble> {
        let mut records = Records::new();
        let mut names = HashMap::new();
        for entry in self.list_all(&Key::space(Space::Topic)).await? {
            let name = name_of(&entry.key)?;
            let mut record = TopicRecord::decode(&entry.value)?;
            self.drop_invalid_configs(&name, &mut record);
            if let Some(other) = names.insert(record.id, name.clone()) {
                let reason = format!("{other} and {name} have the same id {}", record.id);
                let what = "a topic record";
                return Err(UnreadableValue::Damaged { what, reason }.into());
            }
            records.insert(name, (record, entry.version));
        }
        Ok(records)
    }

    /// A config that this build or this broker's settings do not allow must not keep the others
    /// from being served.
    fn drop_invalid_configs(&self, name: &TopicName, record: &mut TopicRecord) {
        record.configs.retain(|key, value| {
            let one = BTreeMap::from([(key.clone(), value.clone())]);
            let checked = TopicSettings::new(self.layers.load().effective(), &one);
            if let Err(reason) = &checked {
                tracing::warn!(topic = %name, %reason, "a config of the topic is left out");
            }
            checked.is_ok()
        });
    }

    fn loaded_meta(&self, name: &TopicName, record: &TopicRecord) -> TopicMeta {
        let mut record = record.clone();
        self.drop_invalid_configs(name, &mut record);
        self.meta_of(name, &record)
    }

    /// Makes the storage that was promised and not confirmed.
    async fn make_missing(&self, admin: &mut Admin, records: &mut Records) {
        for (name, (record, version)) in records {
            let missing = record.partitions_made..record.partitions;
            if missing.is_empty() {
                continue;
            }
            tracing::info!(topic = %name, partitions = ?missing, "finishing the creation of a topic");
            let made = self
                .store
                .create(&self.meta_of(name, record), missing)
                .await;
            let confirmed = match made {
                Ok(()) => {
                    let partitions_made = record.partitions;
                    let whole = TopicRecord {
                        partitions_made,
                        ..record.clone()
                    };
                    let confirmed = self.write_topic(name, &whole, *version).await;
                    confirmed
                        .map(|version| (whole, version))
                        .map_err(Trouble::from)
                }
                Err(error) => Err(Trouble::from(error)),
            };
            match confirmed {
                Ok(now) => (*record, *version) = now,
                Err(trouble) => {
                    admin.leftovers = true;
                    let reason = trouble.into_failure();
                    tracing::error!(topic = %name, %reason, "the storage of a topic is not complete");
                }
            }
        }
    }

    /// Storage without record: the record was lost, the records of the users were not.
    async fn adopt(&self, admin: &Admin, records: &mut Records) -> Result<(), Trouble> {
        let mut owners: HashMap<_, TopicName> = HashMap::new();
        owners.extend(
            records
                .iter()
                .map(|(name, (record, _))| (record.id, name.clone())),
        );
        owners.extend(
            admin
                .blocked
                .iter()
                .map(|(name, (id, _))| (*id, name.clone())),
        );
        for found in self.store.topics().await.map_err(Trouble::from)? {
            let known = records.get(&found.name).map(|(record, _)| record.id);
            let blocked = admin.blocked.contains_key(&found.name);
            if known == Some(found.id) {
                continue;
            }
            if let Some(owner) = owners.get(&found.id) {
                tracing::warn!(topic = %found.name, id = %found.id, %owner,
                    "storage has the id of another topic; it is left alone");
                continue;
            }
            if known.is_some() || blocked {
                tracing::warn!(topic = %found.name, id = %found.id,
                    "storage has another id than the topic of its name; it is left alone");
                continue;
            }
            let adopted = self.adopt_one(&found).await?;
            owners.insert(found.id, found.name.clone());
            records.insert(found.name, adopted);
        }
        Ok(())
    }

    async fn adopt_one(&self, found: &TopicMeta) -> Result<(TopicRecord, Version), Trouble> {
        tracing::warn!(topic = %found.name, id = %found.id, partitions = found.partitions,
            "adopting storage that no metadata knows");
        let mut record = TopicRecord {
            id: found.id,
            partitions: found.partitions,
            partitions_made: found.partitions,
            configs: found.configs.clone(),
        };
        self.drop_invalid_configs(&found.name, &mut record);
        // The logs may hold producer ids that the lost metadata gave out: go above them first.
        self.producer_ids.skip_to(self.clock.wall_ms()).await?;
        let version = self
            .write_topic(&found.name, &record, Version::ABSENT)
            .await?;
        Ok((record, version))
    }

    fn publish_records(&self, records: &Records) {
        let before = self.topics.load();
        let topic = |(name, (record, version)): (&TopicName, &(TopicRecord, Version))| {
            let known = before.by_id(record.id);
            match known.filter(|topic| topic.version() == *version) {
                Some(same) => Arc::clone(same),
                None => {
                    Arc::new(self.topic_of(name, record, *version, known.map(|topic| &**topic)))
                }
            }
        };
        let topics = Topics::new(records.iter().map(topic).collect());
        let gone = before
            .iter()
            .filter(|topic| topics.by_id(topic.id()).is_none());
        gone.for_each(|topic: &Arc<Topic>| topic.mark_deleted());
        self.publish(topics);
    }

    /// All keys that begin with `prefix`.
    async fn list_all(&self, prefix: &Key) -> Result<Vec<Entry>, Trouble> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map(|entry| entry.key.clone());
            let page = self.metadata.list(prefix, after.as_ref(), PAGE).await?;
            let last = page.len() < PAGE;
            entries.extend(page);
            if last {
                return Ok(entries);
            }
        }
    }
}

fn check_config(config: &BrokerConfig) -> Result<(), OpenBrokerError> {
    let refuse = |key, reason: String| Err(OpenBrokerError::InvalidConfig { key, reason });
    let (partitions, limit) = (config.num_partitions, config.partitions_max_per_topic);
    if partitions == 0 || partitions > limit || limit > i32::MAX.cast_unsigned() {
        let reason = format!("{partitions} is not between 1 and {limit}, the most of one topic");
        return refuse("num.partitions", reason);
    }
    if config.node_id < 0 {
        return refuse("node.id", format!("{} is negative", config.node_id));
    }
    if let Some((key, missing)) = config_keys::broken_sync_interval(config) {
        return refuse(key, format!("{missing}, so it must be left out"));
    }
    let (least, most) = (config.groups.session_min_ms, config.groups.session_max_ms);
    if least > most {
        return refuse(
            "group.min.session.timeout.ms",
            format!("{least} is above group.max.session.timeout.ms, which is {most}"),
        );
    }
    if config.log.segment_bytes == 0 {
        return refuse(
            "log.segment.bytes",
            "a segment has at least 1 byte".to_owned(),
        );
    }
    Ok(())
}

fn name_of(key: &Key) -> Result<TopicName, UnreadableValue> {
    let parts = key.parts().unwrap_or_default();
    let name = match parts.as_slice() {
        [name] => std::str::from_utf8(name)
            .ok()
            .and_then(|name| TopicName::parse(name).ok()),
        _ => None,
    };
    let reason = || format!("{key:?} is not the key of a topic");
    name.ok_or_else(|| UnreadableValue::Damaged {
        what: "a topic record",
        reason: reason(),
    })
}

/// The id kept in the metadata, made at the first start.
async fn cluster_id(parts: &Parts) -> Result<String, OpenBrokerError> {
    let key = keys::cluster_id();
    loop {
        let kept = parts.metadata.get(&key).await.map_err(Trouble::from)?;
        if let Some(kept) = kept {
            return Ok(values::decode_cluster_id(&kept.value)?);
        }
        let made = base64_url(random_uuid(&*parts.rng));
        let write = Write {
            key: key.clone(),
            value: Some(values::encode_cluster_id(&made)),
        };
        match parts
            .metadata
            .commit(&[(key.clone(), Version::ABSENT)], &[write])
            .await
        {
            Ok(_) => return Ok(made),
            Err(CommitError::Conflict { .. }) => {}
            Err(error) => return Err(Trouble::from(error).into()),
        }
    }
}

/// A UUID whose text does not begin with a dash, which command lines would take for a flag.
pub(crate) fn random_uuid(rng: &dyn Rng) -> [u8; 16] {
    loop {
        let uuid = rng.uuid_v4();
        if !base64_url(uuid).starts_with('-') {
            return uuid;
        }
    }
}

/// 22 characters, as Kafka writes a UUID: base64 for URLs, without padding.
fn base64_url(uuid: [u8; 16]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = u128::from_be_bytes(uuid);
    let letter = |index: u32| {
        // 128 bits are 21 letters of 6 bits and 2 bits more, in the high end of the last letter.
        let sextet = if index < 21 {
            bits >> (122 - 6 * index)
        } else {
            bits << 4
        };
        char::from(LETTERS[usize::try_from(sextet & 63).expect("6 bits fit")])
    };
    (0..22).map(letter).collect()
}

#[cfg(test)]
mod tests;
