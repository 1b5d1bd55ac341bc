//! [`Policy`]: what an edge does with an item for which it has no room.

use std::num::NonZeroUsize;

use crate::{Bound, Site};

use super::{Ring, Store};

/// What happens to an item that comes while an edge holds as many as it may.
///
/// Every edge has a capacity and a policy, and the policy is named where the edge is made; there
/// is no default. [`Overflow`] can be chosen while the program runs. [`Fail`] and
/// [`ConflateBy`](super::ConflateBy) are types of their own, because with them items become
/// `Result`s, or a key is needed.
pub trait Policy<T> {
    /// What comes out for an item `T`.
    type Out;
    /// What holds the items.
    type Store: Store<T>;

    /// The name, as outlines and reports show it.
    fn name(&self) -> &'static str;

    /// How many items an edge with this policy and capacity may hold.
    fn bound(&self, capacity: NonZeroUsize) -> Bound {
        Bound::Items(capacity.get())
    }

    /// An empty store. `site` is where the edge was made, for its errors.
    fn into_store(self, capacity: NonZeroUsize, site: Site) -> Self::Store;

    /// An item on its way out.
    fn item(item: T) -> Self::Out;

    /// The last thing that comes out of an edge that failed; `None` if this policy never fails.
    fn failure(failure: Overflowed) -> Option<Self::Out>;
}

/// The policies that need nothing but their name.
///
/// ```text
/// held before   a b c     (capacity 3), d arrives
/// Block         a b c     d waits, and with it the input
/// DropOldest    b c d     a is dropped
/// DropNewest    a b c     d is dropped
/// Latest        d         a, b and c give way
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias("OverflowStrategy", "BufferOverflow", "onBackpressureBuffer"))]
pub enum Overflow {
    /// The input has to wait: nothing is lost.
    #[doc(alias("backpressure", "suspend"))]
    Block,
    /// The item that has been held longest is dropped.
    #[doc(alias("sliding", "bufferingNewest"))]
    DropOldest,
    /// The item that arrives is dropped.
    #[doc(alias("dropping", "bufferingOldest"))]
    DropNewest,
    /// Everything held gives way to the item that arrives. With a capacity of one this is the
    /// classical conflation to the latest value.
    #[doc(alias("conflate", "conflated", "clear"))]
    Latest,
}

impl<T> Policy<T> for Overflow {
    type Out = T;
    type Store = Ring<T>;

    fn name(&self) -> &'static str {
        match self {
            Self::Block => "Block",
            Self::DropOldest => "DropOldest",
            Self::DropNewest => "DropNewest",
            Self::Latest => "Latest",
        }
    }

    fn into_store(self, capacity: NonZeroUsize, _: Site) -> Ring<T> {
        Ring::new(self, capacity)
    }

    fn item(item: T) -> T {
        item
    }

    fn failure(_: Overflowed) -> Option<T> {
        None
    }
}

/// An item that finds no room ends the edge with an error.
///
/// The item is refused, what is held still comes out, then one `Err(`[`Overflowed`]`)` and the
/// end. For data in which no gap may go unnoticed, such as the differences of an order book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias("onBackpressureError", "error"))]
pub struct Fail;

impl<T> Policy<T> for Fail {
    type Out = Result<T, Overflowed>;
    type Store = Ring<T>;

    fn name(&self) -> &'static str {
        "Fail"
    }

    fn into_store(self, capacity: NonZeroUsize, site: Site) -> Ring<T> {
        Ring::failing(capacity, site)
    }

    fn item(item: T) -> Self::Out {
        Ok(item)
    }

    fn failure(failure: Overflowed) -> Option<Self::Out> {
        Some(Err(failure))
    }
}

/// An edge with the policy [`Fail`] got an item for which it had no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the edge at {site} overflowed its capacity of {capacity}: its consumer is too slow; give it \
     more room, or a policy that waits or drops"
)]
pub struct Overflowed {
    /// How many items the edge may hold.
    pub capacity: NonZeroUsize,
    /// Where the edge was made.
    pub site: Site,
}
