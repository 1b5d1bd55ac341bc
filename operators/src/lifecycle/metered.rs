//! `metered`: what passes at one place of a flow, and how long it takes.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Clock, Flow, Outline, Site, Stage, Timestamp};

/// Counts what passes at one place of a flow: see [`Flow::metered`]. Clones are the same meter, and
/// one meter can stand in several flows, whose numbers then add up.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    counters: Arc<Counters>,
}

/// One for each power of two of nanoseconds, and one for none at all.
const GAPS: usize = 65;

#[derive(Debug)]
struct Counters {
    items: AtomicU64,
    busy: AtomicU64,
    starved: AtomicU64,
    blocked: AtomicU64,
    ended: AtomicBool,
    gaps: [AtomicU64; GAPS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            items: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            starved: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            gaps: [const { AtomicU64::new(0) }; GAPS],
        }
    }
}

/// What a [`Meter`] has counted so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Items that passed.
    pub items: u64,
    /// Time inside polls: what stands above, and in one loop with it whatever below takes the items
    /// as they come.
    pub busy: Duration,
    /// Time in which the input had nothing.
    pub starved: Duration,
    /// Time in which nobody asked for the next item.
    pub blocked: Duration,
    /// Whether the end has passed.
    pub ended: bool,
    gaps: [u64; GAPS],
}

