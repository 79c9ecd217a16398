//! `ottla`: starts the broker, says what to type next, and stops it on a signal.

use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use broker::BrokerConfig;
use clock::{SystemClock, SystemRng};
use server::{
    BindError, CompactionOptions, DiskOptions, Durability, OpenDiskError, Running, ServerOptions,
    StartError,
};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use vfs::RealVfs;

use crate::arguments::{LogFormat, ServeArguments};
use crate::failure::{Exit, Failure};
use crate::output::counted;

/// Connections at once, if there are descriptors for so many.
const CONNECTIONS_MAX: u64 = 100_000;
/// Descriptors that log files may have, at most.
const DESCRIPTORS_FOR_FILES_MAX: u64 = 4096;
/// Descriptors that are kept from both: metadata, timers, and connections that are about to be closed
/// because there are too many.
const DESCRIPTORS_RESERVED: u64 = 320;
/// Connections that are taken even where descriptors are very few.
const CONNECTIONS_MIN: u64 = 16;
/// Produces are refused while the disk has less room than this.
const MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// Keys that the process acts by and that are not set with `--set`, and how they are.
const NOT_BY_SET: [(&str, &str); 8] = [
    ("durability", "set with --durability"),
    ("listeners", "set with --host and --port"),
    ("advertised.listeners", "set with --advertise"),
    ("log.dirs", "set with --data-dir"),
    ("max.connections", "fixed in this version"),
    ("socket.request.max.bytes", "fixed in this version"),
    ("connections.max.idle.ms", "fixed in this version"),
    (
        "max.incremental.fetch.session.cache.slots",
        "fixed in this version",
    ),
];

/// Runs the broker until it is told to stop.
pub(crate) fn run(arguments: ServeArguments) -> Result<(), Failure> {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures this start, nothing depends on it"
    )]
    let started = Instant::now();
    start_logging(&arguments)?;
    let shares = Shares::of(raise_descriptor_limit());
    let options = options(&arguments, shares)?;
    let running = server::start(
        options,
        Arc::new(RealVfs::new()),
        Arc::new(SystemClock),
        Arc::new(SystemRng),
    )
    .map_err(explain)?;
    let text = banner(&arguments, &running, started.elapsed().as_millis());
    // Whoever started the broker may have closed its output; it serves all the same.
    let _ = writeln!(std::io::stdout(), "{text}");
    warn_of_open_door(&running);
    let stopped = running.serve_until(stop_signal());
    stopped.map_err(|failure| {
        Failure::new(Exit::Error, "storage failed; the broker stopped to keep what it promised")
            .why(failure.to_string())
            .fix("look at the disk (dmesg, free space); then start again: recovery keeps every acknowledged record")
    })
}

fn start_logging(arguments: &ServeArguments) -> Result<(), Failure> {
    let filter = log_filter(&arguments.log_level)?;
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match arguments.log_format {
        LogFormat::Text => logging.init(),
        LogFormat::Json => logging.json().init(),
    }
    Ok(())
}

/// A level, or levels by module (`info,storage_disk=debug`). A word that is no level would pass for
/// the name of a module and silence everything else.
fn log_filter(text: &str) -> Result<EnvFilter, Failure> {
    let unusable = || {
        let what = format!("--log-level {text:?} is not a level");
        Failure::new(Exit::Usage, what).fix("use error, warn, info, debug or trace")
    };
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let is_known = |part: &str| part.contains('=') || is_level(part.trim());
    if !text.split(',').all(is_known) {
        return Err(unusable());
    }
    EnvFilter::try_new(text).map_err(|error| unusable().why(error.to_string()))
}

/// How the descriptors are shared out: a flood of connections must not keep a log from being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shares {
    files: u64,
    connections: u64,
}

impl Shares {
    fn of(limit: u64) -> Self {
        let files = (limit / 2).min(DESCRIPTORS_FOR_FILES_MAX);
        let connections = limit.saturating_sub(files + DESCRIPTORS_RESERVED);
        Self {
            files,
            connections: connections.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX),
        }
    }
}

/// Raises the soft limit of descriptors to the hard one, and says what it is.
fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const LOW: u64 = 1024;
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, limit = ?before.current, "cannot raise the descriptor limit");
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit <= LOW {
        tracing::warn!(
            limit,
            "few descriptors: raise `ulimit -n` to serve many connections"
        );
    }
    limit
}

fn options(arguments: &ServeArguments, shares: Shares) -> Result<ServerOptions, Failure> {
    let mut broker = BrokerConfig::default();
    for setting in &arguments.settings {
        let Some((key, value)) = setting.split_once('=') else {
            return Err(
                Failure::new(Exit::Usage, format!("--set {setting:?} has no \"=\""))
                    .fix("write --set KEY=VALUE, for example --set log.segment.bytes=1048576"),
            );
        };
        let unusable = || {
            let what = format!("--set {setting} cannot be used");
            Failure::new(Exit::Configuration, what)
        };
        let elsewhere = NOT_BY_SET.iter().find(|(name, _)| *name == key.trim());
        if let Some((_, instead)) = elsewhere {
            return Err(unusable().why(format!("{} is {instead}", key.trim())));
        }
        let set = broker.set(key.trim(), value.trim());
        set.map_err(|error| unusable().why(error.to_string()))?;
    }
    show(&mut broker, arguments, shares)?;
    Ok(ServerOptions {
        host: arguments.host.clone(),
        port: arguments.port,
        advertise: arguments.advertise.clone(),
        shards: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        connections_max: shares.connections,
        disk: DiskOptions {
            data_dir: arguments.data_dir.clone(),
            durability: arguments.durability,
            min_free_bytes: MIN_FREE_BYTES,
            retention_check_interval: broker.retention_check_interval,
            open_files_max: usize::try_from(shares.files).unwrap_or(usize::MAX),
            scrub_bytes_per_second: broker.scrub_bytes_per_second,
            compaction: CompactionOptions {
                enabled: broker.cleaner.enabled,
                dedupe_bytes: broker.cleaner.dedupe_bytes,
                bytes_per_second: broker.cleaner.bytes_per_second,
                backoff: broker.cleaner.backoff,
            },
        },
        broker,
    })
}

