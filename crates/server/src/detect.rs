//! Tells the protocols of the one port apart by the first bytes.
//!
//! A Kafka request begins with a length below 336 MiB, so its first byte is 0x00 to 0x14. A TLS
//! record begins with 0x16. HTTP/2 begins with its preface, HTTP/1.1 with a method in capitals.
//! Anything else is none of ours. The bytes read are handed on, never lost.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;

/// How long a peer may say nothing, or too little, before the connection is closed.
pub(crate) const FIRST_BYTES_DEADLINE: Duration = Duration::from_secs(5);

/// The largest first byte of a Kafka request; `socket.request.max.bytes` stays below it.
const KAFKA_FIRST_BYTE_MAX: u8 = 0x14;

/// What every HTTP/2 client sends first. RFC 9113 §3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the other side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Kafka's length-prefixed requests.
    Kafka,
    /// A TLS ClientHello.
    Tls,
    /// HTTP/2 with prior knowledge: gRPC.
    Http2,
    /// HTTP/1.1.
    Http1,
    /// None of them.
    Unknown,
}

/// What `first` bytes mean; `None` when they are too few to tell.
pub(crate) fn classify(first: &[u8]) -> Option<Protocol> {
    match first.first()? {
        0..=KAFKA_FIRST_BYTE_MAX => Some(Protocol::Kafka),
        0x16 => Some(Protocol::Tls),
        b'P' if first.starts_with(HTTP2_PREFACE) => Some(Protocol::Http2),
        // The whole preface has to come before the deadline: nothing behind it has one.
        b'P' if HTTP2_PREFACE.starts_with(first) => None,
        b'A'..=b'Z' => Some(Protocol::Http1),
        _ => Some(Protocol::Unknown),
    }
}

/// Why a connection ended before its protocol was known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DetectError {
    /// Nothing, or not enough, came in time.
    #[error("no request within {} s", FIRST_BYTES_DEADLINE.as_secs())]
    Deadline,
    /// The peer closed or the socket failed.
    #[error("the peer left: {0}")]
    Left(std::io::Error),
}

/// Reads until the protocol is known. The bytes read so far come with it.
pub(crate) async fn detect<S>(stream: &mut S) -> Result<(Protocol, BytesMut), DetectError>
where
    S: tokio::io::AsyncRead + Unpin,
{
    let mut first = BytesMut::with_capacity(4096);
    let reading = async {
        loop {
            let received = stream
                .read_buf(&mut first)
                .await
                .map_err(DetectError::Left)?;
            if received == 0 {
                return Err(DetectError::Left(std::io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(protocol) = classify(&first) {
                return Ok(protocol);
            }
        }
    };
    match tokio::time::timeout(FIRST_BYTES_DEADLINE, reading).await {
        Ok(detected) => detected.map(|protocol| (protocol, first)),
        Err(_elapsed) => Err(DetectError::Deadline),
    }
}

#[cfg(test)]
mod tests;
