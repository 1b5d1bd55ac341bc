//! A flow that stays silent for ever.

use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Flow, Outline, Site, Stage};

/// A flow without items and without an end. It is never ready and wakes nobody.
///
/// ```
/// # use aqueduct_operators::{Virtual, never};
/// let stalled = Virtual::new().try_run(never::<u64>().count());
/// assert!(stalled.is_err()); // nothing is left to wait for
/// ```
#[doc(alias("pending", "nothing"))]
#[track_caller]
pub fn never<T>() -> Flow<Never<T>> {
    Flow::from_stage(Never { item: PhantomData, site: Location::caller() })
}

/// The stage behind [`never`].
#[derive(Debug)]
pub struct Never<T> {
    item: PhantomData<fn() -> T>,
    site: Site,
}

impl<T> Stage for Never<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(0))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("never", self.site);
    }
}
