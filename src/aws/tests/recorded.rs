//! A small account as recorded answers, one for each operation that Plumbline reads with. Every list comes in two
//! pages, every control has something that passes and something that fails.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::aws::testing::{ACCOUNT, Answer, Request, ec2, iam, ok, query_error, s3_error};

/// The token of every list's second page.
pub(super) const SECOND: &str = "two";

const KEY: &str = "arn:aws:kms:eu-west-1:222222222222:key/1234";
const EVERYTHING: &str =
    "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D";
const DENIES_PLAIN_HTTP: &str = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*",
    "Resource": ["arn:aws:s3:::safe", "arn:aws:s3:::safe/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}}}}"#;
const REPORT: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,mfa_active,\
    access_key_1_active,access_key_1_last_used_date,access_key_2_active,access_key_2_last_used_date\n\
    <root_account>,arn:aws:iam::222222222222:root,2020-01-01T00:00:00+00:00,true,2021-01-01T00:00:00+00:00,\
    2020-01-01T00:00:00+00:00,true,false,N/A,false,N/A\n\
    alice,arn:aws:iam::222222222222:user/alice,2026-01-01T00:00:00+00:00,true,no_information,\
    2026-01-01T00:00:00+00:00,true,false,N/A,false,N/A\n\
    carol,arn:aws:iam::222222222222:user/carol,2026-01-01T00:00:00+00:00,true,no_information,\
    2026-01-01T00:00:00+00:00,false,false,N/A,false,N/A\n\
    deploy,arn:aws:iam::222222222222:user/deploy,2026-01-01T00:00:00+00:00,false,N/A,N/A,false,true,N/A,false,N/A\n";

/// The operation that a request asks for, as [`Operation`](crate::aws::operation::Operation) names it.
pub(super) fn name(request: &Request) -> String {
    let operation = request.operation.as_str();
    let bucket = |name: &str| format!("s3:{name}");
    match operation {
        "GetCallerIdentity" | "AssumeRole" => format!("sts:{operation}"),
        "TrentService.DescribeKey" => "kms:DescribeKey".to_owned(),
        _ if operation.contains("x-id=ListBuckets") => bucket("ListBuckets"),
        _ if operation.contains("?encryption") => bucket("GetBucketEncryption"),
        _ if operation.contains("?policy") => bucket("GetBucketPolicy"),
        _ if operation.contains("?logging") => bucket("GetBucketLogging"),
        _ if operation.starts_with("Describe") || operation == "GetManagedPrefixListEntries" => {
            format!("ec2:{operation}")
        }
        _ => format!("iam:{operation}"),
    }
}

/// Whether a request asks for a list's second page.
pub(super) fn is_second(request: &Request) -> bool {
    [request.param("Marker"), request.param("NextToken")].contains(&SECOND)
        || request.operation.contains("continuation-token=two")
}

/// The account; it has no credential report until one was asked for.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    has_report: AtomicBool,
}

