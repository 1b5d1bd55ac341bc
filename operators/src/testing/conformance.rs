//! [`conformance!`](crate::conformance): the rules of an operator as a test.

/// Generates the tests that an operator keeps every [`Rule`](crate::testing::Rule).
///
/// The name becomes a module with a test `conforms` in it. The operator is written as a closure
/// over one to three inputs, each a [`Flow`](crate::Flow) of [`Tracked`](crate::testing::Tracked)
/// items with small numbers in them: `x.value()` is a `u32`, and panics now and then, which is
/// how [`PanicSafety`](crate::testing::Rule::PanicSafety) is checked. A rule that the operator
/// does not keep is declared with the reason in words.
///
/// ```
/// use aqueduct_operators::conformance;
/// use std::time::Duration;
///
/// const QUIET: Duration = Duration::from_millis(5);
///
/// conformance!(debounce, |input| input.debounce(QUIET));
/// conformance!(zip, |a, b| a.zip(b));
/// conformance!(merge, |a, b| a.merge(b), except [
///     Invariance: "which of two ready inputs comes first is not promised",
/// ]);
/// # fn main() {}
/// ```
///
/// Put `#[global_allocator] static ALLOCATOR: CountingAllocator = CountingAllocator;` into the
/// test program to have allocations counted as well. Without the macro the same checks are
/// [`check`](crate::testing::check).
#[macro_export]
macro_rules! conformance {
    ($name:ident, |$($input:ident),+ $(,)?| $make:expr $(, except [
        $($rule:ident: $reason:expr),+ $(,)?
    ])? $(,)?) => {
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn conforms() {
                $crate::testing::check_except(
                    stringify!($name),
                    |[$($input),+]| $make,
                    &[$($(($crate::testing::Rule::$rule, $reason)),+)?],
                )
                .assert();
            }
        }
    };
}
