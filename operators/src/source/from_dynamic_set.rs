//! Sources that come and go while a flow runs.

use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hashbrown::HashMap;
use pin_project::pin_project;

use super::channel::{Sender, TrySendError, channel_named};
use crate::lifecycle::{KillSwitch, KillSwitched};
use crate::util::lock;
use crate::{Flow, Outline, Overflow, Stage};

/// The items of sources that are attached and detached while the flow runs, and the handle to do
/// so.
///
/// ```text
/// attach a  --1-----2-----|
/// attach b      x-----y-----z    attached at 4 and detached at 12
/// out       --1-x---2-y---|      from_dynamic_set(2), whose handle is dropped at 12
/// ```
///
/// At most `limit` sources are attached at once, each under a key of its own. Those that are ready
/// have turns as in [`merge`](crate::merge()). All have one type; sources of many types are
/// [`boxed`](Flow::boxed) first. To know whose an item is, put the key into it with
/// [`map`](Flow::map) before.
///
/// - **Emits** an item when a source has one.
/// - **Backpressures** when downstream does, and with it all sources.
/// - **Ends** when the last handle is dropped and all sources have ended; each is dropped when it
///   ends or is detached, and its key is free then.
/// - **On error**: an error is an item here; the other sources go on. A panic of a source comes
///   out of the poll, and the flow has ended then.
/// - **Holds** the sources that are attached, which hold what their own outlines say:
///   [`Bound::Unknown`](crate::Bound::Unknown).
/// - **Cost**: three allocations for a source when it is attached, none for an item; at most one
///   clock read for 64 items.
///
/// # Panics
///
/// If `limit` is zero.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{from_dynamic_set, iter};
/// let (symbols, mut trades) = from_dynamic_set(16);
/// symbols.attach("BTC", iter(vec![1, 2])).unwrap();
/// assert_eq!(trades.next().await, Some(1));
/// symbols.attach("ETH", iter(vec![7])).unwrap();
/// assert!(symbols.detach(&"BTC"));
/// drop(symbols);
/// assert_eq!(trades.collect::<Vec<_>>().await, [7]);
/// # });
/// ```
#[doc(alias("merge_hub", "topic", "hub", "add_source", "dynamic_merge"))]
#[track_caller]
pub fn from_dynamic_set<K, S>(
    limit: usize,
) -> (SourceSet<K, S>, Flow<impl Stage<Item = S::Item> + Unpin + use<K, S>>)
where
    K: Hash + Eq + Clone,
    S: Stage,
{
    let site = Location::caller();
    let Some(limit) = NonZeroUsize::new(limit) else {
        panic!("from_dynamic_set: the limit must not be zero, at {site}")
    };
    let limit = limit.get();
    // Twice, because a channel may give the room of what was taken back only when half of its
    // capacity is out.
    let (capacity, policy) = (limit.saturating_mul(2), Overflow::Block);
    let (sender, attached) = channel_named("from_dynamic_set", capacity, policy, site);
    let members = Members { switches: Arc::default() };
    (SourceSet { sender, members, limit }, attached.flatten_merge(limit))
}

/// Attaches and detaches the sources of a [`from_dynamic_set`]. Clones are the same set.
pub struct SourceSet<K: Hash + Eq, S: Stage> {
    sender: Sender<Flow<Member<K, S>>>,
    members: Members<K>,
    limit: usize,
}

/// The switch of each source that is attached.
struct Members<K> {
    switches: Arc<Mutex<HashMap<K, KillSwitch>>>,
}

impl<K> Clone for Members<K> {
    fn clone(&self) -> Self {
        Self { switches: self.switches.clone() }
    }
}

impl<K: Hash + Eq, S: Stage> Clone for SourceSet<K, S> {
    fn clone(&self) -> Self {
        let Self { sender, members, limit } = self;
        Self { sender: sender.clone(), members: members.clone(), limit: *limit }
    }
}

impl<K: Hash + Eq, S: Stage> fmt::Debug for SourceSet<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSet")
            .field("attached", &self.len())
            .field("limit", &self.limit)
            .finish()
    }
}

