//! The ordered record of the calls that a proxy saw, in memory and, where a path is given, as JSON lines.
//!
//! A call is in memory from its arrival and in the file when it ended, even if the caller hung up before an answer.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking::lock;
use serde::Serialize;

use super::parking;

/// One call as the proxy saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Its place in the order of arrival, across all proxies that share a sequence.
    pub seq: u64,
    /// The service as signatures name it: `iam`, `ec2`, `s3`, `kms`, `sts`.
    pub service: String,
    /// The operation as AWS's API reference names it.
    pub operation: String,
    /// The account whose credentials signed it.
    pub account: String,
    /// The region that it was signed for.
    pub region: String,
    /// What it is about, where it names one thing.
    pub resource: Option<String>,
    /// The HTTP status of the answer; none where there was no answer (yet).
    pub status: Option<u16>,
    /// Whether it changes something on AWS when it succeeds.
    pub mutating: bool,
    /// Which page of a list it asks for, from 1; none where the operation has no pages.
    pub page: Option<u32>,
    /// The fault that a rule applied to it.
    pub fault: Option<String>,
}

/// All calls of one proxy.
#[derive(Debug)]
pub(crate) struct Trace {
    sequence: Arc<AtomicU64>,
    calls: std::sync::Mutex<Vec<Call>>,
    file: Option<std::sync::Mutex<File>>,
}

impl Trace {
    pub(crate) fn new(sequence: Arc<AtomicU64>, file: Option<File>) -> Self {
        Self { sequence, calls: std::sync::Mutex::default(), file: file.map(std::sync::Mutex::new) }
    }

    /// Files a call that has just arrived and gives it its number.
    pub(crate) fn arrived(self: &Arc<Self>, mut call: Call) -> Recording {
        let mut calls = lock(&self.calls);
        // Taken under the lock, so that the list is in the order of its numbers.
        call.seq = self.sequence.fetch_add(1, Ordering::SeqCst);
        calls.push(call.clone());
        Recording { trace: Arc::clone(self), call }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    pub(crate) fn clear(&self) {
        lock(&self.calls).clear();
    }
}

/// A call in progress; filed with what is known of it when this value is dropped.
#[derive(Debug)]
pub(crate) struct Recording {
    trace: Arc<Trace>,
    call: Call,
}

impl Recording {
    pub(crate) fn fault(&mut self, fault: String) {
        self.call.fault = Some(fault);
        self.update();
    }

    pub(crate) fn answered(&mut self, status: u16) {
        self.call.status = Some(status);
        self.update();
    }

    fn update(&self) {
        let mut calls = lock(&self.trace.calls);
        if let Ok(at) = calls.binary_search_by_key(&self.call.seq, |call| call.seq)
            && let Some(call) = calls.get_mut(at)
        {
            *call = self.call.clone();
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let Some(file) = &self.trace.file else { return };
        if let Ok(mut line) = serde_json::to_vec(&self.call) {
            line.push(b'\n');
            // One write a line, so that a reader sees whole lines; a full disk shows in the test that reads the file.
            let _ = lock(file).write_all(&line);
        }
    }
}
