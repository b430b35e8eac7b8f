//! Service Quotas: what an account was granted.

use super::super::shape::Answer;
use super::Known;

/// An account's own value: "`GetServiceQuota`" in the Service Quotas API reference returns the applied value, moto the
/// default of every account.
pub(super) fn of_account(known: Known<'_>, answer: &Answer) -> anyhow::Result<Answer> {
    let Some(value) = known.account().rules_per_group else { return Ok(answer.clone()) };
    if known.parameter("QuotaCode") != Some("L-0EA8095F") {
        return Ok(answer.clone());
    }
    let mut body: serde_json::Value = serde_json::from_slice(&answer.body)?;
    if let Some(quota) = body.get_mut("Quota").and_then(serde_json::Value::as_object_mut) {
        quota.insert("Value".to_owned(), f64::from(value).into());
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
    fn an_account_has_the_quota_that_it_was_granted() {
        let value = |code: &str, rules_per_group| {
            let body = serde_json::json!({"ServiceCode": "vpc", "QuotaCode": code}).to_string();
            let target = Some("ServiceQuotasV20190624.GetServiceQuota");
            let call = request("eu-west-1/servicequotas", "POST", "/", target, &body);
            let account = Account { rules_per_group, ..Account::unknown() };
            let said = said(200, r#"{"Quota": {"Value": 60.0}}"#);
            let answer = with_call(account, &call, |known| after(known, said).unwrap());
            serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["Quota"]["Value"].as_f64().unwrap()
        };
        assert!((value("L-0EA8095F", Some(100)) - 100.0).abs() < 0.1);
        assert!((value("L-0EA8095F", None) - 60.0).abs() < 0.1);
        assert!((value("L-2AFB9258", Some(100)) - 60.0).abs() < 0.1);
    }
}
