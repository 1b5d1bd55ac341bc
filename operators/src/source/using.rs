//! A flow over a resource that has to be given back.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::{pin_project, pinned_drop};

use crate::{Bound, Flow, Outline, Site, Stage};

/// Acquires a resource at the first poll, runs a flow over it, and releases it exactly once: when
/// the flow ends, fails by a panic, or is dropped.
///
/// ```text
/// in       a-b|
/// acquire  ()
/// release     ()
/// out      a-b|    using(acquire, |_| in, release)
/// ```
///
/// A value that gives itself back when it is dropped needs no `using`: it moves into the closures
/// of the flow. Releasing must not wait, since a drop cannot; give what has to wait to
/// [`Ambient::spawn`](crate::Ambient::spawn).
///
/// - **Emits** the items of the flow.
/// - **Backpressures** when downstream does.
/// - **Ends** when the flow ends. It is dropped before the resource is released, and that is
///   before the end is told.
/// - **On error**: an error is an item here. An `acquire` that can fail gives a `Result`, from
///   which `flow` makes [`fail`](crate::fail). After a panic in `flow` or in its items the
///   resource is released with the drop of the flow; a panic in `acquire` leaves none to release.
/// - **Holds** the resource and what the flow holds: [`Bound::Unknown`] before it is made.
/// - **Cost**: no allocation, no clock read.
///
/// ```
/// # futures::executor::block_on(async {
/// use std::cell::Cell;
/// use aqueduct_operators::{iter, using};
/// let open = Cell::new(0);
/// let connect = || { open.set(open.get() + 1); "session" };
/// let flow = using(connect, |session| iter(session.chars()), |_| open.set(open.get() - 1));
/// assert_eq!((flow.count().await, open.get()), (7, 0));
/// # });
/// ```
#[doc(alias("using_when", "bracket", "resource", "unfold_resource", "from_resource", "finally"))]
#[track_caller]
pub fn using<R, A, F, S, D>(acquire: A, flow: F, release: D) -> Flow<Using<R, A, F, S, D>>
where
    A: FnOnce() -> R,
    F: FnOnce(&mut R) -> Flow<S>,
    S: Stage,
    D: FnOnce(R),
{
    Flow::from_stage(Using {
        make: Some((acquire, flow)),
        input: None,
        resource: None,
        release: Some(release),
        site: Location::caller(),
    })
}

/// The stage behind [`using`].
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub struct Using<R, A, F, S, D: FnOnce(R)> {
    /// Until the first poll.
    make: Option<(A, F)>,
    /// From then on, until it ends.
    #[pin]
    input: Option<S>,
    /// Until it is released.
    resource: Option<R>,
    release: Option<D>,
    site: Site,
}

impl<R, A, F, S, D> Using<R, A, F, S, D>
where
    A: FnOnce() -> R,
    F: FnOnce(&mut R) -> Flow<S>,
    S: Stage,
    D: FnOnce(R),
{
    fn input(self: Pin<&mut Self>) -> Option<Pin<&mut S>> {
        let mut this = self.project();
        if let Some((acquire, flow)) = this.make.take() {
            let resource = this.resource.insert(acquire());
            this.input.set(Some(flow(resource).into_stage()));
        }
        this.input.as_pin_mut()
    }
}

impl<R, A, F, S, D: FnOnce(R)> Using<R, A, F, S, D> {
    fn release(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.input.set(None);
        if let Some((resource, release)) = this.resource.take().zip(this.release.take()) {
            release(resource);
        }
    }
}

#[pinned_drop]
impl<R, A, F, S, D: FnOnce(R)> PinnedDrop for Using<R, A, F, S, D> {
    fn drop(self: Pin<&mut Self>) {
        self.release();
    }
}

