//! From the text of a bucket's policy to the little of it that is judged. No IO.

use super::Bucket;
use super::tls::{self, PlainHttp};
use crate::baseline::account::AccountIdentity;
use crate::baseline::policy_document::{Among, Effect, PolicyDocument, PolicyError, Statement};

/// What a bucket's policy says, as far as it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPolicy {
    /// Whether requests without TLS are denied.
    pub plain_http: PlainHttp,
    /// Whether it lets application or classic load balancers deliver their access logs, which need SSE-S3. A network
    /// load balancer's logs come from `delivery.logs.amazonaws.com` and may be encrypted with KMS.
    pub admits_load_balancer_logs: bool,
}

/// The services that deliver the access logs of load balancers: in regions, and on Outposts.
///
/// AWS, "Enable access logs for your Application Load Balancer":
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html>
const LOG_DELIVERY: [&str; 2] = ["logdelivery.elasticloadbalancing.amazonaws.com", "logdelivery.elb.amazonaws.com"];

/// The accounts from which load balancers deliver in regions that were opened before August 2022; the same page.
const LOG_DELIVERY_ACCOUNTS: [(&str, &str); 26] = [
    ("af-south-1", "098369216593"),
    ("ap-east-1", "754344448648"),
    ("ap-northeast-1", "582318560864"),
    ("ap-northeast-2", "600734575887"),
    ("ap-northeast-3", "383597477331"),
    ("ap-south-1", "718504428378"),
    ("ap-southeast-1", "114774131450"),
    ("ap-southeast-2", "783225319266"),
    ("ap-southeast-3", "589379963580"),
    ("ca-central-1", "985666609251"),
    ("cn-north-1", "638102146993"),
    ("cn-northwest-1", "037604701340"),
    ("eu-central-1", "054676820928"),
    ("eu-north-1", "897822967062"),
    ("eu-south-1", "635631232127"),
    ("eu-west-1", "156460612806"),
    ("eu-west-2", "652711504416"),
    ("eu-west-3", "009996457667"),
    ("me-south-1", "076674570225"),
    ("sa-east-1", "507241528517"),
    ("us-east-1", "127311923021"),
    ("us-east-2", "033677994240"),
    ("us-gov-east-1", "190560391635"),
    ("us-gov-west-1", "048591011584"),
    ("us-west-1", "027434742980"),
    ("us-west-2", "797873946194"),
];

impl BucketPolicy {
    /// Reads the policy of a bucket.
    ///
    /// # Errors
    ///
    /// Where it is no policy.
    pub fn read(text: &str, bucket: &Bucket, account: &AccountIdentity) -> Result<Self, PolicyError> {
        let document = PolicyDocument::parse(text)?;
        Ok(Self {
            plain_http: tls::judge(&document, &account.bucket_arn(&bucket.name)),
            admits_load_balancer_logs: document.statements.iter().any(|one| admits_logs(one, &bucket.region)),
        })
    }
}

/// Conditions are not looked at: they name the account or the load balancers whose logs come.
fn admits_logs(statement: &Statement, region: &str) -> bool {
    let Some(Among::These(principals)) = &statement.principal else { return false };
    let account = LOG_DELIVERY_ACCOUNTS.iter().find(|(of, _)| *of == region).map(|(_, account)| *account);
    let delivers = principals.services.iter().any(|service| LOG_DELIVERY.contains(&service.as_str()))
        || principals.aws.iter().any(|principal| account_of(principal).is_some_and(|id| Some(id) == account));
    statement.effect == Effect::Allow && delivers && statement.includes_action("s3:PutObject")
}

/// The account that a principal names as a whole: by id, or as `arn:PARTITION:iam::ID:root`.
fn account_of(principal: &str) -> Option<&str> {
    match principal.split(':').collect::<Vec<_>>().as_slice() {
        [id] | ["arn", _, "iam", "", id, "root"] => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(principal: &str, action: &str, region: &str) -> bool {
        let text = format!(
            r#"{{"Statement": {{"Effect": "Allow", "Principal": {principal}, "Action": "{action}",
                "Resource": "arn:aws:s3:::logs/*"}}}}"#
        );
        let bucket = Bucket { name: "logs".to_owned(), region: region.to_owned() };
        let account = AccountIdentity::from_caller("222222222222", "arn:aws:iam::222222222222:user/x").unwrap();
        BucketPolicy::read(&text, &bucket, &account).unwrap().admits_load_balancer_logs
    }

    #[test]
    fn s3_12_a_policy_lets_load_balancer_logs_in_by_service_or_by_the_account_of_its_region() {
        let service = r#"{"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}"#;
        assert!(admits(service, "s3:PutObject", "eu-west-1"));
        assert!(admits(service, "s3:*", "il-central-1"));
        assert!(admits(r#"{"AWS": "arn:aws:iam::156460612806:root"}"#, "s3:Put*", "eu-west-1"));
        assert!(admits(r#"{"AWS": ["222222222222", "156460612806"]}"#, "s3:PutObject", "eu-west-1"));
    }

    #[test]
    fn s3_12_others_that_may_write_are_no_load_balancers() {
        assert!(!admits(r#"{"Service": "delivery.logs.amazonaws.com"}"#, "s3:PutObject", "eu-west-1"));
        assert!(!admits(r#"{"AWS": "arn:aws:iam::156460612806:root"}"#, "s3:PutObject", "us-east-1"));
        assert!(!admits(r#"{"AWS": "arn:aws:iam::156460612806:root"}"#, "s3:GetObject", "eu-west-1"));
        assert!(!admits(r#""*""#, "s3:PutObject", "eu-west-1"));
    }
}
