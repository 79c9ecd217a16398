//! Without an authorizer every question about access lists has one answer.

use kafka_wire::messages::create_acls::AclCreation;
use kafka_wire::messages::delete_acls::DeleteAclsFilter;

use super::*;
use crate::harness::Harness;

#[tokio::test]
async fn each_question_is_refused_by_itself() {
    let harness = Harness::new().await;
    for version in 1..=3 {
        let described = harness.ask(version, &DescribeAclsRequest::default()).await;
        assert_eq!(described.error_code, 54);
        assert!(described.resources.is_empty());
        for count in [0, 1, 3] {
            let create = CreateAclsRequest {
                creations: vec![AclCreation::default(); count],
            };
            let created = harness.ask(version, &create).await.results;
            let codes: Vec<i16> = created.iter().map(|result| result.error_code).collect();
            assert_eq!(codes, vec![54; count]);
            let delete = DeleteAclsRequest {
                filters: vec![DeleteAclsFilter::default(); count],
            };
            let deleted = harness.ask(version, &delete).await.filter_results;
            let codes: Vec<i16> = deleted.iter().map(|result| result.error_code).collect();
            assert_eq!(codes, vec![54; count]);
        }
    }
}
