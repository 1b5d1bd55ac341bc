//! `merge_timed`: many flows in event time as one.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::Timed;
use super::gauge::{Shown, WatermarkGauge};
use crate::combine::{Feed, Rounds};
use crate::{Alarm, Flow, Outline, Site, Stage, Timestamp};

/// The items of all `inputs` in event time, as they come; time has come as far as the input that
/// is furthest behind.
///
/// ```text
/// a     --(aW)-------(bW)---|
/// time    1 1        6 6
/// b     --------(xW)------|
/// time          4 4
/// out   --a-----(xW)-(bW)-W-|    merge_timed([a, b])
/// time    1     4 1  6 4  6
/// ```
///
/// The watermark is the least of those of all inputs that have not ended, so it stands still
/// before each has brought one. An input that never advances holds it back, and what waits for the
/// watermark behind waits with it: nothing is kept here, but operators behind keep their state.
/// [`idle`](Flow::idle) leaves out an input that brings nothing.
///
/// Items are not put in order; [`reorder`](Flow::reorder) does that. Inputs have turns as in
/// [`merge`](crate::merge()).
///
/// - **Emits** an item when an input has one, and a watermark when the least of them has moved on.
/// - **Backpressures** when downstream does.
/// - **Ends** when all inputs have ended; each is dropped as soon as it ends.
/// - **On error**: nothing here can fail.
/// - **Holds** the watermark of each input.
/// - **Cost**: two allocations for each input at construction, none afterwards; about log2 of the
///   number of inputs comparisons for a watermark, at most one clock read for 64 elements.
///
/// ```
/// # use aqueduct_operators::{Timed, Timestamp, iter, merge_timed};
/// # use std::time::Duration;
/// # futures::executor::block_on(async {
/// let feed = |seconds: [i64; 2]| iter(seconds).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
/// let all: Vec<_> = merge_timed([feed([1, 5]), feed([2, 3])]).collect().await;
/// let marks = all.iter().filter_map(|element| match element {
///     Timed::Item(..) => None,
///     Timed::Watermark(time) => Some(time.as_secs()),
/// });
/// // Time follows the feed that is behind.
/// assert_eq!(marks.collect::<Vec<_>>(), [2, 3]);
/// # });
/// ```
#[doc(alias("merge_event_time", "merge_watermarks", "union", "watermark_valve"))]
#[track_caller]
pub fn merge_timed<S, T>(inputs: impl IntoIterator<Item = Flow<S>>) -> Flow<MergeTimed<S>>
where
    S: Stage<Item = Timed<T>>,
{
    let site = Location::caller();
    let inputs: Vec<_> = inputs.into_iter().collect();
    let (mut rounds, marks) = (Rounds::vacant(inputs.len()), Marks::new(inputs.len()));
    for (index, input) in inputs.into_iter().enumerate() {
        rounds.start(Member {
            index,
            input: Some(input.into_stage()),
            silence: None,
            is_seen: false,
        });
    }
    Flow::from_stage(MergeTimed { rounds, marks, idle: None, shown: Shown::default(), site })
}

impl<S: Stage<Item = Timed<T>>, T> Flow<MergeTimed<S>> {
    /// Leaves an input out of the least watermark when it has brought nothing, not even a
    /// watermark, for a time of `after` on the clock of the run, until it brings something again.
    ///
    /// It may come back behind: the watermark never goes back, so its items are late then, and
    /// counted. If all inputs are silent, the watermark is that of the one which came furthest.
    ///
    /// # Panics
    ///
    /// If `after` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Clock, Timed, Timestamp, Virtual, iter, merge_timed, never};
    /// # use std::time::Duration;
    /// let time = |s: &i64| Timestamp::from_secs(*s);
    /// let a = iter([1, 2]).chain(never()).event_time(time, Duration::ZERO).boxed();
    /// let silent = never().event_time(time, Duration::ZERO).boxed();
    /// let merged = merge_timed([a, silent]).idle(Duration::from_secs(5));
    /// let first = merged.find(|element| matches!(element, Timed::Watermark(_)));
    /// let (mark, at) = Virtual::new().run(async { (first.await, Clock::current().now()) });
    /// assert_eq!((mark, at.as_secs()), (Some(Timed::Watermark(Timestamp::from_secs(2))), 5));
    /// ```
    #[doc(alias("with_idleness"))]
    #[track_caller]
    pub fn idle(self, after: Duration) -> Self {
        let site = Location::caller();
        assert!(!after.is_zero(), "merge_timed: the idle time must not be zero, at {site}");
        let mut stage = self.into_stage();
        stage.idle = Some(after);
        stage.each_member(|member| {
            *member.project().silence =
                Some(Silence { after, state: State::Busy, alarm: Alarm::new() });
        });
        Self::from_stage(stage)
    }
}

