//! [`Share`]: how a flow is shared.

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use crate::buffer::checked;
use crate::{Alarm, Flow, Outline, Site, Stage};

/// How a flow is shared: when it starts and stops, what a slow consumer does to the others, what
/// newcomers see. For [`Flow::share_with`] and [`share_from`](super::share_from).
///
/// ```
/// # use aqueduct_operators::{Virtual, iter, share::{Reset, Share, Slow}};
/// # use std::time::Duration;
/// let quotes = Share::new(64)
///     .replay(1)
///     .slow(Slow::Latest)
///     .on_idle(Reset::After(Duration::from_secs(5)));
/// let shared = iter([1, 2, 3]).share_with(quotes);
/// let newest = shared.subscribe();
/// assert_eq!(Virtual::new().run(newest.last()), Some(3));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a flow is shared with it"]
pub struct Share<T> {
    pub(super) capacity: NonZeroUsize,
    pub(super) start: Start,
    pub(super) slow: Slow,
    pub(super) replay: usize,
    pub(super) replay_for: Option<Duration>,
    pub(super) no_consumers: NoConsumers,
    pub(super) on_idle: Reset,
    pub(super) on_end: Reset,
    pub(super) on_error: Reset,
    /// Tells an error, where errors are items that end the flow.
    pub(super) is_error: Option<fn(&T) -> bool>,
    /// What the dropping of one consumer means.
    pub(super) dropped: Dropped,
}

/// When the input of a share is polled first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// When the first consumer is polled.
    First,
    /// When so many consumers are subscribed at once.
    #[doc(alias("auto_connect", "start_after_nr_of_consumers", "ref_count"))]
    Consumers(NonZeroUsize),
    /// When [`connect`](super::Shared::connect) was called.
    #[doc(alias("connectable", "publish"))]
    Connect,
}

/// What a consumer that is slower than the others does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slow {
    /// It stops the others when it is as many items behind as the share may hold.
    Block,
    /// It skips what the share no longer holds, and the others never wait for it.
    #[doc(alias("sliding", "drop_oldest"))]
    Lag,
    /// It only ever gets the newest item, and the others never wait for it.
    #[doc(alias("conflate"))]
    Latest,
}

/// What it means to the others that one of several consumers or branches is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Nothing: what would have gone to it is discarded.
    #[doc(alias("continue"))]
    Discard,
    /// The end: the input is dropped, and they get what is held for them.
    #[doc(alias("eager_cancel", "cancel"))]
    End,
}

/// What happens to the items of a share while nobody is subscribed, if it goes on then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoConsumers {
    /// The input waits. What it has given waits for the next consumer.
    Block,
    /// They are dropped and counted; what is to be replayed is kept.
    Drop,
    /// So many are kept for the next consumer, then the input waits.
    Buffer(NonZeroUsize),
}

/// Whether and when a share forgets the input that it has, and what it kept of it.
///
/// After that a share of a flow has ended for everybody who subscribes later; one of a factory
/// ([`share_from`](super::share_from)) starts anew with the next consumer.
#[derive(Debug, Clone)]
pub enum Reset {
    /// Not at all.
    Never,
    /// At once.
    AtOnce,
    /// So much later, on the clock of the run.
    #[doc(alias("grace", "linger"))]
    After(Duration),
    /// At a signal: see [`Reset::when`].
    When(Signal),
}

impl Reset {
    /// When the flow that `make` makes, each time that the question comes up, brings its first
    /// item. If it ends without one, there is no reset.
    pub fn when<S>(make: impl Fn() -> Flow<S> + Send + Sync + 'static) -> Self
    where
        S: Stage + Send + 'static,
    {
        Self::When(Signal(Arc::new(move || {
            let flow = make();
            Box::pin(async move {
                let mut flow = pin!(flow);
                poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await.is_some()
            })
        })))
    }

    /// The wait before the reset, which may come to nothing; `None` if there is nothing to wait
    /// for.
    pub(super) fn signal(&self) -> Option<Verdict> {
        match self {
            Self::Never | Self::AtOnce => None,
            Self::After(grace) => {
                let mut alarm = Alarm::new();
                let due = alarm.now() + *grace;
                alarm.set(due);
                Some(Box::pin(async move {
                    poll_fn(|cx| alarm.poll(cx)).await;
                    true
                }))
            }
            Self::When(signal) => Some((signal.0)()),
        }
    }

    fn waits(&self) -> bool {
        matches!(self, Self::After(_) | Self::When(_))
    }
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("Never"),
            Self::AtOnce => f.write_str("AtOnce"),
            Self::After(grace) => write!(f, "After({grace:?})"),
            Self::When(_) => f.write_str("When"),
        }
    }
}

