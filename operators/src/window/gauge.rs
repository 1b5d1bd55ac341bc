//! [`WatermarkGauge`]: how far event time has come in a task, for who looks from outside.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::Timestamp;
use crate::util::lock;

/// Shows how far event time has come in a task that runs in its [`scope`](Self::scope).
///
/// The operators that make watermarks ([`event_time`](crate::Flow::event_time),
/// [`merge_timed`](crate::merge_timed())) ask for it at their first poll, and tell it once a
/// turn; nothing is done for an item. Of several in one task the one counts that is furthest behind
/// and has not ended, as it does for a join of them; a merge speaks for its inputs.
///
/// ```
/// # use aqueduct_operators::{Timestamp, iter, window::WatermarkGauge};
/// # use std::time::Duration;
/// # futures::executor::block_on(async {
/// let gauge = WatermarkGauge::new();
/// let seconds = iter([7, 9]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
/// gauge.clone().scope(seconds.count()).await;
/// assert_eq!(gauge.watermark(), Some(Timestamp::from_secs(9)));
/// # });
/// ```
#[derive(Debug, Clone, Default)]
pub struct WatermarkGauge {
    dial: Arc<Mutex<Dial>>,
}

#[derive(Debug)]
struct Dial {
    hands: Vec<Arc<Hand>>,
    /// How far the furthest came of those that had ended when another one began.
    ended: i64,
}

impl Default for Dial {
    fn default() -> Self {
        Self { hands: Vec::new(), ended: i64::MIN }
    }
}

/// What one operator shows.
#[derive(Debug)]
struct Hand {
    watermark: AtomicI64,
    ended: AtomicBool,
}

impl Hand {
    fn read(&self) -> i64 {
        self.watermark.load(Ordering::Relaxed)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Dial {
    /// A new hand. Those of operators that have ended make room, so that a task which makes one
    /// after the other keeps only those at work.
    fn put_hand(&mut self) -> Arc<Hand> {
        let ended = &mut self.ended;
        self.hands.retain(|hand| {
            let has_ended = hand.has_ended();
            if has_ended {
                *ended = hand.read().max(*ended);
            }
            !has_ended
        });
        let watermark = AtomicI64::new(i64::MIN);
        let hand = Arc::new(Hand { watermark, ended: AtomicBool::new(false) });
        self.hands.push(hand.clone());
        hand
    }
}

thread_local! {
    static CURRENT: RefCell<Option<WatermarkGauge>> = const { RefCell::new(None) };
}

impl WatermarkGauge {
    /// A gauge that shows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How far event time has come; `None` before the first watermark.
    pub fn watermark(&self) -> Option<Timestamp> {
        let dial = lock(&self.dial);
        let open = dial.hands.iter().filter(|hand| !hand.has_ended());
        // After the end of all, as far as the last of them came.
        let furthest = || dial.hands.iter().map(|hand| hand.read()).fold(dial.ended, i64::max);
        let reached = open.map(|hand| hand.read()).min().unwrap_or_else(furthest);
        (reached != i64::MIN).then(|| Timestamp::from_nanos(reached))
    }

    /// Runs a future under this gauge, with the tasks that it starts.
    pub fn scope<F>(self, future: F) -> Gauged<F> {
        Gauged { future, gauge: Some(self) }
    }

    /// Runs a future under the gauge of the task that is being polled, if it has one.
    pub(crate) fn carry<F>(future: F) -> Gauged<F> {
        Gauged { future, gauge: CURRENT.with_borrow(Clone::clone) }
    }

    /// Runs `poll` without a gauge: who calls this shows the time itself.
    pub(super) fn hide<R>(poll: impl FnOnce() -> R) -> R {
        Self::swapped(&mut None, poll)
    }

    fn swapped<R>(gauge: &mut Option<Self>, poll: impl FnOnce() -> R) -> R {
        struct Restore<'a>(&'a mut Option<WatermarkGauge>);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
            }
        }
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, gauge));
        let _restore = Restore(gauge);
        poll()
    }
}

/// A future under a gauge: see [`WatermarkGauge::scope`].
#[pin_project]
#[derive(Debug)]
pub struct Gauged<F> {
    #[pin]
    future: F,
    /// While the future is polled: the gauge outside.
    gauge: Option<WatermarkGauge>,
}

impl<F: Future> Future for Gauged<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.gauge.is_none() {
            return this.future.poll(cx);
        }
        WatermarkGauge::swapped(this.gauge, || this.future.poll(cx))
    }
}

/// What an operator shows on the gauge of its task.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// `None` before the first poll; `Some(None)` where nobody looks.
    hand: Option<Option<Arc<Hand>>>,
}

