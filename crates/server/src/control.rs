//! The control worker: gRPC, health, metrics and the index page, away from the data shards.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use broker::Broker;
use hyper::body::Incoming;
use hyper::{Request, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower::ServiceExt;

use crate::door::{HttpConnection, HttpVersion};
use crate::rewind::Rewind;
use crate::tasks::Tasks;

/// A client that sends its request head more slowly than this is closed.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// Largest head of an HTTP/1.1 request, and what is read ahead of one. Pages here need no more, and
/// every connection may take it.
const REQUEST_HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most streams (calls) at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Largest list of headers of one call, in bytes.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// HTTP/2 pings a silent peer this often, and closes when it does not answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Bytes that may wait to be sent on one stream of a slow reader.
const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Calls that are running get this long to end when the broker stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// The two kinds of request that HTTP carries here.
#[derive(Debug, Clone)]
pub(crate) struct HttpDoors {
    pub(crate) grpc: Router,
    pub(crate) console: Router,
    pub(crate) broker: Arc<Broker>,
}

impl HttpDoors {
    async fn handle(
        self,
        request: Request<Incoming>,
    ) -> Result<axum::response::Response, std::convert::Infallible> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let door = if is_grpc { self.grpc } else { self.console };
        door.oneshot(request.map(Body::new)).await
    }
}

/// Runs the streams of an HTTP/2 connection, so that a panic in a call is counted.
#[derive(Debug, Clone)]
struct CountingExecutor(Tasks);

impl<F> hyper::rt::Executor<F> for CountingExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, call: F) {
        self.0.spawn("call", async move {
            call.await;
        });
    }
}

/// Serves HTTP connections until the queue closes, then lets running calls end.
pub(crate) async fn run(
    mut connections: mpsc::Receiver<HttpConnection>,
    doors: HttpDoors,
    tasks: Tasks,
) {
    let graceful = Arc::new(GracefulShutdown::new());
    while let Some(connection) = connections.recv().await {
        serve(connection, doors.clone(), &graceful, &tasks);
    }
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await;
    }
}

fn serve(connection: HttpConnection, doors: HttpDoors, graceful: &GracefulShutdown, tasks: &Tasks) {
    let HttpConnection {
        stream,
        first,
        protocol,
    } = connection;
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => TokioIo::new(Rewind::new(first, stream)),
        Err(error) => {
            tracing::debug!(%error, "a connection was lost on its way to the control worker");
            return;
        }
    };
    let broker = Arc::clone(&doors.broker);
    let service = TowerToHyperService::new(tower::service_fn(move |request| {
        doors.clone().handle(request)
    }));
    match protocol {
        HttpVersion::One => {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEADER_DEADLINE)
                .max_buf_size(REQUEST_HEAD_BYTES_MAX);
            let serving = graceful.watch(http.serve_connection(stream, service));
            tasks.spawn("http1", async move {
                let _counted = broker.counters().connections.hold();
                log_end(serving.await);
            });
        }
        HttpVersion::Two => {
            let mut http =
                hyper::server::conn::http2::Builder::new(CountingExecutor(tasks.clone()));
            http.timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEADER_LIST_BYTES_MAX)
                .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
                .initial_stream_window_size(1024 * 1024)
                .initial_connection_window_size(4 * 1024 * 1024)
                .keep_alive_interval(KEEP_ALIVE_INTERVAL)
                .keep_alive_timeout(KEEP_ALIVE_INTERVAL);
            let serving = graceful.watch(http.serve_connection(stream, service));
            tasks.spawn("http2", async move {
                let _counted = broker.counters().connections.hold();
                log_end(serving.await);
            });
        }
    }
}

fn log_end(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended");
    }
}