impl Recorded {
    /// The answer to a request. With `endless`, the second page of a list says that it goes on after itself.
    pub(super) fn answer(&self, request: &Request, endless: bool) -> Answer {
        let page = Page { second: is_second(request), endless };
        let operation = name(request);
        let (service, operation) = operation.split_once(':').unwrap();
        match service {
            "sts" => sts(operation),
            "iam" => self.iam(operation, request, page),
            "ec2" => ec2_answer(operation, request, page),
            "s3" => s3(operation, request, page),
            _ => ok(format!(
                r#"{{"KeyMetadata": {{"KeyId": "1234", "Arn": "{KEY}", "KeyState": "Enabled",
                "KeyManager": "CUSTOMER", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}}}}"#
            )),
        }
    }

    fn iam(&self, operation: &str, request: &Request, page: Page) -> Answer {
        let user = request.param("UserName");
        match operation {
            "ListAccountAliases" => page.iam(operation, "AccountAliases", &["<member>shop</member>".to_owned()]),
            "GetAccountPasswordPolicy" => iam(
                operation,
                "<PasswordPolicy><MinimumPasswordLength>8</MinimumPasswordLength><RequireSymbols>false</RequireSymbols>\
                 <RequireNumbers>true</RequireNumbers><RequireUppercaseCharacters>false</RequireUppercaseCharacters>\
                 <RequireLowercaseCharacters>false</RequireLowercaseCharacters>\
                 <AllowUsersToChangePassword>true</AllowUsersToChangePassword></PasswordPolicy>",
            ),
            "GetAccountSummary" => iam(operation, &format!("<SummaryMap>{}</SummaryMap>", summary())),
            "ListUsers" => page.iam(operation, "Users", &["alice", "carol", "deploy"].map(listed)),
            "GetLoginProfile" if user == "deploy" => {
                query_error(404, "NoSuchEntity", "Login Profile for User deploy cannot be found.")
            }
            "GetLoginProfile" => iam(
                operation,
                &format!(
                    "<LoginProfile><UserName>{user}</UserName><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
                     </LoginProfile>"
                ),
            ),
            "ListMFADevices" if user == "alice" => page.iam(
                operation,
                "MFADevices",
                &["<member><UserName>alice</UserName><SerialNumber>arn:aws:iam::222222222222:mfa/alice</SerialNumber>\
                    <EnableDate>2026-01-01T00:00:00Z</EnableDate></member>"
                    .to_owned()],
            ),
            "ListMFADevices" => page.iam(operation, "MFADevices", &[]),
            "ListVirtualMFADevices" => page.iam(operation, "VirtualMFADevices", &[]),
            "GetAccountAuthorizationDetails" => page.iam(operation, "UserDetailList", &["alice", "carol"].map(grants)),
            "GenerateCredentialReport" => {
                self.has_report.store(true, Ordering::SeqCst);
                iam(operation, "<State>STARTED</State>")
            }
            _ if !self.has_report.load(Ordering::SeqCst) => query_error(410, "ReportNotPresent", "none"),
            _ => iam(
                operation,
                &format!(
                    "<Content>{}</Content><ReportFormat>text/csv</ReportFormat><GeneratedTime>{}</GeneratedTime>",
                    aws_smithy_types::base64::encode(REPORT),
                    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ"),
                ),
            ),
        }
    }
}

/// Which page of a list is asked for.
#[derive(Clone, Copy)]
struct Page {
    second: bool,
    endless: bool,
}

impl Page {
    /// The page's items, and the token of the next one.
    fn of(self, items: &[String]) -> (String, Option<&'static str>) {
        let (first, second) = items.split_at(items.len() / 2);
        let items = if self.second { second } else { first };
        (items.concat(), (!self.second || self.endless).then_some(SECOND))
    }

    fn iam(self, operation: &str, list: &str, items: &[String]) -> Answer {
        let (items, next) = self.of(items);
        let next = next.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |next| {
            format!("<IsTruncated>true</IsTruncated><Marker>{next}</Marker>")
        });
        iam(operation, &format!("<{list}>{items}</{list}>{next}"))
    }

    fn ec2(self, operation: &str, list: &str, items: &[String]) -> Answer {
        let (items, next) = self.of(items);
        let next = next.unwrap_or_default();
        ec2(operation, &format!("<{list}>{items}</{list}><nextToken>{next}</nextToken>"))
    }
}

