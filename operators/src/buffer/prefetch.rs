//! `prefetch`: an input that runs ahead of its consumer, in the same task.

use std::panic::Location;

use crate::{Flow, Stage};

use super::{Buffer, Overflow, checked};

impl<S: Stage> Flow<S> {
    /// Lets the input run ahead by up to `items` items.
    ///
    /// ```text
    /// in    ab-c-d------|
    /// busy  [a    ][b    ][c    ][d    ]
    /// out   a------b------c------d------|    prefetch(2)
    /// ```
    ///
    /// Whenever it is polled, it first takes everything that the input has ready, up to its bound,
    /// and so does a terminal whose body is pending. What stands below may therefore be busy with
    /// one item while the input works on the next ones: before [`concat_map`](Self::concat_map)
    /// it takes the outer items that come during an inner flow, and after
    /// [`flat_map`](Self::flat_map) it starts the inner flows before they are asked for. It is
    /// [`buffer`](Self::buffer) with [`Overflow::Block`]: nothing runs beside the consumer, for
    /// which there is [`hop`](Self::hop), and nothing is lost.
    ///
    /// - **Emits** the items of the input, in their order.
    /// - **Backpressures** when `items` items are held.
    /// - **Ends** when the input has ended and what is held is out.
    /// - **On error**: an error is an item here and does not overtake those before it.
    /// - **Holds** `items` items.
    /// - **Cost**: no allocation once the queue has grown, no clock read.
    ///
    /// # Panics
    ///
    /// If `items` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let pages = iter(1..=3).map_async(1, async |page| page * 100).prefetch(2);
    /// assert_eq!(pages.collect::<Vec<_>>().await, [100, 200, 300]);
    /// # });
    /// ```
    #[doc(alias("detach", "publish_on", "read_ahead", "eager"))]
    #[track_caller]
    pub fn prefetch(self, items: usize) -> Flow<Buffer<S, Overflow>> {
        let site = Location::caller();
        let items = checked(items, "prefetch", site);
        let policy = Overflow::Block;
        Flow::from_stage(Buffer::new("prefetch", self.into_stage(), items, policy, site))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use crate::testing::{
        Timeline, branched, conformance, every_way, glances, line, marbles, ms, specification,
        timeline, timetable,
    };
    use crate::{Clock, Stage, Virtual, iter};

    conformance!(prefetch, |input| input.prefetch(3));

    marbles!(prefetch, |input| input.prefetch(2));

    // What comes out is the input, as late as it is taken ...
    specification!(prefetch, at_any_pace, |input| input.prefetch(2), |input| input);
    // ... and the input runs ahead of that.
    specification!(
        prefetch_ahead,
        |input| async move {
            let taken = std::cell::RefCell::new(Vec::new());
            let now = || Clock::current().now().as_millis();
            let input = input.inspect(|x| taken.borrow_mut().push((now(), *x)));
            let out = line(glances(input.prefetch(2))).await;
            (taken.take(), out)
        },
        |input| {
            let (taken, out) = branched(input, |_| true, |_| true);
            Timeline::new([(out.end, (taken.events, out.clone()))], out.end)
        }
    );

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn the_input_runs_ahead_while_the_consumer_is_busy_and_waits_at_the_bound() {
        let taken = std::cell::RefCell::new(Vec::new());
        let now = || Clock::current().now().as_millis();
        let input = timetable([(0, 'a'), (1, 'b'), (3, 'c'), (5, 'd')], 12);
        let input = input.inspect(|item| taken.borrow_mut().push((now(), *item)));
        let body = async |_| sleep(7).await;
        Virtual::new().run(input.prefetch(2).for_each_async(body));
        assert_eq!(taken.take(), [(0, 'a'), (1, 'b'), (3, 'c'), (7, 'd')]);
    }

    #[test]
    fn one_poll_takes_no_more_than_the_bound() {
        let taken = Cell::new(0);
        let mut flow = pin!(iter(0..9).inspect(|_| taken.set(taken.get() + 1)).prefetch(3));
        let mut cx = Context::from_waker(Waker::noop());
        let _ = flow.as_mut().poll_progress(&mut cx);
        assert_eq!(taken.get(), 3);
        let _ = flow.as_mut().poll_progress(&mut cx);
        assert_eq!(taken.get(), 3);
        assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_ready());
        assert_eq!(taken.get(), 3);
    }

    #[test]
    fn order_and_times_are_those_of_the_input() {
        assert!(every_way(|| iter(0..3_000).prefetch(7)).into_iter().eq(0..3_000));
        let flow = timetable([(1, 'a'), (1, 'b'), (4, 'c')], 6).prefetch(2);
        assert_eq!(timeline(flow), (vec![(1, 'a'), (1, 'b'), (4, 'c')], 6));
    }

    #[test]
    fn its_outline_names_it() {
        let text = iter([1]).prefetch(5).outline().to_string();
        assert!(text.contains("prefetch(capacity: 5, policy: Block)"), "{text}");
    }

    #[test]
    #[should_panic(expected = "prefetch: the capacity must not be zero, at operators/src/buffer")]
    fn a_bound_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).prefetch(0);
    }
}
