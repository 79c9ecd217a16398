//! One port, every protocol, told apart by the first bytes; start and stop in order.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use broker::BrokerConfig;
use clock::{SystemClock, SystemRng};
use kafka_wire::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};
use kafka_wire::{Message, Reader, Request, RequestHeader, ResponseHeader, Writer};
use server::{Advertise, DiskOptions, Durability, OpenDiskError, ServerOptions, StartError};
use storage::StorageFailure;
use tokio::sync::oneshot;

/// A broker that runs in this process until it is dropped or stopped.
struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), StorageFailure>>>,
}

fn options(directory: &std::path::Path) -> ServerOptions {
    ServerOptions {
        host: None,
        port: 0,
        advertise: Advertise::Auto,
        shards: 2,
        connections_max: 100,
        disk: DiskOptions {
            data_dir: directory.join("data"),
            durability: Durability::Fsync,
            min_free_bytes: 0,
            scrub_bytes_per_second: 0,
            compaction: server::CompactionOptions::default(),
            retention_check_interval: std::time::Duration::from_secs(10),
            open_files_max: 100,
        },
        broker: BrokerConfig::default(),
    }
}

fn start(options: ServerOptions) -> Result<server::Running, StartError> {
    let vfs = Arc::new(vfs::RealVfs::new());
    server::start(options, vfs, Arc::new(SystemClock), Arc::new(SystemRng))
}

impl Served {
    fn start(directory: &std::path::Path) -> Self {
        let running = start(options(directory)).unwrap();
        let address = running.addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || running.serve_until(async { stopped.await.unwrap_or_default() });
        Self {
            address,
            stop: Some(stop),
            thread: Some(std::thread::spawn(serve)),
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    fn stop(mut self) -> Result<(), StorageFailure> {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap()
    }
}

fn call<R: Request>(stream: &mut TcpStream, request: &R, version: i16) -> R::Response {
    let mut writer = Writer::new();
    let header = RequestHeader {
        api_key: R::KEY,
        api_version: version,
        correlation_id: 7,
        client_id: Some("test"),
    };
    header.encode(&mut writer).unwrap();
    request.encode(&mut writer, version).unwrap();
    let body = writer.into_inner();
    stream
        .write_all(&u32::try_from(body.len()).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(&body).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    let (header, at) = ResponseHeader::parse(&frame, R::KEY, version).unwrap();
    assert_eq!(header.correlation_id, 7);
    R::Response::decode(&mut Reader::at(frame.into(), at), version).unwrap()
}

fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset after the answer is an end too.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn kafka_http_1_and_http_2_share_the_port() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path());

    let mut kafka = served.connect();
    let versions: ApiVersionsResponse = call(&mut kafka, &ApiVersionsRequest::default(), 0);
    assert!(versions.api_keys.iter().any(|api| api.api_key == 0));

    let mut http = served.connect();
    http.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let answer = String::from_utf8(read_to_end(http)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let mut http2 = served.connect();
    // The preface and an empty SETTINGS frame (RFC 9113 §3.4); the answer is a SETTINGS frame.
    http2
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut head = [0; 9];
    http2.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 0x04, "{head:?}");
    drop(http2);

    drop(kafka);
    served.stop().unwrap();
}

#[test]
fn a_request_head_has_a_limit() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path());
    for (value_bytes, is_served) in [(16 << 10, true), (64 << 10, false)] {
        let mut http = served.connect();
        let value = "v".repeat(value_bytes);
        let head = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\na: ";
        // It may be refused before all of it is sent, and the refusal lost with the reset.
        let _ = http.write_all(format!("{head}{value}\r\n\r\n").as_bytes());
        let answer = read_to_end(http);
        assert_eq!(
            answer.starts_with(b"HTTP/1.1 200"),
            is_served,
            "{value_bytes}"
        );
    }
    served.stop().unwrap();
}

#[test]
fn tls_gets_an_alert_and_noise_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path());
    let mut tls = served.connect();
    tls.write_all(&[0x16, 0x03, 0x01, 0x00, 0x05]).unwrap();
    let alert = read_to_end(tls);
    assert_eq!(alert.first(), Some(&0x15), "{alert:?}");
    let mut noise = served.connect();
    noise.write_all(&[0xff; 16]).unwrap();
    assert_eq!(read_to_end(noise), b"");
    served.stop().unwrap();
}

#[test]
fn clients_are_told_where_they_connected() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path());
    let mut kafka = served.connect();
    let metadata = call(
        &mut kafka,
        &MetadataRequest {
            topics: None,
            ..Default::default()
        },
        12,
    );
    let node = metadata.brokers.first().unwrap();
    assert_eq!(
        (node.host.as_str(), node.port),
        ("localhost", i32::from(served.address.port()))
    );
    drop(kafka);
    served.stop().unwrap();
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused_with_the_owner() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path());
    let Err(StartError::Disk(error)) = start(options(directory.path())) else {
        panic!("the directory is locked");
    };
    assert!(matches!(error, OpenDiskError::Locked { .. }), "{error}");
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    served.stop().unwrap();
}

#[test]
fn a_clean_stop_is_a_clean_start() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path());
    let mut kafka = served.connect();
    let metadata = call(
        &mut kafka,
        &MetadataRequest {
            topics: None,
            ..Default::default()
        },
        12,
    );
    let cluster = metadata.cluster_id.unwrap();
    // An open connection does not keep the broker from stopping.
    served.stop().unwrap();
    assert_eq!(read_to_end(kafka), b"");

    let again = start(options(directory.path())).unwrap();
    assert!(again.recovery().was_clean);
    assert_eq!(again.broker().cluster_id(), cluster.as_str());
    again.serve_until(std::future::ready(())).unwrap();
}
