//! `twap`: the average of a value over time.

use std::time::Duration;

use super::{Aggregate, Number, Span, Total};
use crate::Timestamp;

/// The time-weighted average of what `f` gives: each value counts for as long as it holds, from its
/// item's time to that of the next, the last one to the end of the window.
///
/// What held before the first item is known only to a window that carries on from the one before;
/// there it counts from the start of the window. Elsewhere the average covers the time from the
/// first item on, and the output says how much that is.
///
/// An item that is earlier than one before it is passed over, because its value no longer holds; how
/// many there were is in the output. Where that matters, bring the items into the order of their
/// times first. Parts that are merged count as one after the other: where the later one begins before
/// the earlier one ends, only its last value is looked at, and the others are counted too. In the
/// order of time the merge is exact for integers.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, twap};
/// use std::time::Duration;
///
/// let at = Timestamp::from_secs;
/// let minute = Span { start: at(0), end: at(60) };
/// let spread = twap(|spread: &i64| *spread).over(minute, [(at(20), 3), (at(50), 7)]);
/// assert_eq!(spread.covered, Duration::from_secs(40));
/// assert_eq!(spread.average(), Some((3.0 * 30.0 + 7.0 * 10.0) / 40.0));
/// ```
#[doc(alias("time_weighted_average", "time_weighted_average_price"))]
pub fn twap<T, N: Number, F: Fn(&T) -> N>(f: F) -> TwapOf<F> {
    TwapOf(f)
}

/// The aggregate behind [`twap`].
#[derive(Debug, Clone, Copy)]
pub struct TwapOf<F>(F);

/// A time-weighted average, as the integral and the time it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Twap<W> {
    /// ∫ value dt over the covered time, in the unit of the values times nanoseconds.
    pub integral: W,
    /// For how much of the window the value was known.
    pub covered: Duration,
    /// The value at the end of the window, if one is known.
    pub last: Option<W>,
    /// How many items were passed over, because one with a later time had come before them.
    pub out_of_order: u64,
}

impl<W: Total> Twap<W> {
    /// The average, in the unit of the values. If no time is covered it is the last value, and
    /// `None` if there is none.
    pub fn average(&self) -> Option<f64> {
        if self.covered.is_zero() {
            return self.last.map(W::to_f64);
        }
        Some(self.integral.to_f64() / self.covered.as_nanos() as f64)
    }
}

/// What a window of [`twap`] keeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct TwapState<N: Number> {
    /// What held when the window began.
    carried: Option<N>,
    run: Option<Run<N>>,
    out_of_order: u64,
}

/// The time from the first item to the last.
#[derive(Debug, Clone, Copy)]
struct Run<N: Number> {
    first: Timestamp,
    last: Timestamp,
    /// What holds since `last`.
    value: N,
    /// ∫ value dt from `first` to `last`.
    integral: N::Total,
    items: u64,
}

/// Nanoseconds from one time to another; zero if that is earlier.
#[inline]
fn nanos(from: Timestamp, to: Timestamp) -> u64 {
    // The difference of any two times fits, though perhaps not with a sign.
    if to > from { to.as_nanos().wrapping_sub(from.as_nanos()).cast_unsigned() } else { 0 }
}

/// ∫ value dt over so long.
#[inline]
fn area<N: Number>(value: N, nanos: u64) -> N::Total {
    value.total().times(N::Total::from_u64(nanos))
}

