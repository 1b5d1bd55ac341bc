//! `partition_by_hash`: the items of a key always to the same one of several consumers.

use std::hash::{Hash, Hasher};
use std::panic::Location;

use super::Branches;
use super::route::{Branch, branches};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Splits the flow into `n` branches by the hash of a key.
    ///
    /// ```text
    /// in    --1-2-3-4|
    /// zero  ----2---4|    partition_by_hash(2, 8, |x| x % 2)
    /// one   --1---3--|
    /// ```
    ///
    /// All items of a key go to one branch, in order. Which one depends on the key and on `n`
    /// alone: it is the same in every run, on every machine, and in later versions. Keys that
    /// contain a `usize` count as if it had 64 bits.
    ///
    /// It is [`route`](Self::route) with a choice of its own: read there what a branch that is not
    /// polled does to the others.
    ///
    /// - **Emits** from each branch the items of its keys, in order.
    /// - **Backpressures** when any branch holds `capacity` items.
    /// - **Ends** each branch when the input has ended and what it holds is out.
    /// - **On error**: an error is an item here, and `key` sees it. A panic in the input or in
    ///   `key` comes out of the poll of one branch, and is the end for the others.
    /// - **Holds** `capacity` items in each branch.
    /// - **Cost**: one lock and one hash for an item; one allocation for the whole; the clock is
    ///   read once a slice.
    ///
    /// # Panics
    ///
    /// If `capacity` or `n` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// let branches = iter(0..1000).partition_by_hash(4, 16, |x| x % 10);
    /// let counts = branches.into_iter().map(|branch| branch.count());
    /// let counts = Virtual::new().run(futures::future::join_all(counts));
    /// assert!(counts.iter().sum::<u64>() == 1000 && counts.iter().all(|n| n % 100 == 0));
    /// ```
    #[doc(alias("distribute", "partition_hub", "group_by", "distributed_with", "shard"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "flows of one closure")]
    pub fn partition_by_hash<F, K>(
        self,
        n: usize,
        capacity: usize,
        mut key: F,
    ) -> Vec<Flow<Branch<S, impl FnMut(&S::Item) -> usize>>>
    where
        F: FnMut(&S::Item) -> K,
        K: Hash,
    {
        let choose = move |item: &S::Item| place(&key(item), n);
        let config = Branches::new(n, capacity);
        branches("partition_by_hash", self.into_stage(), config, choose, Location::caller())
    }
}

/// The place of a key among `n`.
fn place(key: &impl Hash, n: usize) -> usize {
    let mut hasher = Stable(OFFSET);
    key.hash(&mut hasher);
    // The upper half of the product: as even as the hash, and without a division.
    ((u128::from(hasher.finish()) * n as u128) >> 64) as usize
}

/// FNV-1a with 64 bits, and the last mixing step of MurmurHash3: the hash of the standard library
/// may change from version to version.
struct Stable(u64);

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Bytes in an order that does not depend on the machine.
macro_rules! stable {
    ($($write:ident: $from:ty as $to:ty),* $(,)?) => {
        $(fn $write(&mut self, number: $from) {
            self.write(&(number as $to).to_le_bytes());
        })*
    };
}

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    stable! {
        write_u16: u16 as u16, write_u32: u32 as u32, write_u64: u64 as u64, write_u128: u128 as u128,
        write_usize: usize as u64, write_i16: i16 as u16, write_i32: i32 as u32,
        write_i64: i64 as u64, write_i128: i128 as u128, write_isize: isize as i64,
    }

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ (hash >> 33)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::testing::{both, branched, glances, line, specification, two};
    use crate::{Virtual, iter};

    crate::marbles!(partition_by_hash[zero, one], |input: u32| {
        input.partition_by_hash(2, 8, |x| x % 2)
    });
    crate::conformance!(partition_by_hash, |input| {
        crate::merge(input.partition_by_hash(3, 64, |x| x.value()))
    }, except [
        Invariance: "which of two ready branches comes first is not promised",
    ]);

    specification!(
        partition_by_hash,
        |input| async move {
            let (zero, one) = two(input.partition_by_hash(2, 2, |x| x % 4));
            futures::join!(line(zero), line(glances(one)))
        },
        |input| {
            // Where these keys have their places among two, for ever.
            let to_zero = |x: &u8| PLACES[usize::from(x % 4)] == 0;
            both(branched(input, to_zero, |x| !to_zero(x)))
        }
    );

    /// The places of the bytes 0 to 3 among two.
    const PLACES: [usize; 4] = [1, 0, 0, 1];

    #[test]
    fn the_items_of_a_key_come_out_of_one_branch_in_order() {
        let branches = iter(0..2_000u32).partition_by_hash(3, 4, |x| x % 17);
        let push = |mut all: Vec<u32>, x| {
            all.push(x);
            all
        };
        let all = join_all(branches.into_iter().map(|branch| branch.fold(Vec::new(), push)));
        let all = Virtual::new().run(all);
        for key in 0..17 {
            let of_key = all.iter().map(|got| got.iter().filter(|x| **x % 17 == key));
            let of_key: Vec<Vec<_>> = of_key.map(Iterator::collect).collect();
            assert_eq!(of_key.iter().filter(|got| !got.is_empty()).count(), 1);
            assert!(of_key.iter().flatten().map(|x| **x).eq((key..2_000).step_by(17)));
        }
    }

    #[test]
    fn a_key_has_its_place_for_ever() {
        // Recordings are split by it: whoever changes these numbers breaks them.
        let places = ["BTCUSDT", "ETHUSDT", "SOLUSDT", ""].map(|key| place(&key, 1000));
        assert_eq!(places, [858, 636, 282, 108]);
        assert_eq!(place(&7usize, 1000), place(&7u64, 1000));
        assert_eq!(place(&-1i32, 1000), place(&u32::MAX, 1000));
    }

    #[test]
    fn keys_are_spread_evenly() {
        let mut counts = [0; 16];
        for key in 0..16_000u64 {
            counts[place(&key, 16)] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }

    #[test]
    #[should_panic(expected = "partition_by_hash: the number of branches must not be zero, at op")]
    fn no_branch_at_all_is_refused_where_it_was_written() {
        let _ = iter([1]).partition_by_hash(0, 1, |x| *x);
    }
}
