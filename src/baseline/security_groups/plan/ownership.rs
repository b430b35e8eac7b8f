//! From a group's name and tags to who else manages it. No IO.
//!
//! Another controller puts a rule back, or breaks without it. A group of the customer's own that a service's interface
//! uses bears none of these marks, and is nobody else's.

use crate::api::{OwnerTag, SecurityGroupRuleValue};
use crate::baseline::security_groups::SecurityGroup;
use crate::baseline::security_groups::allowed::matches;

/// Names that services give to the groups that they make for themselves, and whose they are; `*` stands for any
/// characters.
///
/// - <https://docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html>
/// - <https://docs.aws.amazon.com/waf/latest/developerguide/security-group-policies-common.html>
/// - <https://docs.aws.amazon.com/guardduty/latest/ug/runtime-monitoring-agent-resource-clean-up.html>
/// - <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/ec2-rds-connect.html>
/// - <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/lambda-rds-connect.html>
/// - <https://docs.aws.amazon.com/directoryservice/latest/admin-guide/ms_ad_getting_started_what_gets_created.html>
/// - <https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-man-sec-groups.html>
/// - <https://docs.aws.amazon.com/sagemaker/latest/dg/studio-notebooks-and-internet-access.html>
const NAMES: [(&str, &str); 18] = [
    ("eks-cluster-sg-*", "Amazon EKS"),
    ("FMManagedSecurityGroup*", "AWS Firewall Manager"),
    ("GuardDutyManagedSecurityGroup-*", "Amazon GuardDuty"),
    ("rds-ec2-*", "Amazon RDS"),
    ("ec2-rds-*", "Amazon RDS"),
    ("rds-lambda-*", "Amazon RDS"),
    ("lambda-rds-*", "Amazon RDS"),
    ("rds-rdsproxy-*", "Amazon RDS"),
    ("rdsproxy-lambda-*", "Amazon RDS"),
    ("lambda-rdsproxy-*", "Amazon RDS"),
    ("d-*_controllers", "AWS Directory Service"),
    ("d-*_workspacesMembers", "Amazon WorkSpaces"),
    ("aws-controltower-*", "AWS Control Tower"),
    ("ElasticMapReduce-*", "Amazon EMR"),
    ("ElasticMapReduceEditors-*", "Amazon EMR"),
    ("security-group-for-inbound-nfs-*", "Amazon SageMaker"),
    ("security-group-for-outbound-nfs-*", "Amazon SageMaker"),
    ("k8s-elb-*", "Kubernetes"),
];

/// The beginnings of the keys of tags by which controllers know what is theirs.
///
/// - <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/security_groups/>
/// - <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>
/// - <https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html>
/// - <https://cluster-api-aws.sigs.k8s.io/topics/bring-your-own-aws-infrastructure>
const TAGS: [(&str, &str); 12] = [
    ("elbv2.k8s.aws/", "the AWS Load Balancer Controller"),
    ("ingress.k8s.aws/", "the AWS Load Balancer Controller"),
    ("service.k8s.aws/", "the AWS Load Balancer Controller"),
    ("kubernetes.io/cluster/", "Kubernetes"),
    ("sigs.k8s.io/cluster-api-provider-aws/", "Cluster API"),
    ("services.k8s.aws/", "AWS Controllers for Kubernetes"),
    ("crossplane-", "Crossplane"),
    ("aws:cloudformation:", "AWS CloudFormation"),
    ("aws:eks:", "Amazon EKS"),
    ("aws:elasticmapreduce:", "Amazon EMR"),
    ("aws:servicecatalog:", "AWS Service Catalog"),
    ("GuardDutyManaged", "Amazon GuardDuty"),
];

/// Who else manages the group, as a sentence without a period that names the mark; `None` where no mark is known.
pub(super) fn of_group(group: &SecurityGroup, owned_elsewhere: &[OwnerTag]) -> Option<String> {
    let by_name = NAMES.iter().find(|(pattern, _)| matches(pattern, &group.name));
    let by_name = by_name.map(|(_, who)| format!("its name {} says that {who} manages the group", group.name));
    let tags = || group.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    by_name
        .or_else(|| of_tags(tags, owned_elsewhere).map(|(tag, who)| format!("{tag} says that {who} manages the group")))
}

/// The same of a rule, by its own tags.
pub(super) fn of_rule(rule: &SecurityGroupRuleValue, owned_elsewhere: &[OwnerTag]) -> Option<String> {
    let tags = || rule.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str()));
    let id = rule.rule_id.as_deref().unwrap_or("the rule");
    of_tags(tags, owned_elsewhere).map(|(tag, who)| format!("{tag} of {id} says that {who} manages the rule"))
}

fn of_tags<'a, I: Iterator<Item = (&'a str, &'a str)>>(
    tags: impl Fn() -> I,
    owned_elsewhere: &[OwnerTag],
) -> Option<(String, &'static str)> {
    let known = TAGS.iter().find_map(|(start, who)| {
        let (key, _) = tags().find(|(key, _)| key.starts_with(start))?;
        Some((format!("its tag {key}"), *who))
    });
    known.or_else(|| {
        let is_named = |owner: &&OwnerTag| {
            tags().any(|(key, value)| key == owner.key && owner.value.as_deref().is_none_or(|wanted| wanted == value))
        };
        let OwnerTag { key, value } = owned_elsewhere.iter().find(is_named)?;
        let tag = value.as_ref().map_or_else(|| key.clone(), |value| format!("{key}={value}"));
        Some((format!("its tag {tag}, which ownedElsewhere names,"), "somebody else"))
    })
}
