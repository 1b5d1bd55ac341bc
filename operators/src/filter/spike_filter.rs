//! `spike_filter` and `mark_spikes`: without isolated values that are far from the others.

use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::panic::Location;

use super::SpikeRule;
use super::spike::Detector;
use crate::keyed::{KeyStep, Keyed, KeyedFlow};
use crate::transform::{Step, Stepped};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Drops the items whose value is a spike.
    ///
    /// ```text
    /// in   --1--1--9--2--1--8--8--|
    /// out  --1--1-----2--1-----8--|    spike_filter(SpikeRule::jump(1.0, 2), value)
    /// ```
    ///
    /// `rule` says which values are spikes: the filter of Hampel, or a jump that nothing confirms,
    /// see [`SpikeRule`]. A value that is not a finite number is one. To keep the spikes,
    /// [`mark_spikes`](Self::mark_spikes).
    ///
    /// - **Emits** an item that is no spike, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `value` comes out of the poll; the flow has ended then.
    /// - **Holds** the values that the rule needs, no item; [`counts`](Flow::counts) has what was
    ///   dropped.
    /// - **Cost**: no allocation, no clock read. With the filter of Hampel a step for each value in
    ///   half a window, and moving them within a sorted array.
    ///
    /// ```
    /// # use aqueduct_operators::{filter::SpikeRule, iter};
    /// # futures::executor::block_on(async {
    /// let prices = iter([100.1, 100.0, 100.2, 100.1, 1.001, 100.2]);
    /// let good = prices.spike_filter(SpikeRule::hampel(4, 3.0), |price| *price);
    /// assert_eq!(good.collect::<Vec<_>>().await, [100.1, 100.0, 100.2, 100.1, 100.2]);
    /// # });
    /// ```
    #[doc(alias("outliers", "hampel", "despike", "sanity_filter"))]
    #[track_caller]
    pub fn spike_filter<F>(self, rule: SpikeRule, value: F) -> Flow<Stepped<S, SpikeFilter<F>>>
    where
        F: FnMut(&S::Item) -> f64,
    {
        let (detector, counts) = (rule.detector(), SpikeCounts::default());
        self.step(SpikeFilter { value, detector, counts })
    }

    /// Says of each item whether its value is a spike.
    ///
    /// ```text
    /// in   --1--1--9--2--1--8--8--|
    /// out  --x--x--s--y--x--t--z--|    mark_spikes(SpikeRule::jump(1.0, 2), value)
    ///
    /// where  x = Good(1), y = Good(2), z = Good(8), s = Spike(9), t = Spike(8)
    /// ```
    ///
    /// As [`spike_filter`](Self::spike_filter), and nothing is dropped.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `value` comes out of the poll; the flow has ended then.
    /// - **Holds** the values that the rule needs, no item.
    /// - **Cost**: as `spike_filter`.
    ///
    /// ```
    /// # use aqueduct_operators::{filter::{Marked, SpikeRule}, iter};
    /// # futures::executor::block_on(async {
    /// let marked = iter([7.0, f64::NAN]).mark_spikes(SpikeRule::jump(0.1, 3), |price| *price);
    /// let spikes = marked.filter(|item| matches!(item, Marked::Spike(_)));
    /// assert_eq!(spikes.count().await, 1);
    /// # });
    /// ```
    #[track_caller]
    pub fn mark_spikes<F>(self, rule: SpikeRule, value: F) -> Flow<Stepped<S, MarkSpikes<F>>>
    where
        F: FnMut(&S::Item) -> f64,
    {
        self.step(MarkSpikes { value, detector: rule.detector() })
    }
}

