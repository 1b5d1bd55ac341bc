//! That marbles are read as RxJS reads them, and that a wrong diagram fails with a useful message.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::source::Missed;
use crate::testing::{Timeline, marbles, ms};
use crate::{Timed, Timestamp, empty, interval, once};

fn events(text: &str) -> Vec<(i64, Event)> {
    Marble::parse(text).unwrap().events().to_vec()
}

fn next(frames: &[(i64, char)]) -> Vec<(i64, Event)> {
    frames.iter().map(|(at, item)| (*at, Event::Next(*item))).collect()
}

/// What a failing check says.
fn message(check: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(check)).expect_err("it should have failed");
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn items_and_ends_stand_in_their_frames() {
    assert_eq!(events("--a-b"), next(&[(2, 'a'), (4, 'b')]));
    assert_eq!(events("-(a|)"), [(1, Event::Next('a')), (1, Event::Complete)]);
    assert_eq!(events("a-#"), [(0, Event::Next('a')), (2, Event::Error)]);
    assert_eq!(events(""), []);
}

#[test]
fn a_group_takes_its_printed_width() {
    assert_eq!(events("(ab)c"), next(&[(0, 'a'), (0, 'b'), (4, 'c')]));
    assert_eq!(events("(a b)c"), next(&[(0, 'a'), (0, 'b'), (4, 'c')]));
    assert_eq!(events("-(-)-r"), next(&[(5, 'r')]));
}

#[test]
fn blanks_take_no_time_and_any_character_may_be_an_item() {
    assert_eq!(events("  a - é"), next(&[(0, 'a'), (2, 'é')]));
}

#[test]
fn what_stands_before_the_subscription_has_negative_frames() {
    assert_eq!(events("-a-^-b"), next(&[(-2, 'a'), (2, 'b')]));
    let seen = Timeline::of(Marble::parse("-a-^-b-|").unwrap().flow());
    assert_eq!(seen, Timeline::new([(2, 'b')], 4));
}

#[test]
fn a_time_stands_at_the_begin_or_after_a_blank_and_a_blank_follows() {
    assert_eq!(events("10ms a 1.5s b 1m c"), next(&[(10, 'a'), (1511, 'b'), (61512, 'c')]));
    assert_eq!(events("1s"), next(&[(0, '1'), (1, 's')]));
    assert_eq!(events("-1s a"), next(&[(1, '1'), (2, 's'), (3, 'a')]));
    assert_eq!(events("1 2 "), next(&[(0, '1'), (1, '2')]));
    assert_eq!(events("5ms 5ms a"), next(&[(10, 'a')]));
}

#[test]
fn a_mistake_is_shown_with_its_place_and_what_to_do() {
    let mistakes = [
        ("--a-(b|", 4, Problem::Unclosed),
        ("--a)-|", 3, Problem::Unopened),
        ("-((a))", 2, Problem::Nested),
        ("--a|-b", 5, Problem::AfterEnd),
        ("-a|#", 3, Problem::AfterEnd),
        ("-a--!", 4, Problem::Stop),
        ("^-^", 2, Problem::Twice),
        ("é-\t-a", 2, Problem::Space),
        ("-a 1.0005s b", 3, Problem::Time),
        ("99999999999999999999m a", 0, Problem::Time),
    ];
    for (text, column, problem) in mistakes {
        let error = Marble::parse(text).unwrap_err();
        assert_eq!((error.column, error.problem), (column, problem), "{text}");
        let caret = error.to_string().lines().last().unwrap().find('^');
        assert_eq!(caret, Some(column + 2), "{error}");
    }
    let shown = Marble::parse("--a-(b|").unwrap_err().to_string();
    assert_eq!(
        shown,
        "column 4: this group is never closed; write `)` after its last item\n  --a-(b|\n      ^"
    );
}

#[test]
fn a_subscription_row_has_only_its_own_marks() {
    let row = |text| Subscription::parse(text).map(|row| (row.subscribed, row.unsubscribed));
    assert_eq!(row("--^--!-"), Ok((Some(2), Some(5))));
    assert_eq!(row("---(^!)-"), Ok((Some(3), Some(3))));
    assert_eq!(row("^ 1s !"), Ok((Some(0), Some(1001))));
    assert_eq!(row("----"), Ok((None, None)));
    assert_eq!(row("^-a").unwrap_err().problem, Problem::NotASubscription);
    assert_eq!(row("^--!!").unwrap_err().problem, Problem::Twice);
}

