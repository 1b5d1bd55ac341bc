//! A flow without items.

use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Flow, Outline, Site, Stage};

/// A flow that ends at its first poll.
///
/// ```text
/// out  |    empty()
/// ```
///
/// - **Emits** nothing.
/// - **Backpressures** never.
/// - **Ends** at the first poll.
/// - **On error**: it has none.
/// - **Holds** nothing.
/// - **Cost**: no allocation, no clock read.
///
/// ```
/// # futures::executor::block_on(async {
/// assert_eq!(aqueduct_operators::empty::<u64>().count().await, 0);
/// # });
/// ```
#[doc(alias = "empty_flow")]
#[track_caller]
pub fn empty<T>() -> Flow<Empty<T>> {
    Flow::from_stage(Empty { item: PhantomData, site: Location::caller() })
}

/// The stage behind [`empty`].
#[derive(Debug)]
pub struct Empty<T> {
    item: PhantomData<fn() -> T>,
    site: Site,
}

impl<T> Stage for Empty<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(None)
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(0))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("empty", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, every_way, marbles, specification};
    use crate::{Stage, empty};

    #[test]
    fn it_ends_at_once_and_says_so_before() {
        assert_eq!(empty::<u8>().size_hint(), (0, Some(0)));
        assert!(every_way(empty::<u8>).is_empty());
    }

    marbles!(empty, || super::empty::<()>());

    specification!(empty, at_any_pace, || empty::<u8>(), || Timeline::new([], 0));
}
