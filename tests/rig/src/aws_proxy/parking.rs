//! Locks that go on after another thread's panic: a failed assertion in one test must not fail the others.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lock, whether or not a thread panicked while it held it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
