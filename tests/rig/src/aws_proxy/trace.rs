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
    /// The service as signatures name it: `iam`, `ec2`, `s3`, `kms`, `servicequotas`, `sts`.
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

/// What a proxy records of a call: it has a place in the order of all.
pub(crate) trait Numbered: Clone + Serialize {
    fn seq(&self) -> u64;
    fn number(&mut self, seq: u64);
    fn answered(&mut self, status: u16);
    fn fault(&mut self, fault: String);
}

impl Numbered for Call {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn number(&mut self, seq: u64) {
        self.seq = seq;
    }

    fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    fn fault(&mut self, fault: String) {
        self.fault = Some(fault);
    }
}

/// All calls of one proxy.
#[derive(Debug)]
pub(crate) struct Trace<C = Call> {
    sequence: Arc<AtomicU64>,
    calls: std::sync::Mutex<Vec<C>>,
    file: Option<std::sync::Mutex<File>>,
}

impl<C: Numbered> Trace<C> {
    pub(crate) fn new(sequence: Arc<AtomicU64>, file: Option<File>) -> Self {
        Self { sequence, calls: std::sync::Mutex::default(), file: file.map(std::sync::Mutex::new) }
    }

    /// Files a call that has just arrived and gives it its number.
    pub(crate) fn arrived(self: &Arc<Self>, mut call: C) -> Recording<C> {
        let mut calls = lock(&self.calls);
        // Taken under the lock, so that the list is in the order of its numbers.
        call.number(self.sequence.fetch_add(1, Ordering::SeqCst));
        calls.push(call.clone());
        Recording { trace: Arc::clone(self), call }
    }

    pub(crate) fn calls(&self) -> Vec<C> {
        lock(&self.calls).clone()
    }

    pub(crate) fn clear(&self) {
        lock(&self.calls).clear();
    }
}

/// A call in progress; filed with what is known of it when this value is dropped.
#[derive(Debug)]
pub(crate) struct Recording<C: Numbered = Call> {
    trace: Arc<Trace<C>>,
    call: C,
}

impl<C: Numbered> Recording<C> {
    pub(crate) fn fault(&mut self, fault: String) {
        self.call.fault(fault);
        self.update();
    }

    pub(crate) fn answered(&mut self, status: u16) {
        self.call.answered(status);
        self.update();
    }

    fn update(&self) {
        let mut calls = lock(&self.trace.calls);
        if let Ok(at) = calls.binary_search_by_key(&self.call.seq(), Numbered::seq)
            && let Some(call) = calls.get_mut(at)
        {
            *call = self.call.clone();
        }
    }
}

impl<C: Numbered> Drop for Recording<C> {
    fn drop(&mut self) {
        let Some(file) = &self.trace.file else { return };
        if let Ok(mut line) = serde_json::to_vec(&self.call) {
            line.push(b'\n');
            // One write a line, so that a reader sees whole lines; a full disk shows in the test that reads the file.
            let _ = lock(file).write_all(&line);
        }
    }
}
