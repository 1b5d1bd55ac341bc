//! `last`: a value of the last item.

use std::marker::PhantomData;

use super::{Aggregate, ByArrival, ByTime, Order, Span};
use crate::Timestamp;

/// What `f` gives for the last item to arrive; `None` without items.
///
/// [`by_time`](Last::by_time) goes by the items' times instead. A window that carries on from the one
/// before has the value of that one until an item comes.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, last};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let at = |ms, name| (Timestamp::from_millis(ms), name);
/// let items = [at(1, "a"), at(7, "b"), at(5, "c")];
/// assert_eq!(last(|name: &&str| name.to_string()).over(second, items), Some("c".into()));
/// assert_eq!(last(|name: &&str| name.to_string()).by_time().over(second, items), Some("b".into()));
/// ```
#[doc(alias("close", "latest"))]
pub fn last<T, V: Clone, F: Fn(&T) -> V>(f: F) -> Last<F> {
    Last { value: f, order: PhantomData }
}

/// The aggregate behind [`last`].
#[derive(Debug, Clone, Copy)]
pub struct Last<F, O = ByArrival> {
    value: F,
    order: PhantomData<O>,
}

impl<F> Last<F> {
    /// The last by time; of items with the same time, the last to arrive.
    pub fn by_time(self) -> Last<F, ByTime> {
        Last { value: self.value, order: PhantomData }
    }
}

impl<T, V: Clone, F: Fn(&T) -> V, O: Order> Aggregate<T> for Last<F, O> {
    /// The last value and its key; without a key it comes from a window before.
    type State = Option<(Option<O::Key>, V)>;
    type Output = Option<V>;

    #[inline]
    fn init(&self) -> Self::State {
        None
    }

    #[inline]
    fn add(&self, last: &mut Self::State, time: Timestamp, item: &T) {
        let key = Some(O::key(time));
        if last.as_ref().is_none_or(|last| key >= last.0) {
            *last = Some((key, (self.value)(item)));
        }
    }

    #[inline]
    fn merge(&self, last: &mut Self::State, later: &Self::State) {
        if let Some(later) = later
            && last.as_ref().is_none_or(|last| later.0 >= last.0)
        {
            *last = Some(later.clone());
        }
    }

    #[inline]
    fn finish(&self, last: &Self::State, _: Span) -> Option<V> {
        last.as_ref().map(|(_, value)| value.clone())
    }

    #[inline]
    fn carry(&self, before: &Self::State) -> Self::State {
        before.as_ref().map(|(_, value)| (None, value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, cuts, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn by_arrival_it_keeps_the_laws(Cuts { items, at } in cuts(any::<u8>())) {
            laws::hold(&last(|x: &u8| *x), &items, at, same);
            let plain = items.last().map(|(_, x)| *x);
            prop_assert_eq!(last(|x: &u8| *x).over(SPAN, items), plain);
        }

        #[test]
        fn by_time_it_keeps_the_laws(Cuts { items, at } in cuts(any::<u8>())) {
            let by_time = last(|x: &u8| *x).by_time();
            laws::hold(&by_time, &items, at, same);
            // Of equal elements it gives the last one.
            let plain = items.iter().max_by_key(|(time, _)| *time).map(|(_, x)| *x);
            prop_assert_eq!(by_time.over(SPAN, items), plain);
        }
    }

    #[test]
    fn a_window_has_the_last_value_of_the_one_before_until_an_item_comes_however_early() {
        let last = last(|x: &u8| *x).by_time();
        let mut before = last.init();
        last.add(&mut before, Timestamp::from_secs(9), &1);
        let mut window = last.carry(&before);
        assert_eq!(last.finish(&window, SPAN), Some(1));
        last.add(&mut window, Timestamp::from_secs(8), &2);
        assert_eq!(last.finish(&window, SPAN), Some(2));
    }
}
