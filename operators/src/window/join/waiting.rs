//! [`Waiting`]: what the left side has brought and was not answered yet.

use std::collections::VecDeque;

use crate::{Timed, Timestamp};

/// The elements of the left side in the order of their arrival.
///
/// Mostly it is one item and the watermark behind it, which have a place of their own.
pub(super) struct Waiting<L> {
    first: Option<(Timestamp, L)>,
    /// The watermark behind the first item, or in front of everything.
    mark: Option<Timestamp>,
    /// Empty if nothing stands in front of it.
    rest: VecDeque<Timed<L>>,
    items: usize,
    /// Whether no item here is earlier than one in front of it.
    sorted: bool,
    newest: Timestamp,
    /// The latest watermark that was taken from the side, and the latest that has left the queue.
    reached: Timestamp,
    passed: Timestamp,
    ended: bool,
}

impl<L> Waiting<L> {
    pub(super) fn new() -> Self {
        Self {
            first: None,
            mark: None,
            rest: VecDeque::new(),
            items: 0,
            sorted: true,
            newest: Timestamp::MIN,
            reached: Timestamp::MIN,
            passed: Timestamp::MIN,
            ended: false,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + usize::from(self.mark.is_some()) + self.rest.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.mark.is_none()
    }

    /// The item in front, unless a watermark is.
    #[inline]
    pub(super) fn first(&self) -> Option<&(Timestamp, L)> {
        self.first.as_ref()
    }

    /// Whether a watermark is in front, or behind the item there.
    #[inline]
    pub(super) fn is_marked(&self) -> bool {
        self.mark.is_some()
    }

    #[inline]
    pub(super) fn push_item(&mut self, time: Timestamp, item: L) {
        self.sorted &= self.items == 0 || time >= self.newest;
        self.newest = time;
        self.items += 1;
        if self.is_empty() {
            self.first = Some((time, item));
        } else {
            self.rest.push_back(Timed::Item(time, item));
        }
    }

    #[inline]
    pub(super) fn push_mark(&mut self, time: Timestamp) {
        self.reached = self.reached.max(time);
        if self.mark.is_none() && self.rest.is_empty() {
            self.mark = Some(time);
        } else {
            self.rest.push_back(Timed::Watermark(time));
        }
    }

    /// Takes the item in front.
    #[inline]
    pub(super) fn pop_first(&mut self) -> Option<(Timestamp, L)> {
        let first = self.first.take()?;
        self.items -= 1;
        self.sorted |= self.items <= 1;
        if self.mark.is_none() {
            self.refill();
        }
        Some(first)
    }

    /// Takes the watermark in front, if no item is.
    #[inline]
    pub(super) fn pop_mark(&mut self) -> Option<Timestamp> {
        let mark = self.mark.take()?;
        self.passed = self.passed.max(mark);
        self.refill();
        Some(mark)
    }

    #[inline]
    fn refill(&mut self) {
        match self.rest.pop_front() {
            Some(Timed::Item(time, item)) => self.first = Some((time, item)),
            Some(Timed::Watermark(time)) => {
                self.mark = Some(time);
                return;
            }
            None => return,
        }
        if let Some(Timed::Watermark(time)) = self.rest.front() {
            self.mark = Some(*time);
            self.rest.pop_front();
        }
    }

    /// Nothing more is pushed.
    pub(super) fn end(&mut self) {
        self.reached = Timestamp::MAX;
        self.ended = true;
    }

    /// Whether nothing waits or comes.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.is_empty()
    }

    /// The time that no item precedes which is here or still comes.
    #[inline]
    pub(super) fn least(&self) -> Timestamp {
        match &self.first {
            Some((time, _)) if self.sorted => self.reached.min(*time),
            _ if self.items == 0 => self.reached,
            _ => self.passed,
        }
    }

    /// Whether the next element may show that the item in front is the least.
    #[inline]
    pub(super) fn would_know_more(&self) -> bool {
        let alone = self.mark.is_none() && self.rest.is_empty();
        alone && self.first.as_ref().is_some_and(|(time, _)| *time > self.reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in prop::collection::vec((0..3u8, 0..9i64), 0..60)) {
            let mut waiting = Waiting::new();
            let mut model = VecDeque::new();
            for (n, (step, time)) in steps.into_iter().enumerate() {
                let time = Timestamp::from_nanos(time);
                if step == 0 {
                    waiting.push_mark(time);
                    model.push_back(Timed::Watermark(time));
                }
                if step == 1 {
                    waiting.push_item(time, n);
                    model.push_back(Timed::Item(time, n));
                }
                prop_assert_eq!((waiting.len(), waiting.is_empty()), (model.len(), model.is_empty()));
                if step == 2 {
                    let popped = match waiting.pop_first() {
                        Some((time, item)) => Some(Timed::Item(time, item)),
                        None => waiting.pop_mark().map(Timed::Watermark),
                    };
                    prop_assert_eq!(popped, model.pop_front());
                }
                let least = model.iter().filter_map(|element| match element {
                    Timed::Item(time, _) => Some(*time),
                    Timed::Watermark(_) => None,
                });
                if let Some(least) = least.min() {
                    // What comes out late is not promised.
                    prop_assert!(waiting.least() <= least || waiting.least() == waiting.passed);
                }
            }
        }
    }
}
