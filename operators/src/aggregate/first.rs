//! `first`: a value of the first item.

use std::marker::PhantomData;

use super::{Aggregate, ByArrival, ByTime, Order, Span};
use crate::Timestamp;

/// What `f` gives for the first item to arrive; `None` without items.
///
/// [`by_time`](First::by_time) goes by the items' times instead. A window without items that carries
/// on from the one before has the *last* value of that one, which is what held when it began.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, first};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let at = |ms, price| (Timestamp::from_millis(ms), price);
/// let items = [at(5, 101.5), at(1, 100.0), at(7, 99.0)];
/// assert_eq!(first(|price: &f64| *price).over(second, items), Some(101.5));
/// assert_eq!(first(|price: &f64| *price).by_time().over(second, items), Some(100.0));
/// ```
#[doc(alias("open"))]
pub fn first<T, V: Clone, F: Fn(&T) -> V>(f: F) -> First<F> {
    First { value: f, order: PhantomData }
}

/// The aggregate behind [`first`].
#[derive(Debug, Clone, Copy)]
pub struct First<F, O = ByArrival> {
    value: F,
    order: PhantomData<O>,
}

impl<F> First<F> {
    /// The first by time; of items with the same time, the first to arrive.
    pub fn by_time(self) -> First<F, ByTime> {
        First { value: self.value, order: PhantomData }
    }
}

/// What a window of [`first`] keeps.
#[derive(Debug, Clone, Default)]
pub enum FirstState<V, K> {
    /// Nothing is known.
    #[default]
    Unknown,
    /// No items; the last value of the window before.
    Carried(V),
    /// The first and the last item, and their keys.
    Items {
        /// The first.
        first: (K, V),
        /// The last: for the window after this.
        last: (K, V),
    },
}

impl<T, V: Clone, F: Fn(&T) -> V, O: Order> Aggregate<T> for First<F, O> {
    type State = FirstState<V, O::Key>;
    type Output = Option<V>;

    #[inline]
    fn init(&self) -> Self::State {
        FirstState::Unknown
    }

    #[inline]
    fn add(&self, state: &mut Self::State, time: Timestamp, item: &T) {
        let (key, value) = (O::key(time), (self.value)(item));
        match state {
            FirstState::Items { first, .. } if key < first.0 => *first = (key, value),
            FirstState::Items { last, .. } if key >= last.0 => *last = (key, value),
            FirstState::Items { .. } => {}
            FirstState::Unknown | FirstState::Carried(_) => {
                *state = FirstState::Items { first: (key, value.clone()), last: (key, value) };
            }
        }
    }

    #[inline]
    fn merge(&self, state: &mut Self::State, later: &Self::State) {
        match (&mut *state, later) {
            (_, FirstState::Unknown) | (FirstState::Items { .. }, FirstState::Carried(_)) => {}
            (
                FirstState::Items { first, last },
                FirstState::Items { first: later_first, last: later_last },
            ) => {
                if later_first.0 < first.0 {
                    *first = later_first.clone();
                }
                if later_last.0 >= last.0 {
                    *last = later_last.clone();
                }
            }
            _ => *state = later.clone(),
        }
    }

    #[inline]
    fn finish(&self, state: &Self::State, _: Span) -> Option<V> {
        match state {
            FirstState::Unknown => None,
            FirstState::Carried(value) | FirstState::Items { first: (_, value), .. } => {
                Some(value.clone())
            }
        }
    }

    #[inline]
    fn carry(&self, before: &Self::State) -> Self::State {
        match before {
            FirstState::Unknown => FirstState::Unknown,
            FirstState::Carried(value) | FirstState::Items { last: (_, value), .. } => {
                FirstState::Carried(value.clone())
            }
        }
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
            laws::hold(&first(|x: &u8| *x), &items, at, same);
            let plain = items.first().map(|(_, x)| *x);
            prop_assert_eq!(first(|x: &u8| *x).over(SPAN, items), plain);
        }

        #[test]
        fn by_time_it_keeps_the_laws(Cuts { items, at } in cuts(any::<u8>())) {
            let by_time = first(|x: &u8| *x).by_time();
            laws::hold(&by_time, &items, at, same);
            // Of equal elements it gives the first one.
            let plain = items.iter().min_by_key(|(time, _)| *time).map(|(_, x)| *x);
            prop_assert_eq!(by_time.over(SPAN, items), plain);
        }
    }

    #[test]
    fn a_window_without_items_has_the_last_value_of_the_one_before_and_so_on() {
        let first = first(|x: &u8| *x);
        let mut before = first.init();
        first.add(&mut before, Timestamp::EPOCH, &1);
        first.add(&mut before, Timestamp::EPOCH, &2);
        let mut window = first.carry(&first.carry(&before));
        assert_eq!(first.finish(&window, SPAN), Some(2));
        first.add(&mut window, Timestamp::EPOCH, &3);
        assert_eq!(first.finish(&window, SPAN), Some(3));
    }
}
