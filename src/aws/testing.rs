//! A tiny AWS for the edge's tests: the real SDK talks to a local server that answers what the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::account::Account;
use super::settings::{AwsSettings, Rate};
use super::{Aws, transport};
use crate::baseline::{Cause, Observed};
use crate::engine::calls::{CallRecorder, Unrecorded};
use crate::engine::cloud::Target;

pub(super) const ACCOUNT: &str = "222222222222";
pub(super) const SECRET: &str = "verySecretAccessKey0123456789";

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The operation: `Action` of a query, the target of a JSON call, or for S3 `GET /path?query`.
    pub(super) operation: String,
    /// The parameters of a query.
    pub(super) form: BTreeMap<String, String>,
    /// Header names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Request {
    /// A parameter, or nothing.
    pub(super) fn param(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// The region of the signature.
    pub(super) fn region(&self) -> &str {
        self.headers["authorization"].split('/').nth(2).unwrap()
    }
}

/// What the server does.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A whole answer.
    Http(u16, String),
    /// An answer whose connection breaks half way through the body.
    Broken(String),
    /// The connection ends without an answer.
    Reset,
    /// No answer.
    Hang,
}

/// A successful answer.
pub(super) fn ok(body: impl Into<String>) -> Answer {
    Answer::Http(200, body.into())
}

/// An error in the shape of the query services (STS, IAM).
pub(super) fn query_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(
        status,
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>11111111-aaaa</RequestId></ErrorResponse>"
        ),
    )
}

/// An error in EC2's shape.
pub(super) fn ec2_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>22222222-bbbb</RequestID></Response>"
        ),
    )
}

/// An error in S3's shape.
pub(super) fn s3_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(
        status,
        format!("<Error><Code>{code}</Code><Message>{message}</Message><RequestId>33333333CCCC</RequestId></Error>"),
    )
}

/// An error in the shape of the JSON services (KMS).
pub(super) fn json_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(status, format!(r#"{{"__type": "{code}", "message": "{message}"}}"#))
}

/// An answer of IAM: the result's fields in the operation's envelope.
pub(super) fn iam(operation: &str, fields: &str) -> Answer {
    ok(format!(
        "<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{operation}Result>{fields}\
         </{operation}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

/// An answer of EC2.
pub(super) fn ec2(operation: &str, fields: &str) -> Answer {
    ok(format!(
        "<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>2</requestId>{fields}\
         </{operation}Response>"
    ))
}

/// The server; it goes when the test's runtime does.
pub(super) struct Server {
    pub(super) aws: Aws,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// Settings under which a test is over soon: three attempts without waiting, a second for each.
pub(super) fn fast() -> AwsSettings {
    let rate = Rate::new(10_000, 10_000);
    AwsSettings {
        attempt_timeout: Duration::from_secs(1),
        max_attempts: 3,
        initial_backoff: Duration::from_millis(1),
        ec2: rate,
        ec2_changes: rate,
        change_timeout: Duration::from_secs(3),
        iam: rate,
        s3: rate,
        kms: rate,
        service_quotas: rate,
        sts: rate,
        report_poll: Duration::from_millis(1),
        report_tries: 4,
        ..AwsSettings::default()
    }
}

/// A server whose answers are a function of the request and of the number of requests before it.
pub(super) async fn serve(
    settings: AwsSettings,
    answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
) -> Server {
    recorded(settings, Arc::new(Unrecorded), answer).await
}

/// The same, and somebody is told of every request.
pub(super) async fn recorded(
    settings: AwsSettings,
    recorder: Arc<dyn CallRecorder>,
    answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
    let log = Arc::clone(&requests);
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            tokio::spawn(async move { converse(stream, &log, &*answer).await });
        }
    });
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test");
    Server { aws: aws_recorded(&endpoint, Some(credentials), settings, recorder), requests }
}

/// The edge, pointed at an endpoint.
pub(super) fn aws(endpoint: &str, credentials: Option<Credentials>, settings: AwsSettings) -> Aws {
    aws_recorded(endpoint, credentials, settings, Arc::new(Unrecorded))
}

fn aws_recorded(
    endpoint: &str,
    credentials: Option<Credentials>,
    settings: AwsSettings,
    recorder: Arc<dyn CallRecorder>,
) -> Aws {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint);
    config.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
    let connections = transport::connections(settings.connect_timeout);
    Aws::over(&config.build(), connections, settings, recorder)
}

impl Server {
    /// The account, by the caller's own identity.
    pub(super) fn account(&self) -> Account {
        self.account_by(None, Duration::from_mins(1))
    }

    pub(super) fn account_by(&self, role_name: Option<&str>, deadline: Duration) -> Account {
        self.aws.account(&target(role_name), deadline)
    }

    /// The operations that were asked for, in order.
    pub(super) fn operations(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.operation).collect()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

pub(super) fn target(role_name: Option<&str>) -> Target {
    Target {
        account_id: ACCOUNT.to_owned(),
        role_name: role_name.map(str::to_owned),
        external_id: role_name.map(|_| "0f6c9a".to_owned()),
        session_name: "plumbline-payments".to_owned(),
    }
}

/// The cause of a unit that must be unknown.
pub(super) fn unknown<T: std::fmt::Debug>(observed: Observed<T>) -> Cause {
    match observed {
        Observed::Unknown(cause) => cause,
        Observed::Complete { value, .. } => panic!("complete: {value:?}"),
    }
}

/// The value of a unit that must be complete.
pub(super) fn complete<T: std::fmt::Debug>(observed: Observed<T>) -> T {
    match observed {
        Observed::Complete { value, .. } => value,
        Observed::Unknown(cause) => panic!("unknown: {cause:?}"),
    }
}

async fn converse(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &(impl Fn(&Request, usize) -> Answer + Send + Sync),
) {
    let Some(request) = read(&mut stream).await else { return };
    let before = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    // A client that gave up is no failure of the server.
    let _ = match answer(&request, before) {
        Answer::Http(status, body) => {
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
            stream.write_all(format!("{head}x-amzn-requestid: 4711-feed\r\n\r\n{body}").as_bytes()).await
        }
        Answer::Broken(body) => {
            let head = format!("HTTP/1.1 200 x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{head}{}", &body[..body.len() / 2]).as_bytes()).await
        }
        Answer::Reset => Ok(()),
        Answer::Hang => {
            tokio::time::sleep(Duration::from_mins(10)).await;
            Ok(())
        }
    };
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end + 4..].to_vec());
        }
    };
    let mut lines = head.lines();
    let start: Vec<&str> = lines.next()?.split(' ').collect();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(body).unwrap();
    let form: BTreeMap<String, String> = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), percent_encoding::percent_decode_str(value).decode_utf8_lossy().into()))
        .collect();
    let operation = match (form.get("Action"), headers.get("x-amz-target")) {
        (Some(action), _) => action.clone(),
        (None, Some(target)) => target.clone(),
        (None, None) => format!("{} {}", start[0], start[1]),
    };
    Some(Request { operation, form, headers, body })
}
