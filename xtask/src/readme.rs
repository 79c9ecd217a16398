//! `cargo xtask readme`: every command in README.md and docs/*.md that claims to work is run.
//!
//! A block fenced as `sh` is run by bash, in a fresh directory, against a fresh broker on port 9092:
//! one broker for each file, its blocks one after the other, the first command that fails ends
//! all. A block fenced as a language and a file name, such as `python tour.py`, is written to that
//! file first. A block fenced as `console` shows a session and is not run. `ottla`, `grpcurl` and
//! `kcat` are on the PATH. Must not know what any command does.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::Outcome;
use crate::conformance::broker::{build_ottla, ottla_binary};
use crate::conformance::{Places, install, process};

/// The documents name this address, so the broker must have it.
const ADDRESS: &str = "127.0.0.1:9092";
const START_LIMIT: Duration = Duration::from_secs(30);
/// One block may take this long: some fetch a client and compile it, and a command that follows a
/// log needs a bound.
const BLOCK_LIMIT: Duration = Duration::from_mins(3);
/// What a block is fenced as when it is run.
const EXECUTED: &str = "sh";
const GRPCURL: &str = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4";

/// Commands or a file of a document, and the line at which they stand.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    /// The name to write the text to; commands have none.
    file: Option<String>,
    text: String,
}

/// Runs the blocks of all documents, or of those that are named.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let places = Places::find()?;
    let documents = match arguments {
        [] => documents(&places.root)?,
        named => named.iter().map(PathBuf::from).collect(),
    };
    build_ottla(&places)?;
    install::kcat(&places)?;
    grpcurl(&places)?;
    let mut total = 0;
    for document in documents {
        let name = document.strip_prefix(&places.root).unwrap_or(&document);
        let text = std::fs::read_to_string(&document)
            .map_err(|error| format!("{}: {error}", name.display()))?;
        let blocks = blocks(&text).map_err(|reason| format!("{}: {reason}", name.display()))?;
        if blocks.is_empty() {
            continue;
        }
        let broker = Broker::start(&places)?;
        for block in &blocks {
            broker
                .run(&places, block)
                .map_err(|reason| format!("{}:{}: {reason}", name.display(), block.line))?;
        }
        let run = blocks.iter().filter(|block| block.file.is_none()).count();
        println!("{}: {run} blocks work", name.display());
        total += run;
    }
    println!("readme: {total} blocks work");
    Ok(())
}

/// README.md and what is in docs, sorted.
fn documents(root: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = root.join("docs");
    let listed = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut documents: Vec<PathBuf> = listed
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.sort();
    documents.insert(0, root.join("README.md"));
    Ok(documents)
}

/// The blocks that are run or written, in order.
fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut open: Option<(&str, Block)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(fenced_as)) => {
                let (language, file) = match fenced_as.trim().split_once(' ') {
                    Some((language, file)) => (language, Some(file.trim().to_owned())),
                    None => (fenced_as.trim(), None),
                };
                let block = Block {
                    line: number,
                    file,
                    text: String::new(),
                };
                open = Some((language, block));
            }
            (Some((_, block)), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => {
                if let Some((language, block)) = open.take()
                    && (language == EXECUTED || block.file.is_some())
                {
                    found.push(block);
                }
            }
            (None, None) => {}
        }
    }
    match open {
        Some((_, block)) => Err(format!("the block of line {} has no end", block.line)),
        None => Ok(found),
    }
}

fn grpcurl(places: &Places) -> Outcome {
    let programs = places.cache.join("bin");
    if process::present("grpcurl") || programs.join("grpcurl").is_file() {
        return Ok(());
    }
    let mut go = Command::new("go");
    go.args(["install", GRPCURL]).env("GOBIN", &programs);
    process::succeed(go).map(drop)
}

/// A broker on port 9092 in a directory of its own; both go when it is dropped.
struct Broker {
    process: Child,
    folder: TempDir,
}

impl Broker {
    fn start(places: &Places) -> Result<Self, String> {
        for address in [ADDRESS, "[::1]:9092"] {
            // A machine without IPv6 has no such address, and nobody listens there.
            if let Err(error) = TcpListener::bind(address)
                && error.kind() == std::io::ErrorKind::AddrInUse
            {
                return Err(format!(
                    "{address} is in use: the documents name this port, stop what listens there"
                ));
            }
        }
        let folder = TempDir::with_prefix("readme-")
            .map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let mut ottla = Command::new(ottla_binary(places));
        ottla
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = ottla
            .spawn()
            .map_err(|error| format!("cannot run {ottla:?}: {error}"))?;
        let broker = Self { process, folder };
        if process::until(START_LIMIT, || process::answers_kafka(ADDRESS)) {
            Ok(broker)
        } else {
            Err(format!("no broker answers at {ADDRESS}"))
        }
    }

    fn run(&self, places: &Places, block: &Block) -> Outcome {
        if let Some(name) = &block.file {
            return write(&self.folder.path().join(name), &block.text);
        }
        // Ends what bash started too: a command that follows a log would hold its output open.
        let mut bash = Command::new("timeout");
        bash.arg(BLOCK_LIMIT.as_secs().to_string())
            .args(["bash", "-euo", "pipefail", "-c", &block.text])
            .current_dir(self.folder.path())
            .env("PATH", path_with(places)?);
        let run = process::capture(bash, BLOCK_LIMIT + START_LIMIT)?;
        match run.complaint {
            None => Ok(()),
            Some(complaint) => Err(format!(
                "these commands failed ({complaint}):\n{}it printed:\n{}",
                block.text, run.stdout
            )),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        process::kill(&mut self.process);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a temporary file of a developer's tool"
)]
fn write(path: &Path, text: &str) -> Outcome {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The binary under test first, then what the suite fetched, then the rest.
fn path_with(places: &Places) -> Result<OsString, String> {
    let binary = ottla_binary(places);
    let folder = binary.parent().unwrap_or(&places.root).to_path_buf();
    let before = std::env::var_os("PATH").unwrap_or_default();
    let folders = [folder, places.cache.join("bin")];
    let all = folders.into_iter().chain(std::env::split_paths(&before));
    std::env::join_paths(all).map_err(|error| format!("PATH: {error}"))
}

#[cfg(test)]
mod tests;
