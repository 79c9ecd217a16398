//! The answers of one connection, in their order.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_client::{Address, ClientError, ErrorCode};
use kafka_wire::frames::{PREFIX_BYTES, peek_frame};
use kafka_wire::{Message, Reader, Request, ResponseHeader};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

/// Larger than any answer that a load asks for.
const ANSWER_BYTES_MAX: usize = 512 << 20;
const READ_BYTES: usize = 64 << 10;
/// Memory that an answer may take, as a multiple of its bytes.
const DECODE_FACTOR: usize = 64;

/// The reading half of a connection.
#[derive(Debug)]
pub(crate) struct Answers {
    stream: OwnedReadHalf,
    incoming: BytesMut,
    address: Address,
    /// How long an answer is waited for.
    patience: Duration,
    doing: &'static str,
}

impl Answers {
    pub(crate) fn new(
        stream: OwnedReadHalf,
        (address, patience): (Address, Duration),
        doing: &'static str,
    ) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            address,
            patience,
            doing,
        }
    }

    /// Reads until an answer is whole; there may be several then.
    pub(crate) async fn wait(&mut self) -> Result<(), ClientError> {
        match timeout(self.patience, self.read_one()).await {
            Ok(read) => read,
            Err(_elapsed) => Err(ClientError::Timeout {
                address: self.address.clone(),
                doing: self.doing,
                after: self.patience,
            }),
        }
    }

    async fn read_one(&mut self) -> Result<(), ClientError> {
        loop {
            let missing = self.missing()?;
            if missing == 0 {
                return Ok(());
            }
            self.incoming.reserve(missing.max(READ_BYTES));
            let read = self.stream.read_buf(&mut self.incoming).await;
            let source = match read {
                Ok(0) => None,
                Ok(_) => continue,
                Err(error) => Some(error),
            };
            return Err(ClientError::Closed {
                address: self.address.clone(),
                doing: self.doing,
                source,
            });
        }
    }

    /// Bytes that the next answer still lacks, as far as that is known.
    fn missing(&self) -> Result<usize, ClientError> {
        let length = peek_frame(&self.incoming, ANSWER_BYTES_MAX)
            .map_err(|error| self.protocol(error.to_string()))?;
        Ok(match length {
            None => PREFIX_BYTES,
            Some(length) => (length + PREFIX_BYTES).saturating_sub(self.incoming.len()),
        })
    }

    /// Takes the next answer if it is whole: its correlation id, and the answer.
    pub(crate) fn take<R: Request>(
        &mut self,
        version: i16,
    ) -> Result<Option<(i32, R::Response)>, ClientError> {
        if self.missing()? > 0 {
            return Ok(None);
        }
        let length = self.incoming.get_u32();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let frame = self.incoming.split_to(length).freeze();
        self.decode::<R>(frame, version).map(Some)
    }

    fn decode<R: Request>(
        &self,
        frame: Bytes,
        version: i16,
    ) -> Result<(i32, R::Response), ClientError> {
        let (header, at) = ResponseHeader::parse(&frame, R::KEY, version)
            .map_err(|error| self.protocol(error.to_string()))?;
        let budget = frame
            .len()
            .saturating_mul(DECODE_FACTOR)
            .saturating_add(READ_BYTES);
        let mut reader = Reader::at(frame, at).with_budget(budget);
        let answer = R::Response::decode(&mut reader, version)
            .map_err(|error| self.protocol(error.to_string()))?;
        Ok((header.correlation_id, answer))
    }

    pub(crate) fn protocol(&self, detail: String) -> ClientError {
        ClientError::Protocol {
            address: self.address.clone(),
            detail,
        }
    }
}

/// `Ok` for the code 0; any other with the partition that it is about.
pub(crate) fn check(code: i16, partition: i32) -> Result<(), ClientError> {
    if code == ErrorCode::None.code() {
        return Ok(());
    }
    let code = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
    Err(ClientError::Refused {
        code,
        message: Some(format!(
            "partition {partition}: the broker answered {}",
            code.name()
        )),
    })
}
