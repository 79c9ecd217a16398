//! The first record after a start: when is one acknowledged again, and under which offset.
//!
//! An offset that was acknowledged must never be given out again. The probe is no idempotent
//! producer, so a record may be there twice; what it must not be is gone.

use std::time::Duration;

use bytes::Bytes;
use records::{BatchBuilder, Codec};

use crate::conformance::process::{now, pause};
use crate::wire::{Wire, produce};
use kafka_wire::messages::ProduceRequest;

/// Its own topic, of one partition.
pub(super) const TOPIC: &str = "probe";

/// What was acknowledged to the probe.
#[derive(Debug, Default)]
pub(super) struct Probe {
    last: Option<i64>,
}

impl Probe {
    /// Tries until a record is acknowledged.
    pub(super) fn first_acknowledged(
        &mut self,
        address: &str,
        limit: Duration,
    ) -> Result<(), String> {
        let started = now();
        loop {
            match write(address) {
                Ok(offset) => return self.take(offset),
                Err(error) if started.elapsed() > limit => {
                    return Err(format!(
                        "nothing was acknowledged within {limit:?}: {error}"
                    ));
                }
                Err(_not_yet) => pause(Duration::from_millis(1)),
            }
        }
    }

    fn take(&mut self, offset: i64) -> Result<(), String> {
        if let Some(last) = self.last
            && offset <= last
        {
            return Err(format!(
                "offset {offset} was given out after {last} was acknowledged"
            ));
        }
        self.last = Some(offset);
        Ok(())
    }

    /// The log must reach past all that was acknowledged.
    pub(super) fn check(&self, address: &str) -> Result<(), String> {
        let end = Wire::connect(address)?.end_offset(TOPIC, 0)?;
        match self.last {
            Some(last) if end <= last => Err(format!(
                "{TOPIC} ends at {end}, but {last} was acknowledged"
            )),
            _ => Ok(()),
        }
    }
}

fn write(address: &str) -> Result<i64, String> {
    let mut wire = Wire::connect(address)?;
    let limit = Some(Duration::from_secs(5));
    wire.stream
        .set_read_timeout(limit)
        .map_err(|error| error.to_string())?;
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .append(1, None, Some(b"probe"), &[])
        .map_err(|error| error.to_string())?;
    let batch: Bytes = builder
        .build()
        .map_err(|error| error.to_string())?
        .into_bytes();
    let request: ProduceRequest = produce(TOPIC, 0, batch);
    wire.produced(&request)
}
