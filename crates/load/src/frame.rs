//! Requests as bytes, made before the clock runs.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_client::{Acks, Topic};
use kafka_wire::frames::PREFIX_BYTES;
use kafka_wire::messages::fetch::{FetchPartition, FetchTopic};
use kafka_wire::messages::produce::{PartitionProduceData, TopicProduceData};
use kafka_wire::messages::{FetchRequest, ProduceRequest};
use kafka_wire::{EncodeError, Request, RequestHeader, Uuid, Writer};

/// What the broker's log calls this client.
pub(crate) const CLIENT_ID: &str = "ottla-bench";
/// First versions that name topics by id.
const PRODUCE_TOPIC_IDS_FROM: i16 = 13;
const FETCH_TOPIC_IDS_FROM: i16 = 13;
/// How long a broker may work on a Produce.
const PRODUCE_TIMEOUT_MS: i32 = 30_000;
/// Bytes of one answer to a Fetch that are enough.
const FETCH_BYTES_MAX: i32 = 64 << 20;

/// A request with its length in front.
pub(crate) fn frame<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::over(BytesMut::zeroed(PREFIX_BYTES));
    let header = RequestHeader {
        api_key: R::KEY,
        api_version: version,
        correlation_id,
        client_id: Some(CLIENT_ID),
    };
    header.encode(&mut writer)?;
    request.encode(&mut writer, version)?;
    let mut bytes = writer.into_inner();
    let length = u32::try_from(bytes.len() - PREFIX_BYTES).unwrap_or(u32::MAX);
    (&mut bytes[..PREFIX_BYTES]).put_u32(length);
    Ok(bytes.freeze())
}

/// A Produce of one batch to one partition. The batch is shared by the frames of all partitions.
#[derive(Debug, Clone)]
pub(crate) struct ProduceFrame {
    before: Bytes,
    batch: Bytes,
    behind: Bytes,
}

impl ProduceFrame {
    /// `correlation_id` tells the answer's partition.
    pub(crate) fn new(
        topic: &Topic,
        (partition, correlation_id): (i32, i32),
        (batch, acks): (&Bytes, Acks),
        version: i16,
    ) -> Result<Self, EncodeError> {
        let request = produce_request(topic, &[partition], batch, acks, version);
        let whole = frame(&request, version, correlation_id)?;
        let begin = (0..whole.len()).find(|&at| whole[at..].starts_with(batch));
        let begin = begin.expect("the batch stands in its request as it is");
        let end = begin + batch.len();
        // Copied, so that the frames of many partitions do not hold the batch as often.
        Ok(Self {
            before: Bytes::copy_from_slice(&whole[..begin]),
            batch: batch.clone(),
            behind: Bytes::copy_from_slice(&whole[end..]),
        })
    }

    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&self.batch);
        out.extend_from_slice(&self.behind);
    }
}

/// A Produce of the same batch to some partitions.
pub(crate) fn produce_request(
    topic: &Topic,
    partitions: &[i32],
    batch: &Bytes,
    acks: Acks,
    version: i16,
) -> ProduceRequest {
    let by_id = version >= PRODUCE_TOPIC_IDS_FROM;
    let data = partitions.iter().map(|&index| PartitionProduceData {
        index,
        records: Some(batch.clone()),
    });
    ProduceRequest {
        transactional_id: None,
        acks: match acks {
            Acks::All => -1,
            Acks::Leader => 1,
            Acks::None => 0,
        },
        timeout_ms: PRODUCE_TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: if by_id { "" } else { &topic.name }.into(),
            topic_id: if by_id { topic.id } else { Uuid::ZERO },
            partition_data: data.collect(),
        }],
    }
}

/// A Fetch of all partitions, each from its offset. No session is opened.
pub(crate) fn fetch_request(
    topic: &Topic,
    offsets: &[i64],
    (partition_bytes, wait_ms): (i32, i32),
    version: i16,
) -> FetchRequest {
    let by_id = version >= FETCH_TOPIC_IDS_FROM;
    let partitions = topic
        .partitions
        .iter()
        .zip(offsets)
        .map(|(partition, &offset)| FetchPartition {
            partition: partition.index,
            fetch_offset: offset,
            partition_max_bytes: partition_bytes,
            ..FetchPartition::default()
        });
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: FETCH_BYTES_MAX,
        session_epoch: -1,
        topics: vec![FetchTopic {
            topic: if by_id { "" } else { &topic.name }.into(),
            topic_id: if by_id { topic.id } else { Uuid::ZERO },
            partitions: partitions.collect(),
        }],
        ..FetchRequest::default()
    }
}
