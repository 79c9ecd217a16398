//! What the tests share: a broker on the memory store behind this front door, asked in process or
//! over a socket, with the encoders of kafka-wire as the client.

#![allow(clippy::disallowed_methods, reason = "tests")]

use std::sync::Arc;

use broker::{Broker, BrokerConfig, NewTopic, Origin, Parts, Topic};
use bytes::{Bytes, BytesMut};
use clock::{SeededRng, SimClock};
use kafka_wire::frames::PREFIX_BYTES;
use kafka_wire::{Reader, Request, RequestHeader, Response, ResponseHeader, Segment, Uuid, Writer};
use records::{BatchBuilder, Codec};
use storage::memory::{MemoryMetadata, MemoryStore};
use storage::{BytesPermit, Chunk, LogStore, Metadata};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::dispatch::{Close, dispatch};
use crate::{Advertise, Context, Ends, KafkaApi};

/// Where the clock of every test starts.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
/// The correlation id of what is asked in process.
pub(crate) const CORRELATION_ID: i32 = 0x1234_5678;

#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) memory: Arc<MemoryStore>,
    pub(crate) metadata: Arc<MemoryMetadata>,
    pub(crate) clock: SimClock,
    pub(crate) api: Arc<KafkaApi>,
}

impl Harness {
    pub(crate) async fn new() -> Self {
        Self::on(MemoryStore::new(), BrokerConfig::default()).await
    }

    /// Nothing is durable before `memory.commit_all()`.
    pub(crate) async fn with_manual_commit() -> Self {
        Self::on(MemoryStore::with_manual_commit(), BrokerConfig::default()).await
    }

    pub(crate) async fn on(memory: MemoryStore, config: BrokerConfig) -> Self {
        Self::open(memory, Arc::new(MemoryMetadata::new()), config).await
    }

    async fn open(
        memory: MemoryStore,
        metadata: Arc<MemoryMetadata>,
        config: BrokerConfig,
    ) -> Self {
        let memory = Arc::new(memory);
        let clock = SimClock::starting_at(NOW_MS);
        let parts = Parts {
            store: Arc::clone(&memory) as Arc<dyn LogStore>,
            metadata: Arc::clone(&metadata) as Arc<dyn Metadata>,
            clock: Arc::new(clock.clone()),
            rng: Arc::new(SeededRng::new(7)),
            config,
        };
        let broker = Broker::open(parts).await.expect("the broker opens");
        let keeper = Arc::clone(&broker);
        tokio::spawn(async move { keeper.groups().run().await });
        Self {
            memory,
            metadata,
            clock,
            api: KafkaApi::new(broker, Advertise::Auto),
        }
    }

    /// The same data after a restart, which raises the leader epoch by one.
    pub(crate) async fn restarted(&self) -> Self {
        let metadata = Arc::clone(&self.metadata);
        Self::open(self.memory.restart(), metadata, BrokerConfig::default()).await
    }

    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.api.broker
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            api: Arc::clone(&self.api),
            ends: Ends {
                peer: "127.0.0.1:50000".parse().expect("an address"),
                local: "127.0.0.1:9092".parse().expect("an address"),
            },
            version: 0,
            client_id: None,
        }
    }

    pub(crate) async fn topic(&self, name: &str, partitions: i32) -> Arc<Topic> {
        self.topic_with(name, partitions, &[]).await
    }

    pub(crate) async fn topic_with(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Arc<Topic> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), Some((*value).to_owned()));
        let new = NewTopic {
            partitions: Some(partitions),
            configs: configs.iter().map(own).collect(),
            ..NewTopic::named(name)
        };
        let made = self.broker().create_topic(new).await;
        made.expect("the topic is made")
    }

    /// Appends a batch past the front door.
    pub(crate) fn append(&self, topic: &Topic, partition: i32, values: &[&str]) {
        let (origin, permit) = (Origin::default(), BytesPermit::free());
        let ticket = self
            .broker()
            .append(topic, partition, batch(values), origin, permit);
        let ticket = ticket.expect("accepted");
        ticket.placed().expect("placed");
    }

    /// Gives a frame to the dispatcher and waits for the answer.
    pub(crate) async fn answer(&self, frame: BytesMut) -> Result<Option<Bytes>, Close> {
        let mut context = self.context();
        let begun = dispatch(&mut context, frame, BytesPermit::free())?;
        let answer = begun.answer.await?;
        Ok(answer.map(|response| whole(&response)))
    }

    pub(crate) async fn try_ask<R: Request>(
        &self,
        version: i16,
        request: &R,
    ) -> Result<Option<R::Response>, Close> {
        let frame = frame(version, CORRELATION_ID, request);
        let answer = self.answer(frame).await?;
        Ok(answer.map(|bytes| {
            let (correlation_id, response) = decode::<R>(&bytes, version);
            assert_eq!(correlation_id, CORRELATION_ID);
            response
        }))
    }

    pub(crate) async fn ask<R: Request>(&self, version: i16, request: &R) -> R::Response {
        let answer = self.try_ask(version, request).await;
        answer.expect("is answered").expect("with a response")
    }

    /// A client over a real socket; `first` is what was read before the front door was chosen.
    pub(crate) async fn connect_with(&self, first: &[u8]) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(address).await.expect("connects");
        let (accepted, peer) = listener.accept().await.expect("accepts");
        let (stop, stopping) = watch::channel(false);
        let (api, first) = (Arc::clone(&self.api), BytesMut::from(first));
        let served = tokio::spawn(async move {
            crate::serve(&api, accepted, first, peer, stopping).await;
        });
        Client {
            stream,
            served,
            stop,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_with(&[]).await
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Ends when the front door has let go of the connection.
    pub(crate) served: JoinHandle<()>,
    pub(crate) stop: watch::Sender<bool>,
}

