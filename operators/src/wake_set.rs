//! [`WakeSet`]: which of many inputs or futures were woken, so that only those are polled.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Wake, Waker};

use crate::sync::{AtomicU64, AtomicWaker};

const BITS: usize = u64::BITS as usize;

/// A waker for each member of a group, and the set of those that were woken.
///
/// The set has two levels: a bit for each member, and above them a bit for each word of members.
/// To find 8 woken members among 4,096 takes one look at the upper word and one at each of at most
/// 8 lower ones. Only the wake that finds the upper word empty wakes the parent, the task that
/// polls the group; all others have been announced by it.
#[derive(Debug)]
pub(crate) struct WakeSet {
    shared: Arc<Shared>,
    wakers: Box<[Waker]>,
}

#[derive(Debug)]
struct Shared {
    /// Set before the bit in `upper` that announces it, and taken after that one.
    lower: Box<[AtomicU64]>,
    upper: Box<[AtomicU64]>,
    parent: AtomicWaker,
}

struct Member {
    shared: Arc<Shared>,
    index: usize,
}

impl Wake for Member {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Shared { lower, upper, parent } = &*self.shared;
        let word = self.index / BITS;
        // Whoever finds a word empty announces it, and whoever joined in before it is taken was
        // announced with it.
        if lower[word].fetch_or(bit(self.index), Ordering::AcqRel) == 0
            && upper[word / BITS].fetch_or(bit(word), Ordering::AcqRel) == 0
        {
            parent.wake();
        }
    }
}

impl WakeSet {
    /// A group of `len` members, none of them woken. This allocates the wakers, once.
    pub(crate) fn new(len: usize) -> Self {
        let words = len.div_ceil(BITS);
        let shared = Arc::new(Shared {
            lower: (0..words).map(|_| AtomicU64::new(0)).collect(),
            upper: (0..words.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect(),
            parent: AtomicWaker::new(),
        });
        let member = |index| Waker::from(Arc::new(Member { shared: shared.clone(), index }));
        Self { wakers: (0..len).map(member).collect(), shared }
    }

    /// The waker with which a member is polled.
    pub(crate) fn waker(&self, index: usize) -> &Waker {
        &self.wakers[index]
    }

    /// Takes the members that were woken and gives them to `each`, a word of them at a time, as
    /// [`Bits::insert_word`] wants them.
    pub(crate) fn take(&self, mut each: impl FnMut(usize, u64)) {
        for (index, upper) in self.shared.upper.iter().enumerate() {
            if upper.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut words = upper.swap(0, Ordering::AcqRel);
            while words != 0 {
                let word = index * BITS + words.trailing_zeros() as usize;
                words &= words - 1;
                each(word, self.shared.lower[word].swap(0, Ordering::AcqRel));
            }
        }
    }

    /// The last thing before the group returns `Pending`: the next wake wakes this task, and one
    /// that came since the last [`take`](Self::take) does so at once.
    ///
    /// The latter may be a member that only wanted others to run first; that it goes round through
    /// the task is what it asked for.
    pub(crate) fn park(&self, cx: &mut Context<'_>) {
        self.shared.parent.register(cx.waker());
        let woken = |upper: &AtomicU64| upper.load(Ordering::Acquire) != 0;
        if self.shared.upper.iter().any(woken) {
            cx.waker().wake_by_ref();
        }
    }
}

/// A set of small numbers, of two levels like [`WakeSet`], for one thread.
#[derive(Debug)]
pub(crate) struct Bits {
    lower: Box<[u64]>,
    /// A bit for each word of `lower` that is not zero.
    upper: Box<[u64]>,
}

impl Bits {
    /// An empty set for numbers below `len`.
    pub(crate) fn new(len: usize) -> Self {
        let words = len.div_ceil(BITS);
        Self { lower: vec![0; words].into(), upper: vec![0; words.div_ceil(BITS)].into() }
    }

    /// The set of all numbers below `len`.
    pub(crate) fn full(len: usize) -> Self {
        let mut all = Self::new(len);
        (0..len).for_each(|index| all.insert(index));
        all
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.upper.iter().all(|word| *word == 0)
    }

    pub(crate) fn insert(&mut self, index: usize) {
        self.insert_word(index / BITS, bit(index));
    }

    /// Adds the numbers from `word * 64` on whose bits are set.
    pub(crate) fn insert_word(&mut self, word: usize, bits: u64) {
        if bits != 0 {
            self.lower[word] |= bits;
            self.upper[word / BITS] |= bit(word);
        }
    }

    pub(crate) fn remove(&mut self, index: usize) {
        let word = index / BITS;
        self.lower[word] &= !bit(index);
        if self.lower[word] == 0 {
            self.upper[word / BITS] &= !bit(word);
        }
    }

