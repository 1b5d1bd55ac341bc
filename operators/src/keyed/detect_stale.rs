//! `detect_stale`, for each key: says when nothing has come for too long, and when that is over.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::linked::Linked;
use super::{KeyCounts, KeyLimits, KeyedFlow};
use crate::time::{Silence, Staleness};
use crate::{Alarm, Bound, Budget, Flow, Outline, Site, Stage, Timestamp};

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// Says when nothing has come for a key for longer than `after`, and when something comes again.
    ///
    /// ```text
    /// in   aA--a---(A|)
    /// out  aA--a-s-(oA|)    key_by(limits, is_upper_case).detect_stale(5)
    ///
    /// where  s = A is stale since 1, o = A was silent from 1 to 8
    /// ```
    ///
    /// As [`Flow::detect_stale`]; a key is silent from its first item on. When a key is forgotten,
    /// because another needs its place or after the idle time of the limits, nothing more is told
    /// of it: its next item is as the first one. Those that are stale are forgotten before others.
    ///
    /// - **Emits** the key with each item, in the same poll; with `Stale` when its time is over; with
    ///   `Over` before the item that ends a silence that was told.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** the time of the last item of each key, and 1 item.
    /// - **Cost**: one hash for an item, two if its key was stale or is new; one clock read for each
    ///   turn, and one timer for all keys.
    ///
    /// # Panics
    ///
    /// If `after` is zero, or the limits have an idle time that is not longer.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, keyed::KeyLimits, time::Staleness};
    /// # use aqueduct_operators::{Timestamp, never};
    /// # use std::time::Duration;
    /// let quotes = iter(["btc", "eth"]).chain(never());
    /// let stale = quotes
    ///     .key_by(KeyLimits::new(64), |symbol| *symbol)
    ///     .detect_stale(Duration::from_millis(500))
    ///     .filter(|(_, told)| matches!(told, Staleness::Stale { .. }));
    /// let all: Vec<_> = Virtual::new().run(stale.map(|(symbol, _)| symbol).take(2).collect());
    /// assert_eq!(all, ["btc", "eth"]);
    /// ```
    #[doc(alias("stale", "idle_detection", "silence", "watchdog"))]
    #[track_caller]
    pub fn detect_stale(self, after: Duration) -> Flow<DetectStale<S, K, F>> {
        let site = Location::caller();
        assert!(!after.is_zero(), "detect_stale: the time must not be zero, at {site}");
        let longer = self.limits.idle_time().is_none_or(|idle| idle > after);
        assert!(longer, "detect_stale: the keys go before they are stale, at {site}");
        Flow::from_stage(DetectStale {
            input: self.flow.into_stage(),
            keys: Keys {
                limits: self.limits,
                key: self.key,
                after,
                fresh: Linked::new(),
                stale: Linked::new(),
                counts: KeyCounts::default(),
            },
            alarm: Alarm::new(),
            beyond: VecDeque::new(),
            budget: Budget::new(),
            site,
        })
    }
}

/// The stage behind [`KeyedFlow::detect_stale`].
#[pin_project]
pub struct DetectStale<S: Stage, K, F> {
    #[pin]
    input: S,
    keys: Keys<K, F>,
    /// Set to the time at which the next key is stale, or forgotten.
    alarm: Alarm,
    /// An item whose silence is over, until it is asked for.
    beyond: VecDeque<(K, Staleness<S::Item>)>,
    /// Keys that are forgotten make no item.
    budget: Budget,
    site: Site,
}

struct Keys<K, F> {
    limits: KeyLimits,
    key: F,
    after: Duration,
    /// Keys by the times of their last items, and those of them that were told to be stale.
    fresh: Linked<K, ()>,
    stale: Linked<K, Timestamp>,
    /// Without `ended` and `held`.
    counts: KeyCounts,
}

/// What happens to a key when its time has come.
enum Event {
    Stale,
    Forgotten,
}

