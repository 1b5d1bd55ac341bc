//! `silences`: the stretches without items, by the times that items carry.

use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::panic::Location;
use std::time::Duration;

use crate::clock::nanos;
use crate::keyed::{KeyLimits, KeyStep, Keyed, KeyedFlow};
use crate::transform::{Step, Stepped};
use crate::{Flow, Node, Stage, Timestamp};

/// A stretch of time without an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Silence {
    /// When the item before it came.
    pub from: Timestamp,
    /// When the one after it came.
    pub to: Timestamp,
}

impl Silence {
    /// How long it lasted.
    pub fn duration(&self) -> Duration {
        self.to - self.from
    }
}

impl<S: Stage> Flow<S> {
    /// The stretches of time longer than `after` between an item and the next, by the times that
    /// the items carry.
    ///
    /// ```text
    /// in   --0--3--9--8--5--|
    /// out  --------x--------|    silences(4, time)
    ///
    /// where  x = 3 to 9
    /// ```
    ///
    /// It is the same whenever the items come: for recordings, and for what a feed says of itself.
    /// To be told while a silence lasts, see [`detect_stale`](Self::detect_stale).
    ///
    /// Items have to come in the order of their times. One that is earlier than the latest ends no
    /// silence, also not one within which it lies, and begins none; [`counts`](Flow::counts) has
    /// them.
    ///
    /// - **Emits** a silence when the item comes that ends it, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `time` comes out of the poll; the flow has ended then.
    /// - **Holds** the latest time, no item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let received = iter([0, 100, 750, 800]);
    /// let silences = received.silences(Duration::from_millis(500), |ms| Timestamp::from_millis(*ms));
    /// let all: Vec<_> = silences.map(|silence| silence.duration()).collect().await;
    /// assert_eq!(all, [Duration::from_millis(650)]);
    /// # });
    /// ```
    #[doc(alias("stale", "gaps", "outages"))]
    #[track_caller]
    pub fn silences<F>(self, after: Duration, time: F) -> Flow<Stepped<S, Silences<F>>>
    where
        F: FnMut(&S::Item) -> Timestamp,
    {
        self.step(Silences { after: nanos(after), time, latest: None, counts: Default::default() })
    }
}

impl<S, F> Flow<Stepped<S, Silences<F>>>
where
    S: Stage,
    F: FnMut(&S::Item) -> Timestamp,
{
    /// What has come so far.
    pub fn counts(&self) -> SilenceCounts {
        self.stage().step().counts
    }
}

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// As [`Flow::silences`], for each key: emits the key and the silence. The first item of a key
    /// that was forgotten ends none.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, keyed::KeyLimits};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let quotes = iter([("btc", 0), ("eth", 400), ("btc", 750)]);
    /// let keyed = quotes.key_by(KeyLimits::new(64), |quote| quote.0);
    /// let time = |quote: &(_, i64)| Timestamp::from_millis(quote.1);
    /// let silences: Vec<_> = keyed.silences(Duration::from_millis(500), time).collect().await;
    /// assert_eq!(silences[0].0, "btc");
    /// assert_eq!(silences[0].1.duration(), Duration::from_millis(750));
    /// # });
    /// ```
    #[track_caller]
    pub fn silences<G>(self, after: Duration, time: G) -> Flow<Keyed<S, K, F, SilencesByKey<G>>>
    where
        G: FnMut(&S::Item) -> Timestamp,
    {
        let step = SilencesByKey { after: nanos(after), time, counts: Default::default() };
        self.with_step(step, Location::caller())
    }
}

/// What has come to a [`silences`](Flow::silences).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SilenceCounts {
    /// Items that came.
    pub items: u64,
    /// Of these, the ones that were earlier than the latest.
    pub earlier: u64,
    /// Silences.
    pub silences: u64,
}

/// The silence that ends at `now`, if there is one.
fn judge(
    latest: &mut Option<Timestamp>,
    now: Timestamp,
    after: i64,
    counts: &mut SilenceCounts,
) -> Option<Silence> {
    counts.items += 1;
    let from = *latest.get_or_insert(now);
    if now < from {
        counts.earlier += 1;
        return None;
    }
    *latest = Some(now);
    let is_long = now.as_nanos().checked_sub(from.as_nanos()).is_none_or(|time| time > after);
    counts.silences += u64::from(is_long);
    is_long.then_some(Silence { from, to: now })
}

/// The step behind [`Flow::silences`].
pub struct Silences<F> {
    after: i64,
    time: F,
    latest: Option<Timestamp>,
    counts: SilenceCounts,
}

