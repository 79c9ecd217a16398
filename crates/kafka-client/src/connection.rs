//! One connection: agreed versions, requests out, answers back in the same order.
//!
//! Sending and receiving are apart, so that several requests can be in flight. After any error the
//! connection is of no use any more: half a frame may have gone out or come in. It must not know
//! what the requests mean.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_wire::frames::{PREFIX_BYTES, peek_frame};
use kafka_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_wire::{ErrorCode, Message, Reader, Request, RequestHeader, ResponseHeader, Writer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::Address;
use crate::client::ClientOptions;
use crate::error::ClientError;

/// The largest answer that is read: more than any fetch asks for. The first bytes of other
/// protocols, read as a length, are above it.
const RESPONSE_BYTES_MAX: usize = 512 * 1024 * 1024;
/// What is read at a time at least; the buffer grows with the bytes that came.
const READ_BYTES: usize = 64 * 1024;
/// Memory that an answer may take, as a multiple of its bytes. Brokers are trusted more than
/// clients: a topic of many partitions is small on the wire.
const DECODE_FACTOR: usize = 64;
/// What this client calls itself. Kafka allows letters, digits, dots and dashes.
const SOFTWARE_NAME: &str = "ottla";

/// A request whose answer is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    key: i16,
    version: i16,
    correlation_id: i32,
}

/// A connection to a broker whose versions are known.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: Address,
    client_id: String,
    timeout: Duration,
    incoming: BytesMut,
    versions: Vec<(i16, i16, i16)>,
    next_correlation_id: i32,
}

impl Connection {
    /// Connects and agrees on versions.
    pub async fn open(options: &ClientOptions) -> Result<Self, ClientError> {
        let address = options.address.clone();
        let target = (address.host.as_str(), address.port);
        let stream = match timeout(options.timeout, TcpStream::connect(target)).await {
            Err(_elapsed) => {
                let after = options.timeout;
                return Err(ClientError::Timeout {
                    address,
                    doing: "connect",
                    after,
                });
            }
            Ok(Err(source)) => return Err(ClientError::Unreachable { address, source }),
            Ok(Ok(stream)) => stream,
        };
        // Only latency depends on it.
        let _ = stream.set_nodelay(true);
        let mut connection = Self {
            stream,
            address,
            client_id: options.client_id.clone(),
            timeout: options.timeout,
            incoming: BytesMut::new(),
            versions: Vec::new(),
            next_correlation_id: 0,
        };
        connection.agree().await?;
        Ok(connection)
    }