fn sts(operation: &str) -> Answer {
    let fields = match operation {
        "AssumeRole" => {
            "<Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        }
        _ => "<Arn>arn:aws:iam::222222222222:user/auditor</Arn><UserId>AIDA</UserId><Account>222222222222</Account>",
    };
    iam(operation, fields)
}

fn summary() -> String {
    let entries = [
        ("AccountMFAEnabled", 1),
        ("AccountPasswordPresent", 1),
        ("AccountAccessKeysPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
    ];
    entries.map(|(key, value)| format!("<entry><key>{key}</key><value>{value}</value></entry>")).concat()
}

fn listed(user: &str) -> String {
    format!(
        "<member><Path>/</Path><UserName>{user}</UserName><UserId>AIDA{user}</UserId>\
         <Arn>arn:aws:iam::222222222222:user/{user}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
    )
}

fn grants(user: &str) -> String {
    format!(
        "<member><UserName>{user}</UserName><UserPolicyList><member><PolicyName>p</PolicyName>\
         <PolicyDocument>{EVERYTHING}</PolicyDocument></member></UserPolicyList></member>"
    )
}

fn ec2_answer(operation: &str, request: &Request, page: Page) -> Answer {
    let home = request.region() == "us-east-1";
    match operation {
        "DescribeRegions" => {
            let region = |name: &str| {
                format!("<item><regionName>{name}</regionName><optInStatus>opt-in-not-required</optInStatus></item>")
            };
            let regions = ["eu-west-1", "us-east-1"].map(region).concat();
            ec2(operation, &format!("<regionInfo>{regions}</regionInfo>"))
        }
        "DescribeSecurityGroupRules" if home => {
            page.ec2(operation, "securityGroupRuleSet", &[rule("sgr-9", "sg-9", 22, WORLD)])
        }
        "DescribeSecurityGroupRules" => page.ec2(
            operation,
            "securityGroupRuleSet",
            &[
                rule("sgr-1", "sg-1", 443, WORLD),
                rule("sgr-2", "sg-1", 22, WORLD),
                rule("sgr-3", "sg-2", 22, WORLD),
                rule("sgr-4", "sg-3", 3389, "<prefixListId>pl-1</prefixListId>"),
                rule("sgr-5", "sg-0", 80, "<referencedGroupInfo><groupId>sg-0</groupId></referencedGroupInfo>"),
            ],
        ),
        "DescribeSecurityGroups" => {
            let is_asked = |(id, name): &&(&str, &str)| {
                request.form.iter().any(|(key, value)| key.contains("Value") && (value == id || value == name))
            };
            let all: &[(&str, &str)] = if home {
                &[("sg-8", "default"), ("sg-9", "bastion-9")]
            } else {
                &[("sg-0", "default"), ("sg-1", "web"), ("sg-2", "bastion-2"), ("sg-3", "office")]
            };
            let groups: Vec<String> = all.iter().filter(is_asked).map(|(id, name)| group(id, name)).collect();
            page.ec2(operation, "securityGroupInfo", &groups)
        }
        "DescribeNetworkInterfaces" => {
            let groups = "<groupSet><item><groupId>sg-1</groupId></item></groupSet>";
            let interface = format!("<item><networkInterfaceId>eni-1</networkInterfaceId>{groups}</item>");
            page.ec2(operation, "networkInterfaceSet", &[interface])
        }
        "DescribeManagedPrefixLists" => {
            let list = format!(
                "<item><prefixListId>pl-1</prefixListId><prefixListName>all</prefixListName>\
                 <ownerId>{ACCOUNT}</ownerId></item>"
            );
            ec2(operation, &format!("<prefixListSet>{list}</prefixListSet>"))
        }
        _ => {
            let entries = ["0.0.0.0/1", "128.0.0.0/1"].map(|cidr| format!("<item><cidr>{cidr}</cidr></item>"));
            page.ec2(operation, "entrySet", &entries)
        }
    }
}

const WORLD: &str = "<cidrIpv4>0.0.0.0/0</cidrIpv4>";

fn rule(id: &str, group: &str, port: u16, peer: &str) -> String {
    format!(
        "<item><securityGroupRuleId>{id}</securityGroupRuleId><groupId>{group}</groupId>\
         <groupOwnerId>{ACCOUNT}</groupOwnerId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>\
         <fromPort>{port}</fromPort><toPort>{port}</toPort>{peer}</item>"
    )
}

fn group(id: &str, name: &str) -> String {
    format!("<item><ownerId>{ACCOUNT}</ownerId><groupId>{id}</groupId><groupName>{name}</groupName></item>")
}

fn s3(operation: &str, request: &Request, page: Page) -> Answer {
    let is_safe = request.operation.starts_with("GET /safe");
    match operation {
        "ListBuckets" => {
            let bucket =
                |(name, region)| format!("<Bucket><Name>{name}</Name><BucketRegion>{region}</BucketRegion></Bucket>");
            let buckets = [("plain", "eu-west-1"), ("safe", "eu-west-1"), ("third", "us-east-1")].map(bucket);
            let (buckets, next) = page.of(&buckets);
            let next = next.map(|next| format!("<ContinuationToken>{next}</ContinuationToken>")).unwrap_or_default();
            ok(format!("<ListAllMyBucketsResult><Buckets>{buckets}</Buckets>{next}</ListAllMyBucketsResult>"))
        }
        "GetBucketEncryption" => {
            let default = if is_safe {
                format!("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{KEY}</KMSMasterKeyID>")
            } else {
                "<SSEAlgorithm>AES256</SSEAlgorithm>".to_owned()
            };
            ok(format!(
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>{default}\
                 </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>{is_safe}</BucketKeyEnabled></Rule>\
                 </ServerSideEncryptionConfiguration>"
            ))
        }
        "GetBucketPolicy" if is_safe => ok(DENIES_PLAIN_HTTP),
        "GetBucketPolicy" => s3_error(404, "NoSuchBucketPolicy", "The bucket policy does not exist"),
        _ => ok("<BucketLoggingStatus></BucketLoggingStatus>"),
    }
}
