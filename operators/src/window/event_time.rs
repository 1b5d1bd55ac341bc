//! `event_time`: gives items their event time, and the flow its watermarks.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::gauge::Shown;
use super::watermarks::{Follower, Moved};
use super::{EventTimeCounts, Timed, Watermarks};
use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Takes each item's event time from the item, and tells downstream how far time has come.
    ///
    /// ```text
    /// in    --1----3---2-|
    /// out   --(1W)-(3W)2-|    event_time(|x| x.time, 1)
    /// time    1 0  3 2 2
    /// ```
    ///
    /// The watermark follows the latest time seen at a distance: an item may come up to the
    /// `disorder` after one that is later. Items that come later still are passed on and
    /// [counted](Flow::counts); the operators behind treat them as late. [`Watermarks`] says the
    /// disorder and more: what becomes of a silence, and of an absurd time.
    ///
    /// [`Timestamp::MIN`] and [`Timestamp::MAX`] are not times but what a conversion makes of
    /// nonsense; after the latter everything would be late. Items that have them are dropped and
    /// counted.
    ///
    /// - **Emits** each item with its time, and a watermark after each item that moves it on.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `time` comes out of the poll; the flow has ended then.
    /// - **Holds** 1 watermark.
    /// - **Cost**: no allocation, no clock read; with [`idle`](Watermarks::idle) one for each turn
    ///   in which items came.
    ///
    /// ```
    /// # use aqueduct_operators::{Timed, Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let mut flow = iter([7, 9]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
    /// assert_eq!(flow.next().await, Some(Timed::Item(Timestamp::from_secs(7), 7)));
    /// assert_eq!(flow.next().await, Some(Timed::Watermark(Timestamp::from_secs(7))));
    /// # });
    /// ```
    #[doc(alias("assign_timestamps", "watermark", "timestamped_by", "bounded_out_of_orderness"))]
    #[track_caller]
    pub fn event_time<F>(self, time: F, watermarks: impl Into<Watermarks>) -> Flow<EventTime<S, F>>
    where
        F: FnMut(&S::Item) -> Timestamp,
    {
        let watermarks = watermarks.into();
        Flow::from_stage(EventTime {
            input: self.into_stage(),
            time,
            watermarks,
            follower: Follower::new(watermarks),
            due: false,
            silence: watermarks.clock().map(|(after, every)| Silence::new(after, every)),
            shown: Shown::default(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::event_time`].
#[pin_project]
#[derive(Debug)]
pub struct EventTime<S, F> {
    #[pin]
    input: S,
    time: F,
    watermarks: Watermarks,
    follower: Follower,
    /// Whether the watermark has moved and downstream does not know yet.
    due: bool,
    /// If the clock moves the watermark on in a silence.
    silence: Option<Silence>,
    shown: Shown,
    site: Site,
}

impl<S: Stage, F> Flow<EventTime<S, F>>
where
    EventTime<S, F>: Stage,
{
    /// What became of the items so far, and how far time has come.
    pub fn counts(&self) -> EventTimeCounts {
        self.stage().counts()
    }
}

impl<S, F> EventTime<S, F> {
    pub(super) fn counts(&self) -> EventTimeCounts {
        self.follower.counts()
    }

    /// How many items the input has left at most.
    pub(super) fn most_items(&self) -> Option<usize>
    where
        S: Stage,
    {
        self.input.size_hint().1
    }
}

/// A time without items.
#[derive(Debug)]
struct Silence {
    after: Duration,
    every: Duration,
    /// When it began; `None` until the first poll that finds no item.
    since: Option<Timestamp>,
    alarm: Alarm,
}

impl Silence {
    fn new(after: Duration, every: Duration) -> Self {
        Self { after, every, since: None, alarm: Alarm::new() }
    }

    /// Ready now and then, with the nanoseconds that it has lasted beyond `after`.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<i64> {
        let since = match self.since {
            Some(since) => {
                ready!(self.alarm.poll(cx));
                since
            }
            None => {
                let now = self.alarm.now();
                self.since = Some(now);
                self.alarm.set(now + self.after + self.every);
                ready!(self.alarm.poll_at(now, cx));
                now
            }
        };
        let now = self.alarm.now();
        self.alarm.set(now + self.every);
        let beyond = now - (since + self.after);
        Poll::Ready((Timestamp::EPOCH + beyond).as_nanos())
    }
}

/// Where the input has nothing: ready when the clock has moved the watermark.
fn poll_silence(
    silence: &mut Option<Silence>,
    follower: &mut Follower,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let Some(silence) = silence.as_mut().filter(|_| follower.has_time()) else {
        return Poll::Pending;
    };
    loop {
        let beyond = ready!(silence.poll(cx));
        if follower.go_on(beyond) {
            return Poll::Ready(());
        }
    }
}

impl<S: Stage, F: FnMut(&S::Item) -> Timestamp> Stage for EventTime<S, F> {
    type Item = Timed<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Timed<S::Item>>> {
        let mut this = self.project();
        if std::mem::take(this.due) {
            let watermark = Timestamp::from_nanos(this.follower.watermark);
            return Poll::Ready(Some(Timed::Watermark(watermark)));
        }
        this.shown.begin();
        loop {
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let time = (this.time)(&item);
                    let moved = this.follower.take(time.as_nanos());
                    if moved == Moved::Untimed {
                        continue;
                    }
                    *this.due = moved == Moved::Yes;
                    if let Some(silence) = this.silence {
                        silence.since = None;
                    }
                    return Poll::Ready(Some(Timed::Item(time, item)));
                }
                Poll::Ready(None) => {
                    this.shown.end(this.follower.watermark);
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let moved = poll_silence(this.silence, this.follower, cx);
                    this.shown.show(this.follower.watermark);
                    ready!(moved);
                    let watermark = Timestamp::from_nanos(this.follower.watermark);
                    return Poll::Ready(Some(Timed::Watermark(watermark)));
                }
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Timed<S::Item>) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        if std::mem::take(this.due)
            && let broke @ ControlFlow::Break(_) =
                each(Timed::Watermark(Timestamp::from_nanos(this.follower.watermark)))
        {
            return Poll::Ready(broke);
        }
        this.shown.begin();
        let (time_of, due) = (this.time, this.due);
        // A copy, which the loop can keep in registers.
        let mut follower = *this.follower;
        let mut came = false;
        let mut drained = this.input.poll_drain(cx, &mut |item| {
            let time = time_of(&item);
            let mut moved = follower.take(time.as_nanos());
            if moved == Moved::Untimed {
                return ControlFlow::Continue(());
            }
            came = true;
            let mut next = Timed::Item(time, item);
            // One call in a loop in place of two, so that `each` can become part of it.
            loop {
                if let broke @ ControlFlow::Break(_) = each(next) {
                    *due = moved == Moved::Yes;
                    return broke;
                }
                if moved != Moved::Yes {
                    return ControlFlow::Continue(());
                }
                moved = Moved::No;
                next = Timed::Watermark(Timestamp::from_nanos(follower.watermark));
            }
        });
        if let (true, Some(silence)) = (came, this.silence.as_mut()) {
            silence.since = None;
        }
        *this.follower = follower;
        let follower = this.follower;
        // The input was asked just now, and is awaited together with the clock.
        while drained.is_pending() && poll_silence(this.silence, follower, cx).is_ready() {
            let watermark = Timestamp::from_nanos(follower.watermark);
            if let broke @ ControlFlow::Break(_) = each(Timed::Watermark(watermark)) {
                drained = Poll::Ready(broke);
            }
        }
        match drained {
            Poll::Ready(ControlFlow::Continue(())) => this.shown.end(follower.watermark),
            _ => this.shown.show(follower.watermark),
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let due = usize::from(self.due);
        let most = self.input.size_hint().1.filter(|_| self.silence.is_none());
        (due, most.and_then(|most| most.checked_mul(2)?.checked_add(due)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let node = outline.stage("event_time", self.site);
        self.watermarks.describe(node);
        node.holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::iter;
    use crate::testing::*;

    #[test]
    fn the_watermark_follows_the_latest_time_and_never_goes_back() {
        let times = iter([1, 3, 2, 5]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
        let seen: Vec<_> = items(times)
            .into_iter()
            .map(|element| match element {
                Timed::Item(_, s) => format!("{s}"),
                Timed::Watermark(t) => format!("W{}", t.as_secs()),
            })
            .collect();
        assert_eq!(seen, ["1", "W1", "3", "W3", "2", "5", "W5"]);
    }

    #[test]
    fn a_drain_that_breaks_at_an_item_still_owes_its_watermark() {
        let times = iter([4]).event_time(|s| Timestamp::from_secs(*s), Duration::from_secs(1));
        let mut times = std::pin::pin!(times);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(times.as_mut().poll_drain(&mut cx, &mut |_| ControlFlow::Break(())).is_ready());
        let next = Stage::poll_next(times, &mut cx);
        assert_eq!(next, Poll::Ready(Some(Timed::Watermark(Timestamp::from_secs(3)))));
    }

    fn millis(x: &i64) -> Timestamp {
        Timestamp::from_millis(*x)
    }

    /// Items as their milliseconds, watermarks as `W` and theirs.
    fn seen(watermarks: impl Into<Watermarks>, times: &[i64]) -> (Vec<String>, EventTimeCounts) {
        let mut flow = iter(times.to_vec()).event_time(millis, watermarks);
        let mut seen = Vec::new();
        crate::Virtual::new().run(async {
            while let Some(element) = flow.next().await {
                seen.push(match element {
                    Timed::Item(_, ms) => format!("{ms}"),
                    Timed::Watermark(time) => format!("W{}", time.as_millis()),
                });
            }
        });
        (seen, flow.counts())
    }

    #[test]
    fn what_is_not_a_time_is_dropped_and_counted_and_moves_nothing() {
        let (all, counts) = seen(ms(0), &[1, i64::MAX, 2, i64::MIN, 3]);
        assert_eq!(all, ["1", "W1", "2", "W2", "3", "W3"]);
        assert_eq!((counts.items, counts.untimed, counts.late), (3, 2, 0));
    }

    #[test]
    fn times_next_to_the_ends_of_the_range_are_times() {
        let near = [i64::MIN + 1, i64::MAX - 1].map(Timestamp::from_nanos);
        let flow = || iter(near).event_time(|time| *time, Duration::from_nanos(5));
        let mark = Timed::Watermark(Timestamp::from_nanos(i64::MAX - 6));
        let [first, last] = near.map(|time| Timed::Item(time, time));
        assert_eq!(every_way(flow), [first, last, mark]);
    }

    #[test]
    fn an_item_beyond_the_disorder_is_passed_on_and_counted_as_late() {
        let (all, counts) = seen(ms(2), &[10, 8, 7, 12]);
        assert_eq!(all, ["10", "W8", "8", "7", "12", "W10"]);
        assert_eq!((counts.items, counts.late), (4, 1));
        assert_eq!(counts.latest, Some(millis(&12)));
        assert_eq!(counts.watermark, Some(millis(&10)));
    }

    #[test]
    fn a_single_absurd_time_does_not_move_the_watermark_and_is_counted() {
        let guarded = Watermarks::disorder(ms(0)).most_ahead(ms(10));
        let (all, counts) = seen(guarded, &[1, 2, 9_000, 3, 4]);
        assert_eq!(all, ["1", "2", "W2", "9000", "3", "W3", "4", "W4"]);
        assert_eq!((counts.items, counts.ahead, counts.late), (5, 1, 0));
    }

    #[test]
    fn a_jump_that_the_next_item_confirms_moves_the_watermark() {
        let guarded = Watermarks::disorder(ms(1)).most_ahead(ms(10));
        let (all, counts) = seen(guarded, &[1, 2, 500, 495, 501]);
        assert_eq!(all, ["1", "2", "W1", "500", "495", "W499", "501", "W500"]);
        assert_eq!((counts.ahead, counts.late), (0, 0));
    }

    #[test]
    fn an_absurd_time_that_comes_first_does_not_make_everything_late() {
        let guarded = Watermarks::disorder(ms(0)).most_ahead(ms(10));
        let (all, counts) = seen(guarded, &[9_000, 1, 2]);
        assert_eq!(all, ["9000", "1", "2", "W2"]);
        assert_eq!((counts.ahead, counts.late), (1, 0));
    }

    #[test]
    fn watermarks_come_at_least_as_far_apart_as_they_have_to() {
        let (all, _) =
            seen(Watermarks::disorder(ms(1)).at_least_apart(ms(3)), &[1, 3, 4, 9, 8, 11]);
        assert_eq!(all, ["1", "W0", "3", "4", "W3", "9", "W8", "8", "11"]);
        let quiet = Watermarks::disorder(ms(0)).idle(ms(5)).every(ms(1)).at_least_apart(ms(3));
        let flow = timetable([(0, 0), (0, 2)], 12).event_time(millis, quiet);
        let marks = timeline(flow).0.into_iter().filter_map(|(at, element)| match element {
            Timed::Watermark(time) => Some((at, time.as_millis())),
            Timed::Item(..) => None,
        });
        assert_eq!(marks.collect::<Vec<_>>(), [(0, 0), (6, 3), (9, 6)]);
    }

    #[test]
    fn in_a_silence_the_watermark_goes_on_with_the_clock_and_never_faster() {
        let quiet = Watermarks::disorder(ms(2)).idle(ms(10)).every(ms(5));
        let flow = timetable([(0, 7), (40, 45)], 41).event_time(millis, quiet);
        let mark = |at: i64, time: i64| (at, Timed::Watermark(millis(&time)));
        let item = |at: i64, time: i64| (at, Timed::Item(millis(&time), time));
        let silence = (1..=5).map(|n| mark(10 + 5 * n, 5 + 5 * n));
        let mut expected = vec![item(0, 7), mark(0, 5)];
        expected.extend(silence);
        // The item at the instant of an alarm comes first.
        expected.extend([item(40, 45), mark(40, 43)]);
        assert_eq!(timeline(flow), (expected, 41));
    }

    #[test]
    fn a_replay_faster_than_its_times_is_never_late() {
        // An hour of event time in a second, with pauses longer than the idle time.
        let quiet = Watermarks::disorder(ms(0)).idle(ms(20)).every(ms(1));
        let items = (0..20).map(|n| (n * 50, n * 180_000));
        let mut flow = timetable(items, 1_000).event_time(millis, quiet);
        let mut marks = 0;
        crate::Virtual::new().run(async {
            while let Some(element) = flow.next().await {
                marks += usize::from(matches!(element, Timed::Watermark(_)));
            }
        });
        assert_eq!((flow.counts().items, flow.counts().late), (20, 0));
        assert!(marks > 20 + 19 * 25, "the clock did move it: {marks}");
    }

    proptest! {
        /// Items in order, whose times go on at least as fast as the clock.
        #[test]
        fn the_clock_makes_no_item_late_that_keeps_pace(
            steps in prop::collection::vec((0..30i64, 0..40i64), 0..40),
            after in 1..12u64,
            every in 1..9u64,
        ) {
            let (mut at, mut time) = (0, 0);
            let items: Vec<_> = steps
                .iter()
                .map(|(pause, ahead)| {
                    (at, time) = (at + pause, time + pause + ahead);
                    (at, time)
                })
                .collect();
            let quiet = Watermarks::disorder(ms(0)).idle(ms(after)).every(ms(every));
            let mut flow = timetable(items, at + 20).event_time(millis, quiet);
            let mut last = Timestamp::MIN;
            crate::Virtual::new().run(async {
                while let Some(element) = flow.next().await {
                    if let Timed::Watermark(time) = element {
                        assert!(time > last, "a watermark goes back");
                        last = time;
                    }
                }
            });
            prop_assert_eq!(flow.counts().late, 0);
        }
    }

    #[test]
    fn a_source_that_was_held_up_comes_back_late_and_is_counted() {
        let quiet = Watermarks::disorder(ms(0)).idle(ms(5)).every(ms(5));
        let mut flow = timetable([(0, 0), (100, 50), (101, 101)], 102).event_time(millis, quiet);
        crate::Virtual::new().run(async { while flow.next().await.is_some() {} });
        assert_eq!((flow.counts().items, flow.counts().late), (3, 1));
    }

    #[test]
    fn before_the_first_item_the_clock_moves_nothing() {
        let quiet = Watermarks::disorder(ms(0)).idle(ms(5));
        let flow = timetable(Vec::<(i64, i64)>::new(), 100).event_time(millis, quiet);
        assert_eq!(timeline(flow), (vec![], 100));
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(event_time, |input| input.event_time(value_as_time, ms(1)));

    conformance!(event_time_idle, |input| {
        let quiet = Watermarks::disorder(ms(1)).idle(ms(2)).every(ms(1));
        input.event_time(value_as_time, quiet.most_ahead(ms(4)))
    });

    marbles!(event_time, |input: i64| input.event_time(|x| Timestamp::from_millis(*x), ms(1)));

    specification!(
        event_time,
        at_any_pace,
        |input: i64| input.event_time(|x| Timestamp::from_millis(*x), ms(1)),
        |input| {
            let mut latest = None;
            input.flat_map(|_, x| {
                let moved = latest.is_none_or(|latest| latest < x);
                latest = latest.max(Some(x));
                let mark = moved.then_some(Timed::Watermark(Timestamp::from_millis(x - 1)));
                [Timed::Item(Timestamp::from_millis(x), x)].into_iter().chain(mark)
            })
        }
    );

    specification!(
        event_time_idle,
        |input: i64| {
            let quiet = Watermarks::disorder(ms(1)).idle(ms(4)).every(ms(3));
            input.event_time(millis, quiet)
        },
        |input| {
            let (mut latest, mut reached) = (i64::MIN, i64::MIN);
            let mut output = Timeline::new([], input.end);
            let next = input.events.iter().skip(1).map(|(at, _)| *at).chain([input.end]);
            for ((at, x), next) in input.events.iter().zip(next) {
                output.events.push((*at, Timed::Item(millis(x), *x)));
                latest = latest.max(*x);
                // The item, and then every three milliseconds from the fourth on.
                let ticks = (0..).map(|n| (if n == 0 { *at } else { at + 4 + 3 * n }, 3 * n));
                for (at, beyond) in ticks.take_while(|(tick, _)| tick == at || *tick < next) {
                    if latest - 1 + beyond > reached {
                        reached = latest - 1 + beyond;
                        output.events.push((at, Timed::Watermark(millis(&reached))));
                    }
                }
            }
            output
        }
    );
}
