//! [`Alarm`]: a deadline to wait for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::virtual_time::{Key, Timers};
use super::{Clock, Kind, Timestamp};

/// A deadline that can be moved at no cost: what a time operator waits on.
///
/// [`set`](Self::set) only notes the deadline. The timer behind it is armed when the alarm is
/// polled, and an alarm whose deadline moves on and on (a debounce under load) re-arms its timer
/// only when it fires too early. It never rings early; on the live clock it may ring up to a
/// millisecond late, which is the resolution of tokio's timers.
///
/// At one instant of virtual time the alarms of sources ring first, then those of operators, each
/// in the order in which they were set.
///
/// On the live clock an alarm has to be polled within a tokio runtime that has its time driver
/// enabled.
#[derive(Debug)]
pub struct Alarm {
    /// That of the run which first uses the alarm.
    clock: Option<Clock>,
    rank: Rank,
    deadline: Option<Deadline>,
    timer: Timer,
}

#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Timestamp,
    /// Order among alarms that are due at one instant; only the virtual clock counts.
    order: u64,
}

/// Who waits: at one instant items come before timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The consumer of a test, who comes and leaves before anything else happens.
    #[cfg(any(test, feature = "testing"))]
    Consumer,
    /// With its number, where several sources of one test have a fixed order.
    Source(u16),
    Operator,
}

enum Timer {
    Idle,
    Live {
        armed: Option<Timestamp>,
        sleep: Pin<Box<tokio::time::Sleep>>,
    },
    /// `armed` until it has fired.
    Virtual {
        timers: Arc<Timers>,
        armed: Option<Key>,
    },
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}

impl Alarm {
    /// An alarm of an operator. Its clock is that of the run in which it is first used.
    pub const fn new() -> Self {
        Self::ranked(Rank::Operator)
    }

    /// An alarm of a source: at one instant it rings before those of operators, because what it
    /// announces are items.
    pub const fn for_source() -> Self {
        Self::ranked(Rank::Source(0))
    }

    /// An alarm of the source with this number: at one instant the sources with lower numbers come
    /// first, whenever their alarms were set.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn for_source_number(number: u16) -> Self {
        Self::ranked(Rank::Source(number))
    }

    /// An alarm of the consumer in a test: at one instant it rings first.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn for_consumer() -> Self {
        Self::ranked(Rank::Consumer)
    }

    const fn ranked(rank: Rank) -> Self {
        Self { clock: None, rank, deadline: None, timer: Timer::Idle }
    }

    /// The clock that decides when it rings.
    pub fn clock(&mut self) -> &Clock {
        self.clock.get_or_insert_with(Clock::current)
    }

    /// The time on that clock.
    pub fn now(&mut self) -> Timestamp {
        self.clock().now()
    }

    /// Moves the deadline.
    pub fn set(&mut self, deadline: Timestamp) {
        let order = match &self.clock().0 {
            Kind::Virtual(timers) => timers.next_order(),
            Kind::Live | Kind::Paced(_) => 0,
        };
        self.deadline = Some(Deadline { at: deadline, order });
    }

    /// Takes the deadline away.
    pub fn clear(&mut self) {
        self.deadline = None;
    }

    /// The deadline, if there is one.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline.map(|deadline| deadline.at)
    }

    /// Ready when the deadline has come; that takes it away. Pending for ever without one, and
    /// then nobody is woken: the caller is waiting for something else too.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline.is_none() {
            return Poll::Pending;
        }
        let now = self.now();
        self.poll_at(now, cx)
    }

    /// As [`poll`](Self::poll), for a caller that has just read [`now`](Self::now): it saves
    /// reading the clock again. A time that is a little old makes the alarm ring later by as much,
    /// never early.
    pub fn poll_at(&mut self, now: Timestamp, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let left = deadline.at.saturating_since(now);
        let rang = match &self.clock.get_or_insert_with(Clock::current).0 {
            Kind::Virtual(timers) => {
                let key = Key { at: deadline.at, rank: self.rank, order: deadline.order };
                self.timer.poll_virtual(timers, key, cx)
            }
            Kind::Live => self.timer.poll_live(deadline.at, left, cx),
            Kind::Paced(pace) => self.timer.poll_live(deadline.at, pace.live_time(left), cx),
        };
        if rang.is_ready() {
            self.deadline = None;
        }
        rang
    }
}

impl Timer {
    /// `left` is the live time until `deadline`.
    fn poll_live(&mut self, deadline: Timestamp, left: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if left.is_zero() {
            return Poll::Ready(());
        }
        if !matches!(self, Self::Live { .. }) {
            *self = Self::Live { armed: None, sleep: Box::pin(tokio::time::sleep(left)) };
        }
        let Self::Live { armed, sleep } = self else {
            return Poll::Pending;
        };
        if armed.is_none_or(|armed| armed > deadline) {
            sleep.as_mut().reset(tokio::time::Instant::now() + left);
            *armed = Some(deadline);
        }
        // Armed for the deadline or for an earlier one: that it fires means only that it has to
        // be armed again, because time is left.
        while sleep.as_mut().poll(cx).is_ready() {
            sleep.as_mut().reset(tokio::time::Instant::now() + left);
            *armed = Some(deadline);
        }
        Poll::Pending
    }

