//! InitProducerId: an id for an idempotent producer (KIP-98, KIP-360).

use kafka_wire::ErrorCode;
use kafka_wire::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use crate::Context;
use crate::error::Coded;

/// "None", in ids and epochs.
const NONE: i64 = -1;

pub(crate) async fn handle(
    context: Context,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refused = |code: ErrorCode| InitProducerIdResponse {
        error_code: code.code(),
        producer_id: NONE,
        producer_epoch: -1,
        ..Default::default()
    };
    if let Some(transactional_id) = &request.transactional_id {
        if transactional_id.is_empty() {
            return refused(ErrorCode::InvalidRequest);
        }
        let client = context.client_id.as_deref();
        tracing::warn!(
            client,
            "refused a transactional id: transactions are not built yet"
        );
        return refused(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    // Without a transactional id Kafka hands out a new id whatever id the client had.
    if (request.producer_id == NONE) != (request.producer_epoch == -1) {
        return refused(ErrorCode::InvalidRequest);
    }
    match context.broker().new_producer_id().await {
        Ok(identity) => InitProducerIdResponse {
            producer_id: identity.id,
            producer_epoch: identity.epoch,
            ..Default::default()
        },
        Err(error) => {
            tracing::warn!(%error, "no producer id could be given");
            refused(error.code())
        }
    }
}

#[cfg(test)]
mod tests;