impl<K: Hash + Eq + Clone, F> Keys<K, F> {
    fn take<T>(&mut self, item: T, now: Timestamp, out: &mut impl FnMut((K, Staleness<T>)))
    where
        F: FnMut(&T) -> K,
    {
        let key = (self.key)(&item);
        let hash = self.fresh.hash(&key);
        if self.fresh.touch(hash, &key, now).is_none() {
            let stale = self.stale.remove(self.stale.hash(&key), &key);
            if stale.is_none() {
                self.make_room();
                self.counts.opened += 1;
            }
            self.fresh.add(hash, key.clone(), (), now);
            if let Some((key, from)) = stale {
                out((key, Staleness::Over(Silence { from, to: now })));
            }
        }
        out((key, Staleness::Item(item)));
    }

    fn make_room(&mut self) {
        if self.fresh.len() + self.stale.len() >= self.limits.max_keys() {
            self.counts.full += 1;
            if self.stale.pop_oldest().is_none() {
                self.fresh.pop_oldest();
            }
        }
    }

    /// What happens next, if no item comes, and when.
    fn next(&self) -> Option<(Timestamp, Event)> {
        let stale = self.fresh.oldest().map(|used| (used + self.after, Event::Stale));
        let idle = self.stale.oldest().zip(self.limits.idle_time());
        let forgotten = idle.map(|(used, idle)| (used + idle, Event::Forgotten));
        match (&stale, &forgotten) {
            (Some((stale, _)), Some((forgotten, _))) if stale < forgotten => {}
            (_, Some(_)) => return forgotten,
            _ => {}
        }
        stale
    }

    /// Lets it happen: the key that is stale now, and since when.
    fn happen(&mut self, event: Event) -> Option<(K, Timestamp)> {
        match event {
            Event::Forgotten => {
                self.stale.pop_oldest();
                self.counts.idle += 1;
                None
            }
            Event::Stale => {
                let since = self.fresh.oldest()?;
                let (key, ()) = self.fresh.pop_oldest()?;
                self.stale.add(self.stale.hash(&key), key.clone(), since, since);
                Some((key, since))
            }
        }
    }
}

impl<S, K, F> Stage for DetectStale<S, K, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    type Item = (K, Staleness<S::Item>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut out = None;
        match self.as_mut().poll_drain(cx, &mut |item| {
            out = Some(item);
            ControlFlow::Break(())
        }) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(out),
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let (keys, beyond, alarm) = (this.keys, this.beyond, this.alarm);
        while let Some(item) = beyond.pop_front() {
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
        let now = alarm.now();
        let drained = this.input.poll_drain(cx, &mut |item| {
            let mut broke = ControlFlow::Continue(());
            keys.take(item, now, &mut |made| match broke {
                ControlFlow::Continue(()) => broke = each(made),
                ControlFlow::Break(_) => beyond.push_back(made),
            });
            broke
        });
        if drained.is_ready() {
            return drained;
        }
        // The input was asked just now, and is awaited together with the next time.
        while let Some((due, event)) = keys.next() {
            if alarm.deadline() != Some(due) {
                alarm.set(due);
            }
            ready!(alarm.poll_at(now, cx));
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            if let Some((key, since)) = keys.happen(event)
                && let broke @ ControlFlow::Break(_) = each((key, Staleness::Stale { since }))
            {
                return Poll::Ready(broke);
            }
        }
        alarm.clear();
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.input.size_hint().0.saturating_add(self.beyond.len()), None)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let Keys { limits, after, .. } = &self.keys;
        let node = outline.stage("detect_stale", self.site);
        node.parameter("max_keys", limits.max_keys())
            .parameter("after", format_args!("{after:?}"))
            .holds(Bound::Items(1));
        if let Some(idle) = limits.idle_time() {
            node.parameter("idle", format_args!("{idle:?}"));
        }
    }
}

impl<S: Stage, K: Hash + Eq, F> Flow<DetectStale<S, K, F>>
where
    DetectStale<S, K, F>: Stage,
{
    /// What became of the keys so far.
    pub fn counts(&self) -> KeyCounts {
        let keys = &self.stage().keys;
        KeyCounts { held: keys.fresh.len() + keys.stale.len(), ..keys.counts }
    }
}