/// Why a source was not attached; it is handed back.
#[derive(thiserror::Error)]
pub enum AttachError<S> {
    /// Another source has this key; detach it first.
    #[error("another source is attached under this key; detach it first")]
    KeyTaken(Flow<S>),
    /// As many sources as are allowed are attached.
    #[error("the set has all the sources that it may have; detach one, or raise its limit")]
    Full(Flow<S>),
    /// The flow of the set was dropped.
    #[error("the flow of the set was dropped")]
    Closed(Flow<S>),
}

/// Whatever the source is made of: a closure in it must not keep anybody from an `unwrap`.
impl<S> fmt::Debug for AttachError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyTaken(_) => "KeyTaken(..)",
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<K: Hash + Eq + Clone, S: Stage> SourceSet<K, S> {
    /// Attaches a source, from which items come with the next poll of the flow.
    #[track_caller]
    pub fn attach(&self, key: K, source: Flow<S>) -> Result<(), AttachError<S>> {
        if self.sender.is_closed() {
            return Err(AttachError::Closed(source));
        }
        let switch = KillSwitch::new();
        {
            let mut switches = lock(&self.members.switches);
            if switches.contains_key(&key) {
                return Err(AttachError::KeyTaken(source));
            }
            if switches.len() >= self.limit {
                return Err(AttachError::Full(source));
            }
            switches.insert(key.clone(), switch.clone());
        }
        let place = Place { key, members: self.members.clone() };
        let input = source.kill_switch(&switch).into_stage();
        match self.sender.try_send(Flow::from_stage(Member { input, place })) {
            // With the flow goes what waits in the channel, and with that its place.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => unreachable!("there is room for twice the limit"),
        }
    }

    /// Detaches a source, which is dropped with the next poll of the flow; its key is free then.
    /// `false` if there is none under this key.
    pub fn detach(&self, key: &K) -> bool {
        let switch = lock(&self.members.switches).get(key).cloned();
        // Outside of the lock, because it wakes the flow.
        switch.inspect(KillSwitch::shutdown).is_some()
    }
}

impl<K: Hash + Eq, S: Stage> SourceSet<K, S> {
    /// Whether a source is attached under this key.
    pub fn contains(&self, key: &K) -> bool {
        lock(&self.members.switches).contains_key(key)
    }

    /// How many sources are attached.
    pub fn len(&self) -> usize {
        lock(&self.members.switches).len()
    }

    /// Whether no source is attached.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One source of the set.
#[pin_project]
struct Member<K: Hash + Eq, S: Stage> {
    #[pin]
    input: KillSwitched<S, Infallible>,
    place: Place<K>,
}

/// Frees the key when the source is gone.
struct Place<K: Hash + Eq> {
    key: K,
    members: Members<K>,
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let entry = lock(&self.members.switches).remove_entry(&self.key);
        // Dropped after the lock is free: the key is the user's.
        drop(entry);
    }
}