impl<S> Flow<MergeTimed<S>>
where
    MergeTimed<S>: Stage,
{
    /// What has come so far.
    pub fn counts(&self) -> MergeTimedCounts {
        let Marks { items, late, reached, .. } = self.stage().marks;
        let watermark = (reached != i64::MIN).then(|| Timestamp::from_nanos(reached));
        MergeTimedCounts { items, late, watermark }
    }
}

/// What has come out of a [`merge_timed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MergeTimedCounts {
    /// Items.
    pub items: u64,
    /// Those of them that were earlier than the watermark before them: of an input that brings late
    /// items itself, or that came back from a silence.
    pub late: u64,
    /// The watermark.
    pub watermark: Option<Timestamp>,
}

/// The stage behind [`merge_timed`].
#[derive(Debug)]
pub struct MergeTimed<S> {
    rounds: Rounds<Member<S>>,
    marks: Marks,
    idle: Option<Duration>,
    shown: Shown,
    site: Site,
}

/// The watermarks of the inputs, and the least of them.
#[derive(Debug)]
struct Marks {
    /// A tree of minima, the root at 1 and the inputs from `leaves` on. An input that does not
    /// count has `i64::MAX`.
    tree: Box<[i64]>,
    leaves: usize,
    /// How far each has come, whether it counts or not.
    own: Box<[i64]>,
    /// What downstream knows.
    reached: i64,
    items: u64,
    late: u64,
}

/// It does not hold time back.
const FREE: i64 = i64::MAX;

impl Marks {
    fn new(inputs: usize) -> Self {
        let leaves = inputs.next_power_of_two();
        let mut tree = vec![FREE; 2 * leaves];
        // Nobody has come anywhere, up to the root.
        for input in 0..inputs {
            let mut node = leaves + input;
            while node > 0 {
                tree[node] = i64::MIN;
                node /= 2;
            }
        }
        Self {
            tree: tree.into(),
            leaves,
            own: vec![i64::MIN; inputs].into(),
            reached: i64::MIN,
            items: 0,
            late: 0,
        }
    }

    #[inline]
    fn set(&mut self, input: usize, mark: i64) {
        let mut node = self.leaves + input;
        if self.tree[node] == mark {
            return;
        }
        self.tree[node] = mark;
        while node > 1 {
            let least = self.tree[node].min(self.tree[node ^ 1]);
            node /= 2;
            if self.tree[node] == least {
                return;
            }
            self.tree[node] = least;
        }
    }

    /// An input has brought something: it counts, with as much as it has said.
    #[inline]
    fn wake(&mut self, input: usize) {
        self.set(input, self.own[input]);
    }

    #[inline]
    fn take_item(&mut self, input: usize, time: i64) {
        self.items += 1;
        self.late += u64::from(time < self.reached);
        self.wake(input);
    }

    #[inline]
    fn advance(&mut self, input: usize, mark: i64) {
        self.own[input] = self.own[input].max(mark);
        self.wake(input);
    }

    /// An input does not count until it wakes.
    fn leave_out(&mut self, input: usize) {
        self.set(input, FREE);
    }

    fn end(&mut self, input: usize) {
        self.own[input] = i64::MIN;
        self.leave_out(input);
    }

