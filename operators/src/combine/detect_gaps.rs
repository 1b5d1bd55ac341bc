//! `detect_gaps`: names the sequence numbers that are missing, and the items that come too late.

use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::panic::Location;

use super::{Gap, Sequenced};
use crate::keyed::{KeyStep, Keyed, KeyedFlow};
use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Says in front of an item which sequence numbers are missing before it, and of an item whose
    /// number has been passed, that it is old.
    ///
    /// ```text
    /// in     --1--2--5----3--5--6--|
    /// out    --a--b--(cd)-e--f--g--|    detect_gaps(number)
    ///
    /// where  a = Item(1), b = Item(2), c = Gap(Gap { first: 3, last: 4 }), d = Item(5)
    /// where  e = Old(3), f = Old(5), g = Item(6)
    /// ```
    ///
    /// The number that is expected is one more than the greatest that has come, and never goes back:
    /// a gap is told as soon as a later number comes, and not taken back when what is missing comes
    /// after all. Such an item, and a duplicate, is [`Sequenced::Old`]; which of the two it is needs
    /// a memory, as [`resequence`](Self::resequence) has one, which also waits and puts items in
    /// order. The first item decides where the numbers begin, unless
    /// [`expecting`](Flow::expecting) says so.
    ///
    /// - **Emits** every item, and before it a gap if there is one, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and needs a number like one.
    /// - **Holds** 1 item, while the gap before it is taken.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{combine::{Gap, Sequenced}, iter};
    /// # futures::executor::block_on(async {
    /// let trades = iter([7_u64, 8, 11]).detect_gaps(|id| *id);
    /// let gaps = trades.filter_map(|out| match out {
    ///     Sequenced::Gap(gap) => Some(gap),
    ///     _ => None,
    /// });
    /// assert_eq!(gaps.collect::<Vec<_>>().await, [Gap { first: 9, last: 10 }]);
    /// # });
    /// ```
    #[doc(alias("gap_detection", "sequence_check", "missing"))]
    #[track_caller]
    pub fn detect_gaps<F>(self, number: F) -> Flow<Stepped<S, DetectGaps<F>>>
    where
        F: FnMut(&S::Item) -> u64,
    {
        self.step(DetectGaps {
            number,
            expected: Expected::default(),
            counts: GapCounts::default(),
        })
    }
}

impl<S, F> Flow<Stepped<S, DetectGaps<F>>>
where
    S: Stage,
    F: FnMut(&S::Item) -> u64,
{
    /// The number that is expected first: a greater one comes after a gap.
    pub fn expecting(self, first: u64) -> Self {
        self.map_step(|step| DetectGaps { expected: Expected(Some(first)), ..step })
    }

    /// What has come so far.
    pub fn counts(&self) -> GapCounts {
        self.stage().step().counts
    }
}

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// As [`Flow::detect_gaps`], for each key: emits the key and what is told of it. The first item
    /// of a key that was forgotten decides anew where its numbers begin.
    ///
    /// ```
    /// # use aqueduct_operators::{combine::{Gap, Sequenced}, iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let packets = iter([("a", 1), ("b", 7), ("a", 3)]);
    /// let keyed = packets.key_by(KeyLimits::new(64), |packet| packet.0);
    /// let all: Vec<_> = keyed.detect_gaps(|packet| packet.1).collect().await;
    /// assert_eq!(all[2], ("a", Sequenced::Gap(Gap { first: 2, last: 2 })));
    /// # });
    /// ```
    #[track_caller]
    pub fn detect_gaps<G>(self, number: G) -> Flow<Keyed<S, K, F, GapsByKey<G>>>
    where
        G: FnMut(&S::Item) -> u64,
    {
        let step = GapsByKey { number, counts: GapCounts::default() };
        self.with_step(step, Location::caller())
    }
}

/// What has come to a [`detect_gaps`](Flow::detect_gaps).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct GapCounts {
    /// Items that came.
    pub items: u64,
    /// Of these, the ones whose numbers had been passed.
    pub old: u64,
    /// Gaps.
    pub gaps: u64,
    /// Numbers in them.
    pub missing: u64,
}

/// The number after the greatest that has come; `None` before the first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Expected(Option<u64>);

impl Expected {
    /// Judges an item.
    fn judge<T>(
        &mut self,
        number: u64,
        item: T,
        counts: &mut GapCounts,
        mut out: impl FnMut(Sequenced<T>),
    ) {
        counts.items += 1;
        let expected = *self.0.get_or_insert(number);
        if number < expected {
            counts.old += 1;
            out(Sequenced::Old(item));
            return;
        }
        if number > expected {
            let gap = Gap { first: expected, last: number - 1 };
            counts.gaps += 1;
            counts.missing = counts.missing.saturating_add(gap.len());
            out(Sequenced::Gap(gap));
        }
        self.0 = Some(number.saturating_add(1));
        out(Sequenced::Item(item));
    }
}

/// The step behind [`Flow::detect_gaps`].
pub struct DetectGaps<F> {
    number: F,
    expected: Expected,
    counts: GapCounts,
}

impl<F> fmt::Debug for DetectGaps<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectGaps")
            .field("expected", &self.expected.0)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<T, F: FnMut(&T) -> u64> Step<T> for DetectGaps<F> {
    type Out = Sequenced<T>;

    fn step(&mut self, item: T, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        let number = (self.number)(&item);
        self.expected.judge(number, item, &mut self.counts, out);
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        (input.0, input.1.and_then(|most| most.checked_mul(2)))
    }

    fn name(&self) -> &'static str {
        "detect_gaps"
    }

    fn describe(&self, node: &mut Node) {
        node.holds(Bound::Items(1));
    }
}

