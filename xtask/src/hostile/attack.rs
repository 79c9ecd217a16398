//! One malformed connection: what is sent, what must come of it, and carrying it out.
//!
//! The broker may answer or not, but it must end the connection in time, and where a refusal is
//! wanted it must come with one of the wanted codes. Must not know what is wrong with the bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_wire::messages::{
    ApiVersionsRequest, CreateTopicsRequest, MetadataRequest, ProduceRequest,
};
use kafka_wire::{Reader, Request, ResponseHeader};

use crate::conformance::process::now;

/// The broker has this long to end a connection that cannot go on.
const END_LIMIT: Duration = Duration::from_secs(15);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Nothing that is asked here has a longer answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// UNSUPPORTED_VERSION
const UNSUPPORTED_VERSION: i16 = 35;

/// What is done when all bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Say that nothing more comes, and read.
    HalfClose,
    /// Read: the broker must end it by itself.
    Wait,
    /// Close at once.
    Leave,
}

/// What must come of it. In every case the connection must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing more than that.
    End,
    /// Not one byte of an answer.
    Silence,
    /// ApiVersions version 0 with UNSUPPORTED_VERSION.
    UnsupportedVersion,
    /// Produce answered with one of these codes for every partition; any code if there are none.
    ProduceRefused { version: i16, codes: Vec<i16> },
    /// CreateTopics answered with this code for every topic.
    TopicsRefused { version: i16, code: i16 },
    /// Metadata answered with this code for every topic.
    NamesRefused { version: i16, code: i16 },
}

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Attack {
    pub(super) family: &'static str,
    /// For people.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) then: Then,
    pub(super) wanted: Wanted,
}

/// How it went.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) family: &'static str,
    pub(super) answered: bool,
    /// From the last byte sent to the end.
    pub(super) took: Duration,
    /// What is wrong with it.
    pub(super) violation: Option<String>,
}

impl Attack {
    /// Opens the connection and sees it through.
    pub(super) fn carry_out(&self, address: SocketAddr) -> Outcome {
        let mut outcome = Outcome {
            family: self.family,
            answered: false,
            took: Duration::ZERO,
            violation: None,
        };
        let went = connect(address).and_then(|mut stream| {
            let mut answer = Vec::new();
            send(&mut stream, &self.bytes, &mut answer)?;
            if self.then == Then::Leave {
                return Ok(());
            }
            if self.then == Then::HalfClose {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Write);
            }
            let started = now();
            read_to_end(&mut stream, &mut answer, started + END_LIMIT)?;
            outcome.took = now() - started;
            outcome.answered = !answer.is_empty();
            self.wanted.check(answer)
        });
        outcome.violation = went
            .err()
            .map(|what| format!("{}, {}: {what}", self.family, self.name));
        outcome
    }
}

/// A connection whose reads come back often.
pub(super) fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)
        .map_err(|error| format!("no connection: {error}"))?;
    let brief = Some(Duration::from_millis(200));
    let set = stream
        .set_read_timeout(brief)
        .and_then(|()| stream.set_write_timeout(brief))
        .and_then(|()| stream.set_nodelay(true));
    set.map_err(|error| error.to_string())?;
    Ok(stream)
}

fn is_waiting(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Sends all, and reads in between when the peer does not take it. A peer that closed is no error:
/// it had seen enough.
fn send(stream: &mut TcpStream, bytes: &[u8], answer: &mut Vec<u8>) -> Result<(), String> {
    let deadline = now() + END_LIMIT;
    let mut rest = bytes;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if is_waiting(&error) => {
                if now() > deadline {
                    return Err("it neither reads nor closes".to_owned());
                }
                read_once(stream, answer)?;
            }
            Err(_closed) => return Ok(()),
        }
    }
    Ok(())
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Bytes,
    Nothing,
    /// The end of the stream, which a reset is, too.
    End,
}

/// Reads what is there.
fn read_once(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<Came, String> {
    let mut block = [0; 16 * 1024];
    match stream.read(&mut block) {
        Ok(0) => Ok(Came::End),
        Ok(count) => {
            answer.extend(&block[..count]);
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(format!("it answered with {} bytes", answer.len()));
            }
            Ok(Came::Bytes)
        }
        Err(error) if is_waiting(&error) => Ok(Came::Nothing),
        Err(_reset) => Ok(Came::End),
    }
}

/// Reads until the peer closes.
pub(super) fn read_to_end(
    stream: &mut TcpStream,
    answer: &mut Vec<u8>,
    deadline: Instant,
) -> Result<(), String> {
    loop {
        match read_once(stream, answer)? {
            Came::End => return Ok(()),
            Came::Bytes => {}
            Came::Nothing if now() < deadline => {}
            Came::Nothing => return Err("the connection was not ended in time".to_owned()),
        }
    }
}

impl Wanted {
    fn check(&self, answer: Vec<u8>) -> Result<(), String> {
        match self {
            Self::End => Ok(()),
            Self::Silence if answer.is_empty() => Ok(()),
            Self::Silence => Err(format!("it answered with {} bytes", answer.len())),
            Self::UnsupportedVersion => {
                let response = decoded::<ApiVersionsRequest>(answer, 0)?;
                only(&[UNSUPPORTED_VERSION], [response.error_code])
            }
            Self::ProduceRefused { version, codes } => {
                let response = decoded::<ProduceRequest>(answer, *version)?;
                let partitions = response.responses.iter();
                let partitions = partitions.flat_map(|topic| &topic.partition_responses);
                only(codes, partitions.map(|partition| partition.error_code))
            }
            Self::TopicsRefused { version, code } => {
                let response = decoded::<CreateTopicsRequest>(answer, *version)?;
                let topics = response.topics.iter();
                only(&[*code], topics.map(|topic| topic.error_code))
            }
            Self::NamesRefused { version, code } => {
                let response = decoded::<MetadataRequest>(answer, *version)?;
                let topics = response.topics.iter();
                only(&[*code], topics.map(|topic| topic.error_code))
            }
        }
    }
}

/// Every code is one of `wanted`; any but 0 if that is empty.
fn only(wanted: &[i16], got: impl IntoIterator<Item = i16>) -> Result<(), String> {
    let mut count = 0;
    for code in got {
        count += 1;
        let fits = if wanted.is_empty() {
            code != 0
        } else {
            wanted.contains(&code)
        };
        if !fits {
            return Err(format!("error code {code}, wanted {wanted:?}"));
        }
    }
    if count == 0 {
        return Err("an answer without a code".to_owned());
    }
    Ok(())
}

/// The first answer in what was received.
fn decoded<R: Request>(answer: Vec<u8>, version: i16) -> Result<R::Response, String> {
    let answer = Bytes::from(answer);
    let prefix = answer
        .first_chunk::<4>()
        .ok_or_else(|| format!("no answer but {} bytes", answer.len()))?;
    let length = usize::try_from(u32::from_be_bytes(*prefix)).map_err(|e| e.to_string())?;
    if answer.len() < 4 + length {
        return Err(format!("{} bytes of an answer of {length}", answer.len()));
    }
    let body = answer.slice(4..4 + length);
    let (_, at) = ResponseHeader::parse(&body, R::KEY, version).map_err(|e| e.to_string())?;
    let mut reader = Reader::at(body, at);
    kafka_wire::Message::decode(&mut reader, version).map_err(|e| e.to_string())
}
