//! [`Aggregate`]: how many items become one value.
//!
//! What windows and rolling statistics compute is a value too, made by a function of this module and
//! put together from others:
//!
//! ```
//! use aqueduct_operators::Timestamp;
//! use aqueduct_operators::aggregate::{Aggregate, Span, count, ohlc, sum, vwap};
//!
//! struct Trade {
//!     price: f64,
//!     quantity: f64,
//!     bought: bool,
//! }
//!
//! let bar = (
//!     ohlc(|trade: &Trade| trade.price),
//!     vwap(|trade: &Trade| trade.price, |trade: &Trade| trade.quantity).map(|vwap| vwap.price()),
//!     sum(|trade: &Trade| trade.quantity).filtered(|trade: &Trade| trade.bought),
//!     count(),
//! );
//!
//! let second = |s| Timestamp::from_secs(s);
//! let trades = [
//!     (second(1), Trade { price: 100.0, quantity: 3.0, bought: true }),
//!     (second(2), Trade { price: 104.0, quantity: 1.0, bought: false }),
//! ];
//! let minute = Span { start: second(0), end: second(60) };
//! let (prices, average, bought, trades) = bar.over(minute, trades);
//! assert_eq!(prices.unwrap().high, 104.0);
//! assert_eq!(average, Some(101.0));
//! assert_eq!((bought, trades), (3.0, 2));
//! ```
//!
//! | | exact | removes | carried into an empty window |
//! |---|---|---|---|
//! | [`count`] | yes | yes | |
//! | [`sum`], [`mean`], [`vwap`] | for integers | for integers | |
//! | [`variance`] | to rounding | | |
//! | [`min`], [`max`], [`min_by_key`], [`max_by_key`] | yes | | |
//! | [`first`], [`last`], [`ohlc`] | yes | | the last value |
//! | [`twap`] | for integers | | the last value |
//! | [`ema_events`], [`ema_half_life`] | to rounding | | the average |
//! | [`distinct_count`] | up to a bound | | |
//! | `quantile`, `quantiles` (feature `sketch`) | to a relative error | | |
//! | [`fold`] | as its functions are | | |
//!
//! Exact means: cut anywhere and merged, the output is the same to the last bit. Sums of floats
//! depend on the order in which they are added, and agree to rounding: to 1e-9 of the largest value
//! in the tests. Estimates are the same too, however the items are cut.
//!
//! A float that is not a number is passed over by whatever compares (`min`, `max`, `ohlc`,
//! `quantile`), and makes a sum one that is not a number.

mod count;
mod distinct_count;
mod ema_events;
mod ema_half_life;
mod filtered;
mod first;
mod fold;
mod last;
mod map;
mod max;
mod mean;
mod min;
mod number;
mod of;
mod ohlc;
mod order;
#[cfg(feature = "sketch")]
mod quantile;
mod sum;
mod twap;
mod variance;
mod vwap;

#[cfg(test)]
mod laws;

use crate::Timestamp;

pub use count::{Count, count};
#[cfg(feature = "sketch")]
pub use distinct_count::Estimated;
pub use distinct_count::{AtLeast, Beyond, Distinct, DistinctCount, distinct_count};
pub use ema_events::{EmaEvents, ema_events};
pub use ema_half_life::{EmaHalfLife, ema_half_life};
pub use filtered::Filtered;
pub use first::{First, first};
pub use fold::{Fold, fold};
pub use last::{Last, last};
pub use map::Map;
pub use max::{Max, MaxByKey, max, max_by_key};
pub use mean::{Mean, mean};
pub use min::{Min, MinByKey, min, min_by_key};
pub use number::{Number, Total};
pub use of::Of;
pub use ohlc::{Ohlc, OhlcOf, ohlc};
pub use order::{ByArrival, ByTime, Order};
#[cfg(feature = "sketch")]
pub use quantile::{Quantile, Quantiles, quantile, quantiles};
pub use sum::{Sum, sum};
pub use twap::{Twap, TwapOf, twap};
pub use variance::{Moments, Variance, variance};
pub use vwap::{Vwap, VwapOf, vwap};

