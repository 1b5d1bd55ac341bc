//! [`Timeline`]: which item came when, and when the end.

use std::fmt::Debug;

use super::observe::{How, record};
use super::{Diagram, Feed, draw};
use crate::{Flow, Stage};

/// What a flow hands out: each item with its millisecond of virtual time, in order, and the
/// millisecond of the end.
///
/// A timeline is at once what a test plays to an operator, what it saw coming out of it, and what
/// it expected to see: see [`specification!`](crate::specification).
///
/// ```
/// use aqueduct_operators::testing::{Timeline, ms};
///
/// let input = Timeline::new([(1, 'a'), (4, 'b')], 6);
/// let late = Timeline::of(input.flow().delay(ms(2), 8));
/// assert_eq!(late, Timeline::new([(3, 'a'), (6, 'b')], 6));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Timeline<T> {
    /// Milliseconds and item, never going back in time.
    pub events: Vec<(i64, T)>,
    /// The millisecond of the end, or [`NEVER`](Self::NEVER).
    pub end: i64,
}

impl<T> Timeline<T> {
    /// The end of a flow that does not end.
    pub const NEVER: i64 = i64::MAX;

    /// These items at these milliseconds, and the end.
    pub fn new(events: impl IntoIterator<Item = (i64, T)>, end: i64) -> Self {
        Self { events: events.into_iter().collect(), end }
    }

    /// A flow that plays the timeline under virtual time and loses nothing: an item that is asked
    /// for late comes late.
    #[track_caller]
    pub fn flow(self) -> Flow<Feed<T>> {
        Feed::flow(self, 0)
    }

    /// The items alone.
    pub fn items(self) -> Vec<T> {
        self.events.into_iter().map(|(_, item)| item).collect()
    }

    /// What `f` makes of each item and its millisecond, all of it at that time; the end stays.
    ///
    /// The specification of an operator that answers item by item:
    ///
    /// ```
    /// use aqueduct_operators::specification;
    ///
    /// specification!(enumerate, at_any_pace, |input| input.enumerate(), |input| {
    ///     let mut number = 0..;
    ///     input.flat_map(|_, item| number.next().map(|number| (number, item)))
    /// });
    /// # fn main() {}
    /// ```
    pub fn flat_map<U, I>(self, mut f: impl FnMut(i64, T) -> I) -> Timeline<U>
    where
        I: IntoIterator<Item = U>,
    {
        let mut events = Vec::new();
        for (at, item) in self.events {
            events.extend(f(at, item).into_iter().map(|item| (at, item)));
        }
        Timeline { events, end: self.end }
    }

    /// Each item through `f`, at its time.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Timeline<U> {
        let events = self.events.into_iter().map(|(at, item)| (at, f(item))).collect();
        Timeline { events, end: self.end }
    }
}

impl<T> Timeline<T> {
    /// Runs the flow under virtual time to its end, and notes what came when. A flow that waits
    /// for something that never comes ends [`NEVER`](Self::NEVER).
    pub fn of<S: Stage<Item = T>>(flow: Flow<S>) -> Self {
        Self::until(CENTURY, flow)
    }

    /// The same for a flow that may not end: only what comes up to this millisecond.
    ///
    /// ```
    /// use aqueduct_operators::{interval, source::Missed, testing::{Timeline, ms}};
    ///
    /// let ticks = Timeline::until(10, interval(ms(4), Missed::Skip).map(|_| 'x'));
    /// assert_eq!(ticks, Timeline::new([(4, 'x'), (8, 'x')], Timeline::<char>::NEVER));
    /// ```
    pub fn until<S: Stage<Item = T>>(millis: i64, flow: Flow<S>) -> Self {
        let mut lines = record(|| vec![(Box::pin(flow) as _, How::default())], millis);
        lines.pop().unwrap_or(Self { events: Vec::new(), end: Self::NEVER })
    }
}

/// Later than anything in a test, in milliseconds.
const CENTURY: i64 = 100 * 365 * 24 * 3_600_000;

impl<T: Debug> Timeline<T> {
    /// The timeline as a marble, as far as one can show it: not if something happens while a group
    /// takes up its printed width, or before millisecond 0.
    ///
    /// Items that do not print as one character become letters, with a line that says what they
    /// are; `Err(..)` becomes `#`.
    ///
    /// ```
    /// use aqueduct_operators::testing::Timeline;
    ///
    /// let line = Timeline::new([(2, "x"), (5, "long"), (90, "x")], 95);
    /// assert_eq!(line.marble().unwrap(), "--x--a 84ms x----|\nwhere  a = long");
    /// ```
    pub fn marble(&self) -> Option<String> {
        draw::marble(&self.shown())
    }

    /// The timeline as a line of text that is not exact: a column is as wide as what stands in it.
    pub fn diagram(&self) -> String {
        draw::rows(&[("", &self.shown())]).trim().to_owned()
    }

    /// Panics, with both as diagrams, if the two are not equal.
    ///
    /// ```should_panic
    /// use aqueduct_operators::testing::Timeline;
    ///
    /// Timeline::new([(1, 'a'), (4, 'b')], 6).assert_is(&Timeline::new([(1, 'a'), (5, 'b')], 6));
    /// // at 4 ms expected nothing, got b
    /// // expected  -a---b|
    /// // actual    -a--b-|
    /// ```
    #[track_caller]
    pub fn assert_is(&self, expected: &Self)
    where
        T: PartialEq,
    {
        if self != expected {
            let (expected, actual) = (expected.shown(), self.shown());
            let difference = draw::difference(&expected, &actual)
                .unwrap_or_else(|| "items that print alike are not equal".to_owned());
            let rows = draw::rows(&[("expected", &expected), ("actual", &actual)]);
            panic!("{difference}\n{rows}");
        }
    }

    /// Panics, with both as diagrams, if the timeline is not what the marble says. Lines below it
    /// may say what its characters stand for, as in [`marbles!`](crate::marbles).
    ///
    /// ```
    /// use aqueduct_operators::{marble, testing::Timeline};
    ///
    /// let pairs = marble!("--a--b--c|").flow().pairwise();
    /// Timeline::of(pairs).assert_marble("-----x--y|\nwhere  x = (a, b), y = (b, c)");
    /// ```
    #[track_caller]
    pub fn assert_marble(&self, marble: &str) {
        if let Err(message) = Diagram::of_row(marble).compare_row(self.shown()) {
            panic!("{message}");
        }
    }

    /// The same with each item as it is printed in a diagram.
    pub(super) fn shown(&self) -> Timeline<String> {
        let shown = |(at, item): &(i64, T)| (*at, draw::plain(&format!("{item:?}")));
        Timeline { events: self.events.iter().map(shown).collect(), end: self.end }
    }
}
