//! What the tests of windows share.

use crate::Timestamp;
use crate::aggregate::{Aggregate, Span};
use crate::testing::Tracked;

/// All items, in the order in which they were added.
#[derive(Debug, Clone, Copy)]
pub(super) struct All;

impl<T: Clone> Aggregate<T> for All {
    type State = Vec<T>;
    type Output = Vec<T>;

    fn init(&self) -> Vec<T> {
        Vec::new()
    }

    fn add(&self, all: &mut Vec<T>, _: Timestamp, item: &T) {
        all.push(item.clone());
    }

    fn merge(&self, all: &mut Vec<T>, later: &Vec<T>) {
        all.extend(later.iter().cloned());
    }

    fn finish(&self, all: &Vec<T>, _: Span) -> Vec<T> {
        all.clone()
    }
}

/// The number of items and the sum of their values, which can be taken out again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum;

impl Aggregate<Tracked> for Sum {
    type State = (u32, u32);
    type Output = (u32, u32);

    const INVERTIBLE: bool = true;

    fn init(&self) -> (u32, u32) {
        (0, 0)
    }

    fn add(&self, sum: &mut (u32, u32), _: Timestamp, x: &Tracked) {
        *sum = (sum.0 + 1, sum.1 + x.value());
    }

    fn merge(&self, sum: &mut (u32, u32), later: &(u32, u32)) {
        *sum = (sum.0 + later.0, sum.1 + later.1);
    }

    fn finish(&self, sum: &(u32, u32), _: Span) -> (u32, u32) {
        *sum
    }

    fn remove(&self, sum: &mut (u32, u32), oldest: &(u32, u32)) {
        *sum = (sum.0 - oldest.0, sum.1 - oldest.1);
    }
}

/// The value of an item as milliseconds.
pub(super) fn value_as_time(x: &Tracked) -> Timestamp {
    Timestamp::from_millis(i64::from(x.value()))
}
