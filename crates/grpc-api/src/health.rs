//! grpc.health.v1: SERVING for the process and for `broker.Broker` until the broker stops.
//!
//! A watcher is told of the stop, and then its stream ends, so that it does not hold the stop up.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// What the broker is called here; the empty name stands for the whole process.
const SERVICES: [&str; 2] = ["", "broker.Broker"];

/// The health service.
pub(crate) fn service(stop: watch::Receiver<bool>) -> HealthServer<impl Health> {
    HealthServer::new(HealthOfBroker { stop })
}

#[derive(Debug)]
struct HealthOfBroker {
    stop: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl Health for HealthOfBroker {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !is_known(service) {
            let message = format!("there is no service {service:?} here");
            return Err(Status::not_found(message));
        }
        let status = if *self.stop.borrow() {
            ServingStatus::NotServing
        } else {
            ServingStatus::Serving
        };
        Ok(Response::new(answer(status)))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let is_known = is_known(&request.get_ref().service);
        // The protocol wants an unknown service watched too: it might appear.
        let (now, at_stop) = if is_known {
            (ServingStatus::Serving, ServingStatus::NotServing)
        } else {
            (ServingStatus::ServiceUnknown, ServingStatus::ServiceUnknown)
        };
        let mut stop = self.stop.clone();
        let now = stream::once(std::future::ready(Ok(answer(now))));
        let stopped = stream::once(async move {
            // A sender that is gone has stopped too.
            let _ = stop.wait_for(|stopped| *stopped).await;
            Ok(answer(at_stop))
        });
        Ok(Response::new(now.chain(stopped).boxed()))
    }
}

fn is_known(service: &str) -> bool {
    SERVICES.contains(&service)
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