/// A stretch of event time, from `start` to `end`.
///
/// Which of its two ends belongs to it depends on what it is the span of: see
/// [`Window`](crate::window::Window).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Where it begins.
    pub start: Timestamp,
    /// Where it ends.
    pub end: Timestamp,
}

/// Turns the items of a window into one value. The value itself is the recipe; each window has a
/// state of its own.
///
/// A state describes a stretch of items, and two states that lie one after the other in time can be
/// [merged](Self::merge): so windows that overlap share the work, and a late item can join two
/// windows into one. What has to hold for every list of items and every place to cut it: to add
/// all, and to add the two parts each to a state of its own and merge them, give the same output.
/// The state that [`init`](Self::init) gives changes nothing, whichever side it is merged from.
///
/// Aggregates combine as tuples: `(a, b, c)` gives all outputs of one pass.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span};
///
/// struct Longest;
///
/// impl Aggregate<String> for Longest {
///     type State = usize;
///     type Output = usize;
///
///     fn init(&self) -> usize {
///         0
///     }
///
///     fn add(&self, longest: &mut usize, _time: Timestamp, line: &String) {
///         *longest = line.len().max(*longest);
///     }
///
///     fn merge(&self, longest: &mut usize, later: &usize) {
///         *longest = *later.max(longest);
///     }
///
///     fn finish(&self, longest: &usize, _span: Span) -> usize {
///         *longest
///     }
/// }
/// ```
pub trait Aggregate<T> {
    /// What a window keeps while it is open.
    type State;
    /// What comes of it.
    type Output;

    /// Whether [`remove`](Self::remove) works. Where it does, a window that moves on takes its
    /// oldest items out; elsewhere it keeps partial results, at about twice the cost.
    const INVERTIBLE: bool = false;

    /// The state of a window without items.
    fn init(&self) -> Self::State;

    /// Adds an item and its time. Items come in the order of their arrival, which need not be that
    /// of their times.
    fn add(&self, state: &mut Self::State, time: Timestamp, item: &T);

    /// Adds what `later` has gathered, whose items come after those of `state`.
    fn merge(&self, state: &mut Self::State, later: &Self::State);

    /// The value of a window. It may be asked for more than once while items still come.
    fn finish(&self, state: &Self::State, span: Span) -> Self::Output;

    /// The state with which a window starts that [carries on](crate::window::Empty::Carry) from the
    /// one before, whose state is `before`: its last price, for example. Without a definition
    /// nothing is carried.
    fn carry(&self, _before: &Self::State) -> Self::State {
        self.init()
    }

    /// Undoes the merge of `oldest`, the part of `state` that comes first. Called only where
    /// [`INVERTIBLE`](Self::INVERTIBLE) says so.
    fn remove(&self, _state: &mut Self::State, _oldest: &Self::State) {}

    /// Gives what `f` makes of the output: a unit, a rounding, a type of your own.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, aggregate::{Aggregate, Span, mean}};
    /// # let span = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
    /// let cents = mean(|cents: &i64| *cents);
    /// let euros = cents.map(|cents| cents.unwrap_or(0.0) / 100.0);
    /// assert_eq!(euros.over(span, [(Timestamp::EPOCH, 150), (Timestamp::EPOCH, 250)]), 2.0);
    /// ```
    fn map<O, F>(self, f: F) -> Map<Self, F, T>
    where
        Self: Sized,
        F: Fn(Self::Output) -> O,
    {
        Map::new(self, f)
    }

