//! [`TimeLimits`]: how long what may take, and the [`Watch`] that looks after it.

use std::fmt;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Elapsed;
use crate::{Alarm, Node, Site, Timestamp};

/// How long what may take in a flow, for [`timeout_with`](crate::Flow::timeout_with) and
/// [`timeout_to`](crate::Flow::timeout_to). What has no limit may take for ever.
///
/// ```
/// # use aqueduct_operators::time::TimeLimits;
/// # use std::time::Duration;
/// let patient = TimeLimits::new().first(Duration::from_secs(30)).each(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct TimeLimits {
    first: Option<Duration>,
    each: Option<Duration>,
    total: Option<Duration>,
    demand: Option<Duration>,
}

impl TimeLimits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time until the first item; without it, that of [`each`](Self::each).
    #[doc(alias("initial_timeout"))]
    pub fn first(mut self, first: Duration) -> Self {
        self.first = Some(first);
        self
    }

    /// The time that the flow is asked for an item and has none.
    #[doc(alias("idle_timeout"))]
    pub fn each(mut self, each: Duration) -> Self {
        self.each = Some(each);
        self
    }

    /// The time from the first poll to the end.
    #[doc(alias("completion_timeout"))]
    pub fn total(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// The time that the consumer takes after an item before it asks for the next one: for a
    /// consumer that must not hold others up. It is noticed when the flow is driven or asked.
    #[doc(alias("backpressure_timeout"))]
    pub fn demand(mut self, demand: Duration) -> Self {
        self.demand = Some(demand);
        self
    }
}

/// What a time was set for: see [`TimeLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The first item.
    First,
    /// Any item.
    Each,
    /// The end.
    Total,
    /// The consumer's asking.
    Demand,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "no first item for",
            Self::Each => "no item for",
            Self::Total => "no end after",
            Self::Demand => "no demand for",
        })
    }
}

/// Looks after the limits with one alarm.
#[derive(Debug)]
pub(super) struct Watch {
    limits: TimeLimits,
    started: Option<Timestamp>,
    /// Whether an item has come.
    begun: bool,
    /// When the last item went out; only with a limit for the demand.
    gave: Option<Timestamp>,
    /// What the alarm is set for.
    waits_for: Option<Limit>,
    alarm: Alarm,
    site: Site,
}

impl Watch {
    pub(super) fn new(limits: TimeLimits, site: Site) -> Self {
        let alarm = Alarm::new();
        Self { limits, started: None, begun: false, gave: None, waits_for: None, alarm, site }
    }

    fn elapsed(&self, limit: Limit) -> Elapsed {
        let TimeLimits { first, each, total, demand } = self.limits;
        let after = match limit {
            Limit::First => first,
            Limit::Each => each,
            Limit::Total => total,
            Limit::Demand => demand,
        };
        Elapsed { limit, after: after.unwrap_or_default(), site: self.site }
    }

    /// The flow is asked for an item: whether it is too late for that.
    pub(super) fn asked(&mut self) -> Result<(), Elapsed> {
        let gave = self.gave.take();
        if self.started.is_some() && gave.is_none() && self.limits.total.is_none() {
            return Ok(());
        }
        let now = self.alarm.now();
        let started = *self.started.get_or_insert(now);
        let late = |since: Option<Timestamp>, limit: Option<Duration>| {
            since.zip(limit).is_some_and(|(since, limit)| now > since + limit)
        };
        if late(gave, self.limits.demand) {
            return Err(self.elapsed(Limit::Demand));
        }
        if late(Some(started), self.limits.total) {
            return Err(self.elapsed(Limit::Total));
        }
        if gave.is_some() {
            self.waits_for = None;
        }
        Ok(())
    }

    /// An item goes out.
    pub(super) fn gave(&mut self) {
        self.begun = true;
        self.waits_for = None;
        if self.limits.demand.is_some() {
            self.gave = Some(self.alarm.now());
        }
    }

    /// There is no item now.
    pub(super) fn waits(&mut self, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let limit = if let Some(limit) = self.waits_for {
            ready!(self.alarm.poll(cx));
            limit
        } else {
            let now = self.alarm.now();
            let TimeLimits { first, each, total, .. } = self.limits;
            let item = match first {
                Some(first) if !self.begun => Some((now + first, Limit::First)),
                _ => each.map(|each| (now + each, Limit::Each)),
            };
            let total = self.started.zip(total).map(|(at, total)| (at + total, Limit::Total));
            let soonest = item.into_iter().chain(total).min_by_key(|(due, _)| *due);
            let Some((due, limit)) = soonest else {
                return Poll::Pending;
            };
            self.alarm.set(due);
            self.waits_for = Some(limit);
            ready!(self.alarm.poll_at(now, cx));
            limit
        };
        Poll::Ready(self.elapsed(limit))
    }

    /// The consumer is busy with what went out last.
    pub(super) fn busy(&mut self, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let Some((gave, demand)) = self.gave.zip(self.limits.demand) else {
            return Poll::Pending;
        };
        if self.waits_for != Some(Limit::Demand) {
            self.alarm.set(gave + demand);
            self.waits_for = Some(Limit::Demand);
        }
        ready!(self.alarm.poll(cx));
        Poll::Ready(self.elapsed(Limit::Demand))
    }

    pub(super) fn describe(&self, node: &mut Node) {
        let TimeLimits { first, each, total, demand } = self.limits;
        let limits = [("first", first), ("each", each), ("total", total), ("demand", demand)];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                node.parameter(name, format_args!("{limit:?}"));
            }
        }
    }
}
