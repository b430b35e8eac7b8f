//! From KMS's answer to a key. IO through the account's clients.

use jiff::Timestamp;

use aws_sdk_kms::types::KeyManagerType;

use super::account::Account;
use super::error::{Failure, malformed};
use super::operation::DESCRIBE_KEY;
use super::paging::now;
use crate::baseline::Cause;
use crate::baseline::s3_encryption::{KeyManager, KmsKey};

impl Account {
    pub(super) async fn read_kms_key(&self, region: &str, key: &str) -> Result<(Option<KmsKey>, Timestamp), Cause> {
        let request = self.kms(region).describe_key().key_id(key).send();
        let answer = Failure::or_absent(self.call(DESCRIBE_KEY, region, request).await)?;
        let Some(answer) = answer else { return Ok((None, now())) };
        let missing = |field: &str| malformed(DESCRIBE_KEY, format!("the answer leaves out {field}"));
        let found = answer.key_metadata().ok_or_else(|| missing("KeyMetadata"))?;
        let key = KmsKey {
            arn: found.arn().ok_or_else(|| missing("Arn"))?.to_owned(),
            state: found.key_state().ok_or_else(|| missing("KeyState"))?.as_str().to_owned(),
            manager: match found.key_manager() {
                Some(KeyManagerType::Aws) => KeyManager::Aws,
                Some(KeyManagerType::Customer) => KeyManager::Customer,
                _ => return Err(missing("KeyManager")),
            },
            spec: found.key_spec().ok_or_else(|| missing("KeySpec"))?.as_str().to_owned(),
            usage: found.key_usage().ok_or_else(|| missing("KeyUsage"))?.as_str().to_owned(),
        };
        Ok((Some(key), now()))
    }
}

#[cfg(test)]
mod tests;
