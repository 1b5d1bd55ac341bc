//! Marbles: flows written as text.

mod compare;
mod diagram;
mod documentation;
mod grammar;
mod inputs;
mod marble;
#[cfg(test)]
mod tests;
mod value;

pub use diagram::Diagram;
pub use grammar::{Problem, validate};
pub use inputs::Inputs;
pub use marble::{Event, Marble, MarbleError, Subscription};
pub use value::MarbleItem;

/// Runs a marble diagram: the one in the documentation of a method, or one that stands here.
///
/// `marbles!(debounce, |input| input.debounce(ms(3)));` becomes a test. It reads the first
/// ```` ```text ```` block in the documentation of `fn debounce` in the same file, plays the input
/// rows under virtual time to the flow that the closure builds, and compares what comes with the
/// row `out`:
///
/// ```text
/// in   a-b-----c--|
/// out  -----b-----(c|)    debounce(3)
/// ```
///
/// # Rows
///
/// A row is a name, blanks, and a marble, which begins in the same column in every row; one that
/// begins further to the right begins that much later. Two blanks end the marble, and what follows
/// is for the reader. The first rows are the inputs, one for each argument of the closure. Rows
/// that are neither inputs nor outputs, and lines that begin with a blank, are for the reader too.
///
/// # Marbles
///
/// The grammar is that of RxJS in its run mode; one column is one millisecond:
///
/// | mark | meaning |
/// | --- | --- |
/// | `-` | nothing happens |
/// | a character | an item |
/// | `#` | an `Err`; the end as well if it is the last mark of the row |
/// | <code>&#124;</code> | the end |
/// | `(ab)` | all of it in the column of `(`; then as much time passes as the group is wide |
/// | `5ms`, `1.5s`, `1m` | so much time; at the begin or after a blank, and a blank follows |
/// | blank | nothing, and no time |
/// | `^` | in an output: the consumer comes; in an input: what stands before is never seen |
/// | `!` | in an output: the consumer leaves, before anything else that happens then |
///
/// What stands in the first column is there from the begin; of several inputs with items in
/// another column the upper one brings its items first. A row without an end says nothing about what comes after it. An end of several outputs, or of
/// a row that is not compared to its end, may lie up to a second after the row.
///
/// # Items
///
/// An argument is a flow of `char`, or of the type that it is given: `|input: u32|`, `|input:
/// Result<u32, String>|`; the item is parsed from its character. `where  x = (1, a), y = [b, c]`
/// says what a character stands for that is not itself, `where  # = late` what the error is. An
/// output item is compared by its `Debug` form without quotes and blanks; an item `Ok(x)` may be
/// written as `x`. The result of a terminal is an item at the instant of its end.
///
/// # More rows
///
/// A row `time` below an input or an output of items in event time
/// ([`Timed`](crate::Timed)) has the time of each item below it, in milliseconds. A row `sub`
/// below an input says when that is first asked for an item (`^`), and when it is let go or told
/// its end (`!`):
///
/// ```text
/// in     --a--b----c--|
/// sub    ^----!
/// out    --a--(b|)          take(2)
/// ```
///
/// A row `busy` says how long the consumer does something else after each item, one pair of
/// brackets for one item: it comes back at the end of the pair.
///
/// ```text
/// in    a-b-c-d---------|
/// busy  [a    ][c   ][d   ]
/// out   a------c-----d-----|    buffer(2, Overflow::DropOldest)
/// ```
///
/// # Other outputs
///
/// `marbles!(throttle[trailing], |input| ..)` compares with the row `trailing`, for methods whose
/// diagrams have several calls; `marbles!(partition[even, odd], |input| ..)` expects a tuple, an
/// array or a `Vec` of flows, one for each row.
///
/// # A diagram in a test
///
/// With a text instead of a name the macro checks at once:
///
/// ```
/// use aqueduct_operators::{marbles, testing::ms};
///
/// marbles!(
///     "
///     in     --1--2----3--|
///     out    ---a--b----c-|
///     where  a = 10, b = 20, c = 30
///     ",
///     |input: u32| input.map(|x| x * 10).delay(ms(1), 8),
/// );
/// ```
///
/// A diagram that is wrong fails with both rows:
///
/// ```should_panic
/// # use aqueduct_operators::{marbles, testing::ms};
/// marbles!(
///     "
///     in   --1--2----3--|
///     out  --1--2---3---|
///     ",
///     |input: u32| input.map(|x| x),
/// );
/// // row `out`: at 9 ms expected 3, got nothing
/// // expected  --1--2---3---|
/// // actual    --1--2----3--|
/// ```
#[macro_export]
macro_rules! marbles {
    ($name:ident $([$($out:ident),+])?, || $body:expr $(,)?) => {
        $crate::__marbles! { $name [$($($out)+)?] [] $body }
    };
    ($name:ident $([$($out:ident),+])?, |$($input:ident $(: $item:ty)?),* $(,)?| $body:expr $(,)?) => {
        $crate::__marbles! { $name [$($($out)+)?] [$($input [$($item)?],)*] $body }
    };
    ($text:literal $([$($out:ident),+])?, || $body:expr $(,)?) => {
        $crate::__marbles! { $text [$($($out)+)?] [] $body }
    };
    ($text:literal $([$($out:ident),+])?, |$($input:ident $(: $item:ty)?),* $(,)?| $body:expr $(,)?) => {
        $crate::__marbles! { $text [$($($out)+)?] [$($input [$($item)?],)*] $body }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __marbles {
    ($name:ident [] $inputs:tt $body:expr) => {
        $crate::__marbles! { @test [<$name _marbles>] $name [out] $inputs $body }
    };
    ($name:ident [$($out:ident)+] $inputs:tt $body:expr) => {
        $crate::__marbles! {
            @test [<$name _marbles $(_ $out)+>] $name [$($out)+] $inputs $body
        }
    };
    (@test $test:tt $name:ident $outs:tt $inputs:tt $body:expr) => {
        $crate::testing::paste! {
            #[test]
            fn $test() {
                $crate::__marbles! {
                    @check $crate::testing::Diagram::in_docs_of(
                        env!("CARGO_MANIFEST_DIR"), file!(), stringify!($name),
                    ),
                    $outs $inputs $body
                }
            }
        }
    };
    ($text:literal [] $inputs:tt $body:expr) => {
        $crate::__marbles! { $text [out] $inputs $body }
    };
    ($text:literal $outs:tt $inputs:tt $body:expr) => {
        $crate::__marbles! {
            @check $crate::testing::Diagram::in_text(file!(), line!(), $text),
            $outs $inputs $body
        }
    };
    (@check $diagram:expr,
        [$($out:ident)+] [$($input:ident [$($item:ty)?],)*] $body:expr
    ) => {
        $diagram(&[$(stringify!($out)),+]).check(|inputs| {
            $(let $input = inputs.flow::<$crate::__item!(char $($item)?)>(stringify!($input));)*
            let _ = inputs;
            $crate::__marbles! { @observe $($out)+, $body }
        })
    };
    (@observe $one:ident, $body:expr) => {
        vec![$crate::testing::Observed::observed($body)]
    };
    (@observe $($several:ident)+, $body:expr) => {
        $crate::testing::ObservedAll::observed_all($body)
    };
}

/// The type that was given, or else the default.
#[doc(hidden)]
#[macro_export]
macro_rules! __item {
    ($default:ty) => {
        $default
    };
    ($default:ident $item:ty) => {
        $item
    };
}

/// A [`Marble`] whose text the compiler has checked.
///
/// ```
/// use aqueduct_operators::{marble, testing::Timeline};
///
/// let flow = marble!("--a--b 10ms c|").flow();
/// assert_eq!(Timeline::of(flow), Timeline::new([(2, 'a'), (5, 'b'), (16, 'c')], 17));
/// ```
///
/// A mistake is an error of the compiler:
///
/// ```compile_fail
/// # use aqueduct_operators::marble;
/// marble!("--(ab-|"); // this group is never closed; write `)` after its last item
/// ```
#[macro_export]
macro_rules! marble {
    ($text:expr) => {{
        const _: () = if let Some(problem) = $crate::testing::validate($text) {
            panic!("{}", problem.message())
        };
        $crate::testing::Marble::validated($text)
    }};
}
