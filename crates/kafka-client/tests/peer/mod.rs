//! A broker that does what the test says: the other end of a real socket, one frame at a time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_client::{Address, ClientOptions, Partition, Topic};
use kafka_wire::messages::APIS;
use kafka_wire::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use kafka_wire::{Message, Reader, Request, RequestHeader, ResponseHeader, Uuid, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Broker {
    listener: TcpListener,
}

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

/// A request as it came.
pub(crate) struct Asked<R> {
    pub(crate) request: R,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

pub(crate) fn topic(partitions: i32) -> Topic {
    let partition = |index| Partition {
        index,
        leader: 1,
        leader_epoch: 0,
        error: None,
    };
    let partitions = (0..partitions).map(partition).collect();
    Topic {
        name: "orders".to_owned(),
        id: Uuid([9; 16]),
        partitions,
    }
}

/// Everything this build knows.
pub(crate) fn all_versions() -> ApiVersionsResponse {
    let keys = APIS.iter().map(|api| ApiVersion {
        api_key: api.key,
        min_version: api.version_min,
        max_version: api.version_max,
    });
    ApiVersionsResponse {
        api_keys: keys.collect(),
        ..Default::default()
    }
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self {
            listener: TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
        }
    }

    pub(crate) fn options(&self, timeout: Duration) -> ClientOptions {
        let port = self.listener.local_addr().unwrap().port();
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port,
        };
        ClientOptions {
            address,
            timeout,
            client_id: "test".to_owned(),
        }
    }

    /// The next connection, as it is.
    pub(crate) async fn accept(&self) -> Peer {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("a client connects").unwrap();
        Peer { stream }
    }

    /// The next connection, with versions agreed.
    pub(crate) async fn welcome(&self) -> Peer {
        let mut peer = self.accept().await;
        let asked = peer.expect::<ApiVersionsRequest>().await;
        peer.answer(&asked, &all_versions()).await;
        peer
    }
}

impl Peer {
    pub(crate) async fn frame(&mut self) -> Bytes {
        let read = async {
            let length = self.stream.read_u32().await.unwrap();
            let mut frame = BytesMut::zeroed(usize::try_from(length).unwrap());
            self.stream.read_exact(&mut frame).await.unwrap();
            frame.freeze()
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("a request comes")
    }

    /// The next request, which must be of this kind.
    pub(crate) async fn expect<R: Request>(&mut self) -> Asked<R> {
        let frame = self.frame().await;
        let (header, body_at) = RequestHeader::parse(&frame).unwrap();
        assert_eq!(header.api_key, R::KEY, "{} is due", R::NAME);
        let (version, correlation_id) = (header.api_version, header.correlation_id);
        let mut reader = Reader::at(frame.clone(), body_at);
        let request = R::decode(&mut reader, version).unwrap();
        reader.finish().unwrap();
        Asked {
            request,
            version,
            correlation_id,
        }
    }

    pub(crate) async fn answer<R: Request>(&mut self, asked: &Asked<R>, response: &R::Response) {
        let mut writer = Writer::new();
        let header = ResponseHeader {
            correlation_id: asked.correlation_id,
        };
        header.encode(&mut writer, R::KEY, asked.version);
        response.encode(&mut writer, asked.version).unwrap();
        self.send(&writer.into_inner()).await;
    }

    pub(crate) async fn send(&mut self, frame: &[u8]) {
        self.stream
            .write_u32(u32::try_from(frame.len()).unwrap())
            .await
            .unwrap();
        self.stream.write_all(frame).await.unwrap();
    }
}
