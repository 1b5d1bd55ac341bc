//! `values`: leaves event time, keeping the items.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::Timed;
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// The items without their times, and without the watermarks between them.
    ///
    /// ```text
    /// in    --(aW)--(bW)--|
    /// time    1 2   3 4
    /// out   --a-----b-----|    values()
    /// ```
    ///
    /// - **Emits** each item in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: nothing here can fail.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let timed = iter([7, 9]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
    /// assert_eq!(timed.values().count().await, 2);
    /// # });
    /// ```
    #[track_caller]
    pub fn values(self) -> Flow<Values<S>> {
        Flow::from_stage(Values { input: self.into_stage(), site: Location::caller() })
    }
}

/// The stage behind [`Flow::values`].
#[pin_project]
#[derive(Debug)]
pub struct Values<S> {
    #[pin]
    input: S,
    site: Site,
}

impl<S: Stage<Item = Timed<T>>, T> Stage for Values<S> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        loop {
            match ready!(this.input.as_mut().poll_next(cx)) {
                Some(Timed::Item(_, item)) => return Poll::Ready(Some(item)),
                Some(Timed::Watermark(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.project().input.poll_drain(cx, &mut |element| match element {
            Timed::Item(_, item) => each(item),
            Timed::Watermark(_) => ControlFlow::Continue(()),
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.input.size_hint().1)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("values", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Timed, Timestamp, iter};

    #[test]
    fn items_pass_without_their_times_and_watermarks_do_not() {
        let at = Timestamp::from_secs;
        let elements = [
            Timed::Watermark(at(1)),
            Timed::Item(at(2), 'a'),
            Timed::Item(at(2), 'b'),
            Timed::Watermark(at(2)),
            Timed::Item(at(3), 'c'),
        ];
        assert_eq!(every_way(|| iter(elements).values()), ['a', 'b', 'c']);
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(values, |input| input.event_time(value_as_time, ms(1)).values());

    marbles!(values, |input: Timed<char>| input.values());

    specification!(
        values,
        at_any_pace,
        |input| {
            let time = |x: u8| Timestamp::from_millis(x.into());
            input
                .map(
                    move |x| {
                        if x % 2 == 0 { Timed::Watermark(time(x)) } else { Timed::Item(time(x), x) }
                    },
                )
                .values()
        },
        |input| input.flat_map(|_, x| (x % 2 == 1).then_some(x))
    );
}
