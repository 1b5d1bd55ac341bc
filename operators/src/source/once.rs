//! A flow of one item.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Bound, Flow, Outline, Site, Stage};

/// A flow of this item alone.
///
/// ```text
/// out  (a|)    once('a')
/// ```
///
/// - **Emits** the item at the first poll.
/// - **Backpressures** when downstream does.
/// - **Ends** after the item.
/// - **On error**: `once(Err(error))` is a flow that fails; [`fail`](crate::fail) makes the error
///   when it is asked for.
/// - **Holds** 1 item.
/// - **Cost**: no allocation, no clock read.
///
/// ```
/// # futures::executor::block_on(async {
/// let sum = aqueduct_operators::once(7).fold(0, |sum, x| sum + x);
/// assert_eq!(sum.await, 7);
/// # });
/// ```
#[doc(alias("just", "of", "single", "succeed"))]
#[track_caller]
pub fn once<T>(item: T) -> Flow<Once<T>> {
    Flow::from_stage(Once { item: Some(item), site: Location::caller() })
}

/// The stage behind [`once`].
#[derive(Debug)]
pub struct Once<T> {
    item: Option<T>,
    site: Site,
}

// The item is never pinned.
impl<T> Unpin for Once<T> {}

impl<T> Stage for Once<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.item.take())
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.item.is_some());
        (left, Some(left))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("once", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use super::once;
    use crate::testing::{Timeline, items, marbles, specification};
    use crate::{Stage, empty};

    #[test]
    fn the_item_comes_out_and_then_the_end() {
        assert_eq!(once('a').size_hint(), (1, Some(1)));
        assert_eq!(items(once('a')), ['a']);
        assert_eq!(items(empty::<char>()), []);
    }

    marbles!(once, || super::once('a'));

    specification!(once, at_any_pace, || once('a'), || Timeline::new([(0, 'a')], 0));
}
