//! Random runs of an operator.

use proptest::collection::vec;
use proptest::prelude::*;

use super::Kind;
use crate::testing::Timeline;

/// One run: what the inputs bring and how the output is taken.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) inputs: Vec<Timeline<u8>>,
    pub(super) stumbles: Vec<bool>,
    pub(super) turns: Vec<u8>,
    pub(super) rests: Vec<u8>,
}

/// Bursts at one instant, gaps, long and empty timelines, with and without an end of their own
/// instant.
fn timelines() -> impl Strategy<Value = Timeline<u8>> {
    let gap = prop_oneof![4 => Just(0i64), 4 => 1..4i64, 2 => 4..12i64, 1 => 12..60i64];
    let item = prop_oneof![3 => 0..4u8, 2 => 0..16u8, 1 => any::<u8>()];
    let items = prop_oneof![6 => vec((gap.clone(), item.clone()), 0..8), 1 => vec((gap.clone(), item), 8..40)];
    (items, gap).prop_map(|(items, last)| {
        let mut at = 0;
        let events: Vec<_> = items
            .into_iter()
            .map(|(gap, item)| {
                at += gap;
                (at, item)
            })
            .collect();
        Timeline { events, end: at + last }
    })
}

/// Runs of an operator of this kind.
pub(super) fn runs(kind: Kind) -> impl Strategy<Value = Run> {
    let turns = prop_oneof![
        1 => Just(vec![]),
        1 => Just(vec![0]),
        2 => vec(0..5u8, 1..5),
    ];
    let stumbles = prop_oneof![1 => Just(vec![]), 1 => vec(any::<bool>(), 1..6)];
    let most = if kind.any_pace { 12u8 } else { 1 };
    let rests = prop_oneof![1 => Just(vec![]), 1 => vec(0..most, 1..4)];
    (vec(timelines(), kind.inputs), stumbles, turns, rests).prop_map(
        move |(inputs, stumbles, turns, rests)| {
            let mut run = Run { inputs, stumbles, turns, rests };
            if !kind.any_pace {
                run.rests.clear();
            }
            if kind.inputs > 1 && !run.stumbles.is_empty() {
                keep_apart(&mut run.inputs);
            }
            run
        },
    )
}

/// A source that says `Pending` on its way lets another go first at the same instant: then no two
/// share one.
fn keep_apart(inputs: &mut [Timeline<u8>]) {
    let many = inputs.len() as i64;
    for (number, input) in (0..).zip(inputs) {
        let apart = |at: i64| at * many + number;
        input.events.iter_mut().for_each(|(at, _)| *at = apart(*at));
        input.end = apart(input.end);
    }
}