    /// Ready only when the timer with this very key has fired: at one instant the order of the
    /// keys decides, not who looks at the clock first.
    fn poll_virtual(&mut self, timers: &Arc<Timers>, key: Key, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Virtual { armed, .. } = self
            && let Some(before) = *armed
        {
            let waiting = timers.is_waiting(before, cx.waker());
            if waiting && before <= key {
                // Due earlier than asked for: it is armed again when it fires.
                return Poll::Pending;
            }
            if waiting {
                timers.cancel(before);
            }
            *armed = None;
            if !waiting && before == key {
                return Poll::Ready(());
            }
        }
        timers.arm(key, cx.waker());
        match self {
            Self::Virtual { armed, .. } => *armed = Some(key),
            timer => *timer = Self::Virtual { timers: timers.clone(), armed: Some(key) },
        }
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Self::Virtual { timers, armed: Some(key) } = self {
            timers.cancel(*key);
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "Idle",
            Self::Live { .. } => "Live",
            Self::Virtual { .. } => "Virtual",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ms;
    use futures::FutureExt;
    use futures::task::noop_waker;
    use std::future::poll_fn;

    async fn rings(alarm: &mut Alarm) -> Timestamp {
        poll_fn(|cx| alarm.poll(cx)).await;
        Clock::live().now()
    }

    fn is_pending(alarm: &mut Alarm) -> bool {
        alarm.poll(&mut Context::from_waker(&noop_waker())).is_pending()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_its_deadline_and_at_most_a_millisecond_later() {
        let mut alarm = Alarm::new();
        let due = alarm.now() + Duration::from_micros(2500);
        alarm.set(due);
        let rang = rings(&mut alarm).await;
        assert!(rang >= due && rang - due <= ms(1), "{:?} late", rang - due);
        assert_eq!(alarm.deadline(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_on_rings_only_at_the_last() {
        let mut alarm = Alarm::new();
        let start = alarm.now();
        for step in 1..=5 {
            alarm.set(start + ms(10 * step));
            assert!(is_pending(&mut alarm));
        }
        let rang = rings(&mut alarm).await;
        assert!(rang >= start + ms(50) && rang <= start + ms(51));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_forward_rings_earlier() {
        let mut alarm = Alarm::new();
        let start = alarm.now();
        alarm.set(start + ms(100));
        assert!(is_pending(&mut alarm));
        alarm.set(start + ms(10));
        let rang = rings(&mut alarm).await;
        assert!(rang >= start + ms(10) && rang <= start + ms(11));
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_again_after_it_was_set_again() {
        let mut alarm = Alarm::new();
        let start = alarm.now();
        for step in 1..=3 {
            alarm.set(start + ms(10 * step));
            let rang = rings(&mut alarm).await;
            assert!(rang >= start + ms(10 * step) && rang <= start + ms(10 * step + 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_in_the_past_rings_at_once_and_none_never() {
        let mut alarm = Alarm::new();
        let now = alarm.now();
        alarm.set(now);
        assert!(!is_pending(&mut alarm));
        assert!(is_pending(&mut alarm));
        alarm.set(now + ms(1));
        alarm.clear();
        tokio::time::advance(ms(5)).await;
        assert!(rings(&mut alarm).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_waker_is_the_one_that_is_woken() {
        let mut alarm = Alarm::new();
        let due = alarm.now() + ms(10);
        alarm.set(due);
        assert!(is_pending(&mut alarm));
        // Were the first waker kept, this would never be woken.
        assert!(rings(&mut alarm).await >= due);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_is_a_little_old_makes_it_ring_later_and_never_early() {
        let mut alarm = Alarm::new();
        let start = alarm.now();
        alarm.set(start + ms(10));
        tokio::time::advance(ms(4)).await;
        let mut turn = Some(start);
        poll_fn(|cx| match turn.take() {
            Some(old) => alarm.poll_at(old, cx),
            None => alarm.poll(cx),
        })
        .await;
        let late = alarm.now() - (start + ms(10));
        assert!(late >= ms(4) && late <= ms(5), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn on_a_paced_clock_it_rings_when_that_clock_shows_the_deadline() {
        let clock = Clock::paced(Timestamp::EPOCH, 10.0);
        let started = Clock::live().now();
        let (live, paced) = crate::Ambient::on(clock)
            .scope(async {
                let mut alarm = Alarm::new();
                alarm.set(Timestamp::from_secs(1));
                (rings(&mut alarm).await, Clock::current().now())
            })
            .await;
        assert!(paced >= Timestamp::from_secs(1));
        assert!(live - started >= ms(99) && live - started <= ms(102));
    }
}
