//! Reflection in both versions, and health.

use futures_util::stream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::server::Server;

/// One conversation with the reflection service of a version.
macro_rules! reflect {
    ($version:ident, $server:expr, $request:expr) => {{
        use tonic_reflection::pb::$version as pb;
        let channel = $server.channel.clone();
        let mut client = pb::server_reflection_client::ServerReflectionClient::new(channel);
        let request = pb::ServerReflectionRequest {
            host: String::new(),
            message_request: Some($request),
        };
        let answers = client
            .server_reflection_info(stream::iter([request]))
            .await
            .expect("it begins");
        let answer = answers.into_inner().message().await.expect("it goes on");
        answer
            .expect("an answer")
            .message_response
            .expect("not empty")
    }};
}

macro_rules! check_reflection {
    ($version:ident, $server:expr) => {{
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let list = MessageRequest::ListServices(String::new());
        let MessageResponse::ListServicesResponse(listed) = reflect!($version, $server, list)
        else {
            panic!("services were asked for")
        };
        let names: Vec<_> = listed.service.into_iter().map(|found| found.name).collect();
        for expected in ["broker.Broker", "grpc.health.v1.Health"] {
            assert!(
                names.iter().any(|name| name == expected),
                "{expected} in {names:?}"
            );
        }
        for symbol in ["broker.Broker.Produce", "google.rpc.ErrorInfo"] {
            let request = MessageRequest::FileContainingSymbol(symbol.into());
            let answer = reflect!($version, $server, request);
            let MessageResponse::FileDescriptorResponse(files) = answer else {
                panic!("a file was asked for: {symbol}")
            };
            assert_eq!(files.file_descriptor_proto.len(), 1, "{symbol}");
        }
    }};
}

#[tokio::test]
async fn reflection_tells_the_services() {
    let server = Server::start().await;
    check_reflection!(v1, server);
    check_reflection!(v1alpha, server);
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

#[tokio::test]
async fn health_is_serving_until_the_stop() {
    let server = Server::start().await;
    let mut client = HealthClient::new(server.channel.clone());
    for service in ["", "broker.Broker"] {
        let answer = client.check(of(service)).await.expect("known");
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
    let unknown = client.check(of("broker.Other")).await;
    assert_eq!(unknown.expect_err("unknown").code(), Code::NotFound);
    let mut seen = Vec::new();
    for service in ["broker.Broker", "broker.Other"] {
        let watch = client.watch(of(service)).await.expect("it begins");
        let mut watch = watch.into_inner();
        let first = watch.message().await.expect("it goes on");
        seen.push((watch, first.expect("an answer").status()));
    }
    assert_eq!(seen[0].1, ServingStatus::Serving);
    assert_eq!(seen[1].1, ServingStatus::ServiceUnknown);
    server.stop.send_replace(true);
    let answer = client.check(of("")).await.expect("known");
    assert_eq!(answer.into_inner().status(), ServingStatus::NotServing);
    let (watch, _) = &mut seen[0];
    let last = watch.message().await.expect("it goes on");
    assert_eq!(last.expect("an answer").status(), ServingStatus::NotServing);
    assert!(watch.message().await.expect("a good end").is_none());
}