impl<S, F> Flow<Stepped<S, SpikeFilter<F>>>
where
    S: Stage,
    F: FnMut(&S::Item) -> f64,
{
    /// What became of the items so far.
    pub fn counts(&self) -> SpikeCounts {
        self.stage().step().counts
    }
}

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// As [`Flow::spike_filter`], for each key: a value is compared with those of its own key only.
    ///
    /// ```
    /// # use aqueduct_operators::{filter::SpikeRule, iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let quotes = iter([("btc", 60_000.0), ("eth", 3_000.0), ("btc", 60.0), ("eth", 3_001.0)]);
    /// let keyed = quotes.key_by(KeyLimits::new(64), |quote| quote.0);
    /// let good = keyed.spike_filter(SpikeRule::jump(0.1, 3), |quote| quote.1);
    /// assert_eq!(good.count().await, 3);
    /// # });
    /// ```
    #[track_caller]
    pub fn spike_filter<G>(self, rule: SpikeRule, value: G) -> Flow<Keyed<S, K, F, SpikesByKey<G>>>
    where
        G: FnMut(&S::Item) -> f64,
    {
        let step = SpikesByKey { rule, value, counts: SpikeCounts::default() };
        self.with_step(step, Location::caller())
    }

    /// As [`Flow::mark_spikes`], for each key.
    ///
    /// ```
    /// # use aqueduct_operators::{filter::{Marked, SpikeRule}, iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let quotes = iter([("btc", 60_000.0), ("btc", 60.0)]);
    /// let keyed = quotes.key_by(KeyLimits::new(64), |quote| quote.0);
    /// let marked: Vec<_> = keyed.mark_spikes(SpikeRule::jump(0.1, 3), |quote| quote.1).collect().await;
    /// assert_eq!(marked[1], Marked::Spike(("btc", 60.0)));
    /// # });
    /// ```
    #[track_caller]
    pub fn mark_spikes<G>(self, rule: SpikeRule, value: G) -> Flow<Keyed<S, K, F, MarksByKey<G>>>
    where
        G: FnMut(&S::Item) -> f64,
    {
        self.with_step(MarksByKey { rule, value }, Location::caller())
    }
}

/// What became of the items of a [`spike_filter`](Flow::spike_filter).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpikeCounts {
    /// Items that came out.
    pub passed: u64,
    /// Items that were dropped.
    pub spikes: u64,
}

impl SpikeCounts {
    fn count(&mut self, is_spike: bool) {
        self.spikes += u64::from(is_spike);
        self.passed += u64::from(!is_spike);
    }
}

/// What comes out of a [`mark_spikes`](Flow::mark_spikes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Marked<T> {
    /// An item that is no spike.
    Good(T),
    /// One that is.
    Spike(T),
}

impl<T> Marked<T> {
    fn new(item: T, is_spike: bool) -> Self {
        if is_spike { Self::Spike(item) } else { Self::Good(item) }
    }
}

/// The step behind [`Flow::spike_filter`].
pub struct SpikeFilter<F> {
    value: F,
    detector: Detector,
    counts: SpikeCounts,
}

impl<F> fmt::Debug for SpikeFilter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpikeFilter").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl<T, F: FnMut(&T) -> f64> Step<T> for SpikeFilter<F> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        let is_spike = self.detector.is_spike((self.value)(&item));
        self.counts.count(is_spike);
        if !is_spike {
            out(item);
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "spike_filter"
    }
}

/// The step behind [`Flow::mark_spikes`].
pub struct MarkSpikes<F> {
    value: F,
    detector: Detector,
}

impl<F> fmt::Debug for MarkSpikes<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MarkSpikes").field("detector", &self.detector).finish_non_exhaustive()
    }
}

impl<T, F: FnMut(&T) -> f64> Step<T> for MarkSpikes<F> {
    type Out = Marked<T>;

    fn step(&mut self, item: T, out: &mut impl FnMut(Marked<T>)) -> ControlFlow<()> {
        let is_spike = self.detector.is_spike((self.value)(&item));
        out(Marked::new(item, is_spike));
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        input
    }

    fn name(&self) -> &'static str {
        "mark_spikes"
    }
}

/// The step behind [`KeyedFlow::spike_filter`].
pub struct SpikesByKey<G> {
    rule: SpikeRule,
    value: G,
    counts: SpikeCounts,
}

impl<G> SpikesByKey<G> {
    /// What became of the items of all keys so far.
    pub fn counts(&self) -> SpikeCounts {
        self.counts
    }
}

impl<G> fmt::Debug for SpikesByKey<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpikesByKey")
            .field("rule", &self.rule)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<T, K, G: FnMut(&T) -> f64> KeyStep<T, K> for SpikesByKey<G> {
    type State = Detector;
    type Out = T;

    fn open(&mut self, _: &K) -> Detector {
        self.rule.detector()
    }

    fn step(&mut self, _: K, detector: &mut Detector, item: T, out: &mut impl FnMut(T)) {
        let is_spike = detector.is_spike((self.value)(&item));
        self.counts.count(is_spike);
        if !is_spike {
            out(item);
        }
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "spike_filter"
    }
}

/// The step behind [`KeyedFlow::mark_spikes`].
pub struct MarksByKey<G> {
    rule: SpikeRule,
    value: G,
}