/// The step behind [`KeyedFlow::detect_gaps`].
pub struct GapsByKey<G> {
    number: G,
    counts: GapCounts,
}

impl<G> GapsByKey<G> {
    /// What has come so far, of all keys.
    pub fn counts(&self) -> GapCounts {
        self.counts
    }
}

impl<G> fmt::Debug for GapsByKey<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GapsByKey").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl<T, K: Clone, G: FnMut(&T) -> u64> KeyStep<T, K> for GapsByKey<G> {
    /// The number that is expected.
    type State = Option<u64>;
    type Out = (K, Sequenced<T>);

    fn open(&mut self, _: &K) -> Option<u64> {
        None
    }

    fn step(&mut self, key: K, state: &mut Option<u64>, item: T, out: &mut impl FnMut(Self::Out)) {
        let number = (self.number)(&item);
        let mut expected = Expected(*state);
        expected.judge(number, item, &mut self.counts, |made| out((key.clone(), made)));
        *state = expected.0;
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        (input.0, input.1.and_then(|most| most.checked_mul(2)))
    }

    fn name(&self) -> &'static str {
        "detect_gaps"
    }

    fn describe(&self, _: crate::keyed::KeyLimits, node: &mut Node) {
        node.holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::Sequenced::{Item, Old};
    use super::{Gap, GapCounts, Sequenced};
    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::{Virtual, iter};

    fn gap<T>(first: u64, last: u64) -> Sequenced<T> {
        Sequenced::Gap(Gap { first, last })
    }

    marbles!(detect_gaps, |input: u64| input.detect_gaps(|x| *x));
    conformance!(detect_gaps, |input| input.detect_gaps(|x| u64::from(x.value())));
    conformance!(detect_gaps_by_key, |input| {
        let keyed = input.key_by(KeyLimits::new(2).idle(ms(3)), |x| x.value() % 3);
        keyed.detect_gaps(|x| u64::from(x.value()))
    });

    #[test]
    fn a_gap_is_not_taken_back_and_what_comes_late_is_old_each_time() {
        let all = || iter([1, 4, 2, 2, 4, 5]).detect_gaps(|x| *x);
        let expected = [Item(1), gap(2, 3), Item(4), Old(2), Old(2), Old(4), Item(5)];
        assert_eq!(every_way(all), expected);
    }

    #[test]
    fn the_first_number_may_be_said() {
        let all = || iter([3, 5]).detect_gaps(|x| *x).expecting(1);
        assert_eq!(every_way(all), [gap(1, 2), Item(3), gap(4, 4), Item(5)]);
        let all = || iter([3, 5]).detect_gaps(|x| *x).expecting(5);
        assert_eq!(every_way(all), [Old(3), Item(5)]);
    }

    #[test]
    fn the_greatest_numbers_do_no_harm() {
        let all = || iter([u64::MAX - 2, u64::MAX, u64::MAX, 0]).detect_gaps(|x| *x);
        let (last, most) = (u64::MAX - 1, u64::MAX);
        // There is no number after the greatest: it is expected for ever.
        assert_eq!(
            every_way(all),
            [Item(last - 1), gap(last, last), Item(most), Item(most), Old(0)]
        );
    }

    #[test]
    fn everything_is_counted() {
        let mut flow = iter([1, 4, 2, 9]).detect_gaps(|x| *x);
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        let expected = GapCounts { items: 4, old: 1, gaps: 2, missing: 6 };
        assert_eq!(flow.counts(), expected);
    }

    #[test]
    fn each_key_has_numbers_of_its_own() {
        let all = || {
            let keyed = iter([10, 20, 12, 21]).key_by(KeyLimits::new(9), |x| x / 10);
            keyed.detect_gaps(|x| *x)
        };
        let expected =
            [(1, Item(10)), (2, Item(20)), (1, gap(11, 11)), (1, Item(12)), (2, Item(21))];
        assert_eq!(every_way(all), expected);
    }

    specification!(detect_gaps, at_any_pace, |input: u64| input.detect_gaps(|x| *x), |input| {
        let mut greatest: Option<u64> = None;
        input.flat_map(|_, x| {
            let passed = greatest.is_some_and(|greatest| x <= greatest);
            let missing = greatest.filter(|greatest| greatest + 1 < x);
            let told = missing.map(|greatest| gap(greatest + 1, x - 1));
            greatest = greatest.max(Some(x));
            told.into_iter().chain([if passed { Old(x) } else { Item(x) }])
        })
    });
    specification!(
        detect_gaps_by_key,
        at_any_pace,
        |input: u64| input.key_by(KeyLimits::new(300), |x| x % 2).detect_gaps(|x| x / 2),
        |input| {
            let mut greatest = HashMap::new();
            input.flat_map(|_, x| {
                let before = greatest.get(&(x % 2)).copied();
                let passed = before.is_some_and(|before| x / 2 <= before);
                let missing = before.filter(|before| before + 1 < x / 2);
                let told = missing.map(|before| gap(before + 1, x / 2 - 1));
                greatest.insert(x % 2, before.max(Some(x / 2)).unwrap_or_default());
                let all = told.into_iter().chain([if passed { Old(x) } else { Item(x) }]);
                all.map(move |told| (x % 2, told))
            })
        }
    );
}
