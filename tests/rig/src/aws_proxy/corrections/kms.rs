//! KMS: who manages a key.

use super::super::shape::Answer;
use super::Known;

/// The keys behind `alias/aws/...` are AWS's: "`KeyMetadata`" in the KMS API reference; moto calls them the customer's.
/// moto's description of them is what tells them apart where the call names the key by id.
pub(super) fn correct_key(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let mut body: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let by_alias = known.request.resource.as_deref().is_some_and(|key| key.contains("alias/aws/"));
    if let Some(metadata) = body.get_mut("KeyMetadata").and_then(serde_json::Value::as_object_mut)
        && (by_alias || metadata.get("Description").is_some_and(|description| description == "Default key"))
    {
        metadata.insert("KeyManager".to_owned(), "AWS".into());
    }
    Ok(Answer { body: body.to_string().into(), ..answer.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::super::account::Account;
    use super::super::super::request::tests::request;
    use super::super::after;
    use super::super::tests::{said, with_call};

    #[test]
    fn s3_04_the_key_behind_an_aws_alias_is_awss() {
        let manager = |key: &str, description: &str| {
            let body = serde_json::json!({"KeyId": key}).to_string();
            let call = request("eu-west-1/kms", "POST", "/", Some("TrentService.DescribeKey"), &body);
            let said = said(
                200,
                &serde_json::json!({"KeyMetadata": {"KeyManager": "CUSTOMER", "Description": description}}).to_string(),
            );
            let answer = with_call(Account::unknown(), &call, |known| after(known, said).unwrap());
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            body["KeyMetadata"]["KeyManager"].as_str().unwrap().to_owned()
        };
        assert_eq!(manager("alias/aws/s3", ""), "AWS");
        assert_eq!(manager("some-id", "Default key"), "AWS");
        assert_eq!(manager("alias/mine", ""), "CUSTOMER");
    }
}
