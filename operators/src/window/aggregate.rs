//! [`Aggregate`]: how the items of a window become one value.

/// Turns the items of one window into one value. The value itself is the recipe; each window has
/// a state of its own.
///
/// Aggregates combine as tuples: `(a, b)` gives both outputs of one pass.
///
/// ```
/// use aqueduct_operators::window::Aggregate;
///
/// struct Sum;
/// impl Aggregate<u64> for Sum {
///     type State = u64;
///     type Output = u64;
///     fn init(&self) -> u64 { 0 }
///     fn add(&self, sum: &mut u64, item: &u64) { *sum += item }
///     fn finish(&self, sum: u64) -> u64 { sum }
/// }
/// ```
pub trait Aggregate<T> {
    /// What a window keeps while it is open.
    type State;
    /// What comes of it.
    type Output;

    /// The state of a window without items.
    fn init(&self) -> Self::State;
    /// Adds an item, in the order of arrival.
    fn add(&self, state: &mut Self::State, item: &T);
    /// The value of the window, once it is closed.
    fn finish(&self, state: Self::State) -> Self::Output;
}

impl<T, A: Aggregate<T>, B: Aggregate<T>> Aggregate<T> for (A, B) {
    type State = (A::State, B::State);
    type Output = (A::Output, B::Output);

    fn init(&self) -> Self::State {
        (self.0.init(), self.1.init())
    }

    fn add(&self, state: &mut Self::State, item: &T) {
        self.0.add(&mut state.0, item);
        self.1.add(&mut state.1, item);
    }

    fn finish(&self, state: Self::State) -> Self::Output {
        (self.0.finish(state.0), self.1.finish(state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::Aggregate;

    /// The items in the order in which they were added.
    struct Text(char);

    impl Aggregate<char> for Text {
        type State = String;
        type Output = String;

        fn init(&self) -> String {
            self.0.into()
        }

        fn add(&self, text: &mut String, item: &char) {
            text.push(*item);
        }

        fn finish(&self, text: String) -> String {
            text
        }
    }

    #[test]
    fn a_tuple_gives_every_item_to_both_and_keeps_their_states_apart() {
        let both = (Text('1'), Text('2'));
        let mut state = both.init();
        both.add(&mut state, &'a');
        both.add(&mut state, &'b');
        assert_eq!(both.finish(state), ("1ab".into(), "2ab".into()));
    }
}
