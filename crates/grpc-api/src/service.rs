//! One line for each call: which module answers it.

use std::sync::Arc;

use broker::Broker;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::proto::broker_server;
use crate::proto::{
    AddPartitionsRequest, AddPartitionsResponse, CommitOffsetRequest, CommitOffsetResponse,
    ConsumeRequest, CreateTopicRequest, CreateTopicResponse, DeleteTopicRequest,
    DeleteTopicResponse, DescribeTopicRequest, DescribeTopicResponse, GetOffsetsRequest,
    GetOffsetsResponse, ListConsumersRequest, ListConsumersResponse, ListTopicsRequest,
    ListTopicsResponse, ProduceRequest, ProduceResponse, Record, ResetOffsetRequest,
    ResetOffsetResponse, SeekRequest, SeekResponse, TrimTopicRequest, TrimTopicResponse,
};
use crate::{consume, consumers, offsets, produce, produce_stream, topics};

/// The service `broker.Broker`.
#[derive(Debug)]
pub(crate) struct Service {
    broker: Arc<Broker>,
    stop: watch::Receiver<bool>,
    /// The largest message that is read.
    limit_bytes: usize,
}

impl Service {
    pub(crate) fn new(
        broker: Arc<Broker>,
        stop: watch::Receiver<bool>,
        limit_bytes: usize,
    ) -> Self {
        Self {
            broker,
            stop,
            limit_bytes,
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl broker_server::Broker for Service {
    type ProduceStreamStream = BoxStream<'static, Result<ProduceResponse, Status>>;
    type ConsumeStream = BoxStream<'static, Result<Record, Status>>;

    async fn create_topic(
        &self,
        request: Request<CreateTopicRequest>,
    ) -> Answer<CreateTopicResponse> {
        let created = topics::create(&self.broker, request.into_inner()).await;
        created.map(Response::new)
    }

    async fn delete_topic(
        &self,
        request: Request<DeleteTopicRequest>,
    ) -> Answer<DeleteTopicResponse> {
        let deleted = topics::delete(&self.broker, request.into_inner()).await;
        deleted.map(Response::new)
    }

    async fn add_partitions(
        &self,
        request: Request<AddPartitionsRequest>,
    ) -> Answer<AddPartitionsResponse> {
        let grown = topics::add_partitions(&self.broker, request.into_inner()).await;
        grown.map(Response::new)
    }

    async fn trim_topic(&self, request: Request<TrimTopicRequest>) -> Answer<TrimTopicResponse> {
        let trimmed = offsets::trim(&self.broker, request.into_inner()).await;
        trimmed.map(Response::new)
    }

    async fn list_topics(&self, _: Request<ListTopicsRequest>) -> Answer<ListTopicsResponse> {
        Ok(Response::new(topics::list(&self.broker)))
    }

    async fn describe_topic(
        &self,
        request: Request<DescribeTopicRequest>,
    ) -> Answer<DescribeTopicResponse> {
        let described = topics::describe(&self.broker, request.into_inner()).await;
        described.map(Response::new)
    }

    async fn get_offsets(&self, request: Request<GetOffsetsRequest>) -> Answer<GetOffsetsResponse> {
        let found = offsets::get(&self.broker, request.into_inner()).await;
        found.map(Response::new)
    }

    async fn produce(&self, request: Request<ProduceRequest>) -> Answer<ProduceResponse> {
        let produced = produce::produce(&self.broker, request.into_inner()).await;
        produced.map(Response::new)
    }

    async fn produce_stream(
        &self,
        request: Request<Streaming<ProduceRequest>>,
    ) -> Answer<Self::ProduceStreamStream> {
        let broker = Arc::clone(&self.broker);
        let limit_bytes = self.limit_bytes;
        let requests = request.into_inner().map(move |request| {
            request.map_err(|status| crate::error::of_request(status, limit_bytes))
        });
        let answers = produce_stream::ProduceStream::new(broker, requests, self.stop.clone());
        Ok(Response::new(answers.boxed()))
    }

    async fn consume(&self, request: Request<ConsumeRequest>) -> Answer<Self::ConsumeStream> {
        let request = request.into_inner();
        let records = consume::consume(&self.broker, request, self.stop.clone()).await?;
        Ok(Response::new(records.boxed()))
    }

    async fn commit_offset(
        &self,
        request: Request<CommitOffsetRequest>,
    ) -> Answer<CommitOffsetResponse> {
        let committed = offsets::commit(&self.broker, request.into_inner()).await;
        committed.map(Response::new)
    }

    async fn seek(&self, request: Request<SeekRequest>) -> Answer<SeekResponse> {
        let moved = offsets::seek(&self.broker, request.into_inner()).await;
        moved.map(Response::new)
    }

    async fn list_consumers(
        &self,
        request: Request<ListConsumersRequest>,
    ) -> Answer<ListConsumersResponse> {
        let listed = consumers::list(&self.broker, request.into_inner()).await;
        listed.map(Response::new)
    }

    async fn reset_offset(
        &self,
        request: Request<ResetOffsetRequest>,
    ) -> Answer<ResetOffsetResponse> {
        let reset = consumers::reset(&self.broker, request.into_inner()).await;
        reset.map(Response::new)
    }
}