impl Metrics {
    /// The time between two items that the share `quantile` of all gaps does not exceed, rounded up
    /// to a power of two of nanoseconds; `None` before the second item.
    ///
    /// Items of one turn have no time between them.
    ///
    /// # Panics
    ///
    /// If `quantile` is not between 0 and 1.
    #[track_caller]
    pub fn gap(&self, quantile: f64) -> Option<Duration> {
        assert!((0.0..=1.0).contains(&quantile), "gap: {quantile} is no share of anything");
        let all: u64 = self.gaps.iter().sum();
        if all == 0 {
            return None;
        }
        let rank = ((all as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.gaps.iter().position(|gaps| {
            seen += gaps;
            seen >= rank
        });
        let nanos = match bucket.unwrap_or(GAPS - 1) {
            0 => 0,
            bucket => u64::MAX >> (GAPS - 1 - bucket),
        };
        Some(Duration::from_nanos(nanos))
    }
}

impl Meter {
    /// A meter that shows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What it has counted, as of the last turn of each flow.
    pub fn read(&self) -> Metrics {
        let counters = &self.counters;
        let time = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Relaxed));
        Metrics {
            items: counters.items.load(Relaxed),
            busy: time(&counters.busy),
            starved: time(&counters.starved),
            blocked: time(&counters.blocked),
            ended: counters.ended.load(Relaxed),
            gaps: std::array::from_fn(|bucket| counters.gaps[bucket].load(Relaxed)),
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Counts on `meter` what passes, and how long this flow works, waits for its input and waits
    /// for its consumer.
    ///
    /// ```text
    /// in   --a--b----c--|
    /// out  --a--b----c--|    metered(&meter)
    /// ```
    ///
    /// The meter is read at any time and from any thread. Times are those of the clock of the run;
    /// under virtual time nothing is ever busy.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is counted.
    /// - **Holds** nothing.
    /// - **Cost**: two clock reads and a few atomic additions for each turn, which is for each item
    ///   if they are taken one by one; no allocation.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, lifecycle::Meter, source::Missed};
    /// # use std::time::Duration;
    /// let meter = Meter::new();
    /// let ticks = interval(Duration::from_secs(1), Missed::Skip).metered(&meter).take(3);
    /// Virtual::new().run(ticks.drain());
    /// let metrics = meter.read();
    /// assert_eq!((metrics.items, metrics.starved), (3, Duration::from_secs(3)));
    /// ```
    #[doc(alias("metrics", "monitor", "telemetry", "measure", "tap_metrics"))]
    #[track_caller]
    pub fn metered(self, meter: &Meter) -> Flow<Metered<S>> {
        Flow::from_stage(Metered {
            input: self.into_stage(),
            counters: meter.counters.clone(),
            clock: None,
            since: None,
            last_item: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::metered`].
#[pin_project]
#[derive(Debug)]
pub struct Metered<S> {
    #[pin]
    input: S,
    counters: Arc<Counters>,
    /// That of the run, from the first poll on.
    clock: Option<Clock>,
    /// When the last turn was over, and whether it is the input that has to come up with something.
    since: Option<(Timestamp, bool)>,
    last_item: Option<Timestamp>,
    site: Site,
}

fn add(counter: &AtomicU64, from: Timestamp, to: Timestamp) {
    let nanos = u64::try_from(to.saturating_since(from).as_nanos()).unwrap_or(u64::MAX);
    if nanos > 0 {
        counter.fetch_add(nanos, Relaxed);
    }
}

impl<S> Metered<S> {
    /// One turn: `poll` tells how many items it brought, and whether it has to wait or has ended.
    fn turn<R>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut S>, &mut u64) -> Poll<R>,
        is_end: impl FnOnce(&R) -> bool,
    ) -> Poll<R> {
        let this = self.project();
        let clock = this.clock.get_or_insert_with(Clock::current);
        let begun = clock.now();
        if let Some((since, starved)) = *this.since {
            let counter = if starved { &this.counters.starved } else { &this.counters.blocked };
            add(counter, since, begun);
        }
        let mut items = 0;
        let polled = poll(this.input, &mut items);
        let over = clock.now();
        add(&this.counters.busy, begun, over);
        if items > 0 {
            this.counters.items.fetch_add(items, Relaxed);
            let together = match this.last_item.replace(over) {
                Some(last) => {
                    let gap = over.saturating_since(last).as_nanos();
                    let bucket = (u128::BITS - gap.leading_zeros()) as usize;
                    this.counters.gaps[bucket.min(GAPS - 1)].fetch_add(1, Relaxed);
                    items - 1
                }
                None => items - 1,
            };
            if together > 0 {
                this.counters.gaps[0].fetch_add(together, Relaxed);
            }
        }
        *this.since = Some((over, polled.is_pending()));
        if let Poll::Ready(outcome) = &polled
            && is_end(outcome)
        {
            this.counters.ended.store(true, Relaxed);
            *this.since = None;
        }
        polled
    }
}

impl<S: Stage> Stage for Metered<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let poll = |input: Pin<&mut S>, items: &mut u64| {
            let polled = input.poll_next(cx);
            *items = u64::from(matches!(polled, Poll::Ready(Some(_))));
            polled
        };
        self.turn(poll, Option::is_none)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let poll = |input: Pin<&mut S>, items: &mut u64| {
            let mut passed = 0;
            let drained = input.poll_drain(cx, &mut |item| {
                passed += 1;
                each(item)
            });
            *items = passed;
            drained
        };
        self.turn(poll, ControlFlow::is_continue)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("metered", self.site);
    }
}

#[cfg(test)]
mod tests {
    use super::Meter;
    use crate::testing::{conformance, items, marbles, ms, specification, timetable};
    use crate::{Virtual, iter, timer};

    #[test]
    fn items_are_counted_and_the_time_is_shared_out() {
        let meter = Meter::new();
        let flow = timetable([(4, 'a'), (5, 'b'), (30, 'c')], 31).metered(&meter);
        let body = async |_| timer(ms(10)).drain().await;
        assert!(!meter.read().ended);
        Virtual::new().run(flow.for_each_async(body));
        let metrics = meter.read();
        // It waits until 4 and from 24 to 30; the rest is the consumer's.
        assert_eq!((metrics.items, metrics.ended), (3, true));
        assert_eq!((metrics.starved, metrics.blocked, metrics.busy), (ms(10), ms(30), ms(0)));
    }

    #[test]
    fn the_gaps_between_items_are_known_to_a_factor_of_two() {
        let meter = Meter::new();
        assert_eq!(meter.read().gap(0.5), None);
        items(timetable([(1, 1), (2, 2), (2, 3), (1_000, 4)], 1_001).metered(&meter));
        let metrics = meter.read();
        assert_eq!(metrics.gap(0.0), Some(ms(0)));
        let (middle, longest) = (metrics.gap(0.5).unwrap(), metrics.gap(1.0).unwrap());
        assert!(middle >= ms(1) && middle < ms(2), "{middle:?}");
        assert!(longest >= ms(998) && longest < ms(2 * 998), "{longest:?}");
    }

    #[test]
    fn one_meter_in_two_flows_adds_up() {
        let meter = Meter::new();
        let both = iter(0..5).metered(&meter).merge(iter(0..6).metered(&meter.clone()));
        items(both);
        assert_eq!(meter.read().items, 11);
    }

    marbles!(metered, |input| input.metered(&Meter::new()));

    conformance!(metered, |input| input.metered(&Meter::new()));

    specification!(metered, at_any_pace, |input| input.metered(&Meter::new()), |input| input);
}
