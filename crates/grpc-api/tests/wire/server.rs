//! The router behind a real HTTP/2 connection on port 0, and a client for it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use broker::Broker;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

use crate::harness::Harness;

/// The client's own view of the proto file.
#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "generated code has its own style"
)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/client/broker.rs"));
}

pub(crate) type Client = proto::broker_client::BrokerClient<Channel>;

/// A broker that answers on a port.
pub(crate) struct Server {
    pub(crate) harness: Harness,
    pub(crate) broker: Arc<Broker>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) channel: Channel,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on(Harness::new()).await
    }

    pub(crate) async fn on(harness: Harness) -> Self {
        let broker = harness.broker().await;
        let (stop, stopped) = watch::channel(false);
        let router = grpc_api::router(Arc::clone(&broker), stopped);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(accept(listener, router));
        Self {
            harness,
            broker,
            stop,
            channel: connect(address).await,
        }
    }

    pub(crate) fn client(&self) -> Client {
        let most = usize::MAX;
        Client::new(self.channel.clone())
            .max_decoding_message_size(most)
            .max_encoding_message_size(most)
    }
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("the server listens")
}

async fn accept(listener: TcpListener, router: axum::Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let router = router.clone();
        let service = tower::service_fn(move |request: hyper::Request<Incoming>| {
            router.clone().oneshot(request.map(Body::new))
        });
        let serving = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::spawn(serving);
    }
}

/// Checks code and reason of a status, and that it names these facts.
pub(crate) fn check(status: &Status, code: Code, reason: &str, facts: &[(&str, &str)]) {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(
        (&*info.reason, &*info.domain),
        (reason, "ottla"),
        "{status:?}"
    );
    for (name, value) in facts {
        let found = info.metadata.get(*name).map(String::as_str);
        assert_eq!(found, Some(*value), "{name} of {status:?}");
    }
}
