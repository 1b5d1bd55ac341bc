use std::future::poll_fn;

use proptest::prelude::*;

use super::super::join::random::{Item, Side, side};
use super::*;
use crate::keyed::KeyLimits;
use crate::testing::*;
use crate::window::JoinCounts;
use crate::{Virtual, iter, never};

fn time(s: &i64) -> Timestamp {
    Timestamp::from_secs(*s)
}

const SECOND: Duration = Duration::from_secs(1);

fn pairs(left: &[i64], right: &[i64], which: AsOf) -> Vec<(i64, Option<i64>)> {
    every_way(|| {
        let left = iter(left.to_vec()).event_time(time, Duration::ZERO);
        let right = iter(right.to_vec()).event_time(time, Duration::ZERO);
        left.as_of(right, which).values()
    })
}

#[test]
fn an_equal_time_matches_unless_the_join_is_strict() {
    for (which, equal, strict) in [
        (AsOf::backward(), Some(2), Some(1)),
        (AsOf::forward(), Some(2), Some(3)),
        (AsOf::nearest(), Some(2), Some(1)),
    ] {
        assert_eq!(pairs(&[2], &[1, 2, 3], which), [(2, equal)]);
        assert_eq!(pairs(&[2], &[1, 2, 3], which.strict()), [(2, strict)]);
    }
}

#[test]
fn of_two_that_are_equally_near_the_earlier_one_matches() {
    assert_eq!(pairs(&[5], &[3, 7], AsOf::nearest()), [(5, Some(3))]);
    assert_eq!(pairs(&[5], &[2, 7], AsOf::nearest()), [(5, Some(7))]);
}

#[test]
fn a_match_further_away_than_the_tolerance_is_none() {
    let within = |which: AsOf| which.within(SECOND * 2);
    assert_eq!(pairs(&[3, 5], &[1], within(AsOf::backward())), [(3, Some(1)), (5, None)]);
    assert_eq!(pairs(&[3, 5], &[7], within(AsOf::forward())), [(3, None), (5, Some(7))]);
    assert_eq!(pairs(&[0, 5], &[3, 9], within(AsOf::nearest())), [(0, None), (5, Some(3))]);
}

#[test]
fn with_a_lag_it_matches_what_was_known_before() {
    let which = AsOf::backward().lag(SECOND * 2);
    assert_eq!(pairs(&[2, 5], &[1, 3, 4], which), [(2, None), (5, Some(3))]);
}

#[test]
fn an_item_at_the_end_of_time_does_not_wait_for_a_side_that_has_ended() {
    for which in [AsOf::backward(), AsOf::nearest()] {
        let left = iter([i64::MIN + 1, i64::MAX - 1]);
        let left = left.event_time(|ns| Timestamp::from_nanos(*ns), Duration::ZERO);
        let right = iter([4]).event_time(time, Duration::ZERO);
        let first = if which == AsOf::backward() { None } else { Some(4) };
        let pairs = items(left.as_of(right, which).values());
        assert_eq!(pairs, [(i64::MIN + 1, first), (i64::MAX - 1, Some(4))]);
    }
}

#[test]
fn of_several_right_items_at_one_instant_the_last_to_arrive_wins() {
    for which in [AsOf::backward(), AsOf::forward(), AsOf::nearest()] {
        let left = iter([5]).event_time(time, Duration::ZERO);
        let right = iter([(5, 'x'), (5, 'y')]).event_time(|x| time(&x.0), Duration::ZERO);
        assert_eq!(items(left.as_of(right, which).values()), [(5, Some((5, 'y')))]);
    }
}

#[test]
fn the_answer_does_not_depend_on_which_side_is_faster() {
    for (left, right) in [(0, 100), (100, 0)] {
        let left = timetable([2, 4, 6].map(|s| (left + s, s)), left + 7);
        let right = timetable([1, 4, 5].map(|s| (right + s, s)), right + 7);
        let joined = left
            .event_time(time, Duration::ZERO)
            .as_of(right.event_time(time, Duration::ZERO), AsOf::backward())
            .values();
        let pairs: Vec<_> = timeline(joined).0.into_iter().map(|(_, pair)| pair).collect();
        assert_eq!(pairs, [(2, Some(1)), (4, Some(4)), (6, Some(5))]);
    }
}

