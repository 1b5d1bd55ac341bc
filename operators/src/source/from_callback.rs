//! Callbacks as a flow.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::channel::{Channel, Sender, channel_named};
use crate::buffer::Policy;
use crate::{Flow, Outline, Stage};

/// A flow of what a callback is given: `register` is called with a [`Sender`] at the first poll,
/// and what it returns is dropped when the flow is over.
///
/// ```text
/// events  a-b---c--|
/// out     a-b---c--|    from_callback(16, policy, |sender| events.register(sender))
/// ```
///
/// The callback sends with [`try_send`](Sender::try_send), which never waits; what becomes of an
/// event for which there is no room is decided by `policy`. What `register` returns unregisters
/// the callback when it is dropped, exactly once; where an interface wants that to be a call, it
/// is an [`OnDrop`]. The sender is dropped with the callback, so that an interface which ends
/// ends the flow.
///
/// - **Emits** what was sent, in the order of the policy; under [`Fail`](crate::Fail) as
///   `Result`s. Events before the first poll are not seen.
/// - **Backpressures** never, except for a callback that waits.
/// - **Ends** when the last sender is dropped and what is held is out; the callback is
///   unregistered then.
/// - **On error**: an error is an item here. A panic in `register` comes out of the poll; the flow
///   has ended then.
/// - **Holds** `capacity` items; under `ConflateBy` one for each of `capacity` keys.
/// - **Cost**: that of a [`channel`](crate::channel()).
///
/// # Panics
///
/// If `capacity` is zero.
///
/// ```
/// # use std::{cell::RefCell, rc::Rc};
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{Overflow, from_callback, source::OnDrop};
/// let bell: Rc<RefCell<Option<Box<dyn Fn(&str)>>>> = Rc::default();
/// let mut rings = from_callback(16, Overflow::DropOldest, |sender| {
///     let ring = move |who: &str| _ = sender.try_send(who.to_owned());
///     *bell.borrow_mut() = Some(Box::new(ring));
///     bell.borrow().as_ref().unwrap()("postman");
///     OnDrop::new(|| *bell.borrow_mut() = None)
/// });
/// assert_eq!(rings.next().await.unwrap(), "postman");
/// drop(rings);
/// assert!(bell.borrow().is_none());
/// # });
/// ```
#[doc(alias("callback_flow", "from_event", "from_event_pattern", "event_emitter", "create"))]
#[track_caller]
pub fn from_callback<T, P, F, R>(
    capacity: usize,
    policy: P,
    register: F,
) -> Flow<FromCallback<T, P, F, R>>
where
    P: Policy<T>,
    F: FnOnce(Sender<T, P::Store>) -> R,
{
    let (sender, flow) = channel_named("from_callback", capacity, policy, Location::caller());
    Flow::from_stage(FromCallback {
        register: Some((register, sender)),
        registration: None,
        channel: flow.into_stage(),
    })
}

/// Calls a closure when it is dropped: see [`from_callback`].
#[must_use = "the closure is called when this is dropped"]
pub struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    /// Calls `f` when this is dropped.
    pub fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> fmt::Debug for OnDrop<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDrop").finish_non_exhaustive()
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// The stage behind [`from_callback`].
#[derive(Debug)]
pub struct FromCallback<T, P: Policy<T>, F, R> {
    /// Until the first poll.
    register: Option<(F, Sender<T, P::Store>)>,
    /// From then on, until the end. Dropped before the channel, so that no callback finds that
    /// closed.
    registration: Option<R>,
    channel: Channel<T, P>,
}

// Neither items nor the registration are ever pinned.
impl<T, P: Policy<T>, F, R> Unpin for FromCallback<T, P, F, R> {}

impl<T, P: Policy<T>, F: FnOnce(Sender<T, P::Store>) -> R, R> FromCallback<T, P, F, R> {
    fn channel(&mut self) -> Pin<&mut Channel<T, P>> {
        if let Some((register, sender)) = self.register.take() {
            self.registration = Some(register(sender));
        }
        Pin::new(&mut self.channel)
    }
}

