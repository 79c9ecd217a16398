//! `cargo xtask grpc`: generated Go and Python clients and grpcurl against a fresh broker.
//!
//! The scenario and what it must print stand in `conformance/grpc`; this starts the broker.

use std::process::Command;

use crate::Outcome;
use crate::conformance::broker::{Broker, Launch, build_ottla};
use crate::conformance::{Places, install};

/// Runs `conformance/grpc/run` on a broker with an empty data directory.
pub(crate) fn run() -> Outcome {
    install::protoc()?;
    let places = Places::find()?;
    build_ottla(&places)?;
    let broker = Broker::start_ottla(&places, &Launch::default())?;
    let script = crate::root().join("conformance/grpc/run");
    let status = Command::new(&script).arg(&broker.address).status();
    broker.stop();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{}: {status}", script.display())),
        Err(error) => Err(format!("{}: {error}", script.display())),
    }
}