#[test]
fn what_has_no_match_is_dropped_or_comes_apart() {
    let left = || iter([1, 4]).event_time(time, Duration::ZERO);
    let right = || iter([3]).event_time(time, Duration::ZERO);
    let joined = || left().as_of(right(), AsOf::backward());
    assert_eq!(every_way(|| joined().drop_unmatched().values()), [(4, 3)]);
    use either::Either::{Left, Right};
    let apart = every_way(|| joined().split_unmatched().values());
    assert_eq!(apart, [Right(1), Left((4, 3))]);
    assert_eq!(every_way(|| joined().split_unmatched().keep_unmatched().values()).len(), 2);
}

type Joined<S, R, L, T, I, O> = Flow<Join<S, R, Core<L, T, I, AsOf, O>>>;

/// What comes out, with the counts at the end.
fn counted<S, R, L, T, I, O>(flow: Joined<S, R, L, T, I, O>) -> (Vec<O::Out>, JoinCounts)
where
    S: Stage<Item = Timed<L>>,
    R: Stage<Item = Timed<T>>,
    T: Clone,
    I: super::super::join::Index<L, T>,
    O: super::super::join::Outcome<L, T>,
{
    let mut flow = std::pin::pin!(flow);
    let all = Virtual::new().run(async {
        let mut all = Vec::new();
        let mut next = async || poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await;
        while let Some(element) = next().await {
            if let Timed::Item(_, item) = element {
                all.push(item);
            }
        }
        all
    });
    (all, flow.counts())
}

fn at<T>(s: i64, item: T) -> Timed<T> {
    Timed::Item(Timestamp::from_secs(s), item)
}

fn mark<T>(s: i64) -> Timed<T> {
    Timed::Watermark(Timestamp::from_secs(s))
}

#[test]
fn a_late_item_on_the_left_is_answered_if_nothing_it_needs_was_forgotten() {
    let left = || iter([at(9, 'a'), mark(9), at(7, 'b'), at(4, 'c')]);
    let right = || iter([at(5, 'x'), mark(5), at(6, 'y'), mark(20)]);
    let (all, counts) = counted(left().as_of(right(), AsOf::backward()));
    // It is not known any more whether there was something before 5.
    assert_eq!(all, [('a', Some('y')), ('b', Some('y')), ('c', None)]);
    assert_eq!(counts, JoinCounts { matched: 2, unmatched: 1, late_left: 1, ..counts });
}

#[test]
fn a_late_item_on_the_right_counts_for_those_who_still_can_reach_it() {
    let left = || iter([at(3, 'a'), mark(3), at(8, 'b'), mark(8), at(9, 'c')]);
    let right = || iter([at(2, 'x'), mark(5), at(4, 'y'), mark(9), at(1, 'z'), mark(20)]);
    let (all, counts) = counted(left().as_of(right(), AsOf::backward()));
    assert_eq!(all, [('a', Some('x')), ('b', Some('y')), ('c', Some('y'))]);
    assert_eq!(counts, JoinCounts { matched: 3, late_right: 1, ..JoinCounts::default() });
}

#[test]
fn a_full_history_answers_the_item_in_front_and_counts_that() {
    // The right side is in disorder, and its watermark does not move.
    let left = iter([at(5, 'a'), at(6, 'b'), mark(6)]);
    let right = iter((0..100).map(|n| at(10 + n % 7, n)).chain([mark(50)]));
    let (all, counts) = counted(left.as_of(right, AsOf::forward()).capacity(4));
    assert_eq!(all, [('a', Some(0)), ('b', Some(0))]);
    assert_eq!((counts.forced, counts.matched), (2, 2));
}

