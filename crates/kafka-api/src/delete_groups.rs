//! DeleteGroups (KIP-229): a group without members, and its offsets.

use std::collections::BTreeSet;

use kafka_wire::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use crate::Context;
use crate::error::{Coded, error_message};

/// First version with a text beside the code.
const MESSAGE_FROM: i16 = 3;

pub(crate) async fn handle(context: Context, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut named = BTreeSet::new();
    let mut results = Vec::new();
    for group_id in request.groups_names {
        if !named.insert(group_id.clone()) {
            continue;
        }
        let error = context.broker().groups().delete(&group_id).await.err();
        let text = error.as_ref().map(ToString::to_string);
        results.push(DeletableGroupResult {
            group_id,
            error_code: error.map_or(0, |error| error.code().code()),
            error_message: text
                .filter(|_| context.version >= MESSAGE_FROM)
                .map(|text| error_message(&text)),
        });
    }
    DeleteGroupsResponse {
        results,
        ..Default::default()
    }
}
