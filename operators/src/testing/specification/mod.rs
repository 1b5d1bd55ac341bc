//! [`specification!`](crate::specification): an operator against a pure function.

mod check;
mod item;
mod run;

pub use check::{Case, Erasure, Kind, Specified, check, erased};
pub use item::SpecItem;

/// Compares an operator with an executable specification: a pure function from the
/// [`Timeline`](crate::testing::Timeline)s of its inputs to that of its output.
///
/// The macro becomes a test. It makes some hundred random inputs (bursts at one instant, gaps,
/// empty and long ones), plays them under virtual time to the operator, whose output is drained,
/// pulled, or taken in any mixture of both, from inputs that are pending now and then without a
/// reason, and compares every item, its millisecond and that of the end. A difference is made as
/// small as possible and shown as marbles.
///
/// ```
/// use aqueduct_operators::specification;
/// use aqueduct_operators::testing::{Timeline, ms};
///
/// specification!(delay, |input| input.delay(ms(5), 1_000), |input| -> Timeline<_> {
///     Timeline::new(input.events.iter().map(|(at, item)| (at + 5, *item)), input.end)
/// });
/// # fn main() {}
/// ```
///
/// That one fails, because the end has to wait for the last item:
///
/// ```text
/// delay is not what its specification says: at 0 ms expected the end, got nothing
/// in         (0|)
/// specified  |       0
/// actual     --------(0|)
/// ```
///
/// There may be up to three inputs: `specification!(zip, |a, b| a.zip(b), |a, b| ..)`, and none for
/// a source. Their items
/// are `u8`, with small numbers the most frequent, or what the first closure says and a byte can
/// become ([`SpecItem`](crate::testing::SpecItem)): `|input: Result<u8, u8>|`. Of two inputs that
/// bring items at one instant the first has its turn first, with all of them; only what is due at
/// millisecond 0 is there from the begin in all of them, so that the operator decides. The result
/// of a terminal is an item at the instant of its end.
///
/// Where the answer does not depend on the pace of the consumer, say so:
/// `specification!(map, at_any_pace, ..)` also rests between items, and expects each item when it
/// is due or when the consumer comes for it, whichever is later.
///
/// Every run of the test is the same. `PROPTEST_RNG_SEED=7` makes other inputs,
/// `PROPTEST_CASES=10000` more of them.
#[macro_export]
macro_rules! specification {
    ($name:ident, at_any_pace, $($rest:tt)+) => {
        $crate::__specification! { $name true $($rest)+ }
    };
    ($name:ident, $($rest:tt)+) => {
        $crate::__specification! { $name false $($rest)+ }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __specification {
    ($name:ident $any_pace:literal || $operator:expr, || $specification:expr $(,)?) => {
        $crate::testing::paste! {
            #[test]
            fn [<$name _specification>]() {
                let kind = $crate::testing::SpecKind { inputs: 0, any_pace: $any_pace };
                $crate::testing::check_specification(
                    stringify!($name),
                    kind,
                    &|_| $crate::testing::erased($operator),
                    &|_| $specification,
                );
            }
        }
    };
    ($name:ident $any_pace:literal
        |$($input:ident $(: $item:ty)?),+| $operator:expr,
        |$($line:ident $(: $line_type:ty)?),+| -> $output:ty $specification:block $(,)?
    ) => {
        $crate::__specification! { $name $any_pace
            |$($input $(: $item)?),+| $operator,
            |$($line),+| {
                // A closure, so that the block may return early.
                let specification = || -> $output { $specification };
                specification()
            }
        }
    };
    ($name:ident $any_pace:literal
        |$($input:ident $(: $item:ty)?),+| $operator:expr,
        |$($line:ident $(: $line_type:ty)?),+| $specification:expr $(,)?
    ) => {
        $crate::testing::paste! {
            #[test]
            fn [<$name _specification>]() {
                let kind = $crate::testing::SpecKind {
                    inputs: [$(stringify!($input)),+].len(),
                    any_pace: $any_pace,
                };
                $crate::testing::check_specification(
                    stringify!($name),
                    kind,
                    &|case| {
                        $(let $input = case.flow::<$crate::__item!(u8 $($item)?)>();)+
                        $crate::testing::erased($operator)
                    },
                    &|case| {
                        $(let $line = case.timeline::<$crate::__item!(u8 $($item)?)>();)+
                        $specification
                    },
                );
            }
        }
    };
}
