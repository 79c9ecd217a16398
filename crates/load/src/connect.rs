//! A connection in two halves, that writes frames and reads answers by itself.

use std::io;

use kafka_client::{ClientError, ClientOptions, Connection};
use kafka_wire::Request;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

use crate::answers::Answers;

/// Both halves of a connection.
pub(crate) type Halves = (Writing, Answers);

/// The writing half.
#[derive(Debug)]
pub(crate) struct Writing {
    stream: OwnedWriteHalf,
    address: kafka_client::Address,
    doing: &'static str,
}

impl Writing {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let written: io::Result<()> = self.stream.write_all(bytes).await;
        written.map_err(|error| ClientError::Closed {
            address: self.address.clone(),
            doing: self.doing,
            source: Some(error),
        })
    }
}

/// Connects, and tells the newest version of the request that both ends know.
pub(crate) async fn open<R: Request>(
    options: &ClientOptions,
) -> Result<(Halves, i16), ClientError> {
    let connection = Connection::open(options).await?;
    let version = connection.version_of::<R>()?;
    let (reading, stream) = connection.into_stream().into_split();
    let doing = kafka_wire::api(R::KEY).map_or("a request", |api| api.name);
    let address = options.address.clone();
    let answers = Answers::new(reading, (address.clone(), options.timeout), doing);
    let writing = Writing {
        stream,
        address,
        doing,
    };
    Ok(((writing, answers), version))
}
