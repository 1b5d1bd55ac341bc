//! `batch_sink`: items written in batches, several batches at a time.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Gathers items into batches of `max`, or of what came within `within`, and awaits `write` for
    /// up to `concurrency` batches at a time, until one fails.
    ///
    /// ```text
    /// in     --a-b---c-----------|
    /// write  ----[ab ]---[c ]
    /// out    --------------------(s|)    batch_sink(2, 4, 1, write)
    /// where  s = Ok(3)
    /// ```
    ///
    /// How a database or a message broker wants its rows. `write` gets each batch once and decides
    /// itself what to do about single rows that are refused; to try a batch again, it does that in
    /// its future. With a `concurrency` above 1 a batch may be written before an earlier one is.
    ///
    /// - **Emits** the number of items in the batches that were written, when the last one is.
    /// - **Backpressures** when `concurrency` batches are being written and the next one is full.
    /// - **Ends** when the input has ended and the last batch is written, or when a batch fails, and
    ///   drops the input and the other batches then.
    /// - **On error**: the future gives the error of `write`. A panic in `write` comes out of the
    ///   future.
    /// - **Holds** `max` items in each of `concurrency` batches, and `max` in the next one.
    /// - **Cost**: one allocation for a batch; one clock read and one timer operation for a batch.
    ///
    /// # Panics
    ///
    /// If `max` or `concurrency` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// # use std::time::Duration;
    /// let insert = async |rows: Vec<u32>| {
    ///     assert!(rows.len() <= 100);
    ///     Ok::<_, std::io::Error>(())
    /// };
    /// let written = iter(0..250).batch_sink(100, Duration::from_millis(50), 2, insert);
    /// assert_eq!(Virtual::new().run(written).unwrap(), 250);
    /// ```
    #[doc(alias("batchers", "handle_batch", "aggregate_async_within", "grouped_within_sink"))]
    #[track_caller]
    pub fn batch_sink<E, F, Fut>(
        self,
        max: usize,
        within: Duration,
        concurrency: usize,
        mut write: F,
    ) -> impl Future<Output = Result<u64, E>>
    where
        F: FnMut(Vec<S::Item>) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        let site = Location::caller();
        assert!(max > 0, "batch_sink: the size of a batch must not be zero, at {site}");
        assert!(concurrency > 0, "batch_sink: the concurrency must not be zero, at {site}");
        let written = move |batch: Vec<S::Item>| {
            let items = batch.len() as u64;
            let writing = write(batch);
            async move {
                writing.await?;
                Ok(items)
            }
        };
        self.chunks_timeout(max, within)
            .map_async_unordered(concurrency, written)
            .try_fold(0, |sum, items: Result<u64, E>| Ok(sum + items?))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use crate::testing::{Timeline, Tracked, conformance, marbles, ms, specification, timetable};
    use crate::{Clock, Virtual, from_future, iter, timer};

    fn now() -> i64 {
        Clock::current().now().as_millis()
    }

    #[test]
    fn a_batch_is_written_when_it_is_full_or_old_enough_and_several_at_a_time() {
        let log = RefCell::new(Vec::new());
        let write = async |batch: Vec<char>| {
            log.borrow_mut().push((now(), batch.iter().collect::<String>()));
            iter([()]).delay(ms(10), 1).drain().await;
            Ok::<_, ()>(())
        };
        let written = Virtual::new().run(async {
            let items = [(0, 'a'), (1, 'b'), (2, 'c'), (20, 'd'), (21, 'e')];
            let sum = timetable(items, 22).batch_sink(2, ms(5), 2, write).await;
            (sum, now())
        });
        let expected = [(1, "ab"), (7, "c"), (21, "de")].map(|(at, batch)| (at, batch.to_owned()));
        assert_eq!((written, log.take()), ((Ok(5), 31), expected.to_vec()));
    }

    #[test]
    fn a_batch_that_fails_ends_the_run() {
        let write = async |batch: Vec<u8>| if batch.contains(&5) { Err(batch) } else { Ok(()) };
        let written = Virtual::new().run(iter(0..).batch_sink(2, ms(5), 1, write));
        assert_eq!(written, Err(vec![4, 5]));
    }

    #[test]
    #[should_panic(expected = "batch_sink: the size of a batch must not be zero, at operators/src")]
    fn batches_of_nothing_are_refused_where_they_were_written() {
        drop(iter([1]).batch_sink(0, ms(1), 1, async |_| Ok::<_, ()>(())));
    }

    #[test]
    #[should_panic(expected = "batch_sink: the concurrency must not be zero, at operators/src")]
    fn a_concurrency_of_zero_is_refused_where_it_was_written() {
        drop(iter([1]).batch_sink(1, ms(1), 0, async |_| Ok::<_, ()>(())));
    }

    marbles!(batch_sink, |input| {
        let write = async |_| {
            iter([()]).delay(ms(4), 1).drain().await;
            Ok::<_, ()>(())
        };
        input.batch_sink(2, ms(4), 1, write)
    });

    specification!(
        batch_sink,
        |input| {
            let write = async |batch: Vec<u8>| {
                timer(ms(7)).drain().await;
                if batch.iter().any(|x| *x > 99) { Err(()) } else { Ok(()) }
            };
            input.batch_sink(3, ms(4), 100, write)
        },
        |input| -> Timeline<Result<u64, ()>> {
            // Each batch with the time at which it is full, too old, or the last one.
            let mut batches: Vec<(i64, Vec<u8>)> = Vec::new();
            for (at, item) in &input.events {
                match batches.last_mut() {
                    Some((over, batch)) if *at <= *over && batch.len() < 3 => {
                        batch.push(*item);
                        *over = if batch.len() == 3 { *at } else { *over };
                    }
                    _ => batches.push((at + 4, vec![*item])),
                }
            }
            // All are written at once, so that each takes 7 ms.
            let written = |(over, batch): &(i64, Vec<u8>)| {
                (input.end.min(*over) + 7, batch.iter().any(|x| *x > 99))
            };
            let failed = batches.iter().map(written).find(|(_, failed)| *failed);
            let last = batches.last().map(written);
            match (failed, last) {
                (Some((at, _)), _) => Timeline::new([(at, Err(()))], at),
                (None, last) => {
                    let end = last.map_or(input.end, |(at, _)| at.max(input.end));
                    Timeline::new([(end, Ok(input.events.len() as u64))], end)
                }
            }
        }
    );

    async fn write(batch: Vec<Tracked>) -> Result<(), Tracked> {
        for row in batch {
            timer(ms(u64::from(row.value() % 3))).drain().await;
            if row.value() > 8 {
                return Err(row);
            }
        }
        Ok(())
    }

    conformance!(batch_sink, |input| {
        from_future(input.batch_sink(2, ms(4), 2, write))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
        DeclaredBound: "the limits bound the items, and a future has no outline to say so",
    ]);
}
