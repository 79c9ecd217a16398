//! JSON over HTTP, by curl: what workers and registries are asked.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::conformance::process;

/// Asks; anything but a success is an error with what was said.
pub(super) fn call(method: &str, url: &str, body: Option<&Value>) -> Result<Value, String> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail-with-body", "--max-time", "60", "-X", method]);
    if let Some(body) = body {
        curl.args(["-H", "Content-Type: application/json", "-d"]);
        curl.arg(body.to_string());
    }
    curl.arg(url);
    let said = process::succeed(curl)?;
    serde_json::from_str(&said).map_err(|error| format!("{url}: {error}: {said}"))
}

/// A port that nobody has.
pub(super) fn free_port() -> Result<u16, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}