    /// Asks for the broker's versions with the newest form of the question. A broker that does not
    /// know it answers in the oldest form, and is asked again in a form it knows (KIP-511).
    async fn agree(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: SOFTWARE_NAME.into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        };
        let newest = ApiVersionsRequest::MAX_VERSION;
        let sent = self.send_version(&request, newest).await?;
        let (frame, body_at) = self.frame(sent, self.timeout).await?;
        let refused = frame
            .get(body_at..)
            .and_then(|body| body.first_chunk::<2>())
            .copied();
        let mut answer = if refused == Some(ErrorCode::UnsupportedVersion.code().to_be_bytes()) {
            self.decode::<ApiVersionsResponse>(frame, body_at, 0)?
        } else {
            self.decode::<ApiVersionsResponse>(frame, body_at, newest)?
        };
        if answer.error_code == ErrorCode::UnsupportedVersion.code() {
            self.take_versions(&answer);
            let known = self.version_of::<ApiVersionsRequest>().unwrap_or(0);
            let sent = self.send_version(&request, known).await?;
            answer = self
                .receive::<ApiVersionsRequest>(sent, self.timeout)
                .await?;
        }
        ClientError::check(answer.error_code, None)?;
        self.take_versions(&answer);
        Ok(())
    }

    fn take_versions(&mut self, answer: &ApiVersionsResponse) {
        let keys = answer.api_keys.iter();
        self.versions = keys
            .map(|api| (api.api_key, api.min_version, api.max_version))
            .collect();
    }

    /// The address that was connected to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Gives the socket away, to a caller that makes and reads frames of its own. Nothing may be in
    /// flight.
    pub fn into_stream(self) -> TcpStream {
        assert!(
            self.incoming.is_empty(),
            "an answer that nobody waited for is lost"
        );
        self.stream
    }

    /// The newest version of a request that both ends know.
    pub fn version_of<R: Request>(&self) -> Result<i16, ClientError> {
        let unsupported = || ClientError::Unsupported {
            api: api_name(R::KEY),
        };
        let served = self.versions.iter().find(|(key, ..)| *key == R::KEY);
        let &(_, min, max) = served.ok_or_else(unsupported)?;
        let version = max.min(R::MAX_VERSION);
        if version < min.max(R::MIN_VERSION) {
            return Err(unsupported());
        }
        Ok(version)
    }

    /// Sends a request in the newest version that both ends know.
    pub async fn send<R: Request>(&mut self, request: &R) -> Result<Sent, ClientError> {
        let version = self.version_of::<R>()?;
        self.send_version(request, version).await
    }

    async fn send_version<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<Sent, ClientError> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.checked_add(1).unwrap_or(0);
        let api = api_name(R::KEY);
        let header = RequestHeader {
            api_key: R::KEY,
            api_version: version,
            correlation_id,
            client_id: Some(&self.client_id),
        };
        let unspeakable = |source| ClientError::Unspeakable { api, source };
        let mut writer = Writer::new();
        writer.int32(0);
        header.encode(&mut writer).map_err(unspeakable)?;
        request.encode(&mut writer, version).map_err(unspeakable)?;
        let mut frame = writer.into_inner();
        let length = frame.len().saturating_sub(PREFIX_BYTES);
        let length = i32::try_from(length).map_err(|_too_large| ClientError::Protocol {
            address: self.address.clone(),
            detail: format!("a request of {length} bytes does not fit a frame"),
        })?;
        frame[..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        match timeout(self.timeout, self.stream.write_all(&frame)).await {
            Ok(Ok(())) => Ok(Sent {
                key: R::KEY,
                version,
                correlation_id,
            }),
            Ok(Err(source)) => Err(self.closed(api, Some(source))),
            Err(_elapsed) => Err(self.timed_out(api, self.timeout)),
        }
    }

    /// Waits for the answer to the oldest request in flight, which must be `sent`.
    pub async fn receive<R: Request>(
        &mut self,
        sent: Sent,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        assert_eq!(
            sent.key,
            R::KEY,
            "answers are asked for in the order of their requests"
        );
        let (frame, body_at) = self.frame(sent, patience).await?;
        self.decode(frame, body_at, sent.version)
    }

    /// Sends a request and waits for its answer; nothing else may be in flight.
    pub async fn call<R: Request>(
        &mut self,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        let sent = self.send(request).await?;
        self.receive::<R>(sent, patience).await
    }

    /// The next frame, and where its body begins.
    async fn frame(
        &mut self,
        sent: Sent,
        patience: Duration,
    ) -> Result<(Bytes, usize), ClientError> {
        let api = api_name(sent.key);
        let read = match timeout(patience, self.read_frame(api)).await {
            Ok(read) => read,
            Err(_elapsed) => Err(self.timed_out(api, patience)),
        };
        let frame = read?;
        let (header, body_at) = ResponseHeader::parse(&frame, sent.key, sent.version)
            .map_err(|error| self.protocol(format!("answer to {api}: {error}")))?;
        if header.correlation_id != sent.correlation_id {
            let (got, wanted) = (header.correlation_id, sent.correlation_id);
            return Err(self.protocol(format!("answer {got} came where {wanted} was due")));
        }
        Ok((frame, body_at))
    }

    async fn read_frame(&mut self, api: &'static str) -> Result<Bytes, ClientError> {
        loop {
            let length = peek_frame(&self.incoming, RESPONSE_BYTES_MAX)
                .map_err(|error| self.protocol(error.to_string()))?;
            if let Some(length) = length {
                let whole = length.saturating_add(PREFIX_BYTES);
                if self.incoming.len() >= whole {
                    let mut frame = self.incoming.split_to(whole);
                    frame.advance(PREFIX_BYTES);
                    return Ok(frame.freeze());
                }
                let missing = whole.saturating_sub(self.incoming.len());
                self.incoming
                    .reserve(missing.min(self.incoming.len().max(READ_BYTES)));
            } else {
                self.incoming.reserve(READ_BYTES);
            }
            match self.stream.read_buf(&mut self.incoming).await {
                Ok(0) => return Err(self.closed(api, None)),
                Ok(_) => {}
                Err(source) => return Err(self.closed(api, Some(source))),
            }
        }
    }

    fn decode<M: Message>(&self, frame: Bytes, at: usize, version: i16) -> Result<M, ClientError> {
        let budget_bytes = frame
            .len()
            .saturating_mul(DECODE_FACTOR)
            .saturating_add(READ_BYTES);
        let mut reader = Reader::at(frame, at).with_budget(budget_bytes);
        M::decode(&mut reader, version)
            .map_err(|error| self.protocol(format!("{} version {version}: {error}", M::NAME)))
    }

    fn closed(&self, doing: &'static str, source: Option<std::io::Error>) -> ClientError {
        ClientError::Closed {
            address: self.address.clone(),
            doing,
            source,
        }
    }

    fn timed_out(&self, doing: &'static str, after: Duration) -> ClientError {
        ClientError::Timeout {
            address: self.address.clone(),
            doing,
            after,
        }
    }

    fn protocol(&self, detail: String) -> ClientError {
        ClientError::Protocol {
            address: self.address.clone(),
            detail,
        }
    }
}

fn api_name(key: i16) -> &'static str {
    kafka_wire::api(key).map_or("an unknown API", |api| api.name)
}
