//! What can go wrong between a client and its broker, one variant for each thing a caller can do.

use std::io;
use std::time::Duration;

use kafka_wire::{EncodeError, ErrorCode};

use crate::address::Address;

/// Why an answer was not had.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection could be made. Start the broker, or name another address.
    #[error("no broker answers at {address}: {source}")]
    Unreachable {
        /// The address that was tried.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The broker was silent for too long. Whether it did what was asked is not known.
    #[error("{address} did not answer {doing} within {} ms", after.as_millis())]
    Timeout {
        /// The broker.
        address: Address,
        /// The API that was waited for, or "connect".
        doing: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended. Whether the broker did what was asked is not known.
    #[error("{address} closed the connection during {doing}")]
    Closed {
        /// The broker.
        address: Address,
        /// The API that was waited for.
        doing: &'static str,
        /// What the system said, unless it was an orderly end.
        source: Option<io::Error>,
    },
    /// The other end does not speak Kafka as this client knows it.
    #[error("{address} does not speak Kafka as expected: {detail}")]
    Protocol {
        /// The other end.
        address: Address,
        /// What was wrong.
        detail: String,
    },
    /// The broker has no version of an API in common with this client.
    #[error("the broker does not serve {api} in a version that this client knows")]
    Unsupported {
        /// The API.
        api: &'static str,
    },
    /// The request has something that its version cannot say.
    #[error("{api} cannot be asked like this: {source}")]
    Unspeakable {
        /// The API.
        api: &'static str,
        /// What does not fit.
        source: EncodeError,
    },
    /// The broker understood and refused.
    #[error("{}", refusal(*.code, .message.as_deref()))]
    Refused {
        /// Kafka's code.
        code: ErrorCode,
        /// What the broker said beside the code.
        message: Option<String>,
    },
}

fn refusal(code: ErrorCode, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!("the broker answered {}", code.name()),
    }
}

impl ClientError {
    /// The code of a refusal.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the connection is of no use any more, so that only another one may help.
    pub fn is_transport(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Protocol { .. } => true,
            Self::Unsupported { .. } | Self::Unspeakable { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether the same request can succeed when it is repeated.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Closed { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Protocol { .. } | Self::Unsupported { .. } | Self::Unspeakable { .. } => false,
        }
    }

    /// `Ok` for the code 0, a refusal for any other.
    pub(crate) fn check(code: i16, message: Option<&str>) -> Result<(), Self> {
        if code == ErrorCode::None.code() {
            return Ok(());
        }
        let unknown = || format!("the broker answered with the unknown error code {code}");
        let known = ErrorCode::from_code(code);
        let message = message.map(ToOwned::to_owned);
        Err(Self::Refused {
            code: known.unwrap_or(ErrorCode::UnknownServerError),
            message: if known.is_some() {
                message
            } else {
                Some(message.unwrap_or_else(unknown))
            },
        })
    }
}