impl<N: Number> Run<N> {
    /// Lets the value hold until `time`, and from there on `value`.
    #[inline]
    fn turn(&mut self, time: Timestamp, value: N) {
        self.integral = self.integral.plus(area(self.value, nanos(self.last, time)));
        self.last = time;
        self.value = value;
    }
}

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for TwapOf<F> {
    type State = TwapState<N>;
    type Output = Twap<N::Total>;

    #[inline]
    fn init(&self) -> TwapState<N> {
        TwapState { carried: None, run: None, out_of_order: 0 }
    }

    #[inline]
    fn add(&self, state: &mut TwapState<N>, time: Timestamp, item: &T) {
        let value = (self.0)(item);
        match &mut state.run {
            Some(run) if time < run.last => state.out_of_order += 1,
            Some(run) => {
                run.turn(time, value);
                run.items += 1;
            }
            None => {
                let integral = N::Total::ZERO;
                state.run = Some(Run { first: time, last: time, value, integral, items: 1 });
            }
        }
    }

    fn merge(&self, state: &mut TwapState<N>, later: &TwapState<N>) {
        state.out_of_order += later.out_of_order;
        match (&mut state.run, &later.run) {
            (Some(run), Some(next)) if next.first >= run.last => {
                run.turn(next.first, next.value);
                run.integral = run.integral.plus(next.integral);
                run.last = next.last;
                run.items += next.items;
            }
            (Some(run), Some(next)) if next.last >= run.last => {
                run.turn(next.last, next.value);
                run.items += 1;
                state.out_of_order += next.items - 1;
            }
            (Some(_), Some(next)) => state.out_of_order += next.items,
            (Some(_), None) => {}
            (None, Some(next)) => {
                state.carried = state.carried.or(later.carried);
                state.run = Some(*next);
            }
            (None, None) => state.carried = later.carried.or(state.carried),
        }
    }

    #[inline]
    fn finish(&self, state: &TwapState<N>, span: Span) -> Twap<N::Total> {
        let mut integral = N::Total::ZERO;
        let mut covered = 0;
        if let Some(value) = state.carried {
            let first = state.run.as_ref().map_or(span.end, |run| run.first);
            covered = nanos(span.start, first);
            integral = area(value, covered);
        }
        if let Some(run) = &state.run {
            let rest = nanos(run.last, span.end);
            covered = covered.saturating_add(nanos(run.first, run.last)).saturating_add(rest);
            integral = integral.plus(run.integral).plus(area(run.value, rest));
        }
        let last = state.run.as_ref().map(|run| run.value).or(state.carried);
        Twap {
            integral,
            covered: Duration::from_nanos(covered),
            last: last.map(N::total),
            out_of_order: state.out_of_order,
        }
    }

    #[inline]
    fn carry(&self, before: &TwapState<N>) -> TwapState<N> {
        let carried = before.run.as_ref().map(|run| run.value).or(before.carried);
        TwapState { carried, run: None, out_of_order: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, close, cuts, in_order, same};
    use proptest::prelude::*;

    /// Looks at every nanosecond.
    fn brute_force(carried: Option<i64>, items: &[(Timestamp, i64)]) -> (i128, u64) {
        let (mut integral, mut covered) = (0, 0);
        for now in SPAN.start.as_nanos()..SPAN.end.as_nanos() {
            let known = items.iter().rev().find(|(time, _)| time.as_nanos() <= now);
            if let Some(value) = known.map(|(_, value)| *value).or(carried) {
                integral += i128::from(value);
                covered += 1;
            }
        }
        (integral, covered)
    }

    proptest! {
        #[test]
        fn integers_in_order_keep_the_laws_exactly(
            Cuts { items, at } in in_order(-99..99_i64),
            carried in proptest::option::of(-99..99_i64),
        ) {
            let twap = twap(|x: &i64| *x);
            laws::hold(&twap, &items, at, same);
            let mut state = TwapState { carried, ..twap.init() };
            for (time, x) in &items {
                twap.add(&mut state, *time, x);
            }
            let twap = twap.finish(&state, SPAN);
            let (integral, covered) = brute_force(carried, &items);
            prop_assert_eq!(twap.integral, integral);
            prop_assert_eq!(twap.covered, Duration::from_nanos(covered));
        }

        #[test]
        fn floats_in_order_keep_the_laws_to_rounding(Cuts { items, at } in in_order(-1e6..1e6)) {
            laws::hold(&twap(|x: &f64| *x), &items, at, |a, b| {
                close(a.integral, b.integral) && (a.covered, a.last) == (b.covered, b.last)
            });
        }

        #[test]
        fn out_of_order_the_average_stays_within_the_values_and_all_losses_are_counted(
            Cuts { items, at } in cuts(-99..99_i64),
        ) {
            let twap = twap(|x: &i64| *x);
            let mut state = twap.init();
            for part in [&items[..at[0]], &items[at[0]..at[1]], &items[at[1]..]] {
                let mut later = twap.init();
                for (time, x) in part {
                    twap.add(&mut later, *time, x);
                }
                twap.merge(&mut state, &later);
            }
            let kept = state.run.map_or(0, |run| run.items);
            prop_assert_eq!(kept + state.out_of_order, items.len() as u64);
            if let Some(average) = twap.finish(&state, SPAN).average() {
                let values = items.iter().map(|(_, x)| *x);
                prop_assert!(average >= values.clone().min().unwrap() as f64);
                prop_assert!(average <= values.max().unwrap() as f64);
            }
        }
    }

    #[test]
    fn what_held_before_counts_from_the_start_of_the_window() {
        let twap = twap(|x: &i64| *x);
        let mut before = twap.init();
        twap.add(&mut before, Timestamp::from_secs(3), &8);
        let mut window = twap.carry(&twap.carry(&before));
        let span = Span { start: Timestamp::from_secs(10), end: Timestamp::from_secs(20) };
        let quiet = twap.finish(&window, span);
        assert_eq!((quiet.average(), quiet.covered), (Some(8.0), Duration::from_secs(10)));
        twap.add(&mut window, Timestamp::from_secs(15), &0);
        assert_eq!(twap.finish(&window, span).average(), Some(4.0));
    }

    #[test]
    fn a_value_that_held_for_no_time_is_its_own_average() {
        let only = twap(|x: &i64| *x).over(SPAN, [(SPAN.end, 5)]);
        assert_eq!((only.average(), only.covered), (Some(5.0), Duration::ZERO));
        assert_eq!(twap(|x: &i64| *x).over(SPAN, []).average(), None);
    }

    #[test]
    fn a_value_of_an_earlier_time_is_counted_and_does_not_come_back() {
        let at = |ns, x| (Timestamp::from_nanos(ns), x);
        let twap = twap(|x: &i64| *x).over(SPAN, [at(0, 1), at(500, 2), at(400, 99)]);
        assert_eq!((twap.average(), twap.out_of_order), (Some(1.5), 1));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let all = Span { start: Timestamp::MIN, end: Timestamp::MAX };
        let ends = [(Timestamp::MIN, i64::MAX), (Timestamp::MAX, i64::MIN)];
        let twap = twap(|x: &i64| *x).over(all, ends);
        assert_eq!(twap.covered, Duration::from_nanos(u64::MAX));
        assert_eq!(twap.integral, i128::from(i64::MAX) * i128::from(u64::MAX));
    }
}
