//! Ids for idempotent producers, each given out once for the life of the data.
//!
//! Ids come from blocks. A block is taken by compare-and-set in the metadata before its first id
//! is given out, so a restart wastes the rest of a block and repeats none.

use std::ops::Range;
use std::sync::Arc;

use storage::{CommitError, Metadata, Version, Write};
use tokio::sync::Mutex;

use crate::error::{InitProducerIdError, Trouble, UnreadableValue};
use crate::{Broker, keys, values};

/// Ids taken with one commit.
const BLOCK_IDS: i64 = 1000;

/// What an idempotent producer puts into its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProducerIdentity {
    /// Unique for the life of the data.
    pub id: i64,
    /// 0 for a new id.
    pub epoch: i16,
}

/// Gives out ids.
#[derive(Debug)]
pub(crate) struct ProducerIds {
    metadata: Arc<dyn Metadata>,
    /// Ids of the block that are still to be given out.
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(metadata: Arc<dyn Metadata>) -> Self {
        Self {
            metadata,
            block: Mutex::new(0..0),
        }
    }

    async fn next(&self) -> Result<i64, InitProducerIdError> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        *block = self.take_block().await?;
        block.next().ok_or(InitProducerIdError::Exhausted)
    }

    async fn take_block(&self) -> Result<Range<i64>, InitProducerIdError> {
        loop {
            let (first, version) = self.stored().await?;
            let Some(next) = first.checked_add(BLOCK_IDS) else {
                return Err(InitProducerIdError::Exhausted);
            };
            match self.store(next, version).await {
                Ok(()) => return Ok(first..next),
                // Somebody else took it: the next one is free.
                Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(Trouble::from(error).into()),
            }
        }
    }

    /// Gives out no id below `floor` from now on.
    pub(crate) async fn skip_to(&self, floor: i64) -> Result<(), Trouble> {
        let mut block = self.block.lock().await;
        *block = 0..0;
        let stored = self.stored().await;
        let (next, version) = stored.map_err(|error| match error {
            StoredError::Trouble(trouble) => trouble,
            StoredError::Unreadable(value) => Trouble::from(value),
        })?;
        if next >= floor {
            return Ok(());
        }
        Ok(self.store(floor, version).await?)
    }

    /// The first id that no block holds.
    async fn stored(&self) -> Result<(i64, Version), StoredError> {
        let stored = self.metadata.get(&keys::producer_ids()).await;
        match stored.map_err(|error| StoredError::Trouble(error.into()))? {
            None => Ok((0, Version::ABSENT)),
            Some(stored) => values::decode_next_producer_id(&stored.value)
                .map(|next| (next, stored.version))
                .map_err(StoredError::Unreadable),
        }
    }

    async fn store(&self, next: i64, version: Version) -> Result<(), CommitError> {
        let key = keys::producer_ids();
        let value = Some(values::encode_next_producer_id(next));
        let write = Write {
            key: key.clone(),
            value,
        };
        self.metadata
            .commit(&[(key, version)], &[write])
            .await
            .map(|_| ())
    }
}

enum StoredError {
    Trouble(Trouble),
    Unreadable(UnreadableValue),
}

impl From<StoredError> for InitProducerIdError {
    fn from(error: StoredError) -> Self {
        match error {
            StoredError::Trouble(trouble) => trouble.into(),
            StoredError::Unreadable(value) => value.into(),
        }
    }
}

impl Broker {
    /// An identity for a producer without transactional id. What such a producer was before does
    /// not matter: it always gets a new id (as in Kafka), so it can never be fenced.
    pub async fn new_producer_id(&self) -> Result<ProducerIdentity, InitProducerIdError> {
        let id = self.producer_ids.next().await?;
        Ok(ProducerIdentity { id, epoch: 0 })
    }
}

#[cfg(test)]
mod tests;
