//! What has to hold for every aggregate, whatever its items and wherever they are cut.

use std::fmt::Debug;

use proptest::prelude::*;

use super::{Aggregate, Span};
use crate::Timestamp;
use crate::testing::allocations;

/// The window that every item of [`cuts`] and [`in_order`] falls into.
pub(super) const SPAN: Span =
    Span { start: Timestamp::from_nanos(0), end: Timestamp::from_nanos(1_000) };

/// Items in the order of their arrival, and where to cut them in three.
#[derive(Debug, Clone)]
pub(super) struct Cuts<T> {
    pub items: Vec<(Timestamp, T)>,
    pub at: [usize; 2],
}

/// Items whose times are in any order, some the same.
pub(super) fn cuts<T: Debug + Clone>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = Cuts<T>> {
    let items =
        proptest::collection::vec(((0..1_000_i64).prop_map(Timestamp::from_nanos), item), 0..30);
    (items, any::<[prop::sample::Index; 2]>()).prop_map(|(items, at)| {
        let mut at = at.map(|at| at.index(items.len() + 1));
        at.sort_unstable();
        Cuts { items, at }
    })
}

/// Items in the order of their times, some the same.
pub(super) fn in_order<T: Debug + Clone>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = Cuts<T>> {
    cuts(item).prop_map(|mut cuts| {
        cuts.items.sort_by_key(|(time, _)| *time);
        cuts
    })
}

/// For what is exact.
pub(super) fn same<O: PartialEq>(one: &O, other: &O) -> bool {
    one == other
}

/// For what floats are summed up in.
pub(super) fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

pub(super) fn both_close(one: &Option<f64>, other: &Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => close(*one, *other),
        _ => one == other,
    }
}

/// Checks every law; `equal` says which outputs count as the same.
pub(super) fn hold<T, A>(
    aggregate: &A,
    items: &[(Timestamp, T)],
    at: [usize; 2],
    equal: impl Fn(&A::Output, &A::Output) -> bool,
) where
    A: Aggregate<T>,
    A::State: Debug,
    A::Output: Debug,
{
    let state = |items: &[(Timestamp, T)]| {
        let mut state = aggregate.init();
        add(aggregate, &mut state, items);
        state
    };
    let finish = |state: &A::State| {
        let before = format!("{state:?}");
        let output = aggregate.finish(state, SPAN);
        assert!(equal(&aggregate.finish(state, SPAN), &output), "a second look differs");
        assert_eq!(format!("{state:?}"), before, "a look changed the state");
        output
    };
    let check = |state: &A::State, expected: &A::State, law: &str| {
        let (output, wanted) = (finish(state), finish(expected));
        assert!(equal(&output, &wanted), "{law}: {output:?} instead of {wanted:?}");
        let (carried, wanted) = (aggregate.carry(state), aggregate.carry(expected));
        let (output, wanted) = (finish(&carried), finish(&wanted));
        assert!(equal(&output, &wanted), "{law}, carried: {output:?} instead of {wanted:?}");
    };
    let merged = |earlier: &[(Timestamp, T)], later: &A::State| {
        let mut merged = state(earlier);
        aggregate.merge(&mut merged, later);
        merged
    };

    let all = state(items);
    let (first, rest) = items.split_at(at[0]);
    let (second, third) = rest.split_at(at[1] - at[0]);

    check(&merged(items, &aggregate.init()), &all, "nothing after");
    check(&merged(&[], &all), &all, "nothing before");

    let later = merged(second, &state(third));
    check(&merged(first, &later), &all, "a · (b · c)");
    let mut all_merged = merged(first, &state(second));
    aggregate.merge(&mut all_merged, &state(third));
    check(&all_merged, &all, "(a · b) · c");
    let mut added = merged(first, &state(second));
    add(aggregate, &mut added, third);
    check(&added, &all, "(a · b), then c one by one");

    let mut carried = aggregate.carry(&state(first));
    let mut carried_merged = aggregate.carry(&state(first));
    add(aggregate, &mut carried, rest);
    aggregate.merge(&mut carried_merged, &state(rest));
    check(&carried_merged, &carried, "carry(a) · b");

    if A::INVERTIBLE {
        aggregate.remove(&mut all_merged, &state(first));
        check(&all_merged, &state(rest), "(a · b · c) without a");
        aggregate.remove(&mut all_merged, &state(second));
        check(&all_merged, &state(third), "(a · b · c) without a and b");
        aggregate.remove(&mut all_merged, &state(third));
        check(&all_merged, &aggregate.init(), "(a · b · c) without all");
    }
}

