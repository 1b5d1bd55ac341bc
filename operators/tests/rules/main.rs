//! The rules that every operator keeps, checked from outside over the public interface. A rule
//! that an operator can only keep in a weaker form is declared in the table below, and in the
//! operator's documentation.

mod checks;
mod input;

use std::time::Duration;

use aqueduct_operators::combine;
use aqueduct_operators::error::{Backoff, retry};
use aqueduct_operators::time::{Edges, OnEnd};
use aqueduct_operators::window::{Aggregate, AsOf};
use aqueduct_operators::{Alarm, ConflateBy, Fail, Flow, Overflow, Stage, Timestamp, iter};

use checks::Declares::{
    NotStarted, Nothing, OrderOfReadyInputs, OwnTask, WhatIsReady, WhatIsReadyAndOwnTask,
};
use checks::check;
use input::{Input, Item};

/// A test for each operator.
macro_rules! operators {
    ($($name:ident $declares:ident $make:expr;)*) => {
        $(
            #[test]
            fn $name() {
                check($declares, $make);
            }
        )*
    };
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Items that come every other millisecond.
fn other() -> Flow<impl Stage<Item = u32> + Send> {
    let at = |x: &u32| Some(Timestamp::from_millis(i64::from(*x) - 100));
    iter((100..110).step_by(2)).play(at)
}

async fn sleep(millis: u64) {
    let mut alarm = Alarm::new();
    let due = alarm.now() + ms(millis);
    alarm.set(due);
    std::future::poll_fn(|cx| alarm.poll(cx)).await;
}

fn time(item: &Item) -> Timestamp {
    Timestamp::from_millis(i64::from(item.value()))
}

fn timed(x: &u32) -> Timestamp {
    Timestamp::from_millis(i64::from(*x))
}

struct Sum;

impl Aggregate<Item> for Sum {
    type State = u32;
    type Output = u32;

    fn init(&self) -> u32 {
        0
    }

    fn add(&self, sum: &mut u32, item: &Item) {
        *sum += item.value();
    }

    fn finish(&self, sum: u32) -> u32 {
        sum
    }
}

fn checked(item: Item) -> Result<Item, Item> {
    if item.value() == 7 { Err(item) } else { Ok(item) }
}

operators! {
    boxed Nothing |flow| flow.boxed();
    boxed_local Nothing |flow| flow.boxed_local();
    chunks Nothing |flow| flow.chunks(3);
    enumerate Nothing |flow| flow.enumerate();
    flat_map_iter Nothing |flow| flow.flat_map_iter(|x| vec![x.clone(); x.value() as usize % 3]);
    flat_map_iter_of_nothing Nothing |flow| flow.flat_map_iter(|x| (x.value() == 0).then_some(x));
    flatten Nothing |flow| flow.map(|x| iter(vec![x.clone(); x.value() as usize % 3])).flatten();
    flatten_of_empty_flows Nothing |flow| flow.map(|x| iter([x].into_iter().take(0))).flatten();
    flatten_of_pending_flows Nothing |flow| flow.map(|x| iter([x]).delay(ms(1), 1)).take(99).flatten();
    flatten_of_work_in_flight Nothing |flow| {
        let inner = |x| iter([x]).map_async(1, async |x: Item| { sleep(1).await; x });
        flow.take(50).map(inner).flatten()
    };
    inspect Nothing |flow| flow.inspect(|x| assert!(x.value() > 0));
    map Nothing |flow| flow.map(|x| x.value());
    pairwise Nothing |flow| flow.pairwise();
    prepend NotStarted |flow: Flow<Input>| flow.map(|x| x.value()).prepend([50, 51]);
    scan Nothing |flow| flow.scan(0, |sum, x| sum + x.value());
    scan_map Nothing |flow| flow.scan_map(0, |n, x| { *n += x.value(); (*n % 2 == 0).then_some(x) });
    scan_map_with_end Nothing |flow| flow.scan_map_with_end(None, |last: &mut Option<Item>, x| {
        let _ = x.value();
        last.replace(x)
    }, |last| last);

    dedup Nothing |flow| flow.dedup();
    dedup_by_key Nothing |flow| flow.dedup_by_key(|x| x.value() / 2);
    filter Nothing |flow| flow.filter(|x| x.value() % 2 == 0);
    filter_that_drops_all Nothing |flow| flow.filter(|x| x.value() == 0);
    filter_map Nothing |flow| flow.filter_map(|x| (x.value() % 2 == 0).then_some(x));
    skip Nothing |flow| flow.skip(3);
    skip_while Nothing |flow| flow.skip_while(|x| x.value() < 3);
    take Nothing |flow| flow.take(4);
    take_through Nothing |flow| flow.take_through(|x| x.value() < 7);
    take_until Nothing |flow| flow.take_until(sleep(5));
    take_while Nothing |flow| flow.take_while(|x| x.value() < 7);

    chain Nothing |flow| flow.map(|x| x.value()).chain(other());
    chain_after_another NotStarted |flow| other().chain(flow.map(|x| x.value()));
    combine_latest Nothing |flow| flow.combine_latest(other());
    combine_latest_of_ready_items WhatIsReady |flow| flow.combine_latest(iter(0..5));
    combine_latest_with_an_empty_one Nothing |flow| other().filter(|_| false).combine_latest(flow);
    merge OrderOfReadyInputs |flow| flow.map(|x| x.value()).merge(other());
    merge_of_many OrderOfReadyInputs |flow| {
        combine::merge([other().boxed(), flow.map(|x| x.value()).boxed(), other().boxed()])
    };
    with_latest_from Nothing |flow| flow.with_latest_from(other());
    with_latest_from_an_input WhatIsReady |flow| other().with_latest_from(flow);
    with_latest_from_ready_items Nothing |flow| flow.with_latest_from(iter(0..5));
    with_latest_from_optional Nothing |flow| flow.with_latest_from_optional(other());
    zip Nothing |flow| flow.zip(other());
    zip_with_an_input Nothing |flow| other().zip(flow);

    map_async Nothing |flow| flow.map_async(2, async |x| { sleep(u64::from(x.value() % 3)).await; x });
    map_async_unordered Nothing |flow| {
        flow.map_async_unordered(2, async |x| { sleep(u64::from(x.value() % 3)).await; x })
    };

    buffer Nothing |flow| flow.buffer(2, Overflow::Block);
    buffer_drop_oldest WhatIsReady |flow| flow.buffer(2, Overflow::DropOldest);
    buffer_drop_newest WhatIsReady |flow| flow.buffer(2, Overflow::DropNewest);
    buffer_fail WhatIsReady |flow| flow.buffer(2, Fail);
    buffer_latest WhatIsReady |flow| flow.buffer(2, Overflow::Latest);
    conflate_by_key WhatIsReady |flow| {
        flow.conflate_by_key(2, |x| x.value() % 3, |held, new| *held = new)
    };
    hop OwnTask |flow| flow.hop(16, Overflow::Block);
    hop_drop_oldest WhatIsReadyAndOwnTask |flow| flow.hop(2, Overflow::DropOldest);
    hop_latest WhatIsReadyAndOwnTask |flow| flow.hop(3, Overflow::Latest);
    hop_conflating WhatIsReadyAndOwnTask |flow| {
        flow.hop(3, ConflateBy::new(|x: &Item| x.value() % 3, |held: &mut Item, new| *held = new))
    };
    hop_fail WhatIsReadyAndOwnTask |flow| flow.hop(2, Fail);

    chunks_timeout Nothing |flow| flow.chunks_timeout(2, ms(3));
    debounce Nothing |flow| flow.debounce(ms(2));
    delay Nothing |flow| flow.delay(ms(3), 100);
    delay_that_is_full Nothing |flow| flow.take(50).delay(ms(3), 2);
    play Nothing |flow| flow.play(|x| Some(time(x)));
    sample Nothing |flow| flow.sample(ms(3));
    sample_drop Nothing |flow| flow.sample_with(ms(3), OnEnd::Drop);
    throttle_both Nothing |flow| flow.throttle(ms(3), Edges::Both);
    throttle_leading Nothing |flow| flow.throttle(ms(3), Edges::Leading);
    throttle_trailing Nothing |flow| flow.throttle(ms(3), Edges::Trailing);
    timeout Nothing |flow| flow.timeout(ms(3));

    catch Nothing |flow| flow.map(checked).catch(|x| iter([x]));
    retry_after_an_error NotStarted |flow| {
        let mut first = Some(flow.map(checked));
        retry(Backoff::constant(ms(2)), move || match first.take() {
            Some(flow) => flow.boxed_local(),
            None => iter([]).boxed_local(),
        })
    };

    as_of Nothing |flow| flow.event_time(time, ms(0)).as_of(other().event_time(timed, ms(0)), AsOf::backward());
    as_of_an_input Nothing |flow| other().event_time(timed, ms(0)).as_of(flow.event_time(time, ms(0)), AsOf::backward());
    as_of_ends_with_the_left_side Nothing |flow| {
        iter([1]).event_time(timed, ms(0)).as_of(flow.event_time(time, ms(0)), AsOf::backward())
    };
    event_time Nothing |flow| flow.event_time(time, ms(1));
    tumbling Nothing |flow| flow.event_time(time, ms(1)).tumbling(ms(3), Sum);
    values Nothing |flow| flow.event_time(time, ms(1)).values();

    merge_sorted Nothing |flow| {
        combine::merge_sorted([other().boxed(), flow.map(|x| x.value()).boxed()], |x| *x)
    };
    partition OrderOfReadyInputs |flow| {
        let (low, high) = flow.partition(64, |x| x.value() < 3);
        low.merge(high)
    };
    route OrderOfReadyInputs |flow| combine::merge(flow.route(3, 64, |x| x.value() as usize % 3));
    share Nothing |flow| flow.share(2).subscribe();
    share_lagging Nothing |flow| flow.share_lagging(2).subscribe();
    share_of_two Nothing |flow| {
        let shared = flow.share(2);
        shared.subscribe().zip(shared.subscribe())
    };

    nested_chains Nothing |flow| (0..200).fold(flow.boxed(), |flow, _| flow.chain(iter([])).boxed());
}
