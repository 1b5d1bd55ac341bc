//! [`Cell`]: what several parts of a case share and change.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex that nobody waits for: a case runs on one thread, but what is handed to operators that
/// could move it to another must be ready for that.
#[derive(Default)]
pub struct Cell<T>(Mutex<T>);

impl<T> Cell<T> {
    pub fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        // A panic ends the case, and nobody looks at what it left behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
