//! ListGroups, by state (KIP-518) and by type (KIP-848).

use broker::GroupListing;
use kafka_wire::WireString;
use kafka_wire::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use crate::Context;

/// First version that shows and filters by state.
const STATES_FROM: i16 = 4;
/// First version that shows and filters by type.
const TYPES_FROM: i16 = 5;
/// The only type of group that there is.
const CLASSIC: &str = "classic";

pub(crate) async fn handle(context: Context, request: ListGroupsRequest) -> ListGroupsResponse {
    let is_asked = |asked: &[WireString], name: &str| {
        asked.is_empty() || asked.iter().any(|asked| asked.eq_ignore_ascii_case(name))
    };
    let listed = context.broker().groups().list().into_iter();
    let groups = listed
        .filter(|_| is_asked(&request.types_filter, CLASSIC))
        .filter(|group| is_asked(&request.states_filter, group.state.name()))
        .map(|group| row(group, context.version));
    ListGroupsResponse {
        groups: groups.collect(),
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
        group_type: shown(TYPES_FROM, CLASSIC),
        group_id: group.group.into(),
        protocol_type: group.protocol_type.into(),
    }
}
