//! [`SpecItem`]: items made of random bytes.

use std::fmt::Debug;

/// An item that a [`specification!`](crate::specification) can make of a random byte.
pub trait SpecItem: Clone + Debug {
    /// The item. Small bytes are the most frequent, so that equal items meet.
    fn of(byte: u8) -> Self;
}

macro_rules! numbers {
    ($($item:ty)+) => {$(
        impl SpecItem for $item {
            fn of(byte: u8) -> Self {
                byte.into()
            }
        }
    )+};
}

numbers!(u8 u16 u32 u64 usize i16 i32 i64);

impl SpecItem for char {
    fn of(byte: u8) -> Self {
        char::from(b'a' + byte % 26)
    }
}

impl SpecItem for bool {
    fn of(byte: u8) -> Self {
        byte % 2 == 1
    }
}

impl SpecItem for () {
    fn of(_: u8) -> Self {}
}

/// One item in four is an error.
impl<T: SpecItem, E: SpecItem> SpecItem for Result<T, E> {
    fn of(byte: u8) -> Self {
        if byte % 4 == 3 { Err(E::of(byte / 4)) } else { Ok(T::of(byte)) }
    }
}

impl<T: SpecItem> SpecItem for Option<T> {
    fn of(byte: u8) -> Self {
        (byte % 4 != 3).then(|| T::of(byte))
    }
}

impl<A: SpecItem, B: SpecItem> SpecItem for (A, B) {
    fn of(byte: u8) -> Self {
        (A::of(byte % 4), B::of(byte / 4))
    }
}