impl Shown {
    /// To be called at each poll: takes the gauge at the first, and says that it is the first.
    #[inline]
    pub(super) fn begin(&mut self) -> bool {
        let is_first = self.hand.is_none();
        if is_first {
            self.take_gauge();
        }
        is_first
    }

    #[cold]
    fn take_gauge(&mut self) {
        let gauge = CURRENT.with_borrow(Clone::clone);
        self.hand = Some(gauge.map(|gauge| lock(&gauge.dial).put_hand()));
    }

    /// Whether somebody looks.
    pub(super) fn is_seen(&self) -> bool {
        matches!(self.hand, Some(Some(_)))
    }

    /// To be called once a turn.
    #[inline]
    pub(super) fn show(&self, watermark: i64) {
        if let Some(Some(hand)) = &self.hand {
            hand.watermark.store(watermark, Ordering::Relaxed);
        }
    }

    /// To be called at the end.
    pub(super) fn end(&self, watermark: i64) {
        self.show(watermark);
        if let Some(Some(hand)) = &self.hand {
            hand.ended.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(Some(hand)) = &self.hand {
            hand.ended.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::poll;

    use super::*;
    use crate::testing::*;
    use crate::window::merge_timed;
    use crate::{Flow, Overflow, Stage, Timed, Virtual, never};

    fn seconds(times: &[i64]) -> Flow<impl Stage<Item = Timed<i64>> + Send + use<>> {
        let time = |s: &i64| Timestamp::from_secs(*s);
        let items: Vec<_> = times.iter().map(|s| (*s, *s)).collect();
        let end = times.last().map_or(0, |last| *last);
        timetable(items, end).event_time(time, Duration::ZERO)
    }

    fn shown(flow: Flow<impl Stage>) -> Option<i64> {
        let gauge = WatermarkGauge::new();
        Virtual::new().run(gauge.clone().scope(flow.count()));
        gauge.watermark().map(Timestamp::as_secs)
    }

    #[test]
    fn after_the_end_it_shows_how_far_time_came() {
        assert_eq!(shown(seconds(&[])), None);
        assert_eq!(shown(seconds(&[1, 2, 5])), Some(5));
    }

    #[test]
    fn of_several_it_shows_the_one_that_is_behind_and_has_not_ended() {
        let mut both = seconds(&[1, 9]).merge(seconds(&[2, 4, 20]));
        let gauge = WatermarkGauge::new();
        let shown = || gauge.watermark().map(Timestamp::as_secs);
        Virtual::new().run(gauge.clone().scope(async {
            // Items and watermarks at 1, 2 and 4.
            while both.next().await != Some(Timed::Watermark(Timestamp::from_secs(4))) {}
            assert!(poll!(both.next()).is_pending());
            assert_eq!(shown(), Some(1));
            while both.next().await != Some(Timed::Watermark(Timestamp::from_secs(9))) {}
            assert!(poll!(both.next()).is_pending());
            assert_eq!(shown(), Some(4), "the other one has ended");
            while both.next().await.is_some() {}
        }));
        assert_eq!(shown(), Some(20));
    }

    #[test]
    fn a_merge_speaks_for_its_inputs() {
        let silent = never().event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
        let merged = merge_timed([seconds(&[1, 9]).boxed(), silent.boxed()]);
        let gauge = WatermarkGauge::new();
        let mut merged = merged.idle(ms(5));
        Virtual::new().run(gauge.clone().scope(async {
            while merged.next().await != Some(Timed::Watermark(Timestamp::from_secs(9))) {}
            assert!(poll!(merged.next()).is_pending());
        }));
        assert_eq!(gauge.watermark().map(Timestamp::as_secs), Some(9));
        assert_eq!(lock(&gauge.dial).hands.len(), 1);
    }

    #[test]
    fn what_runs_in_a_task_of_the_task_is_seen_too() {
        assert_eq!(shown(seconds(&[1, 7]).hop(4, Overflow::Block)), Some(7));
    }

    #[test]
    fn one_after_the_other_they_do_not_pile_up() {
        let gauge = WatermarkGauge::new();
        let each = crate::iter(1..100_i64).concat_map(|second| {
            crate::iter([second]).event_time(|s| Timestamp::from_secs(100 - *s), Duration::ZERO)
        });
        Virtual::new().run(gauge.clone().scope(each.count()));
        assert_eq!(gauge.watermark(), Some(Timestamp::from_secs(99)));
        assert!(lock(&gauge.dial).hands.len() <= 1);
    }

    #[test]
    fn outside_of_its_scope_nothing_is_shown() {
        let gauge = WatermarkGauge::new();
        Virtual::new().run(async {
            gauge.clone().scope(async {}).await;
            seconds(&[1]).count().await
        });
        assert_eq!(gauge.watermark(), None);
    }
}
