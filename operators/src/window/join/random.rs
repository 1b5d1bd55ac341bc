//! Random sides of joins, for the comparisons with brute force.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::testing::{TestSource, ms};
use crate::{Flow, Timed, Timestamp};

/// A key and a number of its own.
pub(in crate::window) type Item = (u8, u32);

/// What a side brings, and how it hesitates.
#[derive(Debug, Clone)]
pub(in crate::window) struct Side {
    pub(in crate::window) elements: Vec<Timed<Item>>,
    /// Before each element: 0 nothing, 1 a pending poll, else milliseconds.
    pauses: Vec<u8>,
}

impl Side {
    pub(in crate::window) fn flow(&self) -> Flow<TestSource<Timed<Item>>> {
        let mut source = TestSource::new();
        for (index, element) in self.elements.iter().enumerate() {
            source = match self.pauses.get(index % self.pauses.len().max(1)) {
                None | Some(0) => source,
                Some(1) => source.pending(),
                Some(millis) => source.wait(ms((*millis).into())),
            };
            source = source.item(*element);
        }
        source.flow()
    }

    /// The same elements at another pace.
    pub(in crate::window) fn at_once(&self) -> Self {
        Self { pauses: Vec::new(), ..self.clone() }
    }

    pub(in crate::window) fn items(&self) -> Vec<(i64, Item)> {
        let item = |element: &Timed<Item>| match element {
            Timed::Item(time, item) => Some((time.as_nanos(), *item)),
            Timed::Watermark(_) => None,
        };
        self.elements.iter().filter_map(item).collect()
    }
}

/// A side with disorder, duplicates and equal times, and watermarks at random. At most `late`
/// nanoseconds before each watermark something still comes behind it.
pub(in crate::window) fn side(late: i64) -> impl Strategy<Value = Side> {
    let step = prop_oneof![3 => Just(0i64), 3 => 1..4i64, 1 => 4..15i64];
    let behind = prop_oneof![3 => Just(0i64), 1 => 1..12i64];
    let items = vec((step, behind, 0..3u8, 0..3u8, 0..=late), 0..24);
    let pauses = prop_oneof![1 => Just(vec![]), 3 => vec(0..4u8, 1..8)];
    (items, pauses, any::<bool>()).prop_map(|(items, pauses, silent)| {
        let mut now = 0;
        let mut times = Vec::new();
        for (step, behind, ..) in &items {
            now += step;
            times.push(now - behind);
        }
        let mut elements = Vec::new();
        for (index, (_, _, key, mark, ahead)) in items.iter().enumerate() {
            // A side that is silent brings only its watermarks.
            if !silent || index % 7 == 0 {
                let item = (*key, index as u32);
                elements.push(Timed::Item(Timestamp::from_nanos(times[index]), item));
            }
            let least = times[index + 1..].iter().min().copied().unwrap_or(now + 3);
            if *mark > 0 {
                let mark = least + ahead - i64::from(mark - 1);
                elements.push(Timed::Watermark(Timestamp::from_nanos(mark)));
            }
        }
        Side { elements, pauses }
    })
}