#[test]
fn a_right_side_that_never_advances_holds_the_left_side_back_at_the_capacity() {
    let source = TestSource::new().items((0..100).map(|n| at(n, n)));
    let watch = source.watch();
    let joined = source.flow().as_of(never::<Timed<u8>>(), AsOf::backward()).capacity(10);
    script(joined).expect_no_event_for(ms(50)).then_drop();
    assert_eq!(watch.taken(), 10);
}

#[test]
fn a_left_side_that_never_advances_holds_the_right_side_back() {
    let source = TestSource::new().items((0..100).map(|n| at(n, n)));
    let watch = source.watch();
    let joined = never::<Timed<u8>>().as_of(source.flow(), AsOf::backward()).capacity(10);
    script(joined).expect_no_event_for(ms(50)).then_drop();
    assert_eq!(watch.taken(), 0);
}

#[test]
fn watermarks_alone_let_items_go() {
    let left = timetable([(1, at(1, 'a')), (2, mark(2))], 9);
    let right = timetable([(0, mark(0)), (4, mark(4))], 20);
    let joined = left.as_of(right, AsOf::backward()).map(|_: Timed<(char, Option<u8>)>| ());
    assert_eq!(timeline(joined), (vec![(4, ()), (4, ())], 9));
}

#[test]
fn watermarks_of_a_silent_left_side_let_a_busy_right_side_go_on() {
    let source = TestSource::new().items((0..1_000).flat_map(|n| [at(n, n), mark(n)]));
    let watch = source.watch();
    let left = timetable((0..1_000).map(|n| (n, mark::<u8>(n))), 1_000);
    let joined = left.as_of(source.flow(), AsOf::backward()).capacity(2);
    assert_eq!(items(joined).len(), 1_000);
    assert!(watch.taken() > 1_900, "{}", watch.taken());
}

#[test]
fn nothing_grows_while_one_side_brings_an_hour_of_disorder() {
    let ledger = Ledger::new();
    let value = |n: u32| Tracked::new(n, &ledger);
    let left = iter((0..20_000i64).map(|n| at(n, n))).event_time_again(Duration::from_secs(3_600));
    let right = iter((0..20_000u32).map(|n| at(i64::from(n), value(n))))
        .event_time_again(Duration::from_secs(3_600));
    let joined = left.as_of(right, AsOf::backward()).capacity(64).values();
    assert_eq!(items(joined.map(|(_, right)| right.is_some())).len(), 20_000);
    // The capacity, the last one behind, and one on its way.
    assert!(ledger.high_water() <= 66, "{}", ledger.high_water());
    assert_eq!(ledger.alive(), 0);
}

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Other watermarks.
    fn event_time_again(self, disorder: Duration) -> Flow<impl Stage<Item = Timed<T>>> {
        let mut latest = Timestamp::MIN;
        self.flat_map_iter(move |element| match element {
            Timed::Item(time, item) => {
                latest = latest.max(time);
                [Timed::Item(time, item), Timed::Watermark(latest - disorder)]
            }
            Timed::Watermark(_) => [Timed::Watermark(latest - disorder), element],
        })
    }
}

/// The join by definition.
fn by_definition(
    left: &Side,
    right: &Side,
    which: AsOf,
    same_key: bool,
) -> Vec<(Item, Option<Item>)> {
    let rights = right.items();
    let answer = |(time, item): (i64, Item)| {
        let target = time - which.lag;
        let mut best: Option<(u64, bool, Item)> = None;
        for (time, other) in &rights {
            let is_before = *time < target || *time == target && !which.strict;
            let is_after = *time > target || *time == target && !which.strict;
            let asked = match which.direction {
                Direction::Backward => is_before,
                Direction::Forward => is_after,
                Direction::Nearest => is_before || is_after,
            };
            let away = time.abs_diff(target);
            if !asked || away > which.tolerance || same_key && other.0 != item.0 {
                continue;
            }
            // Of equally near ones the earlier, of those the one that arrives last.
            let distance = (away, *time > target);
            let nearer = best.is_none_or(|(least, later, _)| distance <= (least, later));
            if nearer {
                best = Some((away, *time > target, *other));
            }
        }
        (item, best.map(|(_, _, other)| other))
    };
    left.items().into_iter().map(answer).collect()
}

