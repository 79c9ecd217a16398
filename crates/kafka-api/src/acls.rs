//! DescribeAcls, CreateAcls and DeleteAcls: there is no authorizer, and Kafka without one (class
//! `AclApis`) refuses all three with SECURITY_DISABLED. MirrorMaker 2 asks, and goes on by this code.

use kafka_wire::messages::create_acls::AclCreationResult;
use kafka_wire::messages::delete_acls::DeleteAclsFilterResult;
use kafka_wire::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsRequest, DescribeAclsResponse,
};
use kafka_wire::{ErrorCode, WireString};

use crate::Context;

const CODE: i16 = ErrorCode::SecurityDisabled.code();
const DESCRIBE_WHY: &str = "No Authorizer is configured on the broker";
const ALTER_WHY: &str = "No Authorizer is configured.";

pub(crate) async fn describe(_: Context, _: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse {
        error_code: CODE,
        error_message: Some(DESCRIBE_WHY.into()),
        ..Default::default()
    }
}

pub(crate) async fn create(_: Context, request: CreateAclsRequest) -> CreateAclsResponse {
    let why: WireString = ALTER_WHY.into();
    let refused = |_| AclCreationResult {
        error_code: CODE,
        error_message: Some(why.clone()),
    };
    CreateAclsResponse {
        results: request.creations.iter().map(refused).collect(),
        ..Default::default()
    }
}

pub(crate) async fn delete(_: Context, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let why: WireString = ALTER_WHY.into();
    let refused = |_| DeleteAclsFilterResult {
        error_code: CODE,
        error_message: Some(why.clone()),
        ..Default::default()
    };
    DeleteAclsResponse {
        filter_results: request.filters.iter().map(refused).collect(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
