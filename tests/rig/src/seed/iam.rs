//! Alias, password policy, groups, policies, users.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

use super::Seeded;
use super::client::Client;
use super::document::{Document, Mfa, PasswordPolicy, User};

/// What the emulator takes for every code; it checks none.
const CODES: [(&str, &str); 2] = [("AuthenticationCode1", "123456"), ("AuthenticationCode2", "654321")];

pub(super) async fn seed(client: &Client, document: &Document, seeded: &mut Seeded) -> anyhow::Result<()> {
    if let Some(alias) = &document.alias {
        client.iam("CreateAccountAlias", &[("AccountAlias", alias)]).await?;
    }
    if let Some(policy) = &document.password_policy {
        set_password_policy(client, policy).await?;
    }
    for role in &document.roles {
        create_role(client, &role.name).await?;
    }
    for device in &document.unassigned_virtual_devices {
        client.iam("CreateVirtualMFADevice", &[("VirtualMFADeviceName", device)]).await?;
    }
    for policy in &document.policies {
        let body = policy.document.to_string();
        let answer = client.iam("CreatePolicy", &[("PolicyName", &policy.name), ("PolicyDocument", &body)]).await?;
        let arn = answer.find("Arn").context("CreatePolicy answered no ARN")?.text.clone();
        seeded.policies.insert(policy.name.clone(), arn);
    }
    for group in &document.groups {
        let holder = ("GroupName", group.name.as_str());
        client.iam("CreateGroup", &[holder]).await?;
        grant(client, "Group", holder, &group.policies, &group.inline_policies, seeded).await?;
    }
    for user in &document.users {
        create_user(client, user, seeded).await.with_context(|| format!("user {}", user.name))?;
    }
    Ok(())
}

async fn set_password_policy(client: &Client, policy: &PasswordPolicy) -> anyhow::Result<()> {
    let PasswordPolicy {
        minimum_password_length,
        require_uppercase_characters,
        require_lowercase_characters,
        require_numbers,
        require_symbols,
        password_reuse_prevention,
        max_password_age,
        hard_expiry,
        allow_users_to_change_password,
    } = policy;
    let numbers = [
        ("MinimumPasswordLength", minimum_password_length),
        ("PasswordReusePrevention", password_reuse_prevention),
        ("MaxPasswordAge", max_password_age),
    ];
    let flags = [
        ("RequireUppercaseCharacters", require_uppercase_characters),
        ("RequireLowercaseCharacters", require_lowercase_characters),
        ("RequireNumbers", require_numbers),
        ("RequireSymbols", require_symbols),
        ("HardExpiry", hard_expiry),
        ("AllowUsersToChangePassword", allow_users_to_change_password),
    ];
    let numbers = numbers.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.to_string())));
    let flags = flags.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.to_string())));
    let all: Vec<(&str, String)> = numbers.chain(flags).collect();
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.iam("UpdateAccountPasswordPolicy", &all).await.map(drop)
}

async fn create_role(client: &Client, name: &str) -> anyhow::Result<()> {
    let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    ]});
    let (path, name) = name.trim_start_matches('/').rsplit_once('/').unwrap_or(("", name));
    let path = if path.is_empty() { "/".to_owned() } else { format!("/{path}/") };
    let parameters = [("RoleName", name), ("Path", path.as_str()), ("AssumeRolePolicyDocument", &trust.to_string())];
    client.iam("CreateRole", &parameters).await.map(drop)
}

async fn create_user(client: &Client, user: &User, seeded: &mut Seeded) -> anyhow::Result<()> {
    let holder = ("UserName", user.name.as_str());
    let answer = client.iam("CreateUser", &[holder, ("Path", user.path.as_deref().unwrap_or("/"))]).await?;
    let arn = answer.find("Arn").context("CreateUser answered no ARN")?.text.clone();
    seeded.users.insert(user.name.clone(), arn);
    if user.password {
        client.iam("CreateLoginProfile", &[holder, ("Password", "Not-A-Secret-1")]).await?;
    }
    for (index, mfa) in user.mfa.iter().enumerate() {
        let serial = serial_number(client, user, *mfa, index).await?;
        let mut parameters = vec![holder, ("SerialNumber", serial.as_str())];
        parameters.extend(CODES);
        client.iam("EnableMFADevice", &parameters).await?;
    }
    for index in 0..user.access_keys + user.inactive_access_keys {
        let answer = client.iam("CreateAccessKey", &[holder]).await?;
        let key = answer.find("AccessKeyId").context("CreateAccessKey answered no id")?.text.clone();
        if index >= user.access_keys {
            client.iam("UpdateAccessKey", &[holder, ("AccessKeyId", &key), ("Status", "Inactive")]).await?;
        }
        seeded.access_keys.entry(user.name.clone()).or_default().push(key);
    }
    for group in &user.groups {
        client.iam("AddUserToGroup", &[holder, ("GroupName", group)]).await?;
    }
    grant(client, "User", holder, &user.policies, &user.inline_policies, seeded).await
}

/// The serial number of a new device of this kind; virtual ones have to exist before they are enabled.
async fn serial_number(client: &Client, user: &User, mfa: Mfa, index: usize) -> anyhow::Result<String> {
    let (account, name) = (&client.account, &user.name);
    Ok(match mfa {
        Mfa::Virtual => {
            let device = format!("{name}-{index}");
            let answer = client.iam("CreateVirtualMFADevice", &[("VirtualMFADeviceName", &device)]).await?;
            answer.find("SerialNumber").context("CreateVirtualMFADevice answered no serial")?.text.clone()
        }
        Mfa::Fido => format!("arn:aws:iam::{account}:u2f/user/{name}/key-{index}-ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        // Gemalto's serials: four letters and eight digits. Never two alike in an account.
        Mfa::HardwareTotp => {
            format!("GAHT{:08}", name.bytes().fold(index, |sum, byte| sum * 31 % 99_999_989 + usize::from(byte)))
        }
        Mfa::Sms => format!("arn:aws:iam::{account}:sms-mfa/{name}-{index}"),
    })
}

/// Attaches managed policies and puts inline ones, to a user or to a group.
async fn grant(
    client: &Client,
    kind: &str,
    holder: (&str, &str),
    managed: &[String],
    inline: &BTreeMap<String, Value>,
    seeded: &Seeded,
) -> anyhow::Result<()> {
    for policy in managed {
        let arn = seeded.policies.get(policy).unwrap_or(policy);
        client.iam(&format!("Attach{kind}Policy"), &[holder, ("PolicyArn", arn)]).await?;
    }
    for (name, document) in inline {
        let body = document.to_string();
        let parameters = [holder, ("PolicyName", name.as_str()), ("PolicyDocument", &body)];
        client.iam(&format!("Put{kind}Policy"), &parameters).await?;
    }
    Ok(())
}