impl<G> fmt::Debug for MarksByKey<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MarksByKey").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl<T, K, G: FnMut(&T) -> f64> KeyStep<T, K> for MarksByKey<G> {
    type State = Detector;
    type Out = Marked<T>;

    fn open(&mut self, _: &K) -> Detector {
        self.rule.detector()
    }

    fn step(&mut self, _: K, detector: &mut Detector, item: T, out: &mut impl FnMut(Marked<T>)) {
        let is_spike = detector.is_spike((self.value)(&item));
        out(Marked::new(item, is_spike));
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        input
    }

    fn name(&self) -> &'static str {
        "mark_spikes"
    }
}

#[cfg(test)]
mod tests {
    use super::{Marked, SpikeCounts, SpikeRule};
    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::{Virtual, iter};

    const JUMP: fn() -> SpikeRule = || SpikeRule::jump(1.0, 2);
    const HAMPEL: fn() -> SpikeRule = || SpikeRule::hampel(5, 2.0).at_least(1.0);

    marbles!(spike_filter, |input: u8| input.spike_filter(JUMP(), |x| f64::from(*x)));
    marbles!(mark_spikes, |input: u8| input.mark_spikes(JUMP(), |x| f64::from(*x)));
    conformance!(spike_filter, |input| input.spike_filter(HAMPEL(), |x| f64::from(x.value())));
    conformance!(mark_spikes, |input| input.mark_spikes(JUMP(), |x| f64::from(x.value())));
    conformance!(spike_filter_by_key, |input| {
        let keyed = input.key_by(KeyLimits::new(3).idle(ms(9)), |x| x.value() % 3);
        keyed.spike_filter(JUMP(), |x| f64::from(x.value()))
    });
    conformance!(mark_spikes_by_key, |input| {
        let keyed = input.key_by(KeyLimits::new(9), |x| x.value() % 3);
        keyed.mark_spikes(HAMPEL(), |x| f64::from(x.value()))
    });

    #[test]
    fn what_is_dropped_is_counted() {
        let mut flow = iter([1.0, f64::NAN, 9.0, 1.5]).spike_filter(JUMP(), |x| *x);
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        assert_eq!(flow.counts(), SpikeCounts { passed: 2, spikes: 2 });
    }

    #[test]
    fn each_key_is_compared_with_itself_only() {
        let marked = || {
            let keyed =
                iter([(1, 1.0), (2, 50.0), (1, 1.5), (2, 1.0)]).key_by(KeyLimits::new(9), |x| x.0);
            keyed.mark_spikes(SpikeRule::jump(0.6, 2), |x| x.1).map(|marked| match marked {
                Marked::Good((key, _)) => (key, true),
                Marked::Spike((key, _)) => (key, false),
            })
        };
        assert_eq!(every_way(marked), [(1, true), (2, true), (1, true), (2, false)]);
    }

    /// Of all values so far whether the last is a spike, by definition.
    fn is_far_from_the_median(all: &[u8]) -> bool {
        let Some((last, before)) = all.split_last() else {
            return false;
        };
        let Some(before) = before.len().checked_sub(5).map(|from| &before[from..]) else {
            return false;
        };
        let median = |mut list: Vec<f64>| {
            list.sort_by(f64::total_cmp);
            list[2]
        };
        let centre = median(before.iter().map(|x| f64::from(*x)).collect());
        let deviation = median(before.iter().map(|x| (f64::from(*x) - centre).abs()).collect());
        let sigma = 1.482_602_218_505_602 * deviation;
        (f64::from(*last) - centre).abs() > (2.0 * sigma).max(1.0)
    }

    specification!(
        spike_filter,
        at_any_pace,
        |input| input.spike_filter(HAMPEL(), |x| f64::from(*x)),
        |input| {
            let mut all = Vec::new();
            input.flat_map(|_, x| {
                all.push(x);
                (!is_far_from_the_median(&all)).then_some(x)
            })
        }
    );
    specification!(
        mark_spikes,
        at_any_pace,
        |input| {
            let keyed = input.key_by(KeyLimits::new(300), |x| x % 2);
            keyed.mark_spikes(HAMPEL(), |x| f64::from(*x))
        },
        |input| {
            let mut all = [Vec::new(), Vec::new()];
            input.map(|x| {
                let own = &mut all[usize::from(x % 2)];
                own.push(x);
                Marked::new(x, is_far_from_the_median(own))
            })
        }
    );
}
