//! Windows as one would define them, for the tests: every item is compared with every window.

use proptest::prelude::*;

use super::{Closed, Firing, Timed, Window};
use crate::Timestamp;

/// An item: its time, its key, and a number of its own.
pub(super) type Item = (i64, u8, usize);
pub(super) type Element = Timed<Item>;

/// Items with disorder, equal times and late ones, and watermarks that never go back.
pub(super) fn elements() -> impl Strategy<Value = Vec<Element>> {
    let element = prop_oneof![
        4 => (-6i64..14, 0u8..3).prop_map(Ok),
        1 => (-9i64..9).prop_map(Err),
    ];
    prop::collection::vec((element, 0i64..4), 0..40).prop_map(|list| {
        let (mut now, mut mark) = (0, i64::MIN);
        let elements = list.into_iter().enumerate().map(|(number, (element, step))| {
            now += step;
            match element {
                Ok((time, key)) => Timed::Item(at(now + time), (now + time, key, number)),
                Err(time) => {
                    mark = mark.max(now + time);
                    Timed::Watermark(at(mark))
                }
            }
        });
        elements.collect()
    })
}

pub(super) fn at(time: i64) -> Timestamp {
    Timestamp::from_nanos(time)
}

/// Equal windows that start at equal distances.
#[derive(Debug, Clone, Copy)]
pub(super) struct Definition {
    pub(super) length: i64,
    pub(super) every: i64,
    pub(super) origin: i64,
    pub(super) closed: Closed,
    pub(super) lateness: i64,
}

/// What comes out: the windows, their items by number, and the watermarks.
pub(super) type Expected = Timed<(i64, i64, u8, Firing, bool, Vec<usize>)>;

#[derive(Debug)]
struct Open {
    start: i64,
    key: u8,
    items: Vec<usize>,
    fired: bool,
}

impl Definition {
    fn contains(&self, start: i64, time: i64) -> bool {
        match self.closed {
            Closed::Left => start <= time && time < start + self.length,
            Closed::Right => start < time && time <= start + self.length,
        }
    }

    /// Whether no item of a window that ends here can come after this watermark.
    fn is_over(&self, end: i64, watermark: i64) -> bool {
        match self.closed {
            Closed::Left => watermark >= end,
            Closed::Right => watermark > end,
        }
    }

    fn starts(&self) -> impl Iterator<Item = i64> + use<> {
        let (every, origin) = (self.every, self.origin);
        (-60..300).map(move |k| origin + k * every)
    }

    /// What comes out, the late items, and those between two windows.
    pub(super) fn run(&self, elements: &[Element]) -> (Vec<Expected>, Vec<usize>, u64) {
        let (mut out, mut late, mut outside) = (Vec::new(), Vec::new(), 0);
        let mut windows: Vec<Open> = Vec::new();
        let (mut mark, mut latest) = (i64::MIN / 2, i64::MIN);
        for element in elements {
            match *element {
                Timed::Item(_, (time, key, number)) => {
                    latest = latest.max(time);
                    let around: Vec<i64> =
                        self.starts().filter(|s| self.contains(*s, time)).collect();
                    if around.is_empty() {
                        outside += 1;
                        continue;
                    }
                    let mut any = false;
                    for start in around {
                        let end = start + self.length;
                        if self.is_over(end + self.lateness, mark) {
                            continue;
                        }
                        any = true;
                        let found = windows.iter().position(|w| (w.start, w.key) == (start, key));
                        let found = found.unwrap_or_else(|| {
                            windows.push(Open { start, key, items: Vec::new(), fired: false });
                            windows.len() - 1
                        });
                        let window = &mut windows[found];
                        window.items.push(number);
                        if self.is_over(end, mark) {
                            window.fired = true;
                            out.push(self.result(&windows[found], Firing::Amended, true));
                        }
                    }
                    if !any {
                        late.push(number);
                    }
                }
                Timed::Watermark(time) => {
                    mark = mark.max(time.as_nanos());
                    windows.sort_by_key(|window| window.start);
                    for window in &mut windows {
                        if !window.fired && self.is_over(window.start + self.length, mark) {
                            window.fired = true;
                            out.push(self.result(window, Firing::OnTime, true));
                        }
                    }
                    out.push(Timed::Watermark(time));
                }
            }
        }
        windows.sort_by_key(|window| window.start);
        for window in windows.iter().filter(|window| !window.fired) {
            let complete = match self.closed {
                Closed::Left => window.start + self.length <= latest,
                Closed::Right => window.start + self.length < latest,
            };
            out.push(self.result(window, Firing::End, complete));
        }
        (out, late, outside)
    }

    fn result(&self, window: &Open, firing: Firing, complete: bool) -> Expected {
        let end = window.start + self.length;
        let last = match self.closed {
            Closed::Left => end - 1,
            Closed::Right => end,
        };
        let mut items = window.items.clone();
        items.sort_unstable();
        Timed::Item(at(last), (window.start, end, window.key, firing, complete, items))
    }
}

/// A window as the reference tells it.
pub(super) fn told(element: Timed<Window<Vec<Item>, u8>>) -> Expected {
    match element {
        Timed::Watermark(time) => Timed::Watermark(time),
        Timed::Item(time, window) => {
            let mut items: Vec<_> = window.value.iter().map(|item| item.2).collect();
            items.sort_unstable();
            let (start, end) = (window.start.as_nanos(), window.end.as_nanos());
            Timed::Item(time, (start, end, window.key, window.firing, window.complete, items))
        }
    }
}

/// The same in an order that does not depend on that of the keys within one end.
pub(super) fn in_order(mut all: Vec<Expected>) -> Vec<Expected> {
    for group in all.chunk_by_mut(|a, b| match (a, b) {
        (Timed::Item(a, _), Timed::Item(b, _)) => a == b,
        _ => false,
    }) {
        group.sort_by_key(|element| match element {
            Timed::Item(_, window) => Some((window.2, window.5.len())),
            Timed::Watermark(_) => None,
        });
    }
    all
}
