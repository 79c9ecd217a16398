//! What happens to one connection: limits, protocol, and the front door that fits.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::Broker;
use bytes::BytesMut;
use kafka_api::KafkaApi;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::detect::{DetectError, Protocol, detect};
use crate::tasks::Tasks;

/// A connection that speaks HTTP, on its way to the control worker.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) first: BytesMut,
    pub(crate) protocol: HttpVersion,
}

/// Which HTTP it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpVersion {
    One,
    Two,
}

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) kafka: Arc<KafkaApi>,
    pub(crate) http: mpsc::Sender<HttpConnection>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) connections_max: u64,
}

impl Door {
    /// A set of tasks whose panics are counted with all others.
    pub(crate) fn new_tasks(&self) -> Tasks {
        Tasks::new(Arc::clone(&self.broker))
    }

    /// Serves one connection to its end.
    pub(crate) async fn serve(&self, mut stream: TcpStream, peer: SocketAddr) {
        let counters = self.broker.counters();
        counters.connections_accepted.increment();
        let _counted = counters.connections.hold();
        if counters.connections.get() > self.connections_max {
            tracing::warn!(%peer, limit = self.connections_max, "too many connections; closed one");
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "the connection was closed at once");
            return;
        }
        let mut stop = self.stop.clone();
        let detected = tokio::select! {
            detected = detect(&mut stream) => detected,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (protocol, first) = match detected {
            Ok(detected) => detected,
            Err(error @ DetectError::Deadline) => {
                tracing::debug!(%error, %peer, "closed a connection");
                return;
            }
            Err(DetectError::Left(_)) => return,
        };
        match protocol {
            Protocol::Kafka => {
                kafka_api::serve(&self.kafka, stream, first, peer, stop).await;
            }
            Protocol::Http1 => self.to_control(stream, first, HttpVersion::One).await,
            Protocol::Http2 => self.to_control(stream, first, HttpVersion::Two).await,
            Protocol::Tls => refuse_tls(stream, peer).await,
            Protocol::Unknown => {
                tracing::debug!(%peer, first = %first.escape_ascii(), "no known protocol; closed");
            }
        }
    }

    async fn to_control(&self, stream: TcpStream, first: BytesMut, protocol: HttpVersion) {
        match stream.into_std() {
            Ok(stream) => {
                let connection = HttpConnection {
                    stream,
                    first,
                    protocol,
                };
                // The control worker ends after the shards; were it gone, the connection closes.
                let _ = self.http.send(connection).await;
            }
            Err(error) => tracing::debug!(%error, "a connection was lost on its way"),
        }
    }
}

/// TLS alert record: fatal (2), handshake_failure (40). RFC 8446 §6.
const TLS_HANDSHAKE_FAILURE: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

/// Answers a ClientHello with the alert that its library turns into a clear error at once.
async fn refuse_tls(mut stream: TcpStream, peer: SocketAddr) {
    tracing::warn!(%peer, "a client speaks TLS, which this broker does not yet; connection closed");
    let _ = stream.write_all(&TLS_HANDSHAKE_FAILURE).await;
    let _ = stream.shutdown().await;
}
