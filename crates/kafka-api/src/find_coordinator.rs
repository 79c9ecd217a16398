//! FindCoordinator (KIP-699 asks for several at once): this node coordinates every group.

use kafka_wire::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use kafka_wire::{ErrorCode, WireString};

use crate::Context;
use crate::error::error_message;

/// First version that asks for several.
const BATCHED_FROM: i16 = 4;
/// First version that knows coordinators of share groups.
const SHARES_FROM: i16 = 6;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

pub(crate) async fn handle(
    context: Context,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let kind = request.key_type;
    if context.version >= BATCHED_FROM {
        let keys = request.coordinator_keys.into_iter();
        return FindCoordinatorResponse {
            coordinators: keys.map(|key| find(&context, kind, key)).collect(),
            ..Default::default()
        };
    }
    let Coordinator {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..
    } = find(&context, kind, request.key);
    // Kafka puts the name of the code there, also where nothing went wrong.
    let error_message = error_message.or_else(|| Some("NONE".into()));
    FindCoordinatorResponse {
        error_code,
        error_message: error_message.filter(|_| context.version > 0),
        node_id,
        host,
        port,
        ..Default::default()
    }
}

fn find(context: &Context, kind: i8, key: WireString) -> Coordinator {
    let refusal = match kind {
        GROUP => None,
        TRANSACTION => Some((
            ErrorCode::TransactionalIdAuthorizationFailed,
            "transactions are not built yet",
        )),
        SHARE if context.version >= SHARES_FROM => {
            Some((ErrorCode::InvalidRequest, "share groups are not built yet"))
        }
        _ => Some((
            ErrorCode::InvalidRequest,
            "there is no such kind of coordinator",
        )),
    };
    if let Some((code, message)) = refusal {
        return Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: code.code(),
            error_message: Some(error_message(message)),
            ..Default::default()
        };
    }
    let (host, port) = context.advertised();
    Coordinator {
        key,
        node_id: context.broker().config().node_id,
        host: host.into(),
        port: i32::from(port),
        error_code: 0,
        error_message: None,
    }
}

#[cfg(test)]
mod tests;
