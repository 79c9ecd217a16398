//! Why a load ended before its end.

use std::io;

use kafka_client::ClientError;
use kafka_wire::EncodeError;
use records::BatchError;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The broker could not be asked, did not answer, or refused a request.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The batch that was asked for cannot be built.
    #[error("the batch cannot be built: {0}")]
    Batch(#[from] BatchError),
    /// A request cannot be encoded.
    #[error("a request cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// A fetch brought bytes that are no batches.
    #[error("what was read is no row of batches: {0}")]
    Read(BatchError),
    /// The broker takes less than the rate; the requests that wait would fill the memory.
    #[error("{waiting} requests wait to be sent: the broker does not take the rate")]
    Overloaded {
        /// Requests that are due and not sent.
        waiting: usize,
    },
    /// There is nothing to read.
    #[error("topic {topic:?} has no records")]
    NoRecords {
        /// The topic.
        topic: String,
    },
    /// Records of one partition would come over several connections, in an order that nobody knows.
    #[error("{connections} connections write to {partitions} partitions")]
    SharedPartitions {
        /// Connections that write.
        connections: usize,
        /// Partitions of the topic.
        partitions: usize,
    },
    /// Requests were acknowledged and did not become readable.
    #[error("{missing} requests were acknowledged and did not become readable")]
    Unseen {
        /// How many.
        missing: usize,
    },
    /// The system has no timer for this.
    #[error("the system refused a timer: {0}")]
    Timer(io::Error),
}
