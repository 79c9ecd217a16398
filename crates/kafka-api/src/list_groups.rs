//! ListGroups, by state (KIP-518) and by type (KIP-848).

use broker::{GroupKind, GroupListing, GroupState};
use kafka_wire::WireString;
use kafka_wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use crate::Context;

/// First version that shows and filters by state.
const STATES_FROM: i16 = 4;
/// First version that shows and filters by type.
const TYPES_FROM: i16 = 5;

pub(crate) async fn handle(context: Context, request: ListGroupsRequest) -> ListGroupsResponse {
    let is_asked = |asked: &[WireString], name: &str| {
        asked.is_empty() || asked.iter().any(|asked| asked.eq_ignore_ascii_case(name))
    };
    let kinds: Vec<GroupKind> = GroupKind::ALL
        .into_iter()
        .filter(|kind| is_asked(&request.types_filter, kind.name()))
        .collect();
    // Once for each state, not for each group: the filters are as many as the client likes.
    let states: Vec<GroupState> = GroupState::ALL
        .into_iter()
        .filter(|state| is_asked(&request.states_filter, state.name()))
        .collect();
    let mut groups = Vec::new();
    for group in context.broker().groups().list() {
        tokio::task::consume_budget().await;
        if states.contains(&group.state) && kinds.contains(&group.kind) {
            groups.push(row(group, context.version));
        }
    }
    ListGroupsResponse {
        groups,
        ..Default::default()
    }
}

fn row(group: GroupListing, version: i16) -> ListedGroup {
    let shown = |from: i16, name: &str| {
        let name = if version >= from { name } else { "" };
        name.into()
    };
    ListedGroup {
        group_state: shown(STATES_FROM, group.state.name()),
        group_type: shown(TYPES_FROM, group.kind.name()),
        group_id: group.group.into(),
        protocol_type: group.protocol_type.into(),
    }
}