#[test]
fn an_error_that_is_the_last_mark_ends_the_flow() {
    let line = |text| Timeline::of(Marble::parse(text).unwrap().flow());
    assert_eq!(line("-a-#"), Timeline::new([(1, 'a'), (3, '#')], 3));
    assert_eq!(line("-(a#)"), Timeline::new([(1, 'a'), (1, '#')], 1));
    assert_eq!(line("-#-"), Timeline::new([(1, '#')], Timeline::<char>::NEVER));
}

#[test]
fn what_is_drawn_is_read_as_the_same() {
    for text in ["--a--b-|", "-(ab)-c", "(ab|)", "-a 30ms b|", "", "--(bc)---|"] {
        let line = Marble::parse(text).unwrap().timeline(|item| item.unwrap());
        let drawn = line.marble().unwrap();
        let again = Marble::parse(&drawn).unwrap().timeline(|item| item.unwrap());
        assert_eq!(again, line, "{text} was drawn as {drawn}");
    }
    assert_eq!(Timeline::new([(0, 'a'), (0, 'b'), (2, 'c')], 9).marble(), None);
    let open = Timeline::new([(0, Err::<(), _>(1))], Timeline::<()>::NEVER);
    assert_eq!(open.marble().unwrap(), "#-");
}

#[test]
fn a_wrong_item_a_wrong_time_and_a_wrong_end_fail_with_both_diagrams() {
    let said = message(|| {
        marbles!(
            "
            in   -a--b---c|
            out  -a--x---c|
            ",
            |input| input,
        )
    });
    assert!(said.contains("row `out`: at 4 ms expected x, got b"), "{said}");
    assert!(said.contains("expected  -a--x---c|\nactual    -a--b---c|"), "{said}");
    let late = message(|| {
        marbles!(
            "
            in   -a--b|
            out  -a--b-|
            ",
            |input| input,
        )
    });
    assert!(late.contains("at 5 ms expected nothing, got the end"), "{late}");
    let endless = message(|| {
        marbles!(
            "
            in   -a--b-
            out  -a--b-|
            ",
            |input| input,
        )
    });
    assert!(endless.contains("at 6 ms expected the end, got nothing"), "{endless}");
}

#[test]
fn an_item_too_many_fails_even_in_a_row_without_an_end() {
    let said = message(|| marbles!("out  --a---a", || interval(ms(2), Missed::Delay).map(|_| 'a')));
    assert!(said.contains("at 4 ms expected nothing, got a"), "{said}");
    // After the row nothing is said.
    marbles!("out  --a-a-", || interval(ms(2), Missed::Delay).map(|_| 'a'));
}

#[test]
fn an_end_where_none_is_drawn_fails() {
    let said = message(|| {
        marbles!(
            "
            in   -a-|
            out  -a------
            ",
            |input| input,
        )
    });
    assert!(said.contains("at 3 ms expected nothing, got the end"), "{said}");
}

#[test]
fn items_of_other_types_and_errors_come_in_and_go_out() {
    marbles!(
        "
        in     -1--#--2-|
        out    -a--#--b-|
        where  # = late, a = Ok(2), b = Ok(3)
        ",
        |input: Result<u32, String>| input.map(|x| x.map(|x| x + 1)),
    );
    let said = message(|| marbles!("in   -x-|\nout  -x-|", |input: u32| input));
    assert!(said.contains("`x` is no u32") && said.contains("where  x = .."), "{said}");
}

#[test]
fn the_result_of_a_terminal_is_an_item_at_its_end() {
    marbles!("in   -a--b-|\nout  ------(2|)", |input| input.count());
    let said = message(|| marbles!("in   -a--b-|\nout  ------(3|)", |input| input.count()));
    assert!(said.contains("at 6 ms expected (3|), got (2|)"), "{said}");
}

#[test]
fn a_row_that_starts_with_blanks_starts_at_that_column() {
    marbles!(
        "
        in     --a--b--|
        other          ---c--d--|
        out    --a--b-----c--d--|
        ",
        |input, other| input.chain(other),
    );
}

