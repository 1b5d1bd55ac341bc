//! `delay_errors`: all errors at the end, in one.

use std::fmt;
use std::mem;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

/// The errors of a flow that went on after them: see [`Flow::delay_errors`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures<E> {
    /// The first ones, in the order in which they came; at least one.
    pub errors: Vec<E>,
    /// How many came beyond those, and were dropped.
    pub more: u64,
}

impl<E: fmt::Display> fmt::Display for Failures<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Failures<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errors.first().map(|error| error as _)
    }
}

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Passes items on, keeps the first `max` errors, and gives them as one at the end.
    ///
    /// ```text
    /// in   --1--#--3--|
    /// out  --1-----3--(x|)    delay_errors(9)
    /// where  x = Err(Failures { errors: [#], more: 0 })
    /// ```
    ///
    /// Below a merge: inputs that fail end, the others go on to their end, and what failed is known
    /// then. As errors are items, a merge does not stop at one.
    ///
    /// - **Emits** each item that is `Ok`, in the same poll; at the end one [`Failures`], if there
    ///   was an error.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended, after the errors.
    /// - **On error**: it waits for the end; those beyond the first `max` are counted.
    /// - **Holds** `max` errors.
    /// - **Cost**: no allocation for an item, no clock read.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, merge};
    /// # futures::executor::block_on(async {
    /// let both = merge([iter([Err("a is gone")]), iter([Ok(1)])]).delay_errors(16);
    /// let all: Vec<_> = both.collect().await;
    /// assert_eq!(all[0], Ok(1));
    /// assert_eq!(all[1].as_ref().unwrap_err().to_string(), "a is gone");
    /// # });
    /// ```
    #[doc(alias("merge_delay_error", "concat_delay_error", "collect_failures"))]
    #[track_caller]
    pub fn delay_errors(self, max: usize) -> Flow<Stepped<S, DelayErrors<E>>> {
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("delay_errors: the maximum must not be zero, at {}", Location::caller())
        };
        self.step(DelayErrors { max, errors: Vec::new(), more: 0 })
    }
}

/// The step behind [`Flow::delay_errors`].
#[derive(Debug)]
pub struct DelayErrors<E> {
    max: NonZeroUsize,
    errors: Vec<E>,
    more: u64,
}

impl<T, E> Step<Result<T, E>> for DelayErrors<E> {
    type Out = Result<T, Failures<E>>;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        match item {
            Ok(item) => out(Ok(item)),
            Err(error) if self.errors.len() < self.max.get() => self.errors.push(error),
            Err(_) => self.more += 1,
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Self::Out)) {
        if !self.errors.is_empty() {
            out(Err(Failures { errors: mem::take(&mut self.errors), more: self.more }));
        }
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let failed = usize::from(!self.errors.is_empty());
        // Even if all that is left are errors, they give one at the end.
        (failed.max(least.min(1)), most.and_then(|most| most.checked_add(failed)))
    }

    fn name(&self) -> &'static str {
        "delay_errors"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("max", self.max).holds(Bound::Items(self.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::Failures;
    use crate::testing::{
        Timeline, Tracked, conformance, every_way, marbles, specification, timeline, timetable,
    };
    use crate::{iter, merge};

    #[test]
    fn errors_come_together_at_the_end() {
        let flow = || iter([Ok(1), Err('x'), Ok(2), Err('y'), Err('z')]).delay_errors(2);
        let failures = Failures { errors: vec!['x', 'y'], more: 1 };
        assert_eq!(failures.to_string(), "x; y; and 1 more");
        assert_eq!(every_way(flow), [Ok(1), Ok(2), Err(failures)]);
    }

    #[test]
    fn without_an_error_nothing_is_added() {
        assert_eq!(every_way(|| iter([Ok::<_, ()>(1)]).delay_errors(2)), [Ok(1)]);
    }

    #[test]
    fn below_a_merge_the_others_go_on() {
        let failing = timetable(vec![(1, Err('x'))], 1);
        let going_on = timetable(vec![(0, Ok('a')), (5, Ok('b'))], 8);
        let flow = merge([failing.boxed(), going_on.boxed()]).delay_errors(9);
        let failures = Failures { errors: vec!['x'], more: 0 };
        let expected = vec![(0, Ok('a')), (5, Ok('b')), (8, Err(failures))];
        assert_eq!(timeline(flow), (expected, 8));
    }

    #[test]
    #[should_panic(expected = "delay_errors: the maximum must not be zero, at operators/src/error")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([Ok::<_, ()>(1)]).delay_errors(0);
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(delay_errors, |input: Result<u32, String>| input.delay_errors(9));

    conformance!(delay_errors, |input| input.map(checked).delay_errors(2));

    specification!(delay_errors, |input: Result<u8, u8>| input.delay_errors(2), |input| {
        let (items, errors): (Vec<_>, Vec<_>) =
            input.events.into_iter().partition(|(_, item)| item.is_ok());
        let mut all = Timeline::new([], input.end);
        all.events.extend(items.into_iter().map(|(at, item)| (at, Ok(item.unwrap_or(0)))));
        let errors: Vec<u8> = errors.into_iter().filter_map(|(_, item)| item.err()).collect();
        let more = errors.len().saturating_sub(2) as u64;
        if !errors.is_empty() {
            let errors = errors.into_iter().take(2).collect();
            all.events.push((input.end, Err(Failures { errors, more })));
        }
        all
    },);
}
