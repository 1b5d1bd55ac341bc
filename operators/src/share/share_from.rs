//! `share_from`: a shared flow that can start anew.

use std::panic::Location;
use std::sync::Arc;

use super::hub::Origin;
use super::keeper::tend;
use super::{Share, Shared};
use crate::sync::Mutex;
use crate::{Flow, Outline, Stage};

/// Shares the flow that `factory` makes, and after each reset another one.
///
/// ```text
/// 1st     --a-b-|
/// 2nd               --c-d-|
/// first   --a-b-|
/// second            ^-c-d-|    subscribed at ^, with .on_end(Reset::AtOnce)
/// ```
///
/// What RxJS calls `share({ resetOnError, resetOnComplete, resetOnRefCountZero })` is
/// `share_from` with [`on_error`](Share::on_error), [`on_end`](Share::on_end) and
/// [`on_idle`](Share::on_idle): `true` is [`Reset::AtOnce`](super::Reset::AtOnce), `false`
/// [`Never`](super::Reset::Never), a notifier [`Reset::when`](super::Reset::when). As everywhere
/// here, a start after the end has to be asked for: the default of `on_end` is `Never`.
///
/// - **Emits** to each consumer as [`share_with`](Flow::share_with) does. Consumers of a flow that
///   was reset get what it still held for them, and its end.
/// - **Backpressures** as `share_with` does.
/// - **Ends** for each consumer with the flow to which it subscribed.
/// - **On error**: as `share_with`. A panic in `factory` comes out of the poll of one consumer,
///   and is the end of that flow.
/// - **Holds** as `share_with`, for each flow that still has consumers.
/// - **Cost**: `factory` is called at the first poll after a reset; some allocations then.
///
/// # Panics
///
/// As [`share_with`](Flow::share_with).
///
/// ```
/// # use aqueduct_operators::{Virtual, iter, share::{Reset, Share, share_from}};
/// let config = Share::new(8).on_end(Reset::AtOnce);
/// let mut starts = 0;
/// let shared = share_from(config, move || {
///     starts += 1;
///     iter([starts])
/// });
/// assert_eq!(Virtual::new().run(shared.subscribe().last()), Some(1));
/// assert_eq!(Virtual::new().run(shared.subscribe().last()), Some(2));
/// ```
#[doc(alias("share", "ref_count", "restart", "defer"))]
#[track_caller]
pub fn share_from<F, S>(config: Share<S::Item>, factory: F) -> Shared<S>
where
    F: FnMut() -> Flow<S> + Send + 'static,
    S: Stage<Item: Clone + Send + 'static> + Send + 'static,
{
    let site = Location::caller();
    let make = Origin::Unmade(Arc::new(Mutex::new(Box::new(factory) as Box<_>)));
    Shared::of(make, Outline::default(), "share_from", config, Some(tend), site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::Reset;
    use crate::source::defer;
    use crate::testing::{Timeline, both, conformance, line, marbles, specification};

    /// The flows one after the other, each for who subscribes after the end of the one before.
    fn one_by_one<S>(flows: impl IntoIterator<Item = Flow<S>>) -> Shared<S>
    where
        S: Stage<Item: Clone + Send + 'static> + Send + 'static,
    {
        let mut flows: Vec<_> = flows.into_iter().collect();
        flows.reverse();
        let next = move || flows.pop().expect("one more flow was made than was asked for");
        share_from(Share::new(8).on_end(Reset::AtOnce), next)
    }

    marbles!(share_from[first, second], |a, b| {
        let shared = one_by_one([a, b]);
        (shared.subscribe(), defer(move || shared.subscribe()))
    });

    specification!(
        share_from,
        |a, b| async move {
            let shared = one_by_one([a, b]);
            (line(shared.subscribe()).await, line(shared.subscribe()).await)
        },
        |a, b| {
            // The second flow is not made before the first one has ended.
            let events = b.events.into_iter().map(|(at, item)| (at.max(a.end), item));
            let second = Timeline::new(events, b.end.max(a.end));
            both((a, second))
        }
    );

    conformance!(share_from, |input| one_by_one([input]).subscribe());
}