fn any_which() -> impl Strategy<Value = AsOf> {
    let direction =
        prop_oneof![Just(AsOf::backward()), Just(AsOf::forward()), Just(AsOf::nearest())];
    let tolerance = prop_oneof![2 => Just(None), 1 => (0..6u64).prop_map(Some)];
    let lag = prop_oneof![2 => Just(0), 1 => 1..6u64];
    (direction, any::<bool>(), tolerance, lag).prop_map(|(which, strict, tolerance, lag)| {
        let which = if strict { which.strict() } else { which };
        let which = which.lag(Duration::from_nanos(lag));
        tolerance.map_or(which, |most| which.within(Duration::from_nanos(most)))
    })
}

fn key(item: &Item) -> u8 {
    item.0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_interleaving_it_is_the_join_by_definition(
        left in side(0), right in side(0), which in any_which(),
    ) {
        let expected = by_definition(&left, &right, which, false);
        let all = every_way(|| left.flow().as_of(right.flow(), which).values());
        prop_assert_eq!(&all, &expected);
        let (l, r) = (left.at_once(), right.at_once());
        prop_assert_eq!(items(left.flow().as_of(r.flow(), which).values()), expected.clone());
        let elements = items(l.flow().as_of(right.flow(), which));
        let (all, marks): (Vec<_>, Vec<_>) =
            elements.into_iter().partition(|element| matches!(element, Timed::Item(..)));
        let all: Vec<_> = items(iter(all).values());
        prop_assert_eq!(all, expected);
        let theirs = left.elements.iter().filter(|e| matches!(e, Timed::Watermark(_))).count();
        prop_assert_eq!(marks.len(), theirs);
    }

    #[test]
    fn by_key_it_is_the_join_by_definition_within_each_key(
        left in side(0), right in side(0), which in any_which(),
    ) {
        let limits = KeyLimits::new(3);
        let expected = by_definition(&left, &right, which, true);
        let joined = || left.flow().as_of_by(right.flow(), key, key, which, limits);
        prop_assert_eq!(every_way(|| joined().values()), expected.clone());
        let (all, counts) = counted(joined().drop_unmatched());
        let matched = expected.iter().filter_map(|(item, other)| Some((*item, (*other)?)));
        prop_assert_eq!(all, matched.collect::<Vec<_>>());
        let matched = expected.iter().filter(|(_, other)| other.is_some()).count() as u64;
        let unmatched = expected.len() as u64 - matched;
        prop_assert_eq!(counts, JoinCounts { matched, unmatched, ..JoinCounts::default() });
    }

    #[test]
    fn with_late_items_and_hardly_any_room_everything_is_answered_with_something_that_fits(
        left in side(9), right in side(9), which in any_which(), capacity in 1..4usize,
    ) {
        let joined = left.flow().as_of_by(right.flow(), key, key, which, KeyLimits::new(2));
        let (all, counts) = counted(joined.capacity(capacity));
        let lefts = left.items();
        prop_assert_eq!(all.iter().map(|(item, _)| *item).collect::<Vec<_>>(),
            lefts.iter().map(|(_, item)| *item).collect::<Vec<_>>());
        prop_assert_eq!(counts.matched + counts.unmatched, lefts.len() as u64);
        let rights = right.items();
        for ((time, _), (item, other)) in lefts.iter().zip(&all) {
            let Some(other) = other else { continue };
            let (other_time, _) = rights.iter().find(|(_, right)| right == other).unwrap();
            let target = time - which.lag;
            prop_assert_eq!(item.0, other.0);
            prop_assert!(other_time.abs_diff(target) <= which.tolerance);
            prop_assert!(!which.strict || *other_time != target);
            match which.direction {
                Direction::Backward => prop_assert!(*other_time <= target),
                Direction::Forward => prop_assert!(*other_time >= target),
                Direction::Nearest => {}
            }
        }
    }
}
