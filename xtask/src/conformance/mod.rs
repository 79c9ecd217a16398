//! `cargo xtask conformance`: real clients run the same scenarios on Apache Kafka and on ottla.
//!
//! Every client is a small program under `conformance/` that prints a transcript: one line per
//! observation, the same on every run against a fresh broker. `--record` writes the transcripts of
//! Apache Kafka to `conformance/expected`; without it a broker must print the same lines. Each
//! client gets a broker of its own. Must not know what any scenario asks.

pub(crate) mod broker;
mod clients;
pub(crate) mod flights;
pub(crate) mod install;
pub(crate) mod options;
pub(crate) mod process;
mod transcript;

use std::path::{Path, PathBuf};

use broker::Broker;
use clients::Client;
use options::{Options, Target};

use crate::Outcome;

/// Where the repository keeps the suite, and where it keeps what it fetched.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) root: PathBuf,
    pub(crate) suite: PathBuf,
    pub(crate) cache: PathBuf,
}

impl Places {
    pub(crate) fn find() -> Result<Self, String> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest
            .parent()
            .ok_or("xtask has no parent folder")?
            .to_path_buf();
        let suite = root.join("conformance");
        let cache = suite.join(".cache");
        Ok(Self { root, suite, cache })
    }

    fn expected(&self, client: &Client) -> PathBuf {
        self.suite
            .join("expected")
            .join(format!("{}.txt", client.name))
    }
}

/// Runs the suite as the arguments say.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    let places = Places::find()?;
    let chosen = clients::choose(&options.clients)?;
    if options.target != Target::Ottla || options.needs_kafka() {
        install::kafka(&places)?;
    }
    for client in &chosen {
        (client.install)(&places)?;
    }
    if options.install_only {
        return Ok(());
    }
    if options.target == Target::Ottla {
        broker::build_ottla(&places)?;
    }
    let mut failed = Vec::new();
    for client in &chosen {
        if !run_client(&places, &options, client)? {
            failed.push(client.name);
        }
    }
    eprintln!(
        "\n{} passed, {} failed",
        chosen.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the transcript differs from Apache Kafka's: {}",
            failed.join(", ")
        ))
    }
}

/// Runs one client against a fresh broker; true if it printed what was expected.
fn run_client(places: &Places, options: &Options, client: &Client) -> Result<bool, String> {
    let broker = Broker::start(places, &options.target)?;
    let mut command = (client.command)(places, &broker.address, options.scenario.as_deref());
    if let Some(folder) = broker.data_folder() {
        command.env("DATA_DIR", folder);
    }
    let run = process::capture(command, client.time_limit)?;
    let where_it_ran = options.target.name();
    eprintln!("{} on {where_it_ran}: {:.1} s", client.name, run.seconds);
    if let Some(complaint) = &run.complaint {
        eprintln!("{complaint}");
    }
    broker.stop();
    if options.record {
        if let Some(complaint) = run.complaint {
            return Err(format!(
                "{} failed on Apache Kafka: {complaint}",
                client.name
            ));
        }
        transcript::save(&places.expected(client), &run.stdout)?;
        return Ok(true);
    }
    let expected = transcript::load(&places.expected(client), options.scenario.as_deref())?;
    let differences = transcript::differences(&expected, &run.stdout);
    for difference in &differences {
        eprintln!("{difference}");
    }
    Ok(differences.is_empty() && run.complaint.is_none())
}
