//! Start and stop of the whole broker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::{Broker, BrokerConfig, OpenBrokerError, Parts};
use clock::{Clock, Rng};
use kafka_api::{Advertise, KafkaApi};
use storage::StorageFailure;
use storage_disk::{Disk, DiskOptions, OpenDiskError};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::control::{self, HttpDoors};
use crate::door::Door;
use crate::listener::{self, BindError};
use crate::shards::{Accepted, Handover, Shards};
use crate::tasks::Tasks;

/// HTTP connections that wait for the control worker.
const HTTP_QUEUE: usize = 256;

/// How long requests in flight may take to end once the broker stops.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// What the process is told.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The address to listen on; `None`: 127.0.0.1 and ::1.
    pub host: Option<String>,
    /// The port; 0 chooses one.
    pub port: u16,
    /// What clients are told to connect to.
    pub advertise: Advertise,
    /// Event loops for data connections; at least one.
    pub shards: usize,
    /// Most connections at once (`max.connections`).
    pub connections_max: u64,
    /// Where and how records are kept.
    pub disk: DiskOptions,
    /// The broker's settings.
    pub broker: BrokerConfig,
}

/// Why the broker did not start. Nothing is left running and nothing was damaged.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The data directory could not be opened.
    #[error(transparent)]
    Disk(#[from] OpenDiskError),
    /// The metadata in it could not be used.
    #[error(transparent)]
    Broker(#[from] OpenBrokerError),
    /// The system refused a thread or a socket.
    #[error("the system refused a thread or a socket: {0}")]
    System(#[from] std::io::Error),
}

/// A broker that is serving.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    broker: Arc<Broker>,
    disk: Disk,
    failed: watch::Receiver<Option<StorageFailure>>,
    ready: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    threads: Threads,
}

#[derive(Debug)]
struct Threads {
    control: Runtime,
    shards: Shards,
    acceptors: Tasks,
    http: tokio::task::JoinHandle<()>,
    groups: GroupKeeper,
}

/// Starts everything; when this returns, the broker answers.
pub fn start(
    options: ServerOptions,
    vfs: Arc<dyn vfs::Vfs>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<Running, StartError> {
    let sockets = listener::bind(options.host.as_deref(), options.port)?;
    let local = sockets.iter().map(std::net::TcpListener::local_addr);
    let addresses = local.collect::<Result<Vec<_>, _>>()?;
    let (fail, failed) = watch::channel(None);
    let fatal: storage_disk::Fatal = Arc::new(move |failure: &StorageFailure| {
        tracing::error!(%failure, "storage failed; the broker stops, nothing more is acknowledged");
        fail.send_replace(Some(failure.clone()));
    });
    let disk = storage_disk::open(vfs, Arc::clone(&clock), options.disk, Arc::clone(&fatal))?;
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()?;
    let mut config = options.broker;
    show_addresses(&mut config, &addresses, &options.advertise);
    let parts = Parts {
        store: disk.store.clone(),
        metadata: disk.metadata.clone(),
        clock,
        rng,
        config,
    };
    let broker = control.block_on(Broker::open(parts))?;
    let groups = start_groups(&control, &broker, fatal);
    let kafka = KafkaApi::new(Arc::clone(&broker), options.advertise);
    let (stop, stopped) = watch::channel(false);
    let ready = Arc::new(AtomicBool::new(false));
    let limits = (options.shards, options.connections_max);
    let serving = Serving {
        sockets,
        kafka,
        ready: &ready,
        broker: &broker,
        stopped,
    };
    let threads = start_threads(control, serving, limits, groups)?;
    ready.store(true, Ordering::Release);
    Ok(Running {
        addresses,
        broker,
        disk,
        failed,
        ready,
        stop,
        threads,
    })
}

/// Tells the broker where it listens and what clients are told, so that clients are shown the truth.
fn show_addresses(config: &mut BrokerConfig, addresses: &[SocketAddr], advertise: &Advertise) {
    let listeners = addresses
        .iter()
        .map(|address| format!("PLAINTEXT://{address}"));
    let listeners = listeners.collect::<Vec<_>>().join(",");
    config.shown.insert("listeners", listeners);
    if let Advertise::Fixed { host, port } = advertise {
        let port = port.unwrap_or_else(|| addresses.first().map_or(0, SocketAddr::port));
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let advertised = format!("PLAINTEXT://{host}:{port}");
        config.shown.insert("advertised.listeners", advertised);
    }
}

struct Serving<'a> {
    sockets: Vec<std::net::TcpListener>,
    kafka: Arc<KafkaApi>,
    ready: &'a Arc<AtomicBool>,
    broker: &'a Arc<Broker>,
    stopped: watch::Receiver<bool>,
}

fn start_threads(
    control: Runtime,
    serving: Serving<'_>,
    (shards, connections_max): (usize, u64),
    groups: GroupKeeper,
) -> Result<Threads, StartError> {
    let Serving {
        sockets,
        kafka,
        ready,
        broker,
        stopped,
    } = serving;
    let (http, http_queue) = mpsc::channel(HTTP_QUEUE);
    let doors = HttpDoors {
        grpc: grpc_api::router(Arc::clone(broker), stopped.clone()),
        console: console::router(Arc::clone(broker), Arc::clone(ready)),
        broker: Arc::clone(broker),
    };
    let broker = Arc::clone(broker);
    let door = Door {
        kafka,
        http,
        stop: stopped.clone(),
        broker,
        connections_max,
    };
    let door = Arc::new(door);
    let shards = Shards::start(shards, &door, &stopped)?;
    let acceptors = door.new_tasks();
    let entered = control.enter();
    for socket in sockets {
        let listener = TcpListener::from_std(socket)?;
        acceptors.spawn(
            "acceptor",
            accept_all(listener, shards.handover(), stopped.clone()),
        );
    }
    drop(entered);
    let http = control.spawn(control::run(http_queue, doors, door.new_tasks()));
    Ok(Threads {
        control,
        shards,
        acceptors,
        http,
        groups,
    })
}

/// The task that keeps the deadlines of consumer groups and stores their state.
#[derive(Debug)]
struct GroupKeeper {
    broker: Arc<Broker>,
    tasks: Tasks,
}

fn start_groups(
    control: &Runtime,
    broker: &Arc<Broker>,
    fatal: storage_disk::Fatal,
) -> GroupKeeper {
    let tasks = Tasks::new(Arc::clone(broker));
    let keeper = Arc::clone(broker);
    let _entered = control.enter();
    tasks.spawn("groups", async move {
        let _guard = KeeperGuard(fatal);
        keeper.groups().run().await;
    });
    GroupKeeper {
        broker: Arc::clone(broker),
        tasks,
    }
}

/// Without its keeper no group would ever balance again: a panic of it ends the process.
struct KeeperGuard(storage_disk::Fatal);

impl Drop for KeeperGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)(&StorageFailure::new(
                "the task that keeps consumer groups panicked",
            ));
        }
    }
}

