use crate::api::AvailabilityZone;
use crate::aws::operation::{self, Operation};
use crate::aws::testing::{Answer, Request, complete, ec2, fast, ok, serve, unknown};
use crate::aws::tests::faults::{FOR_ACCOUNT_STATUS, Fault, no_fault_is_an_answer};
use crate::baseline::{Cause, CauseClass};
use crate::engine::cloud::Cloud;
const REGION: &str = "eu-west-1";

fn zones(items: &[(&str, &str, &str)]) -> Answer {
    let item = |(name, id, kind): &(&str, &str, &str)| {
        format!("<item><zoneName>{name}</zoneName><zoneId>{id}</zoneId><zoneType>{kind}</zoneType></item>")
    };
    let items: String = items.iter().map(item).collect();
    ec2("DescribeAvailabilityZones", &format!("<availabilityZoneInfo>{items}</availabilityZoneInfo>"))
}

fn quota(value: &str) -> Answer {
    ok(format!(r#"{{"Quota": {{"ServiceCode": "vpc", "QuotaCode": "L-0EA8095F", "Value": {value}}}}}"#))
}

fn plain(request: &Request) -> Answer {
    match request.operation.as_str() {
        "DescribeAvailabilityZones" => zones(&[
            ("eu-west-1b", "euw1-az1", "availability-zone"),
            ("eu-west-1a", "euw1-az3", "availability-zone"),
            ("eu-west-1-lhr-1a", "euw1-lhr1-az1", "local-zone"),
        ]),
        _ => quota("120.0"),
    }
}

#[tokio::test]
async fn zones_are_those_of_the_region_itself_sorted_by_name() {
    let server = serve(fast(), |request, _| plain(request)).await;
    let found = complete(server.account().availability_zones(REGION).await);
    let zone = |name: &str, id: &str| AvailabilityZone { name: name.to_owned(), id: id.to_owned() };
    assert_eq!(found, [zone("eu-west-1a", "euw1-az3"), zone("eu-west-1b", "euw1-az1")]);
    let request = &server.requests()[0];
    assert_eq!((request.region(), request.param("AllAvailabilityZones")), (REGION, "false"));
    assert_eq!((request.param("Filter.1.Name"), request.param("Filter.1.Value.1")), ("zone-type", "availability-zone"));
}

#[tokio::test]
async fn the_quota_is_the_one_of_the_region_and_a_number_without_a_fraction() {
    let server = serve(fast(), |request, _| plain(request)).await;
    assert_eq!(complete(server.account().rules_per_group_quota(REGION).await), 120);
    let request = &server.requests()[0];
    assert_eq!((request.region(), &*request.operation), (REGION, "ServiceQuotasV20190624.GetServiceQuota"));
    assert!(request.body.contains("vpc") && request.body.contains("L-0EA8095F"), "{}", request.body);
}

#[tokio::test]
async fn p5_an_answer_that_leaves_something_out_is_none() {
    let half = |_: &Request, _| zones(&[("eu-west-1a", "", "availability-zone")]);
    assert_eq!(
        unknown(serve(fast(), half).await.account().availability_zones(REGION).await).class,
        CauseClass::Malformed
    );
    let none = |_: &Request, _| zones(&[]);
    assert_eq!(
        unknown(serve(fast(), none).await.account().availability_zones(REGION).await).class,
        CauseClass::Malformed
    );
    for value in ["null", "-1.0", "1e300"] {
        let server = serve(fast(), move |_, _| quota(value)).await;
        let cause = unknown(server.account().rules_per_group_quota(REGION).await);
        assert_eq!(cause.class, CauseClass::Malformed, "{value}");
    }
}

async fn cause_of(operation: Operation, fault: Fault) -> (Cause, usize) {
    let server = serve(fast(), move |request, _| fault.answer(operation, plain(request))).await;
    let account = server.account();
    let cause = if operation == operation::GET_SERVICE_QUOTA {
        unknown(account.rules_per_group_quota(REGION).await)
    } else {
        unknown(account.availability_zones(REGION).await)
    };
    (cause, server.requests().len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_no_read_for_the_status_that_fails_is_taken_for_an_answer() {
    no_fault_is_an_answer(FOR_ACCOUNT_STATUS, cause_of).await;
}
