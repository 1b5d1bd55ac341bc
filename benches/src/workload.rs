//! [`Workload`]: the same work done by several implementations, which must all give one answer.

use std::time::{Duration, Instant};

use anyhow::ensure;

/// One way to do the work. It may hold what it needs between runs, such as a runtime.
type Run = Box<dyn FnMut() -> Vec<u64>>;

/// A kind of work, the answer to it, and those who do it.
pub(crate) struct Workload {
    items: u64,
    answer: Vec<u64>,
    implementations: Vec<(&'static str, Run)>,
}

/// The times of one implementation, in nanoseconds an item.
#[derive(Debug)]
pub(crate) struct Row {
    /// Whose.
    pub(crate) implementation: &'static str,
    /// The middle one.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The median as a multiple of that of the first implementation.
    pub(crate) ratio: f64,
}

impl Workload {
    /// Work over so many items, without implementations yet.
    pub(crate) fn new(items: u64, answer: impl Into<Vec<u64>>) -> Self {
        Self { items, answer: answer.into(), implementations: Vec::new() }
    }

    /// Adds an implementation. The first is the bound that the others are compared with: what
    /// somebody would write by hand for just this.
    pub(crate) fn with<A: Into<Vec<u64>>>(
        mut self,
        name: &'static str,
        mut run: impl FnMut() -> A + 'static,
    ) -> Self {
        self.implementations.push((name, Box::new(move || run().into())));
        self
    }

    /// Runs every implementation once to check its answer, and then all of them in turn, so that
    /// whatever else the machine does meets each of them.
    pub(crate) fn measure(mut self, name: &str, rounds: u32) -> anyhow::Result<Vec<Row>> {
        let mut times = Vec::new();
        for (implementation, run) in &mut self.implementations {
            let answer = run();
            ensure!(
                answer == self.answer,
                "{name}, {implementation}: the answer is {answer:?} and should be {:?}",
                self.answer
            );
            times.push(Vec::new());
        }
        for _ in 0..rounds.max(1) {
            for ((_, run), times) in self.implementations.iter_mut().zip(&mut times) {
                let start = Instant::now();
                std::hint::black_box(run());
                times.push(start.elapsed());
            }
        }
        let an_item = |time: Duration| time.as_nanos() as f64 / self.items as f64;
        let mut bound = None;
        let rows = self.implementations.iter().zip(times);
        let rows = rows.map(|((implementation, _), mut times)| {
            times.sort_unstable();
            let median = an_item(times[times.len() / 2]);
            Row {
                implementation,
                median,
                least: an_item(times[0]),
                ratio: median / *bound.get_or_insert(median),
            }
        });
        Ok(rows.collect())
    }
}
