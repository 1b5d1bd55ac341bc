//! `tumbling`: windows of equal length, one after the other, in event time.

use std::collections::VecDeque;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::{Aggregate, Timed};
use crate::{Bound, Flow, Outline, Site, Stage, Timestamp};

/// What came of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<T> {
    /// The first instant that belongs to it.
    pub start: Timestamp,
    /// The first instant that no longer does.
    pub end: Timestamp,
    /// Whether event time reached `end`. Only the last window can be incomplete: one that the end
    /// of the input closed.
    pub complete: bool,
    /// Items that were dropped since the window before, because theirs had closed.
    pub late: u64,
    /// The aggregate of its items.
    pub value: T,
}

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups items into windows `[start, start + length)`, aligned to the Unix epoch, and
    /// aggregates each.
    ///
    /// ```text
    /// in    --a---b--(cW)--d---W--|
    /// time    1   2   7 6  8   12
    /// out   ---------x---------y--|    tumbling(5, all).values()
    /// where  x = [a, b], y = [c, d]
    /// ```
    ///
    /// A window closes when the watermark reaches its end. Windows come out by start; one
    /// without items does not come at all. An item whose window has closed is dropped, and
    /// counted in the next window.
    ///
    /// - **Emits** a window when the watermark reaches its end, and at the end those still open;
    ///   watermarks pass behind the windows that they close.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the open windows are out.
    /// - **On error**: a panic in the aggregate comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each open window: those between watermark and latest item.
    /// - **Cost**: no allocation once the queue of open windows has grown, no clock read.
    ///
    /// # Panics
    ///
    /// If `length` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, window::Aggregate};
    /// # use std::time::Duration;
    /// # struct Count;
    /// # impl Aggregate<i64> for Count {
    /// #     type State = u32;
    /// #     type Output = u32;
    /// #     fn init(&self) -> u32 { 0 }
    /// #     fn add(&self, count: &mut u32, _: &i64) { *count += 1 }
    /// #     fn finish(&self, count: u32) -> u32 { count }
    /// # }
    /// # futures::executor::block_on(async {
    /// let per_minute = iter([0, 59, 61])
    ///     .event_time(|s| Timestamp::from_secs(*s), Duration::ZERO)
    ///     .tumbling(Duration::from_secs(60), Count)
    ///     .values();
    /// let counts: Vec<_> = per_minute.map(|window| (window.value, window.complete)).collect().await;
    /// assert_eq!(counts, [(2, true), (1, false)]);
    /// # });
    /// ```
    #[doc(alias("window", "tumbling_window", "fixed_window", "bars"))]
    #[track_caller]
    pub fn tumbling<A: Aggregate<T>>(
        self,
        length: Duration,
        aggregate: A,
    ) -> Flow<Tumbling<S, A, A::State>> {
        let site = Location::caller();
        assert!(!length.is_zero(), "tumbling: the length must not be zero, at {site}");
        Flow::from_stage(Tumbling {
            input: self.into_stage(),
            length,
            aggregate,
            open: VecDeque::new(),
            closed_until: Timestamp::MIN,
            latest: Timestamp::MIN,
            late: 0,
            passing: None,
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::tumbling`]; `W` is the state of one window.
#[pin_project]
#[derive(Debug)]
pub struct Tumbling<S, A, W> {
    #[pin]
    input: S,
    length: Duration,
    aggregate: A,
    /// The open windows by start.
    open: VecDeque<(Timestamp, W)>,
    /// The latest watermark: windows that end at or before it are closed.
    closed_until: Timestamp,
    /// The latest item, which decides whether the last window is complete.
    latest: Timestamp,
    late: u64,
    /// A watermark that waits for the windows it closes.
    passing: Option<Timestamp>,
    ended: bool,
    site: Site,
}

impl<S, A, W> Tumbling<S, A, W> {
    fn add<T>(self: Pin<&mut Self>, time: Timestamp, item: &T)
    where
        A: Aggregate<T, State = W>,
    {
        let this = self.project();
        *this.latest = (*this.latest).max(time);
        let start = time.floor(*this.length);
        if start + *this.length <= *this.closed_until {
            *this.late += 1;
            return;
        }
        // Almost always the last window; a scan from the back finds an earlier one soon.
        let behind = this.open.iter().rev().take_while(|(other, _)| *other > start).count();
        let at = this.open.len() - behind;
        let index = match at.checked_sub(1) {
            Some(found) if this.open[found].0 == start => found,
            _ => {
                this.open.insert(at, (start, this.aggregate.init()));
                at
            }
        };
        this.aggregate.add(&mut this.open[index].1, item);
    }

    /// The first open window, if it ends at or before `watermark`.
    fn close<T>(self: Pin<&mut Self>, watermark: Timestamp) -> Option<Timed<Window<A::Output>>>
    where
        A: Aggregate<T, State = W>,
    {
        let this = self.project();
        let end = this.open.front()?.0 + *this.length;
        if end > watermark && !*this.ended {
            return None;
        }
        let (start, state) = this.open.pop_front()?;
        let window = Window {
            start,
            end,
            complete: end <= *this.latest || !*this.ended,
            late: std::mem::take(this.late),
            value: this.aggregate.finish(state),
        };
        // The last instant of the window: not before any watermark that has passed.
        Some(Timed::Item(end - Duration::from_nanos(1), window))
    }
}

impl<S, T, A> Stage for Tumbling<S, A, A::State>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T>,
{
    type Item = Timed<Window<A::Output>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(watermark) = self.passing {
                if let Some(window) = self.as_mut().close(watermark) {
                    return Poll::Ready(Some(window));
                }
                *self.as_mut().project().passing = None;
                let ended = self.ended;
                return Poll::Ready((!ended).then_some(Timed::Watermark(watermark)));
            }
            let this = self.as_mut().project();
            if *this.ended {
                return Poll::Ready(None);
            }
            match ready!(this.input.poll_next(cx)) {
                Some(Timed::Item(time, item)) => self.as_mut().add(time, &item),
                Some(Timed::Watermark(watermark)) => {
                    *this.closed_until = (*this.closed_until).max(watermark);
                    *this.passing = Some(watermark);
                }
                None => {
                    *this.ended = true;
                    *this.passing = Some(Timestamp::MAX);
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let open = self.open.len() + usize::from(self.passing.is_some());
        (0, self.input.size_hint().1.and_then(|most| most.checked_mul(2)?.checked_add(open)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("tumbling", self.site)
            .parameter("length", format_args!("{:?}", self.length))
            .holds(Bound::PerKey);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iter;
    use crate::testing::*;
    use std::collections::BTreeMap;

    struct All;

    impl Aggregate<i64> for All {
        type State = Vec<i64>;
        type Output = Vec<i64>;

        fn init(&self) -> Vec<i64> {
            Vec::new()
        }

        fn add(&self, all: &mut Vec<i64>, item: &i64) {
            all.push(*item);
        }

        fn finish(&self, all: Vec<i64>) -> Vec<i64> {
            all
        }
    }

    fn windows(seconds: &'static [i64], disorder: u64) -> Vec<(i64, Vec<i64>, bool, u64)> {
        let timed = iter(seconds.iter().copied())
            .event_time(|s| Timestamp::from_secs(*s), Duration::from_secs(disorder));
        items(timed.tumbling(Duration::from_secs(10), All).values())
            .into_iter()
            .map(|w| (w.start.as_secs(), w.value, w.complete, w.late))
            .collect()
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end_and_empty_ones_do_not_come() {
        assert_eq!(
            windows(&[0, 9, 10, 45], 0),
            [(0, vec![0, 9], true, 0), (10, vec![10], true, 0), (40, vec![45], false, 0)]
        );
    }

    #[test]
    fn an_item_for_a_closed_window_is_counted_in_the_next_one() {
        assert_eq!(
            windows(&[1, 12, 3, 13], 0),
            [(0, vec![1], true, 0), (10, vec![12, 13], false, 1)]
        );
    }

    #[test]
    fn within_the_disorder_nothing_is_late_and_at_the_end_only_the_last_is_incomplete() {
        assert_eq!(
            windows(&[1, 12, 3, 23, 25], 20),
            [(0, vec![1, 3], true, 0), (10, vec![12], true, 0), (20, vec![23, 25], false, 0)]
        );
    }

    #[test]
    #[should_panic(expected = "tumbling: the length must not be zero, at operators/src/window")]
    fn a_length_of_zero_is_refused_where_it_was_written() {
        let timed = iter([1]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
        let _ = timed.tumbling(Duration::ZERO, All);
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    struct SumOfValues;

    impl Aggregate<Tracked> for SumOfValues {
        type State = u32;
        type Output = u32;

        fn init(&self) -> u32 {
            0
        }

        fn add(&self, sum: &mut u32, x: &Tracked) {
            *sum += x.value();
        }

        fn finish(&self, sum: u32) -> u32 {
            sum
        }
    }

    conformance!(tumbling, |input| {
        input.event_time(value_as_time, ms(1)).tumbling(ms(3), SumOfValues)
    });

    struct Letters;

    impl Aggregate<char> for Letters {
        type State = Vec<char>;
        type Output = Vec<char>;

        fn init(&self) -> Vec<char> {
            Vec::new()
        }

        fn add(&self, all: &mut Vec<char>, item: &char) {
            all.push(*item);
        }

        fn finish(&self, all: Vec<char>) -> Vec<char> {
            all
        }
    }

    marbles!(tumbling, |input: Timed<char>| {
        input.tumbling(ms(5), Letters).values().map(|window| window.value)
    });

    specification!(
        tumbling,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(2));
            let windows = timed.tumbling(ms(5), All).values();
            windows.map(|w| (w.start.as_millis(), w.value, w.late, w.complete))
        },
        |input| -> Timeline<_> {
            let (mut output, mut late) = (Timeline::new([], input.end), 0);
            let mut open: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            let mut latest = i64::MIN;
            let end = (input.end, None);
            for (at, x) in input.events.into_iter().map(|(at, x)| (at, Some(x))).chain([end]) {
                // Up to two milliseconds after a later one an item is not late.
                match x {
                    Some(x) if x / 5 * 5 + 5 <= latest.saturating_sub(2) => late += 1,
                    Some(x) => open.entry(x / 5 * 5).or_default().push(x),
                    None => {}
                }
                latest = latest.max(x.unwrap_or(i64::MIN));
                let closed = |start: &i64| x.is_none() || start + 5 <= latest - 2;
                while let Some(first) = open.first_entry().filter(|first| closed(first.key())) {
                    let (start, items) = first.remove_entry();
                    let complete = start + 5 <= latest;
                    output.events.push((at, (start, items, std::mem::take(&mut late), complete)));
                }
            }
            output
        }
    );
}