/// Tells the broker what other parts of the process act by, so that clients are shown the truth.
fn show(
    broker: &mut BrokerConfig,
    arguments: &ServeArguments,
    shares: Shares,
) -> Result<(), Failure> {
    let shown = [
        ("durability", arguments.durability.to_string()),
        (
            "log.dirs",
            absolute(&arguments.data_dir).display().to_string(),
        ),
        ("max.connections", shares.connections.to_string()),
    ];
    for (key, value) in shown {
        broker.set(key, &value).map_err(|error| {
            let what = format!("{key} cannot be {value:?}");
            Failure::new(Exit::Configuration, what).why(error.to_string())
        })?;
    }
    Ok(())
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// One readable block: where it listens, where the records are, what a write means, what to type.
fn banner(arguments: &ServeArguments, running: &Running, started_ms: u128) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let port = running.port();
    let addresses: Vec<String> = running
        .addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    let addresses = addresses.join(" and ");
    let data = absolute(&arguments.data_dir);
    let durability = match arguments.durability {
        Durability::Fsync => "fsync: a write is on disk before it is acknowledged".to_owned(),
        Durability::Interval(every) => {
            format!(
                "interval: a power cut may take the last {} ms",
                every.as_millis()
            )
        }
        Durability::Os => "os: a power cut may take what the system had not written yet".to_owned(),
    };
    let recovery = running.recovery();
    let mut lines = vec![
        format!("ottla {version} is ready in {started_ms} ms"),
        format!("  listening   {addresses}   (Kafka, gRPC and HTTP; no authentication)"),
        format!("  data        {}", data.display()),
        format!("  durability  {durability}"),
    ];
    if !recovery.was_clean && recovery.partitions > 0 {
        lines.push(format!(
            "  recovered   {} after an unclean stop, {} cut",
            counted(recovery.partitions, "partition"),
            counted(recovery.cut_bytes, "byte")
        ));
    }
    lines.push("  try".to_owned());
    let ottla = called_as(std::env::args().next());
    lines.push(format!(
        "    echo hello | {ottla} produce greetings -b localhost:{port}"
    ));
    lines.push(format!(
        "    {ottla} consume greetings -e -b localhost:{port}"
    ));
    lines.push(format!(
        "    grpcurl -plaintext localhost:{port} list broker.Broker"
    ));
    lines.join("\n")
}

/// What to type for this program: the path that it was started by (`cargo run` puts nothing on the
/// PATH), or its name.
fn called_as(first_word: Option<String>) -> String {
    let path = first_word.filter(|word| word.contains('/') && !word.contains(char::is_whitespace));
    path.unwrap_or_else(|| "ottla".to_owned())
}

fn warn_of_open_door(running: &Running) {
    let open = running
        .addresses()
        .iter()
        .find(|address| !address.ip().is_loopback());
    if let Some(address) = open {
        tracing::warn!(
            %address,
            "listening beyond this machine without authentication: whoever reaches the port reads and writes everything"
        );
    }
}

/// Resolves at SIGTERM or Ctrl-C. A second one ends the process at once.
async fn stop_signal() {
    wait_for_signal().await;
    tracing::info!("stopping; a second signal stops at once");
    let second = std::thread::Builder::new().name("second-signal".to_owned());
    let spawned = second.spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(wait_for_signal());
            #[expect(
                clippy::exit,
                reason = "the user asked twice; the log recovers at the start"
            )]
            std::process::exit(130);
        }
    });
    if let Err(error) = spawned {
        tracing::debug!(%error, "a second signal will not be noticed");
    }
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "signals cannot be received; stop the broker with SIGKILL");
            std::future::pending::<()>().await;
        }
    }
}

fn explain(error: StartError) -> Failure {
    match error {
        StartError::Bind(BindError::InUse { host, port }) => port_in_use(host, port),
        StartError::Bind(BindError::System { address, error })
            if error.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            let said = format!("this user may not listen on port {}", address.port());
            Failure::new(Exit::Configuration, said)
                .why(error.to_string())
                .fix("choose a port above 1023: --port 9092")
        }
        StartError::Bind(error) => Failure::new(Exit::Configuration, error.to_string())
            .fix("give --host an address of this machine, or leave it out for loopback"),
        StartError::Disk(error) => data_dir_unusable(&error),
        StartError::Broker(error) => Failure::new(
            Exit::Error,
            "the metadata in the data directory cannot be used",
        )
        .why(error.to_string()),
        StartError::System(error) => {
            Failure::new(Exit::Error, "the broker could not start").why(error.to_string())
        }
    }
}

fn port_in_use(host: IpAddr, port: u16) -> Failure {
    let owner = server::port_owner(port).map_or_else(String::new, |owner| format!(" by {owner}"));
    Failure::new(
        Exit::Error,
        format!("port {port} of {host} is in use{owner}"),
    )
    .fix("stop that process, or choose another port: --port 9093 (0 chooses a free one)")
}

fn data_dir_unusable(error: &OpenDiskError) -> Failure {
    Failure::new(Exit::Configuration, error.to_string())
        .why(error.why())
        .fix(error.fix())
}

#[cfg(test)]
mod tests;
