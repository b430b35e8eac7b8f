//! The control `s3Encryption`: what is observed of buckets and keys, and how they are judged. No IO.

/// A bucket of `s3:ListBuckets`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// The name.
    pub name: String,
    /// `BucketRegion`
    pub region: String,
}

/// The default encryption of a bucket (`s3:GetBucketEncryption`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketEncryption {
    /// `SSEAlgorithm` as AWS says it: `AES256`, `aws:kms`, `aws:kms:dsse`.
    pub algorithm: String,
    /// `KMSMasterKeyID`: a key id, key ARN, alias name or alias ARN; absent for the AWS-managed key.
    pub kms_key_id: Option<String>,
    /// `BucketKeyEnabled`
    pub bucket_key_enabled: bool,
    /// `BlockedEncryptionTypes`: empty where absent.
    pub blocked_encryption_types: Vec<String>,
}

/// Who manages a KMS key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "KMS's own words")]
pub enum KeyManager {
    Aws,
    Customer,
}

/// A key as `kms:DescribeKey` returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// The ARN of the key (never of an alias).
    pub arn: String,
    /// `KeyState`: `Enabled`, `Disabled`, `PendingDeletion`, ...
    pub state: String,
    /// `KeyManager`
    pub manager: KeyManager,
    /// `KeySpec`: `SYMMETRIC_DEFAULT`, `RSA_2048`, `HMAC_256`, ...
    pub spec: String,
    /// `KeyUsage`: `ENCRYPT_DECRYPT`, ...
    pub usage: String,
}