async fn accept_all(listener: TcpListener, shards: Handover, mut stopped: watch::Receiver<bool>) {
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener::accept(&listener) => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match stream.into_std() {
            Ok(stream) => shards.give(Accepted { stream, peer }).await,
            Err(error) => tracing::debug!(%error, %peer, "a connection was lost at once"),
        }
    }
}

impl Running {
    /// The addresses that are listened on; all have the same port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// The broker behind the doors.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// What was found in the data directory at the start.
    pub fn recovery(&self) -> &storage_disk::RecoveryReport {
        self.disk.recovery()
    }

    /// Serves until `until` resolves or storage fails, then stops in order.
    ///
    /// # Errors
    /// The failure of storage that ended the broker, or that kept it from a clean stop.
    pub fn serve_until(mut self, until: impl Future<Output = ()>) -> Result<(), StorageFailure> {
        let mut failed = self.failed.clone();
        let failure = self.threads.control.block_on(async {
            tokio::select! {
                () = until => None,
                failed = failed.wait_for(Option::is_some) => failed.ok().and_then(|f| f.clone()),
            }
        });
        self.ready.store(false, Ordering::Release);
        self.stop.send_replace(true);
        self.broker.groups().refuse_waiting();
        let stopped = self.threads.join();
        if !stopped {
            tracing::warn!("requests in flight did not end in time; their connections were closed");
        }
        let late = self.failed.borrow_and_update().clone();
        match failure.or(late) {
            Some(failure) => Err(failure),
            None => self.disk.close(),
        }
    }
}

impl Threads {
    /// Waits for everything to end; false if that took longer than the grace.
    fn join(self) -> bool {
        let Self {
            control,
            shards,
            acceptors,
            http,
            groups,
        } = self;
        let (done, joined) = tokio::sync::oneshot::channel();
        // The shards' threads are joined beside the clock: one that hangs must not hang the stop.
        let joiner = std::thread::spawn(move || {
            shards.join();
            let _ = done.send(());
        });
        let in_time = control.block_on(async {
            let all = async {
                acceptors.ended().await;
                let _ = joined.await;
                let _ = http.await;
                groups.broker.groups().stop();
                groups.tasks.ended().await;
            };
            tokio::time::timeout(STOP_GRACE, all).await.is_ok()
        });
        if in_time {
            // The thread has sent its last word already.
            let _ = joiner.join();
        }
        control.shutdown_background();
        in_time
    }
}