    /// The new watermark, if there is one.
    #[inline]
    fn moved(&mut self) -> Option<i64> {
        let least = match self.tree[1] {
            FREE => self.own.iter().copied().max().unwrap_or(i64::MIN),
            least => least,
        };
        if least <= self.reached {
            return None;
        }
        self.reached = least;
        Some(least)
    }
}

/// All inputs are there at the beginning.
#[derive(Debug)]
struct All;

impl<S: Stage> Feed<S> for All {
    fn refill(&mut self, _: &mut Rounds<S>) -> bool {
        false
    }
}

/// An input that says which it is, when it has brought nothing for long, and when it ends.
#[pin_project]
#[derive(Debug)]
struct Member<S> {
    index: usize,
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    silence: Option<Silence>,
    /// Whether somebody looks at the gauge of the task, which the merge keeps to itself.
    is_seen: bool,
}

#[derive(Debug)]
enum News<T> {
    Item(Timestamp, T),
    Watermark(i64),
    Idle,
    Ended,
}

impl<T> From<Timed<T>> for News<T> {
    fn from(element: Timed<T>) -> Self {
        match element {
            Timed::Item(time, item) => Self::Item(time, item),
            Timed::Watermark(time) => Self::Watermark(time.as_nanos()),
        }
    }
}

/// A time in which an input brings nothing.
#[derive(Debug)]
struct Silence {
    after: Duration,
    state: State,
    alarm: Alarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It brought something since the alarm was set.
    Busy,
    /// The alarm is set.
    Quiet,
    /// It does not count.
    Idle,
}

impl Silence {
    /// Ready when the input has brought nothing for long enough; then it is idle.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.state {
            State::Busy => {
                let now = self.alarm.now();
                self.alarm.set(now + self.after);
                self.state = State::Quiet;
                ready!(self.alarm.poll_at(now, cx));
            }
            State::Quiet => ready!(self.alarm.poll(cx)),
            State::Idle => return Poll::Pending,
        }
        self.state = State::Idle;
        Poll::Ready(())
    }
}

fn poll_silence(silence: &mut Option<Silence>, cx: &mut Context<'_>) -> Poll<()> {
    silence.as_mut().map_or(Poll::Pending, |silence| silence.poll(cx))
}

fn stir(silence: &mut Option<Silence>) {
    if let Some(silence) = silence {
        silence.state = State::Busy;
    }
}

/// Polls an input, without the gauge of the task if somebody looks at that.
fn apart<R>(is_seen: bool, poll: impl FnOnce() -> R) -> R {
    if is_seen { WatermarkGauge::hide(poll) } else { poll() }
}

