//! A broker to ask, one thing after the other. Connects when it must, and anew after a failure.

use std::time::Duration;

use kafka_wire::Request;

use crate::address::Address;
use crate::connection::Connection;
use crate::error::ClientError;

/// Where the broker is and how long to wait for it.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The broker.
    pub address: Address,
    /// How long to wait for a connection, and for an answer that is due at once.
    pub timeout: Duration,
    /// What this client calls itself in the broker's log.
    pub client_id: String,
}

/// A broker to ask.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    connection: Option<Connection>,
}

impl Client {
    /// Connects to the broker.
    pub async fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        let connection = Some(Connection::open(&options).await?);
        Ok(Self {
            options,
            connection,
        })
    }

    /// What it was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// The newest version of a request that both ends know.
    pub async fn version_of<R: Request>(&mut self) -> Result<i16, ClientError> {
        self.connected().await?.version_of::<R>()
    }

    /// Asks, and waits as long as the options say. A failed connection is dropped; the next call
    /// makes another one.
    pub async fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, ClientError> {
        self.call_within(request, self.options.timeout).await
    }

    /// Asks, and waits for `patience`.
    pub async fn call_within<R: Request>(
        &mut self,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        let answer = self.connected().await?.call(request, patience).await;
        self.settle(answer)
    }

    /// The connection, made if there is none.
    pub(crate) async fn connected(&mut self) -> Result<&mut Connection, ClientError> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(&self.options).await?);
        }
        Ok(self.connection.as_mut().expect("it was just made"))
    }

    /// Drops the connection after an error that makes it useless.
    pub(crate) fn settle<T>(&mut self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        if outcome.as_ref().is_err_and(ClientError::is_transport) {
            self.connection = None;
        }
        outcome
    }
}