impl<K: Hash + Eq, S: Stage> Stage for Member<K, S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.project().input.poll_next(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.project().input.poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use futures::FutureExt;
    use futures::future::join;

    use super::{AttachError, SourceSet, from_dynamic_set};
    use crate::testing::{conformance, marbles, ms, timetable};
    use crate::{Clock, Virtual, cycle, from_future, iter, never, timer};

    #[test]
    fn sources_come_and_go_while_the_flow_runs() {
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(async {
            let (set, flow) = from_dynamic_set(4);
            let take = flow.for_each(|item| {
                seen.borrow_mut().push((Clock::current().now().as_millis(), item));
            });
            let change = async move {
                let at = |at| [(at, at), (at + 5, at + 5), (at + 9, at + 9)];
                set.attach('a', timetable(at(1), 20).boxed()).unwrap();
                timer(ms(4)).drain().await;
                set.attach('b', timetable(at(4), 20).boxed()).unwrap();
                timer(ms(3)).drain().await;
                assert!(set.detach(&'a') && !set.detach(&'c'));
                timer(ms(1)).drain().await;
                assert_eq!((set.contains(&'a'), set.contains(&'b'), set.len()), (false, true, 1));
            };
            join(take, change).await;
        });
        assert_eq!(seen.take(), [(1, 1), (4, 4), (6, 6), (9, 9), (13, 13)]);
    }

    #[test]
    fn it_ends_when_the_handles_are_gone_and_the_sources_have_ended() {
        let ended = Virtual::new().run(async {
            let (set, flow) = from_dynamic_set(1);
            set.attach('a', timetable([(1, 'x')], 7)).unwrap();
            let other = set.clone();
            drop(set);
            let count = flow.count();
            let later = async move {
                timer(ms(3)).drain().await;
                drop(other);
            };
            let (count, ()) = join(count, later).await;
            (count, Clock::current().now().as_millis())
        });
        assert_eq!(ended, (1, 7));
    }

    #[test]
    fn a_source_that_cannot_be_attached_is_handed_back() {
        let (set, mut flow) = from_dynamic_set(2);
        assert!(set.attach('a', iter([1])).is_ok());
        assert!(matches!(set.attach('a', iter([2])), Err(AttachError::KeyTaken(_))));
        assert!(set.attach('b', iter([3])).is_ok());
        assert!(matches!(set.attach('c', iter([4])), Err(AttachError::Full(_))));
        // Both end, and their keys are free.
        while flow.next().now_or_never().is_some() {}
        assert!(set.is_empty());
        assert!(set.attach('c', iter([4])).is_ok() && set.attach('a', iter([5])).is_ok());
        drop(flow);
        assert!(set.is_empty());
        let Err(AttachError::Closed(source)) = set.attach('d', iter([6])) else {
            panic!("attached to nothing")
        };
        assert_eq!(source.count().now_or_never(), Some(1));
    }

    #[test]
    fn any_number_of_sources_can_follow_each_other_in_a_few_places() {
        Virtual::new().run(async {
            let (set, mut flow) = from_dynamic_set(40);
            for round in 0..100 {
                for key in 0..1 + round % 40 {
                    set.attach(key, iter([key])).unwrap();
                }
                let mut taken = Vec::new();
                for _ in 0..1 + round % 40 {
                    taken.extend(flow.next().await);
                }
                taken.sort_unstable();
                assert!(taken.into_iter().eq(0..1 + round % 40));
                // The last of them ends when it is asked once more.
                while !set.is_empty() {
                    assert!(flow.next().now_or_never().is_none());
                }
            }
        });
    }

    #[test]
    fn a_source_that_is_detached_is_dropped_even_if_it_is_silent() {
        let owned = Rc::new(());
        let inside = owned.clone();
        let (set, mut flow) = from_dynamic_set(1);
        set.attach('a', never::<u8>().inspect(move |_| _ = &inside)).unwrap();
        assert!(flow.next().now_or_never().is_none());
        set.detach(&'a');
        assert!(flow.next().now_or_never().is_none());
        assert_eq!((Rc::strong_count(&owned), set.len()), (1, 0));
    }

    #[test]
    fn sources_that_are_always_ready_have_turns() {
        let (set, flow) = from_dynamic_set(2);
        set.attach('a', cycle(['a'])).unwrap();
        set.attach('b', cycle(['b'])).unwrap();
        let items = Virtual::new().run(flow.take(256).collect::<String>());
        assert_eq!(items.matches('a').count(), 128);
    }

    conformance!(from_dynamic_set, |a, b| {
        let (set, flow) = from_dynamic_set(2);
        let _ = (set.attach('a', a), set.attach('b', b));
        flow
    }, except [
        DeclaredBound: "the sources hold what their authors decided",
        Invariance: "which of two ready sources comes first is not promised",
        NoSnooze: "a source is not driven before the flow has taken it in",
    ]);

    #[test]
    #[should_panic(expected = "from_dynamic_set: the limit must not be zero, at operators/src")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _: (SourceSet<u8, crate::source::Never<()>>, _) = from_dynamic_set(0);
    }

    marbles!(from_dynamic_set, |a, b| {
        let (set, flow) = from_dynamic_set(2);
        flow.with_background(from_future(async move {
            set.attach('a', a).unwrap();
            timer(ms(4)).drain().await;
            set.attach('b', b).unwrap();
            timer(ms(8)).drain().await;
            assert!(set.detach(&'b'));
        }))
    });
}
