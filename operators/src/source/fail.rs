//! A flow that fails.

use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Flow, Outline, Site, Stage};

/// A flow of one error, which is made when it is asked for.
///
/// ```text
/// out  (#|)    fail(|| Lost)
/// ```
///
/// - **Emits** the error at the first poll.
/// - **Backpressures** when downstream does.
/// - **Ends** with the error.
/// - **On error**: that is what it is for. A panic in `error` comes out of the poll.
/// - **Holds** nothing; `error` is called at most once, and dropped with the flow if never.
/// - **Cost**: no allocation, no clock read.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::fail;
/// let lost = fail::<u64, _, _>(|| std::io::Error::other("connection lost"));
/// assert!(lost.first().await.unwrap().is_err());
/// # });
/// ```
#[doc(alias("error", "throw_error", "failed", "raise_error", "failure"))]
#[track_caller]
pub fn fail<T, E, F: FnOnce() -> E>(error: F) -> Flow<Failing<T, F>> {
    Flow::from_stage(Failing { error: Some(error), item: PhantomData, site: Location::caller() })
}

/// The stage behind [`fail`].
#[derive(Debug)]
pub struct Failing<T, F> {
    /// `None` once it has failed.
    error: Option<F>,
    item: PhantomData<fn() -> T>,
    site: Site,
}

// The closure is never pinned.
impl<T, F> Unpin for Failing<T, F> {}

impl<T, E, F: FnOnce() -> E> Stage for Failing<T, F> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        Poll::Ready(self.error.take().map(|error| Err(error())))
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.error.is_some());
        (left, Some(left))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("fail", self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::fail;
    use crate::testing::{every_way, items, marbles};

    #[test]
    fn the_error_is_the_only_item() {
        assert_eq!(every_way(|| fail::<u8, _, _>(|| 'x')), [Err('x')]);
    }

    #[test]
    fn the_error_is_made_when_it_is_asked_for() {
        let made = Cell::new(0);
        let make = || made.set(made.get() + 1);
        drop(fail::<u8, _, _>(make));
        assert_eq!(made.get(), 0);
        items(fail::<u8, _, _>(make));
        assert_eq!(made.get(), 1);
    }

    marbles!(fail, || fail::<char, _, _>(|| '#'));
}
