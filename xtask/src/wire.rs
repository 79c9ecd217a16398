//! A blocking connection that speaks the Kafka protocol: just what the loads and the hostile run need.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use kafka_wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_wire::{Message, Reader, Request, RequestHeader, ResponseHeader, Writer};

/// Versions that name topics by name and that both brokers speak.
pub(crate) const PRODUCE_VERSION: i16 = 11;
pub(crate) const FETCH_VERSION: i16 = 12;
const LIST_OFFSETS_VERSION: i16 = 7;
const LATEST: i64 = -1;
const CREATE_TOPICS_VERSION: i16 = 7;

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    correlation_id: i32,
}

impl Wire {
    /// Connects to `address`.
    pub(crate) fn connect(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            correlation_id: 0,
        })
    }

    /// A second handle to the same connection, for a thread that only reads.
    pub(crate) fn reader(&self) -> Result<Self, String> {
        let stream = self.stream.try_clone().map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            correlation_id: 0,
        })
    }

    /// Sends a request and reads its answer.
    pub(crate) fn call<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, String> {
        self.correlation_id += 1;
        let frame = frame(request, version, self.correlation_id)?;
        self.send(&frame)?;
        let body = self.receive()?;
        let (_, at) = ResponseHeader::parse(&body, R::KEY, version).map_err(|e| e.to_string())?;
        R::Response::decode(&mut Reader::at(body, at), version).map_err(|error| error.to_string())
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream
            .write_all(bytes)
            .map_err(|error| format!("send: {error}"))
    }

    /// Reads one frame, without its length.
    pub(crate) fn receive(&mut self) -> Result<Bytes, String> {
        let mut length = [0; 4];
        self.stream
            .read_exact(&mut length)
            .map_err(|error| format!("receive: {error}"))?;
        let length =
            usize::try_from(i32::from_be_bytes(length)).map_err(|error| error.to_string())?;
        let mut body = BytesMut::zeroed(length);
        self.stream
            .read_exact(&mut body)
            .map_err(|error| format!("receive: {error}"))?;
        Ok(body.freeze())
    }

    /// Sends a produce of one batch; gives its base offset, or the error code as an error.
    pub(crate) fn produced(&mut self, request: &ProduceRequest) -> Result<i64, String> {
        let response = self.call(request, PRODUCE_VERSION)?;
        let mut topics = response.responses.iter();
        let first = topics.find_map(|topic| topic.partition_responses.first());
        let partition = first.ok_or("no partition in the answer")?;
        match (partition.error_code, &partition.error_message) {
            (0, _) => Ok(partition.base_offset),
            (code, None) => Err(format!("produce gave error {code}")),
            (code, Some(said)) => Err(format!("produce gave error {code}: {}", &**said)),
        }
    }

    /// Where a partition ends for readers.
    pub(crate) fn end_offset(&mut self, topic: &str, partition: i32) -> Result<i64, String> {
        let partition = ListOffsetsPartition {
            partition_index: partition,
            timestamp: LATEST,
            ..ListOffsetsPartition::default()
        };
        let topic = ListOffsetsTopic {
            name: topic.into(),
            partitions: vec![partition],
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![topic],
            ..ListOffsetsRequest::default()
        };
        let response = self.call(&request, LIST_OFFSETS_VERSION)?;
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let found = partitions.next().ok_or("no partition in the answer")?;
        match found.error_code {
            0 => Ok(found.offset),
            code => Err(format!("ListOffsets gave error {code}")),
        }
    }

    /// Makes a topic and waits until it has leaders.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32) -> Result<(), String> {
        self.create_topic_with(name, partitions, &[])
    }

    /// Makes a topic with configs.
    pub(crate) fn create_topic_with(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), String> {
        let config = |(key, value): &(&str, &str)| CreatableTopicConfig {
            name: (*key).into(),
            value: Some((*value).into()),
        };
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 30_000,
            ..Default::default()
        };
        let response = self.call(&request, CREATE_TOPICS_VERSION)?;
        match response.topics.first().map(|topic| topic.error_code) {
            // 36: it exists.
            Some(0 | 36) => Ok(()),
            other => Err(format!("creating {name}: {other:?}")),
        }
    }
}

/// A request as it goes over the wire, length included.
pub(crate) fn frame<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, String> {
    let mut writer = Writer::over(BytesMut::zeroed(4));
    let header = RequestHeader {
        api_key: R::KEY,
        api_version: version,
        correlation_id,
        client_id: Some("xtask"),
    };
    header
        .encode(&mut writer)
        .map_err(|error| error.to_string())?;
    request
        .encode(&mut writer, version)
        .map_err(|error| error.to_string())?;
    let mut bytes = writer.into_inner();
    let length = u32::try_from(bytes.len() - 4).map_err(|error| error.to_string())?;
    (&mut bytes[..4]).put_u32(length);
    Ok(bytes.freeze())
}

/// A produce of one batch under acks=all.
pub(crate) fn produce(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData {
        index: partition,
        records: Some(batch),
    };
    let topic = TopicProduceData {
        name: topic.into(),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    }
}

/// A fetch of some partitions of a topic, each from its offset.
pub(crate) fn fetch(
    topic: &str,
    offsets: &[i64],
    partition_bytes: i32,
    wait_ms: i32,
) -> FetchRequest {
    let partitions = (0..)
        .zip(offsets)
        .map(|(partition, offset)| FetchPartition {
            partition,
            fetch_offset: *offset,
            partition_max_bytes: partition_bytes,
            ..FetchPartition::default()
        });
    let topic = FetchTopic {
        topic: topic.into(),
        partitions: partitions.collect(),
        ..FetchTopic::default()
    };
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: 64 << 20,
        session_id: 0,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}
