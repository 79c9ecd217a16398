//! Pages of the broker's console, and the figures on them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A figure of `/metrics`.
pub(crate) fn metric(address: &str, name: &str) -> Result<u64, String> {
    let page = get(address, "/metrics")?;
    let line = page.lines().find(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(' '))
    });
    let text = line.and_then(|line| line.rsplit(' ').next());
    let text = text.ok_or_else(|| format!("/metrics has no {name}"))?;
    text.parse()
        .map_err(|error| format!("{name} {text}: {error}"))
}

/// A page of the broker.
fn get(address: &str, path: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("{path}: {error}"))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut page = String::new();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.read_to_string(&mut page))
        .map_err(|error| format!("{path}: {error}"))?;
    if page.starts_with("HTTP/1.1 200") {
        Ok(page)
    } else {
        Err(format!(
            "{path}: {}",
            page.lines().next().unwrap_or("no answer")
        ))
    }
}