#[test]
fn times_of_events_stand_in_a_row_of_their_own() {
    marbles!(
        "
        in    --a--(bW)--c-|
        time    3   12 13 14
        out   --a--(bW)--c-|
        time    3   12 13 14
        ",
        |input: Timed<char>| input,
    );
    let said = message(|| {
        marbles!(
            "
            in    --a-|
            time    3
            out   --a-|
            time    4
            ",
            |input: Timed<char>| input,
        )
    });
    assert!(said.contains("at 2 ms expected a@4, got Item(Timestamp(3000000),a)"), "{said}");
    let said =
        message(|| marbles!("in    --a-|\ntime    3 4\nout   |", |input: Timed<char>| input));
    assert!(said.contains("2 times below the 1 items of `in`"), "{said}");
    let line = Marble::parse("a").unwrap().timeline(|_| Timed::<char>::read("W(3)").unwrap());
    assert_eq!(line.items(), [Timed::Watermark(Timestamp::from_millis(3))]);
}

#[test]
fn a_subscription_row_says_when_an_input_is_asked_and_let_go() {
    marbles!(
        "
        in   --a--b----c--|
        sub  ^----!
        out  --a--(b|)
        ",
        |input| input.take(2),
    );
    let said = message(|| {
        marbles!(
            "
            in   --a--b----c--|
            sub  ^------!
            out  --a--(b|)
            ",
            |input| input.take(2),
        )
    });
    assert!(
        said.contains("let go at 7 ms, but it was asked first at 0 ms and let go at 5 ms"),
        "{said}"
    );
}

#[test]
fn a_consumer_comes_and_leaves_at_its_marks() {
    marbles!(
        "
        in   --a--b----c--|
        sub    ^----!
        out    ^--b-!
        ",
        |input| input.skip(1),
    );
}

#[test]
fn several_outputs_have_a_row_each() {
    marbles!(
        "
        in     --1-2-3-4|
        even   ----2---4|
        odd    --1---3--|
        "[even, odd],
        |input: u32| {
            let (even, odd) = input.partition(8, |x| x % 2 == 0);
            (even, odd)
        },
    );
    let said = message(|| {
        marbles!("a  |\nb  -|"[a, b], || [empty::<char>(), empty()]);
    });
    assert!(said.contains("row `b`: at 0 ms expected nothing, got the end"), "{said}");
    assert!(!said.contains("row `a`"), "{said}");
}

#[test]
fn sources_that_share_an_instant_go_in_the_order_of_their_rows() {
    marbles!(
        "
        a      ---a-----|
        b      -----b---|
        other  ---c-d---|
        out    ---x-(yz)|
        where  x = (a, c), y = (b, c), z = (b, d)
        ",
        |a, b, other| a.merge(b).combine_latest(other),
    );
}

#[test]
fn a_diagram_without_the_row_or_the_input_says_so() {
    let said = message(|| marbles!("in  -a|", |input| input));
    assert!(said.contains("no row `out`"), "{said}");
    let said = message(|| marbles!("in   a|\nout  a|", |a, b| a.chain(b)));
    assert!(said.contains("there is no input row for the argument `b`"), "{said}");
    let said = message(|| marbles!("out  -(a|", || once('a')));
    assert!(said.contains("row `out`, column 1: this group is never closed"), "{said}");
    let said = message(|| {
        Diagram::in_docs_of(env!("CARGO_MANIFEST_DIR"), file!(), "message")(&["out"]);
    });
    assert!(said.contains("`fn message` has no ```text block"), "{said}");
}

/// Twice the items.
///
/// ```text
/// in   -a-b|
/// out  -a--b-|
/// ```
///
/// ```text
/// in    -a---|
/// late  -(aa)|
/// ```
#[expect(dead_code, reason = "read, not called")]
#[doc(alias = "a long", alias = "attribute")]
fn doubled<S>(_: S) {}

#[test]
fn the_diagram_is_that_in_the_documentation_of_the_function() {
    let find = || Diagram::in_docs_of(env!("CARGO_MANIFEST_DIR"), file!(), "doubled");
    let said = message(|| {
        find()(&["out"])
            .check(|inputs| vec![crate::testing::Observed::observed(inputs.flow::<char>("input"))]);
    });
    assert!(said.starts_with("the diagram of `doubled` in operators/src/testing/marbles/tests.rs"));
    assert!(said.contains("at 3 ms expected nothing, got b"), "{said}");
    let said = message(|| {
        find()(&["never"]);
    });
    assert!(said.contains("no ```text block has the row `never`"), "{said}");
    find()(&["late"]);
}
marbles!(doubled[late], |input| input.flat_map_iter(|x| [x, x]));

#[test]
fn a_busy_consumer_comes_back_when_its_brackets_close() {
    marbles!(
        "
        in    ab-c-|
        busy  [a ][b  ]
        out   a---b----c---|
        ",
        |input| input,
    );
}