impl<S: Stage<Item = Timed<T>>, T> Stage for Member<S> {
    type Item = (usize, News<T>);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let news = match apart(*this.is_seen, || input.poll_next(cx)) {
            Poll::Ready(Some(element)) => {
                stir(this.silence);
                element.into()
            }
            Poll::Ready(None) => {
                this.input.set(None);
                News::Ended
            }
            Poll::Pending => {
                ready!(poll_silence(this.silence, cx));
                News::Idle
            }
        };
        Poll::Ready(Some((*this.index, news)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let index = *this.index;
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let mut came = false;
        let drained = apart(*this.is_seen, || {
            input.poll_drain(cx, &mut |element| {
                came = true;
                each((index, element.into()))
            })
        });
        if came {
            stir(this.silence);
        }
        match drained {
            Poll::Ready(ControlFlow::Break(_)) => drained,
            Poll::Ready(ControlFlow::Continue(())) => {
                this.input.set(None);
                Poll::Ready(each((index, News::Ended)))
            }
            Poll::Pending => {
                ready!(poll_silence(this.silence, cx));
                match each((index, News::Idle)) {
                    ControlFlow::Continue(()) => Poll::Pending,
                    broke @ ControlFlow::Break(_) => Poll::Ready(broke),
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.input.as_pin_mut() {
            Some(input) => apart(*this.is_seen, || input.poll_progress(cx)),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let Some(input) = &self.input else {
            return (0, Some(0));
        };
        let (least, most) = input.size_hint();
        let most = match &self.silence {
            // One more after each element, and one before the first.
            Some(_) => most.and_then(|most| most.checked_mul(2)?.checked_add(2)),
            None => most.and_then(|most| most.checked_add(1)),
        };
        (least.saturating_add(1), most)
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
    }
}

impl<S: Stage<Item = Timed<T>>, T> MergeTimed<S> {
    fn each_member(&mut self, mut change: impl FnMut(Pin<&mut Member<S>>)) {
        let inputs = self.rounds.inputs_mut();
        for index in 0..inputs.len() {
            inputs.with(index, |member, _| change(member));
        }
    }

    /// Keeps the gauge of the task from the inputs, if there is one.
    fn begin(&mut self) {
        if self.shown.begin() && self.shown.is_seen() {
            self.each_member(|member| *member.project().is_seen = true);
        }
    }
}

/// What comes out for what an input brought.
#[inline]
fn answer<T>(marks: &mut Marks, input: usize, news: News<T>) -> Option<Timed<T>> {
    match news {
        News::Item(time, item) => {
            marks.take_item(input, time.as_nanos());
            return Some(Timed::Item(time, item));
        }
        News::Watermark(mark) => marks.advance(input, mark),
        News::Idle => marks.leave_out(input),
        News::Ended => marks.end(input),
    }
    let moved = marks.moved()?;
    Some(Timed::Watermark(Timestamp::from_nanos(moved)))
}

impl<S: Stage<Item = Timed<T>>, T> Stage for MergeTimed<S> {
    type Item = Timed<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Timed<T>>> {
        let this = &mut *self;
        this.begin();
        loop {
            match this.rounds.poll_next(cx, &mut All) {
                Poll::Ready(Some((input, news))) => {
                    let answer = answer(&mut this.marks, input, news);
                    if answer.is_some() {
                        return Poll::Ready(answer);
                    }
                }
                Poll::Ready(None) => {
                    this.shown.end(this.marks.reached);
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    this.shown.show(this.marks.reached);
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Timed<T>) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = &mut *self;
        this.begin();
        let marks = &mut this.marks;
        let drained = this.rounds.poll_drain(cx, &mut All, &mut |(input, news)| {
            answer(marks, input, news).map_or(ControlFlow::Continue(()), &mut *each)
        });
        match drained {
            Poll::Ready(ControlFlow::Continue(())) => this.shown.end(this.marks.reached),
            _ => this.shown.show(this.marks.reached),
        }
        drained
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driven = self.rounds.drive();
        if driven.is_pending() {
            self.rounds.park(cx);
        }
        driven
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.rounds.inputs().size_hint().1)
    }

    fn describe(&self, outline: &mut Outline) {
        let node = outline.join("merge_timed", self.site, self.rounds.inputs().outlines());
        if let Some(after) = self.idle {
            node.parameter("idle", format_args!("{after:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::*;
    use crate::{Virtual, iter};

    fn millis(x: &i64) -> Timestamp {
        Timestamp::from_millis(*x)
    }

    fn item(time: i64) -> Timed<i64> {
        Timed::Item(millis(&time), time)
    }

    fn mark(time: i64) -> Timed<i64> {
        Timed::Watermark(millis(&time))
    }

    #[test]
    fn nothing_is_known_before_every_input_has_said_something() {
        let a = timetable([(1, mark(5)), (4, item(7))], 10);
        let b = timetable([(3, mark(2)), (6, mark(8))], 9);
        let merged = timeline(merge_timed([a.boxed(), b.boxed()]));
        assert_eq!(merged, (vec![(3, mark(2)), (4, item(7)), (6, mark(5))], 10));
    }

    #[test]
    fn an_input_that_has_ended_holds_nothing_back() {
        let a = timetable([(1, mark(5))], 9);
        let b = timetable([(2, mark(1))], 4);
        let merged = timeline(merge_timed([a.boxed(), b.boxed()]));
        assert_eq!(merged, (vec![(2, mark(1)), (4, mark(5))], 9));
    }

    #[test]
    fn an_input_that_never_advances_holds_time_back_and_nothing_else() {
        let a = iter((0..1_000).flat_map(|n| [item(n), mark(n)]));
        let mut merged = merge_timed([a.boxed(), crate::never().boxed()]);
        let mut items = 0;
        Virtual::new().run(async {
            while items < 1_000 {
                assert!(matches!(merged.next().await, Some(Timed::Item(..))));
                items += 1;
            }
        });
        let counts = merged.counts();
        assert_eq!((counts.items, counts.late, counts.watermark), (1_000, 0, None));
    }

    #[test]
    fn behind_a_stalled_input_the_order_of_time_costs_no_more_than_its_capacity() {
        let busy = iter(0..10_000).event_time(millis, ms(0));
        let stalled = crate::never().event_time(millis, ms(0));
        let mut ordered = merge_timed([busy.boxed(), stalled.boxed()]).reorder(100);
        Virtual::new().run(async {
            for number in 0..9_900 {
                assert_eq!(ordered.next().await, Some(item(number)));
            }
        });
        let counts = ordered.counts();
        assert_eq!((counts.forced, counts.held, counts.most_held), (9_900, 100, 100));
    }

    #[test]
    fn an_idle_input_is_left_out_until_it_comes_back_and_its_items_are_late_then() {
        let a = timetable((1..=20).map(|n| (n, mark(n))), 21);
        let b = timetable([(2, mark(2)), (12, item(6)), (13, mark(13))], 21);
        let mut merged = merge_timed([a.boxed(), b.boxed()]).idle(ms(5));
        let mut seen = Vec::new();
        let late = Virtual::new().run(async {
            while let Some(element) = merged.next().await {
                seen.push((crate::Clock::current().now().as_millis(), element));
            }
            merged.counts().late
        });
        // B is idle from 7 to 12, and comes first at these instants: what it says at 12 is behind 11,
        // and time stands until it has caught up.
        let mut expected = vec![(2, mark(1)), (2, mark(2))];
        expected.extend((7..=11).map(|n| (n, mark(n))));
        expected.extend([(12, item(6)), (13, mark(12)), (13, mark(13))]);
        expected.extend((18..=20).map(|n| (n, mark(n))));
        assert_eq!(seen, expected);
        assert_eq!(late, 1);
    }

    #[test]
    fn when_all_are_silent_time_is_that_of_the_furthest_whoever_was_silent_first() {
        for (a, b) in [(1, 2), (2, 1)] {
            let a = timetable([(a, mark(10))], 50);
            let b = timetable([(b, mark(5))], 50);
            let merged = timeline(merge_timed([a.boxed(), b.boxed()]).idle(ms(4)));
            assert_eq!(merged.0.last().map(|(_, last)| *last), Some(mark(10)));
        }
    }

    #[test]
    fn no_inputs_end_at_once() {
        let none: [Flow<crate::source::Iter<std::vec::IntoIter<Timed<i64>>>>; 0] = [];
        assert_eq!(items(merge_timed(none)), []);
    }

    #[test]
    #[should_panic(expected = "merge_timed: the idle time must not be zero, at operators/src/")]
    fn an_idle_time_of_zero_is_refused_where_it_was_written() {
        let _ = merge_timed([iter([item(1)])]).idle(ms(0));
    }

    proptest! {
        #[test]
        fn the_tree_knows_the_least(
            inputs in 1..10usize,
            steps in prop::collection::vec((0..10usize, prop::option::of(0..50i64)), 0..60),
        ) {
            let mut marks = Marks::new(inputs);
            let mut leaves = vec![i64::MIN; inputs];
            for (input, mark) in steps {
                let input = input % inputs;
                leaves[input] = mark.unwrap_or(FREE);
                marks.set(input, leaves[input]);
                prop_assert_eq!(Some(marks.tree[1]), leaves.iter().copied().min());
            }
        }

        /// Feeds that are each out of order by less than they say, at any pace against each other:
        /// nothing is late, and in order they are one and the same flow.
        #[test]
        fn the_order_of_time_does_not_depend_on_who_is_faster(
            feeds in prop::collection::vec(
                prop::collection::vec((0..5i64, 0..6i64, 0..9i64), 0..40), 1..5),
        ) {
            let mut expected = Vec::new();
            let flow = |feed: &Vec<(i64, i64, i64)>, number: i64| {
                let (mut now, mut at) = (0, 0);
                let items: Vec<_> = feed
                    .iter()
                    .map(|(step, back, pause)| {
                        (now, at) = (now + step, at + pause);
                        (at, (now - back, number))
                    })
                    .collect();
                (items, at)
            };
            let mut flows = Vec::new();
            for (number, feed) in (0..).zip(&feeds) {
                let (items, end) = flow(feed, number);
                expected.extend(items.iter().map(|(_, item)| *item));
                let timed = timetable(items, end).event_time(|item| millis(&item.0), ms(5));
                flows.push(timed.boxed());
            }
            expected.sort();
            let mut ordered = merge_timed(flows).reorder(1_000);
            let mut actual = Vec::new();
            Virtual::new().run(async {
                while let Some(element) = ordered.next().await {
                    if let Timed::Item(_, item) = element {
                        actual.push(item);
                    }
                }
            });
            prop_assert_eq!(ordered.counts().late, 0);
            prop_assert!(actual.is_sorted_by_key(|(time, _)| *time));
            actual.sort();
            prop_assert_eq!(actual, expected);
        }
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(merge_timed, |a, b, c| {
        merge_timed([a, b, c].map(|input| input.event_time(value_as_time, ms(1))))
    }, except [
        Invariance: "which of the items that are ready at one instant comes first is not promised",
    ]);
    conformance!(merge_timed_idle, |a, b| {
        merge_timed([a, b].map(|input| input.event_time(value_as_time, ms(1)))).idle(ms(3))
    }, except [
        Invariance: "which of the items that are ready at one instant comes first is not promised",
    ]);

    marbles!(merge_timed, |a: Timed<char>, b: Timed<char>| merge_timed([a, b]));

    /// `None` is the end of an input.
    fn merged(inputs: [Timeline<i64>; 2], idle: Option<i64>) -> Timeline<Timed<i64>> {
        let mut steps = Vec::new();
        let end = inputs.iter().map(|input| input.end).max().unwrap();
        for (index, input) in inputs.iter().enumerate() {
            let mut times: Vec<_> = input.events.iter().map(|(at, _)| *at).collect();
            times.push(input.end);
            let mut since = 0;
            for (number, at) in times.iter().enumerate() {
                if let Some(idle) = idle.filter(|idle| since + idle < *at) {
                    steps.push((since + idle, 1, index, None));
                }
                since = *at;
                steps.push((*at, 0, index, Some(input.events.get(number).map(|(_, x)| *x))));
            }
        }
        steps.sort_by_key(|(at, is_idle, index, _)| (*at, *is_idle, *index));
        let (mut own, mut counts, mut open) = ([i64::MIN; 2], [true; 2], [true; 2]);
        let mut reached = i64::MIN;
        let mut output = Timeline::new([], end);
        for (at, _, index, step) in steps {
            match step {
                Some(Some(x)) => {
                    output.events.push((at, item(x)));
                    counts[index] = true;
                    own[index] = own[index].max(x - 1);
                }
                Some(None) => (counts[index], open[index]) = (false, false),
                None => counts[index] = false,
            }
            let of = |which: [bool; 2]| (0..2).filter(move |index| which[*index]);
            let least = of(counts).map(|index| own[index]).min();
            let furthest = of(open).map(|index| own[index]).max();
            if let Some(now) = least.or(furthest).filter(|now| *now > reached) {
                reached = now;
                output.events.push((at, mark(now)));
            }
        }
        output
    }

    specification!(
        merge_timed,
        |a: i64, b: i64| merge_timed([a, b].map(|input| input.event_time(millis, ms(1)))),
        |a, b| merged([a, b], None)
    );
    specification!(
        merge_timed_idle,
        |a: i64, b: i64| {
            merge_timed([a, b].map(|input| input.event_time(millis, ms(1)))).idle(ms(6))
        },
        |a, b| merged([a, b], Some(6))
    );
}
