//! Data shards: one thread and one event loop a core, each owning its connections.
//!
//! A new connection goes to the shard with the fewest (the kernel's own spreading by hash puts a
//! few connections badly). A connection that turns out to speak HTTP moves to the control worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::door::Door;

/// Connections on their way to a shard; a full queue makes the acceptor wait.
const HANDOVER_QUEUE: usize = 256;

/// A connection that has been accepted and belongs to no event loop yet.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
}

/// The threads of the running shards.
#[derive(Debug)]
pub(crate) struct Shards {
    threads: Vec<JoinHandle<()>>,
    handover: Handover,
}

/// Gives connections to shards; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Handover {
    shards: Arc<[Shard]>,
}

#[derive(Debug)]
struct Shard {
    connections: Arc<AtomicUsize>,
    queue: mpsc::Sender<Accepted>,
}

impl Shards {
    /// Starts `count` threads; they end when `stop` turns true and their connections have closed.
    pub(crate) fn start(
        count: usize,
        door: &Arc<Door>,
        stop: &watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let mut threads = Vec::new();
        let mut shards = Vec::new();
        for number in 0..count.max(1) {
            let (queue, accepted) = mpsc::channel(HANDOVER_QUEUE);
            let connections = Arc::new(AtomicUsize::new(0));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let serving = run(
                accepted,
                Arc::clone(door),
                Arc::clone(&connections),
                stop.clone(),
            );
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            threads.push(thread.spawn(move || runtime.block_on(serving))?);
            shards.push(Shard { connections, queue });
        }
        Ok(Self {
            threads,
            handover: Handover {
                shards: shards.into(),
            },
        })
    }

    /// What gives connections to these shards.
    pub(crate) fn handover(&self) -> Handover {
        self.handover.clone()
    }

    /// Waits for all threads to end.
    pub(crate) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a shard's thread panicked");
            }
        }
    }
}

impl Handover {
    /// Gives a connection to the shard that has the fewest.
    pub(crate) async fn give(&self, accepted: Accepted) {
        let fewest = self
            .shards
            .iter()
            .min_by_key(|shard| shard.connections.load(Ordering::Relaxed));
        let shard = fewest.expect("there is at least one shard");
        shard.connections.fetch_add(1, Ordering::Relaxed);
        if shard.queue.send(accepted).await.is_err() {
            shard.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

async fn run(
    mut accepted: mpsc::Receiver<Accepted>,
    door: Arc<Door>,
    connections: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) {
    let tasks = door.new_tasks();
    loop {
        let next = tokio::select! {
            next = accepted.recv() => next,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(Accepted { stream, peer }) = next else {
            break;
        };
        let counted = ShardCount(Arc::clone(&connections));
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, %peer, "a connection was lost on its way to a shard");
                continue;
            }
        };
        let door = Arc::clone(&door);
        tasks.spawn("connection", async move {
            door.serve(stream, peer).await;
            drop(counted);
        });
    }
    tasks.ended().await;
}

struct ShardCount(Arc<AtomicUsize>);

impl Drop for ShardCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