impl<R, A, F, S, D> Stage for Using<R, A, F, S, D>
where
    A: FnOnce() -> R,
    F: FnOnce(&mut R) -> Flow<S>,
    S: Stage,
    D: FnOnce(R),
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let Some(input) = self.as_mut().input() else {
            return Poll::Ready(None);
        };
        let item = ready!(input.poll_next(cx));
        if item.is_none() {
            self.release();
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let Some(input) = self.as_mut().input() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let drained = ready!(input.poll_drain(cx, each));
        if drained.is_continue() {
            self.release();
        }
        Poll::Ready(drained)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // What was not asked for an item is not begun.
        let input = self.project().input.as_pin_mut();
        input.map_or(Poll::Ready(()), |input| input.poll_progress(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.input {
            Some(input) => input.size_hint(),
            None => (0, if self.make.is_some() { None } else { Some(0) }),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        let bound = if self.input.is_some() { Bound::Items(0) } else { Bound::Unknown };
        outline.stage("using", self.site).holds(bound);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures::FutureExt;

    use super::using;
    use crate::testing::{conformance, every_way, items, marbles, specification};
    use crate::{Flow, Stage, iter, never};

    type Log = RefCell<Vec<&'static str>>;

    /// Says when it is dropped.
    struct Noting<'a>(&'a Log);

    impl Drop for Noting<'_> {
        fn drop(&mut self) {
            self.0.borrow_mut().push("flow dropped");
        }
    }

    fn noting<'a, S: Stage + 'a>(
        log: &'a Log,
        flow: impl Fn() -> Flow<S> + 'a,
    ) -> Flow<impl Stage<Item = S::Item> + 'a> {
        using(
            || log.borrow_mut().push("acquired"),
            move |()| {
                let noting = Noting(log);
                flow().inspect(move |_| {
                    let _ = &noting;
                })
            },
            |()| log.borrow_mut().push("released"),
        )
    }

    #[test]
    fn the_resource_is_released_once_after_the_flow_and_before_the_end() {
        let log = Log::default();
        let flow = noting(&log, || iter([1, 2]));
        assert!(log.borrow().is_empty());
        let mut seen = items(flow.inspect(|_| log.borrow_mut().push("item")));
        seen.push(9);
        assert_eq!(seen, [1, 2, 9]);
        assert_eq!(log.take(), ["acquired", "item", "item", "flow dropped", "released"]);
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        assert_eq!(every_way(|| using(|| (), |()| iter(0..9), |()| ())), Vec::from_iter(0..9));
    }

    #[test]
    fn dropping_the_flow_releases_what_was_acquired() {
        let log = Log::default();
        drop(noting(&log, || iter([1])));
        assert!(log.take().is_empty(), "nothing was acquired");
        assert!(noting(&log, never::<u8>).drain().now_or_never().is_none());
        assert_eq!(log.take(), ["acquired", "flow dropped", "released"]);
        assert_eq!(noting(&log, || iter(1..)).first().now_or_never(), Some(Some(1)));
        assert_eq!(log.take(), ["acquired", "flow dropped", "released"]);
    }

    #[test]
    fn a_panic_releases_it_too() {
        let log = Log::default();
        let panics = noting(&log, || iter([1]).map(|_| panic!("one")));
        let run = AssertUnwindSafe(|| panics.drain().now_or_never());
        assert!(catch_unwind(run).is_err());
        assert_eq!(log.take(), ["acquired", "flow dropped", "released"]);

        let refuses = |_: &mut ()| -> Flow<crate::source::Never<()>> { panic!("no flow") };
        let flow = using(|| (), refuses, |()| log.borrow_mut().push("released"));
        let run = AssertUnwindSafe(|| flow.drain().now_or_never());
        assert!(catch_unwind(run).is_err());
        assert_eq!(log.take(), ["released"]);
    }

    marbles!(using, |input| using(|| (), |()| input, |()| ()));

    conformance!(using, |input| using(|| (), |()| input, |()| ()), except [
        DeclaredBound: "the flow holds what its author decided",
        NoSnooze: "what was not asked for an item is not begun",
    ]);

    specification!(using, |input| using(|| (), |()| input, |()| ()), |input| input);
}