impl<F> fmt::Debug for Silences<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silences")
            .field("latest", &self.latest)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<T, F: FnMut(&T) -> Timestamp> Step<T> for Silences<F> {
    type Out = Silence;

    fn step(&mut self, item: T, out: &mut impl FnMut(Silence)) -> ControlFlow<()> {
        let now = (self.time)(&item);
        if let Some(silence) = judge(&mut self.latest, now, self.after, &mut self.counts) {
            out(silence);
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "silences"
    }

    fn describe(&self, node: &mut Node) {
        let after = Duration::from_nanos(self.after.unsigned_abs());
        node.parameter("after", format_args!("{after:?}"));
    }
}

/// The step behind [`KeyedFlow::silences`].
pub struct SilencesByKey<G> {
    after: i64,
    time: G,
    counts: SilenceCounts,
}

impl<G> SilencesByKey<G> {
    /// What has come so far, of all keys.
    pub fn counts(&self) -> SilenceCounts {
        self.counts
    }
}

impl<G> fmt::Debug for SilencesByKey<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SilencesByKey").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl<T, K, G: FnMut(&T) -> Timestamp> KeyStep<T, K> for SilencesByKey<G> {
    /// The latest time.
    type State = Option<Timestamp>;
    type Out = (K, Silence);

    fn open(&mut self, _: &K) -> Option<Timestamp> {
        None
    }

    fn step(
        &mut self,
        key: K,
        latest: &mut Option<Timestamp>,
        item: T,
        out: &mut impl FnMut((K, Silence)),
    ) {
        let now = (self.time)(&item);
        if let Some(silence) = judge(latest, now, self.after, &mut self.counts) {
            out((key, silence));
        }
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "silences"
    }

    fn describe(&self, _: KeyLimits, node: &mut Node) {
        let after = Duration::from_nanos(self.after.unsigned_abs());
        node.parameter("after", format_args!("{after:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Silence, SilenceCounts};
    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::{Timestamp, Virtual, iter};

    fn time(ms: &i64) -> Timestamp {
        Timestamp::from_millis(*ms)
    }

    fn silence(from: i64, to: i64) -> Silence {
        Silence { from: time(&from), to: time(&to) }
    }

    marbles!(silences, |input: i64| {
        let silences = input.silences(ms(4), time);
        silences.map(|told| format!("{} to {}", told.from.as_millis(), told.to.as_millis()))
    });
    conformance!(silences, |input| input.silences(ms(1), |x| time(&x.value().into())));
    conformance!(silences_by_key, |input| {
        let keyed = input.key_by(KeyLimits::new(2).idle(ms(3)), |x| x.value() % 3);
        keyed.silences(ms(1), |x| time(&x.value().into()))
    });

    #[test]
    fn a_silence_is_longer_than_the_time_and_not_as_long() {
        let all = || iter([0, 5, 11]).silences(ms(5), time);
        assert_eq!(every_way(all), [silence(5, 11)]);
    }

    #[test]
    fn an_item_that_is_earlier_than_the_latest_is_counted_and_changes_nothing() {
        let mut flow = iter([0, 9, 4, 12, 15]).silences(ms(5), time);
        let all = Virtual::new().run(async {
            let mut all = Vec::new();
            while let Some(silence) = flow.next().await {
                all.push(silence);
            }
            all
        });
        assert_eq!(all, [silence(0, 9)]);
        assert_eq!(flow.counts(), SilenceCounts { items: 5, earlier: 1, silences: 1 });
    }

    #[test]
    fn the_ends_of_time_do_no_harm() {
        let all = || iter([Timestamp::MIN, Timestamp::MAX, Timestamp::MIN]).silences(ms(5), |t| *t);
        let (from, to) = (Timestamp::MIN, Timestamp::MAX);
        assert_eq!(every_way(all), [Silence { from, to }]);
        let longest = std::time::Duration::MAX;
        let all = || iter([Timestamp::EPOCH, Timestamp::MAX]).silences(longest, |t| *t);
        assert_eq!(every_way(all), []);
    }

    specification!(silences, at_any_pace, |input: i64| input.silences(ms(3), time), |input| {
        let mut before = Vec::new();
        input.flat_map(|_, x| {
            let latest = before.iter().max().copied();
            before.push(x);
            latest.filter(|latest| x - latest > 3).map(|latest| silence(latest, x))
        })
    });
    specification!(
        silences_by_key,
        at_any_pace,
        |input: i64| input.key_by(KeyLimits::new(300), |x| x % 2).silences(ms(3), time),
        |input| {
            let mut before = HashMap::new();
            input.flat_map(|_, x| {
                let latest = before.get(&(x % 2)).copied();
                before.insert(x % 2, latest.map_or(x, |latest: i64| latest.max(x)));
                let told = latest.filter(|latest| x - latest > 3);
                told.map(|latest| (x % 2, silence(latest, x)))
            })
        }
    );
}