impl<S: Stage, K, F> fmt::Debug for DetectStale<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectStale")
            .field("fresh", &self.keys.fresh)
            .field("stale", &self.keys.stale)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Silence, Staleness};
    use crate::keyed::{KeyCounts, KeyLimits};
    use crate::testing::*;
    use crate::{Timestamp, Virtual, iter};

    /// What is told, in words.
    fn told((key, told): (u8, Staleness<u8>)) -> String {
        match told {
            Staleness::Item(item) => format!("{item}"),
            Staleness::Stale { since } => format!("{key} is stale since {}", since.as_millis()),
            Staleness::Over(Silence { from, to }) => {
                format!("{key} was silent from {} to {}", from.as_millis(), to.as_millis())
            }
        }
    }

    marbles!(detect_stale, |input| {
        let keyed = input.key_by(KeyLimits::new(9), |x: &char| x.is_uppercase());
        keyed.detect_stale(ms(5)).map(|(is_upper, told)| {
            let key = if is_upper { "A" } else { "a" };
            match told {
                Staleness::Item(item) => format!("{item}"),
                Staleness::Stale { since } => format!("{key} is stale since {}", since.as_millis()),
                Staleness::Over(Silence { from, to }) => {
                    format!("{key} was silent from {} to {}", from.as_millis(), to.as_millis())
                }
            }
        })
    });
    conformance!(detect_stale, |input| {
        input.key_by(KeyLimits::new(2), |x| x.value() % 3).detect_stale(ms(2))
    });
    conformance!(detect_stale_and_idle, |input| {
        input.key_by(KeyLimits::new(2).idle(ms(5)), |x| x.value() % 3).detect_stale(ms(2))
    });

    #[test]
    fn a_key_that_is_stale_is_forgotten_before_others_and_after_the_idle_time() {
        let feed = timetable([(0, 1), (4, 2), (6, 3), (7, 1), (20, 1)], 21);
        let flow = feed.key_by(KeyLimits::new(2).idle(ms(12)), |x| *x).detect_stale(ms(5));
        let expected = [
            (0, "1"),
            (4, "2"),
            (5, "1 is stale since 0"),
            (6, "3"),
            (7, "1"),
            (11, "3 is stale since 6"),
            (12, "1 is stale since 7"),
            (20, "1"),
        ];
        let (all, _) = timeline(flow.map(told));
        let all: Vec<_> = all.iter().map(|(at, told)| (*at, told.as_str())).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn the_keys_are_counted() {
        let feed = timetable([(0, 1), (0, 2), (0, 3), (9, 1)], 30);
        let limits = KeyLimits::new(2).idle(ms(9));
        let mut flow = std::pin::pin!(feed.key_by(limits, |x| *x).detect_stale(ms(5)));
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        let expected = KeyCounts { opened: 4, full: 2, idle: 2, ..KeyCounts::default() };
        assert_eq!(flow.counts(), expected);
    }

    #[test]
    #[should_panic(expected = "detect_stale: the keys go before they are stale, at operators/src")]
    fn an_idle_time_that_hides_every_silence_is_refused() {
        let keyed = iter([1]).key_by(KeyLimits::new(2).idle(ms(5)), |x| *x);
        let _ = keyed.detect_stale(ms(5));
    }

    specification!(
        detect_stale,
        |input| input.key_by(KeyLimits::new(300), |x| x % 3).detect_stale(ms(4)),
        |input| -> Timeline<_> {
            // What happens, by time: at one instant items first, as they come, then keys, as they
            // were used last.
            let mut all = BTreeMap::new();
            for key in 0..3 {
                let own = input.events.iter().enumerate().filter(|(_, (_, x))| x % 3 == key);
                let mut last: Option<(i64, usize)> = None;
                let items = own.map(|(n, (at, x))| (*at, n, Some(*x)));
                for (at, n, x) in items.chain([(input.end, usize::MAX, None)]) {
                    if let Some((used, number)) = last
                        && used + 4 < at
                    {
                        let since = Timestamp::from_millis(used);
                        all.insert((used + 4, 1, number, 0), (key, Staleness::Stale { since }));
                        if x.is_some() {
                            let silence = Silence { from: since, to: Timestamp::from_millis(at) };
                            all.insert((at, 0, n, 0), (key, Staleness::Over(silence)));
                        }
                    }
                    if let Some(x) = x {
                        all.insert((at, 0, n, 1), (key, Staleness::Item(x)));
                    }
                    last = Some((at, n));
                }
            }
            Timeline::new(all.into_iter().map(|((at, ..), told)| (at, told)), input.end)
        }
    );
}
