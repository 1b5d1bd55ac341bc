//! `count`: how many items there are.

use super::{Aggregate, Span};
use crate::Timestamp;

/// Counts the items.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, count};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// assert_eq!(count().over(second, [(Timestamp::EPOCH, 'a'), (Timestamp::EPOCH, 'b')]), 2);
/// ```
pub fn count() -> Count {
    Count
}

/// The aggregate behind [`count`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Count;

impl<T> Aggregate<T> for Count {
    type State = u64;
    type Output = u64;

    const INVERTIBLE: bool = true;

    #[inline]
    fn init(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, count: &mut u64, _: Timestamp, _: &T) {
        *count += 1;
    }

    #[inline]
    fn merge(&self, count: &mut u64, later: &u64) {
        *count += later;
    }

    #[inline]
    fn finish(&self, count: &u64, _: Span) -> u64 {
        *count
    }

    #[inline]
    fn remove(&self, count: &mut u64, oldest: &u64) {
        *count = count.saturating_sub(*oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, cuts, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_laws(Cuts { items, at } in cuts(any::<u8>())) {
            laws::hold(&count(), &items, at, same);
            prop_assert_eq!(count().over(laws::SPAN, items.clone()), items.len() as u64);
        }
    }
}
