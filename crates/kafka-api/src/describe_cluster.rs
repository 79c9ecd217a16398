//! DescribeCluster (KIP-700, KIP-919, KIP-1073).

use kafka_wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};
use kafka_wire::{ErrorCode, WireString};

use crate::Context;
use crate::metadata::{CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED};

/// The endpoints of brokers.
const BROKERS: i8 = 1;
/// The endpoints of controllers: this port does not speak for them, as Kafka's brokers do not.
const CONTROLLERS: i8 = 2;

pub(crate) async fn handle(
    context: Context,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != BROKERS {
        let (code, message) = if request.endpoint_type == CONTROLLERS {
            let message = "this endpoint is a broker, not a controller";
            (ErrorCode::MismatchedEndpointType, message.to_owned())
        } else {
            let message = format!("endpoint type {} is not known", request.endpoint_type);
            (ErrorCode::UnsupportedEndpointType, message)
        };
        return DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(message.into()),
            ..Default::default()
        };
    }
    let config = context.broker().config();
    let (host, port) = context.advertised();
    let node = DescribeClusterBroker {
        broker_id: config.node_id,
        host: host.into(),
        port: i32::from(port),
        rack: config.rack.as_ref().map(WireString::from),
        is_fenced: false,
    };
    let operations = request.include_cluster_authorized_operations;
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: context.broker().cluster_id().into(),
        controller_id: config.node_id,
        brokers: vec![node],
        cluster_authorized_operations: if operations {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_NOT_ASKED
        },
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
