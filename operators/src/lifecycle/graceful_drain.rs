//! `graceful_drain`: a spawned flow that comes to its end in time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::KillSwitch;
use crate::Alarm;
use crate::terminal::{Outcome, Spawned};

impl Spawned {
    /// Shuts `switch` down, waits until the flow has run to its end, and aborts it when `within` is
    /// over.
    ///
    /// ```text
    /// in    --a-b-c-d-e--
    /// stop  -----()
    /// task  --a-b--[held items come out]|
    /// ```
    ///
    /// The switch stands right below the sources
    /// ([`kill_switch`](crate::Flow::kill_switch)), so that everything which was taken runs through
    /// windows, buffers and writers. Time is that of the run that awaits this. Dropping the future
    /// drops the handle, after the switch was shut down.
    ///
    /// - **Emits** the [`Outcome`]: the flow ended, or what was lost with it.
    /// - **Backpressures** never.
    /// - **Ends** with the flow, at the latest when `within` is over and the task has given way.
    /// - **On error**: a panic in the task comes out here.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read and one timer operation.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed, timer};
    /// # use aqueduct_operators::{lifecycle::KillSwitch, terminal::{OnDropped, Outcome}};
    /// # use std::time::Duration;
    /// # const SECOND: Duration = Duration::from_secs(1);
    /// let switch = KillSwitch::new();
    /// let ticks = interval(SECOND, Missed::Skip).kill_switch(&switch).delay(5 * SECOND, 64);
    /// let outcome = Virtual::new().run(async {
    ///     let task = ticks.spawn(OnDropped::Abort);
    ///     timer(7 * SECOND / 2).drain().await;
    ///     task.graceful_drain(&switch, 60 * SECOND).await
    /// });
    /// assert_eq!(outcome, Outcome::Ended { items: 3 });
    /// ```
    #[doc(alias("terminator", "drain_and_shutdown", "stop_gracefully", "drain_control"))]
    pub async fn graceful_drain<E>(mut self, switch: &KillSwitch<E>, within: Duration) -> Outcome {
        switch.shutdown();
        let mut alarm = Alarm::new();
        let due = alarm.now() + within;
        alarm.set(due);
        poll_fn(move |cx| {
            if alarm.deadline().is_some() && alarm.poll(cx).is_ready() {
                self.abort();
            }
            match Pin::new(&mut self).poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(outcome),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use crate::lifecycle::KillSwitch;
    use crate::terminal::{OnDropped, Outcome};
    use crate::testing::ms;
    use crate::{Clock, Virtual, interval, source::Missed, timer};

    /// What becomes of a flow that is stopped at 35 ms and needs 20 ms for each item.
    fn stopped(within: u64) -> (Outcome, i64) {
        let switch = KillSwitch::new();
        let ticks = interval(ms(10), Missed::Skip).kill_switch(&switch);
        let slow = ticks.delay(ms(100), 8);
        Virtual::new().run(async {
            let task = slow.spawn(OnDropped::Abort);
            timer(ms(35)).drain().await;
            let outcome = task.graceful_drain(&switch, ms(within)).await;
            (outcome, Clock::current().now().as_millis())
        })
    }

    #[test]
    fn what_is_held_comes_out_if_there_is_time() {
        assert_eq!(stopped(1_000), (Outcome::Ended { items: 3 }, 130));
    }

    #[test]
    fn when_the_time_is_over_the_rest_is_lost_and_counted() {
        assert_eq!(stopped(80), (Outcome::Aborted { items: 1, lost: (2, Some(2)) }, 115));
    }
}
