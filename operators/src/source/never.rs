//! A flow that stays silent for ever.

use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Flow, Outline, Site, Stage};

/// A flow without items and without an end. It is never ready and wakes nobody.
///
/// ```text
/// out  ------    never()
/// ```
///
/// - **Emits** nothing.
/// - **Backpressures** never.
/// - **Ends** never.
/// - **On error**: it has none.
/// - **Holds** nothing.
/// - **Cost**: no allocation, no clock read.
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

/// The stage behind [`never`](never()).
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use crate::never;
    use crate::testing::{Timeline, marbles, specification, timeline, timetable};

    #[test]
    fn it_is_silent_and_leaves_the_time_to_others() {
        let flow = timetable([(2, 'a')], 3).merge(never()).take_until(async {
            timetable([(7, ())], 7).count().await;
        });
        assert_eq!(timeline(flow), (vec![(2, 'a')], 7));
        let ended_by_nobody = crate::Virtual::new()
            .try_run(async { never::<u8>().take_until(pending::<()>()).count().await });
        assert!(ended_by_nobody.is_err());
    }

    marbles!(never, || super::never::<()>());

    specification!(never, || never::<u8>(), || Timeline::new([], Timeline::<u8>::NEVER));
}