fn add<T, A: Aggregate<T>>(aggregate: &A, state: &mut A::State, items: &[(Timestamp, T)]) {
    for (time, item) in items {
        aggregate.add(state, *time, item);
    }
}

/// How often it allocates for 1,000 items and 1,000 merges, after as many.
pub(super) fn allocates<A: Aggregate<i64>>(aggregate: &A) -> usize {
    let run = |state: &mut A::State, other: &A::State| {
        for x in 0..1_000 {
            aggregate.add(state, Timestamp::from_nanos(x), &(x % 100));
            aggregate.merge(state, other);
        }
    };
    let (mut state, mut other) = (aggregate.init(), aggregate.init());
    aggregate.add(&mut other, Timestamp::from_nanos(5), &7);
    run(&mut state, &other);
    let before = allocations().unwrap();
    run(&mut state, &other);
    allocations().unwrap() - before
}

#[test]
fn nothing_allocates_for_an_item_or_a_merge() {
    use super::*;
    use std::time::Duration;
    let value = |x: &i64| *x;
    assert_eq!(allocates(&(count(), sum(value), mean(value), variance(value))), 0);
    assert_eq!(allocates(&(min(value), max_by_key(value, value), first(value), last(value))), 0);
    assert_eq!(allocates(&(ohlc(value).by_time(), vwap(value, value), twap(value))), 0);
    let half_life = ema_half_life(value, Duration::from_secs(1));
    assert_eq!(allocates(&(ema_events(value, 20), half_life)), 0);
    // Once their state has grown.
    assert_eq!(allocates(&distinct_count(value, 200)), 0);
    #[cfg(feature = "sketch")]
    assert_eq!(allocates(&quantile(value, 0.5)), 0);
}

/// Adds right, and merges or removes wrong.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// A merge takes the mean of two means, however many items each has.
    MeanOfMeans,
    /// What is removed stays.
    Stays,
}

impl Aggregate<i32> for Wrong {
    type State = (f64, u32);
    type Output = f64;

    const INVERTIBLE: bool = true;

    fn init(&self) -> Self::State {
        (0.0, 0)
    }

    fn add(&self, (sum, count): &mut Self::State, _: Timestamp, x: &i32) {
        *sum += f64::from(*x);
        *count += 1;
    }

    fn merge(&self, (sum, count): &mut Self::State, later: &Self::State) {
        let counts = (f64::from(*count), f64::from(later.1));
        *sum += later.0;
        *count += later.1;
        if matches!(self, Self::MeanOfMeans) && counts.0 * counts.1 != 0.0 {
            let means = ((*sum - later.0) / counts.0, later.0 / counts.1);
            *sum = (means.0 + means.1) / 2.0 * (counts.0 + counts.1);
        }
    }

    fn finish(&self, (sum, count): &Self::State, _: Span) -> f64 {
        if *count == 0 { 0.0 } else { sum / f64::from(*count) }
    }
}

fn break_the_law(wrong: Wrong) {
    hold(&wrong, &[1, 2, 6].map(|x| (Timestamp::EPOCH, x)), [1, 2], same);
}

#[test]
#[should_panic(expected = "a · (b · c): 2.5 instead of 3.0")]
fn a_mean_of_means_is_found_out() {
    break_the_law(Wrong::MeanOfMeans);
}

#[test]
#[should_panic(expected = "(a · b · c) without a: 3.0 instead of 4.0")]
fn what_is_not_removed_is_found_out() {
    break_the_law(Wrong::Stays);
}