impl<T, P: Policy<T>, F: FnOnce(Sender<T, P::Store>) -> R, R> Stage for FromCallback<T, P, F, R> {
    type Item = P::Out;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<P::Out>> {
        let item = ready!(self.channel().poll_next(cx));
        if item.is_none() {
            self.registration = None;
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(P::Out) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let drained = ready!(self.channel().poll_drain(cx, each));
        if drained.is_continue() {
            self.registration = None;
        }
        Poll::Ready(drained)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.channel).poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.channel.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.channel.describe(outline);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use futures::FutureExt;

    use super::*;
    use crate::testing::{items, marbles};
    use crate::{Ambient, Overflow};

    type Callback = Box<dyn FnMut(u8) -> bool>;

    /// An interface that calls back, and notes what is asked of it.
    #[derive(Clone, Default)]
    struct Bus {
        callback: Rc<RefCell<Option<Callback>>>,
        log: Rc<RefCell<Vec<&'static str>>>,
    }

    impl Bus {
        fn register(&self, callback: Callback) -> OnDrop<impl FnOnce() + use<>> {
            self.log.borrow_mut().push("registered");
            *self.callback.borrow_mut() = Some(callback);
            let bus = self.clone();
            OnDrop::new(move || bus.log.borrow_mut().push("unregistered"))
        }

        fn event(&self, n: u8) -> bool {
            self.callback.borrow_mut().as_mut().is_some_and(|callback| callback(n))
        }
    }

    fn events(bus: &Bus) -> Flow<impl Stage<Item = u8> + Unpin + use<>> {
        let bus = bus.clone();
        from_callback(2, Overflow::DropOldest, move |sender| {
            bus.register(Box::new(move |n| sender.try_send(n).is_ok()))
        })
    }

    #[test]
    fn the_callback_is_registered_at_the_first_poll_and_unregistered_with_the_drop() {
        let bus = Bus::default();
        let mut flow = events(&bus);
        assert!(!bus.event(0));
        assert!(bus.log.borrow().is_empty());
        assert!(flow.next().now_or_never().is_none());
        for n in 1..=3 {
            assert!(bus.event(n));
        }
        assert_eq!(flow.next().now_or_never(), Some(Some(2)));
        assert_eq!(bus.log.take(), ["registered"]);
        drop(flow);
        assert_eq!(bus.log.take(), ["unregistered"]);
        assert!(!bus.event(4));
    }

    #[test]
    fn an_interface_that_ends_ends_the_flow_which_unregisters_before_it_says_so() {
        let bus = Bus::default();
        let mut flow = events(&bus);
        assert!(flow.next().now_or_never().is_none());
        bus.event(1);
        *bus.callback.borrow_mut() = None;
        assert_eq!(flow.next().now_or_never(), Some(Some(1)));
        assert_eq!(bus.log.take(), ["registered"]);
        assert_eq!(flow.next().now_or_never(), Some(None));
        assert_eq!(bus.log.take(), ["unregistered"]);
        drop(flow);
        assert!(bus.log.take().is_empty());
    }

    #[test]
    fn a_flow_that_was_never_polled_registers_nothing() {
        let bus = Bus::default();
        drop(events(&bus));
        assert!(bus.log.take().is_empty());
        assert_eq!(items(from_callback(1, Overflow::Block, |_: Sender<u8>| ())), []);
    }

    #[test]
    #[should_panic(expected = "from_callback: the capacity must not be zero, at operators/src")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = from_callback(0, Overflow::Block, |_: Sender<u8>| ());
    }

    marbles!(from_callback, |events| {
        // The task is aborted when its handle, the registration, is dropped.
        from_callback(16, Overflow::Block, |sender: Sender<char>| {
            Ambient::current().spawn(events.for_each(move |x| _ = sender.try_send(x)))
        })
    });
}