impl Client {
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the peer reads");
    }

    pub(crate) async fn send<R: Request>(&mut self, version: i16, id: i32, request: &R) {
        let bytes = framed(&frame(version, id, request));
        self.send_bytes(&bytes).await;
    }

    /// The next response, or `None` when the front door closed the connection.
    pub(crate) async fn receive(&mut self) -> Option<Bytes> {
        let mut prefix = [0; PREFIX_BYTES];
        self.stream.read_exact(&mut prefix).await.ok()?;
        let length = usize::try_from(i32::from_be_bytes(prefix)).expect("a length");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        Some([&prefix[..], &body].concat().into())
    }

    /// The next response must be of that API and version.
    pub(crate) async fn expect<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let bytes = self.receive().await.expect("an answer");
        decode::<R>(&bytes, version)
    }
}

/// A request without its length.
pub(crate) fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> BytesMut {
    let mut writer = Writer::new();
    let header = RequestHeader {
        api_key: R::KEY,
        api_version: version,
        correlation_id,
        client_id: Some("test"),
    };
    header.encode(&mut writer).expect("a short client id");
    let encoded = request.encode(&mut writer, version);
    encoded.unwrap_or_else(|error| panic!("{} v{version}: {error}", R::NAME));
    writer.into_inner()
}

/// With its length in front.
pub(crate) fn framed(frame: &[u8]) -> Vec<u8> {
    let length = i32::try_from(frame.len()).expect("a test's frame");
    [&length.to_be_bytes()[..], frame].concat()
}

/// A response as it leaves, length included.
pub(crate) fn whole(response: &Response<Chunk>) -> Bytes {
    let mut bytes = BytesMut::new();
    for segment in &response.segments {
        match segment {
            Segment::Bytes(piece)
            | Segment::External {
                chunk: Chunk::Memory(piece),
                ..
            } => bytes.extend_from_slice(piece),
            Segment::External { .. } => panic!("the memory store has no files"),
        }
    }
    assert_eq!(
        bytes.len(),
        response.length,
        "a response is as long as it says"
    );
    bytes.freeze()
}

/// Correlation id and body of a whole response.
pub(crate) fn decode<R: Request>(bytes: &Bytes, version: i16) -> (i32, R::Response) {
    let frame = bytes.slice(PREFIX_BYTES..);
    let prefix = bytes.first_chunk().expect("a length");
    let length = usize::try_from(i32::from_be_bytes(*prefix)).expect("a length");
    assert_eq!(length, frame.len(), "{} v{version}", R::NAME);
    let (header, body_at) = ResponseHeader::parse(&frame, R::KEY, version).expect("a header");
    let mut reader = Reader::at(frame, body_at).with_budget(usize::MAX);
    use kafka_wire::Message;
    let body = <R::Response as Message>::decode(&mut reader, version).expect("a body");
    reader.finish().expect("nothing behind it");
    (header.correlation_id, body)
}

/// One batch with a record for each value, as a client sends it.
pub(crate) fn batch(values: &[&str]) -> BytesMut {
    batch_of(BatchBuilder::new(Codec::None), NOW_MS, values)
}

pub(crate) fn batch_of(mut builder: BatchBuilder, timestamp_ms: i64, values: &[&str]) -> BytesMut {
    for value in values {
        let appended = builder.append(timestamp_ms, Some(b"k"), Some(value.as_bytes()), &[]);
        appended.expect("a small record");
    }
    let built = builder.build().expect("a batch with records");
    BytesMut::from(&*built.into_bytes())
}

pub(crate) fn id_of(topic: &Topic) -> Uuid {
    Uuid(topic.id().0)
}

/// The values of all records in a row of batches.
pub(crate) fn values_of(bytes: &Bytes) -> Vec<String> {
    let mut values = Vec::new();
    for found in records::Batches::new(bytes) {
        let (at, _, batch) = found.expect("whole batches");
        let batch = bytes.slice(at..at + batch.len());
        let mut budget = records::DecodeBudget::new(1 << 24);
        for record in records::records(&batch, &mut budget).expect("a good batch") {
            let value = record.expect("a good record").value.expect("a value");
            values.push(String::from_utf8(value.to_vec()).expect("text"));
        }
    }
    values
}