    /// Takes all numbers out.
    pub(crate) fn clear(&mut self) {
        self.lower.fill(0);
        self.upper.fill(0);
    }

    /// Takes this number out, and says whether it was there.
    pub(crate) fn take(&mut self, index: usize) -> bool {
        let there = self.lower[index / BITS] & bit(index) != 0;
        if there {
            self.remove(index);
        }
        there
    }

    /// Takes the least number out.
    pub(crate) fn pop_first(&mut self) -> Option<usize> {
        let (at, upper) = self.upper.iter().enumerate().find(|(_, word)| **word != 0)?;
        let word = at * BITS + upper.trailing_zeros() as usize;
        let index = word * BITS + self.lower[word].trailing_zeros() as usize;
        self.remove(index);
        Some(index)
    }
}

fn bit(index: usize) -> u64 {
    1 << (index % BITS)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn woken(set: &WakeSet) -> Vec<usize> {
        let mut bits = Bits::new(set.wakers.len());
        set.take(|word, woken| bits.insert_word(word, woken));
        std::iter::from_fn(|| bits.pop_first()).collect()
    }

    #[test]
    fn members_are_taken_once_and_in_order_whatever_their_number() {
        let set = WakeSet::new(10_000);
        for index in [9_999, 0, 63, 64, 4_095, 4_096, 0] {
            set.waker(index).wake_by_ref();
        }
        assert_eq!(woken(&set), [0, 63, 64, 4_095, 4_096, 9_999]);
        assert_eq!(woken(&set), []);
    }

    #[test]
    fn many_wakes_wake_the_parent_once_until_they_are_taken() {
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let set = WakeSet::new(100);
        for round in 1..=3 {
            set.park(&mut cx);
            (0..100).for_each(|index| set.waker(index).wake_by_ref());
            assert_eq!(wakes.0.load(Ordering::Relaxed), round);
            assert_eq!(woken(&set).len(), 100);
        }
    }

    #[test]
    fn a_wake_before_the_parent_waits_is_not_lost() {
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let set = WakeSet::new(1);
        set.waker(0).wake_by_ref();
        set.park(&mut Context::from_waker(&waker));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn no_wake_is_lost_between_threads() {
        const MEMBERS: usize = 130;
        const WAKES: usize = 2_000;
        let set = Arc::new(WakeSet::new(MEMBERS));
        let sent: Arc<Vec<AtomicUsize>> =
            Arc::new((0..MEMBERS).map(|_| AtomicUsize::new(0)).collect());
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let (set, sent) = (set.clone(), sent.clone());
                std::thread::spawn(move || {
                    for turn in 0..WAKES {
                        let index = (turn * 7 + thread) % MEMBERS;
                        sent[index].fetch_add(1, Ordering::Relaxed);
                        set.waker(index).wake_by_ref();
                    }
                })
            })
            .collect();
        let mut received = 0;
        futures::executor::block_on(std::future::poll_fn(|cx| {
            for index in woken(&set) {
                received += sent[index].swap(0, Ordering::Relaxed);
            }
            if received == 2 * WAKES {
                return std::task::Poll::Ready(());
            }
            set.park(cx);
            std::task::Poll::Pending
        }));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::future::block_on;
    use loom::thread;

    use super::*;
    use crate::sync::model;

    #[test]
    fn every_member_that_is_woken_is_taken_by_a_task_that_waits() {
        model(3, || {
            let set = WakeSet::new(2);
            let wakers = [set.waker(0).clone(), set.waker(1).clone()];
            let threads = wakers.map(|waker| thread::spawn(move || waker.wake()));
            let mut seen = 0;
            block_on(std::future::poll_fn(|cx| {
                set.take(|_, bits| seen |= bits);
                if seen == 0b11 {
                    return std::task::Poll::Ready(());
                }
                set.park(cx);
                std::task::Poll::Pending
            }));
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn a_member_that_is_woken_again_while_it_is_taken_is_taken_again() {
        model(3, || {
            let set = WakeSet::new(1);
            let waker = set.waker(0).clone();
            let work = Arc::new(AtomicU64::new(0));
            let done = work.clone();
            let thread = thread::spawn(move || {
                for _ in 0..2 {
                    done.fetch_add(1, Ordering::Release);
                    waker.wake_by_ref();
                }
            });
            let mut found = 0;
            block_on(std::future::poll_fn(|cx| {
                set.take(|_, _| found += work.swap(0, Ordering::Acquire));
                if found == 2 {
                    return std::task::Poll::Ready(());
                }
                set.park(cx);
                std::task::Poll::Pending
            }));
            thread.join().unwrap();
        });
    }
}
