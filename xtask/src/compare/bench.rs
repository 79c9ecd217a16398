//! The load: `ottla bench`, as a process of its own, and what it told.

use std::process::Command;

use serde_json::Value;

use super::Plan;
use super::broker::Broker;

/// What a load told.
#[derive(Debug)]
pub(super) struct Told(Value);

/// Runs `ottla bench WORDS` on a broker.
pub(super) fn bench(plan: &Plan, broker: &Broker, words: &str) -> Result<Told, String> {
    let mut command = Command::new(&plan.client);
    command.arg("bench").args(words.split_whitespace());
    command.args(["-o", "json", "--timeout", "60s", "-b", &broker.address]);
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", plan.client.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("ottla bench {words}: {}", said.trim()));
    }
    let told = serde_json::from_slice(&output.stdout);
    told.map(Told)
        .map_err(|error| format!("ottla bench {words}: {error}"))
}

impl Told {
    fn figure(&self, name: &str) -> f64 {
        self.0[name].as_f64().unwrap_or(f64::NAN)
    }

    pub(super) fn requests(&self) -> f64 {
        self.figure("requests")
    }

    pub(super) fn records(&self) -> f64 {
        self.figure("records")
    }

    pub(super) fn seconds(&self) -> f64 {
        self.figure("seconds")
    }

    /// GiB of batches, as they were on the wire.
    pub(super) fn gib(&self) -> f64 {
        self.figure("batch_bytes") / f64::from(1_u32 << 30)
    }

    /// A quantile of a latency: `("acknowledged", "p99")`.
    pub(super) fn ms(&self, of: &str, quantile: &str) -> f64 {
        let latency = &self.0["latency_ms"][of];
        latency[quantile].as_f64().unwrap_or(f64::NAN)
    }

    /// The share of a core that the client took.
    pub(super) fn client_cores(&self) -> f64 {
        self.figure("client_cpu_seconds") / self.seconds()
    }
}
