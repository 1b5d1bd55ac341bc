//! [`Faults`]: what an unreliable line does to what it carries.

use std::ops::ControlFlow;

use crate::transform::Step;
use crate::{Bound, Node};

/// Drops, repeats and delays items by fixed rules, so that what comes of them can be compared from run
/// to run.
///
/// With items counted from 0: every 1009th is dropped, beginning with the 500th; every 211th comes
/// seven items late, beginning with the 100th; every 97th comes twice, beginning with the 13th. An item
/// to which several rules apply follows the first of these; one that is dropped delays no other. What
/// is delayed at the end comes then.
///
/// ```
/// use aqueduct::{iter, market::Faults};
///
/// # futures::executor::block_on(async {
/// let received: Vec<u64> = iter(0..110).step(Faults::default()).collect().await;
/// assert_eq!(received[12..16], [12, 13, 13, 14]);
/// assert_eq!(received[100..110], [99, 101, 102, 103, 104, 105, 106, 107, 100, 108]);
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct Faults<T> {
    /// How many items came.
    count: u64,
    /// How many of them were neither dropped nor delayed.
    passed: u64,
    /// The item that is delayed, and the count of those passed at which it goes out. The next one
    /// comes long after that.
    delayed: Option<(u64, T)>,
}

impl<T> Default for Faults<T> {
    fn default() -> Self {
        Self { count: 0, passed: 0, delayed: None }
    }
}

/// By how many items an item is delayed.
const DELAY: u64 = 7;

impl<T: Clone> Step<T> for Faults<T> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        let index = self.count;
        self.count += 1;
        if index % 1009 == 500 {
            return ControlFlow::Continue(());
        }
        if index % 211 == 100 {
            self.delayed = Some((self.passed + DELAY, item));
            return ControlFlow::Continue(());
        }
        self.passed += 1;
        if index % 97 == 13 {
            out(item.clone());
        }
        out(item);
        if let Some((_, item)) = self.delayed.take_if(|(due, _)| *due <= self.passed) {
            out(item);
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(T)) {
        if let Some((_, item)) = self.delayed.take() {
            out(item);
        }
    }

    fn name(&self) -> &'static str {
        "faults"
    }

    fn describe(&self, node: &mut Node) {
        node.holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Virtual, iter};

    #[test]
    fn a_dropped_item_delays_no_other() {
        let received: Vec<u64> =
            Virtual::new().run(iter(0..1_300).step(Faults::default()).collect());
        assert!(!received.contains(&500));
        // 1155 is delayed by seven. 1274 comes twice.
        let at = received.iter().position(|number| *number == 1155).unwrap();
        assert_eq!(received[at - 1], 1162);
        assert_eq!(received.iter().filter(|number| **number == 1274).count(), 2);
    }

    #[test]
    fn what_is_delayed_at_the_end_comes_then() {
        let received: Vec<u64> = Virtual::new().run(iter(0..103).step(Faults::default()).collect());
        assert_eq!(received[received.len() - 3..], [101, 102, 100]);
    }
}
