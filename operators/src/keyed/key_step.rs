//! [`KeyStep`]: an operator for each key, given as what it does with one item.

use crate::Node;

use super::{Evicted, KeyLimits};

/// What an operator does that keeps a state for each key: how it answers an item of a key, and that
/// the key goes.
///
/// Whatever it makes it hands to `out`, which never refuses; downstream gets it in that order. All
/// operators of a [`KeyedFlow`](super::KeyedFlow) without timers are written so, and so can be one
/// of your own: see [`KeyedFlow::key_step`](super::KeyedFlow::key_step).
pub trait KeyStep<In, K> {
    /// What is kept for each key.
    type State;
    /// What comes out.
    type Out;

    /// The state of a key whose first item has come.
    fn open(&mut self, key: &K) -> Self::State;

    /// Answers an item of this key.
    fn step(&mut self, key: K, state: &mut Self::State, item: In, out: &mut impl FnMut(Self::Out));

    /// Takes the state of a key that goes.
    fn close(
        &mut self,
        _key: K,
        _state: Self::State,
        _why: Evicted,
        _out: &mut impl FnMut(Self::Out),
    ) {
    }

    /// Whether [`close`](Self::close) does anything. If it does not, the keys that are left at the
    /// end go all at once, and their order is not made.
    fn leaves(&self) -> bool {
        true
    }

    /// Bounds on what still comes out if the input has between these numbers of items left, and
    /// `held` keys are there.
    fn size_hint(&self, _input: (usize, Option<usize>), _held: usize) -> (usize, Option<usize>) {
        (0, None)
    }

    /// The name of the operator, as the outline shows it.
    fn name(&self) -> &'static str;

    /// Its parameters, and how many items it may hold with so many keys.
    fn describe(&self, _limits: KeyLimits, _node: &mut Node) {}
}
