//! Connections that begin and then say nothing: silent ones, first bytes only, frames that claim
//! 99 MiB and bring ten bytes or a hundred thousand, headers that never end.
//!
//! All are open at once. The broker must end each by its own deadlines, and memory must not follow
//! what they claim.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::attack::{connect, read_to_end};
use crate::chance::Chance;
use crate::conformance::process::now;

/// The longest deadline of the broker for a frame that stalls is 30 s.
const END_LIMIT: Duration = Duration::from_secs(45);

/// What became of them.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) opened: usize,
    pub(super) slowest: Duration,
    pub(super) violations: Vec<String>,
}

/// Opens `count` connections and waits until the broker has ended them all.
pub(super) fn run(address: SocketAddr, count: usize, chance: &mut Chance) -> Report {
    let mut report = Report {
        opened: 0,
        slowest: Duration::ZERO,
        violations: Vec::new(),
    };
    let mut open: Vec<(TcpStream, String)> = Vec::new();
    for _ in 0..count {
        let bytes = beginning(chance);
        match connect(address) {
            Ok(mut stream) => {
                report.opened += 1;
                // If it is refused already, that shows when it is read.
                let _ = std::io::Write::write_all(&mut stream, &bytes);
                let first = &bytes[..bytes.len().min(16)];
                open.push((stream, String::from_utf8_lossy(first).into_owned()));
            }
            Err(error) => report.violations.push(format!("held open: {error}")),
        }
    }
    let started = now();
    for (mut stream, name) in open {
        let mut answer = Vec::new();
        let before = now();
        if let Err(error) = read_to_end(&mut stream, &mut answer, started + END_LIMIT) {
            report
                .violations
                .push(format!("held open, {name:?}: {error}"));
        } else if before.elapsed() > Duration::from_millis(1) {
            // It was still open when its turn came, so this is when it ended.
            report.slowest = started.elapsed();
        }
    }
    report
}

fn beginning(chance: &mut Chance) -> Vec<u8> {
    const CLAIM: i32 = 99 << 20;
    match chance.below(9) {
        0 => Vec::new(),
        1 => vec![0],
        2 => vec![0, 0],
        3 => vec![0, 0, 1],
        4 => [&CLAIM.to_be_bytes()[..], &[0; 10]].concat(),
        // More than is read ahead of a request: nobody else may wait for what never comes.
        // Few, because these bytes may be kept.
        7 if chance.one_in(8) => [&CLAIM.to_be_bytes()[..], &vec![0; 100_000]].concat(),
        5 => b"PRI".to_vec(),
        6 => b"GET / HTTP/1.1\r\nA: ".to_vec(),
        _ => b"\x16\x03\x01".to_vec(),
    }
}