/// Whether there is to be a reset.
pub(super) type Verdict = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A flow whose first item is the sign to forget: see [`Reset::when`].
#[derive(Clone)]
pub struct Signal(Arc<dyn Fn() -> Verdict + Send + Sync>);

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}

impl<T> Share<T> {
    /// Starts with the first consumer and stops when the last one leaves; the slowest consumer,
    /// `capacity` items behind the input at most, sets the pace; nothing is replayed.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        let capacity = checked(capacity, "share", Location::caller());
        Self::of(capacity, Slow::Block)
    }

    pub(super) fn of(capacity: NonZeroUsize, slow: Slow) -> Self {
        Self {
            capacity,
            start: Start::First,
            slow,
            replay: 0,
            replay_for: None,
            no_consumers: NoConsumers::Block,
            on_idle: Reset::AtOnce,
            on_end: Reset::Never,
            on_error: Reset::Never,
            is_error: None,
            dropped: Dropped::Discard,
        }
    }

    /// When the input is polled first.
    pub fn start(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// What a slow consumer does, unless it is [said](super::Shared::subscribe_as) when it
    /// subscribes.
    pub fn slow(self, slow: Slow) -> Self {
        Self { slow, ..self }
    }

    /// Keeps the last `n` items, and gives them to newcomers first. Also after the end, unless
    /// [`on_end`](Self::on_end) says otherwise.
    #[doc(alias("share_replay", "cache", "publish_replay"))]
    pub fn replay(self, n: usize) -> Self {
        Self { replay: n, ..self }
    }

    /// Newcomers get no item that is older than this. It is still held until `n` newer ones came.
    #[doc(alias("window_time", "ttl"))]
    pub fn replay_for(self, ttl: Duration) -> Self {
        Self { replay_for: Some(ttl), ..self }
    }

    /// What happens while nobody is subscribed, if [`on_idle`](Self::on_idle) lets the share go on
    /// then, or before the first one subscribes after [`connect`](super::Shared::connect).
    pub fn no_consumers(self, no_consumers: NoConsumers) -> Self {
        Self { no_consumers, ..self }
    }

    /// What happens when the last consumer leaves; a consumer that comes before the reset keeps
    /// the share as it is.
    #[doc(alias("reset_on_ref_count_zero", "while_subscribed", "ref_count_grace"))]
    pub fn on_idle(self, reset: Reset) -> Self {
        Self { on_idle: reset, ..self }
    }

    /// What happens when the input has ended: until the reset newcomers get what is replayed and
    /// the end, after it the end alone, or a new start.
    #[doc(alias("reset_on_complete"))]
    pub fn on_end(self, reset: Reset) -> Self {
        Self { on_end: reset, ..self }
    }

    /// How many items may be held.
    pub(super) fn bound(&self) -> usize {
        let buffered = match self.no_consumers {
            NoConsumers::Buffer(n) => n.get(),
            NoConsumers::Block | NoConsumers::Drop => 0,
        };
        self.capacity.get().max(buffered).max(self.replay)
    }

    /// Whether something has to be done while no consumer is polled.
    pub(super) fn needs_keeper(&self) -> bool {
        self.goes_on_alone()
            || [&self.on_idle, &self.on_end, &self.on_error].into_iter().any(Reset::waits)
    }

    /// Whether the input is polled while nobody is subscribed.
    pub(super) fn goes_on_alone(&self) -> bool {
        let idles = !matches!(self.on_idle, Reset::AtOnce) || self.start == Start::Connect;
        idles && self.no_consumers != NoConsumers::Block
    }

    pub(super) fn describe(
        &self,
        operator: &'static str,
        site: Site,
        above: Outline,
        slow: Slow,
        outline: &mut Outline,
    ) {
        let node = outline.join(operator, site, [above]);
        node.parameter("capacity", self.capacity);
        if slow != Slow::Block {
            node.parameter("slow", format_args!("{slow:?}"));
        }
        if self.replay > 0 {
            node.parameter("replay", self.replay);
        }
        if !matches!(self.on_idle, Reset::AtOnce) {
            node.parameter("on_idle", &self.on_idle);
            node.parameter("no_consumers", format_args!("{:?}", self.no_consumers));
        }
        node.holds(crate::Bound::Items(self.bound()));
    }
}

impl<T, E> Share<Result<T, E>> {
    /// An `Err` ends the flow, and until the reset newcomers get it, after what is replayed.
    /// Without this an error is an item like any other.
    #[doc(alias("reset_on_error"))]
    pub fn on_error(self, reset: Reset) -> Self {
        Self { on_error: reset, is_error: Some(Result::is_err), ..self }
    }
}