    /// Aggregates what `f` makes of each item, so that an aggregate of one type serves another.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, aggregate::{Aggregate, Span, count, sum}};
    /// # let span = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
    /// let lengths = (count(), sum(|length: &usize| *length));
    /// let words = lengths.of(|word: &&str| word.len());
    /// assert_eq!(words.over(span, [(Timestamp::EPOCH, "to"), (Timestamp::EPOCH, "be")]), (2, 4));
    /// ```
    fn of<U, F>(self, f: F) -> Of<Self, F, T>
    where
        Self: Sized,
        F: Fn(&U) -> T,
    {
        Of::new(self, f)
    }

    /// Aggregates only the items for which `keep` holds.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, aggregate::{Aggregate, Span, count}};
    /// # let span = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
    /// let gains = count().filtered(|change: &i64| *change > 0);
    /// assert_eq!(gains.over(span, [-2, 0, 3, 5].map(|x| (Timestamp::EPOCH, x))), 2);
    /// ```
    #[doc(alias("count_if", "sum_if"))]
    fn filtered<F>(self, keep: F) -> Filtered<Self, F>
    where
        Self: Sized,
        F: Fn(&T) -> bool,
    {
        Filtered::new(self, keep)
    }

    /// What a window with these items, in the order of their arrival, would give.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, aggregate::{Aggregate, Span, max}};
    /// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
    /// let items = [(Timestamp::from_millis(20), 3), (Timestamp::from_millis(70), 4)];
    /// assert_eq!(max(|x: &i32| *x).over(second, items), Some(4));
    /// ```
    fn over(&self, span: Span, items: impl IntoIterator<Item = (Timestamp, T)>) -> Self::Output {
        let mut state = self.init();
        for (time, item) in items {
            self.add(&mut state, time, &item);
        }
        self.finish(&state, span)
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),+);)+) => { $(
        impl<T, $($name: Aggregate<T>),+> Aggregate<T> for ($($name,)+) {
            type State = ($($name::State,)+);
            type Output = ($($name::Output,)+);

            const INVERTIBLE: bool = $($name::INVERTIBLE)&&+;

            #[inline]
            fn init(&self) -> Self::State {
                ($(self.$index.init(),)+)
            }

            #[inline]
            fn add(&self, state: &mut Self::State, time: Timestamp, item: &T) {
                $(self.$index.add(&mut state.$index, time, item);)+
            }

            #[inline]
            fn merge(&self, state: &mut Self::State, later: &Self::State) {
                $(self.$index.merge(&mut state.$index, &later.$index);)+
            }

            #[inline]
            fn finish(&self, state: &Self::State, span: Span) -> Self::Output {
                ($(self.$index.finish(&state.$index, span),)+)
            }

            #[inline]
            fn carry(&self, before: &Self::State) -> Self::State {
                ($(self.$index.carry(&before.$index),)+)
            }

            #[inline]
            fn remove(&self, state: &mut Self::State, oldest: &Self::State) {
                $(self.$index.remove(&mut state.$index, &oldest.$index);)+
            }
        }
    )+ };
}

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
}

#[cfg(test)]
mod tests {
    use super::{Aggregate, Span};
    use crate::Timestamp;

    /// The items in the order in which they were added.
    struct Text(char);

    impl Aggregate<char> for Text {
        type State = String;
        type Output = String;

        fn init(&self) -> String {
            self.0.into()
        }

        fn add(&self, text: &mut String, _: Timestamp, item: &char) {
            text.push(*item);
        }

        fn merge(&self, text: &mut String, later: &String) {
            text.push_str(later);
        }

        fn finish(&self, text: &String, _: Span) -> String {
            text.clone()
        }
    }

    #[test]
    fn a_tuple_gives_every_item_to_all_and_keeps_their_states_apart() {
        let three = (Text('1'), Text('2'), Text('3'));
        let mut state = three.init();
        three.add(&mut state, Timestamp::EPOCH, &'a');
        three.add(&mut state, Timestamp::EPOCH, &'b');
        let span = Span { start: Timestamp::EPOCH, end: Timestamp::EPOCH };
        assert_eq!(three.finish(&state, span), ("1ab".into(), "2ab".into(), "3ab".into()));
    }
}
