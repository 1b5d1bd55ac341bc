//! Which runs an operator is checked with, and how a failing one is made short.

use std::sync::Arc;

use super::consumer::{Case, Step, Way};
use super::input::Script;

/// Where pseudo-random choices come from: SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        // The bound is tiny: that some results are a little more likely does not matter.
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The pauses between two items of a short script, in milliseconds.
const PAUSES: [i64; 3] = [0, 1, 6];

/// Every script of `items` items out of two values, with these pauses.
fn every(items: u32) -> impl Iterator<Item = Script> {
    let choices = 2 * PAUSES.len();
    let ends = PAUSES.len();
    (0..choices.pow(items) * ends).map(move |mut number| {
        let mut take = |bound: usize| {
            let digit = number % bound;
            number /= bound;
            digit
        };
        let mut at = 0;
        let end = PAUSES[take(ends)];
        let list: Vec<_> = (0..items)
            .map(|_| {
                let choice = take(choices);
                at += PAUSES[choice / 2];
                (at, 1 + (choice % 2) as u32)
            })
            .collect();
        Script::new(list, at + end)
    })
}

/// A script of at most so many items.
fn some(random: &mut Random, most: usize) -> Script {
    let pauses: &[i64] = random.one_of(&[&[0, 1], &[0, 0, 0, 2], &[1], &[0, 1, 2, 5, 9], &[0]]);
    let mut at = 0;
    let items: Vec<_> = (0..random.below(most + 1))
        .map(|_| {
            at += random.one_of(pauses);
            (at, 1 + random.below(9) as u32)
        })
        .collect();
    Script::new(items, at + random.one_of(&[0, 0, 1, 7]))
}

/// The inputs of all runs, the short ones first: with one input, every short script.
pub(super) fn scripts(inputs: usize, seed: u64) -> Vec<Vec<Arc<Script>>> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    if inputs == 1 {
        all.extend((0..=2).flat_map(every).map(|script| vec![Arc::new(script)]));
    } else {
        for size in 0..=3 {
            for _ in 0..40 * size + 2 {
                all.push((0..inputs).map(|_| Arc::new(some(&mut random, size))).collect());
            }
        }
    }
    for size in [3, 3, 4, 5, 6, 8, 10, 12] {
        for _ in 0..4 {
            all.push((0..inputs).map(|_| Arc::new(some(&mut random, size))).collect());
        }
    }
    for _ in 0..6 {
        all.push((0..inputs).map(|_| Arc::new(some(&mut random, 40))).collect());
    }
    all
}

/// The ways in which the run number `index` is repeated.
pub(super) fn ways(index: usize, random: &mut Random) -> Vec<Way> {
    use Step::{Drain, Next, Progress};
    let all = [
        Way { again: 2, ..Way::new(&[Next]) },
        Way::new(&[Drain(usize::MAX)]),
        Way { again: 1, ..Way::new(&[Next, Drain(1)]) },
        Way::new(&[Progress, Next]),
        Way::new(&[Next, Drain(3)]),
        Way { busy: true, ..Way::pulled() },
        Way::new(&[Drain(2), Next]),
        Way { again: 1, ..Way::new(&[Progress, Drain(usize::MAX)]) },
    ];
    let mut ways: Vec<_> = (0..2).map(|turn| all[(2 * index + turn) % all.len()].clone()).collect();
    let steps: Vec<_> = (0..2 + random.below(3))
        .map(|_| random.one_of(&[Next, Next, Drain(1), Drain(2), Drain(usize::MAX), Progress]))
        .chain([Next])
        .collect();
    ways.push(Way { again: random.below(2), ..Way::new(&steps) });
    let early = ways[index % ways.len()].clone();
    ways.push(Way { drop_after: Some(index % 8), busy: false, ..early });
    ways
}

/// The same with inputs that are pending for no reason before each item.
pub(super) fn stuttering(scripts: &[Arc<Script>]) -> Vec<Arc<Script>> {
    let stutter = |script: &Arc<Script>| Arc::new(Script { stutters: true, ..(**script).clone() });
    scripts.iter().map(stutter).collect()
}

/// Cases that are a little simpler, the much simpler ones first.
pub(super) fn simpler(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    for (index, script) in case.scripts.iter().enumerate() {
        let mut push = |simple: Script| {
            if simple != **script {
                let mut scripts = case.scripts.clone();
                scripts[index] = Arc::new(simple);
                all.push(Case { scripts, way: case.way.clone() });
            }
        };
        let len = script.items.len();
        if len > 3 {
            push(Script { items: script.items[..len / 2].to_vec(), ..(**script).clone() });
            push(Script { items: script.items[len / 2..].to_vec(), ..(**script).clone() });
        }
        for item in 0..len {
            let mut simple = (**script).clone();
            simple.items.remove(item);
            push(simple);
        }
        push(Script { stutters: false, ..(**script).clone() });
        let last = script.items.last().map_or(0, |(at, _)| *at);
        push(Script { end: last, ..(**script).clone() });
        for item in 0..len {
            let before = if item == 0 { 0 } else { script.items[item - 1].0 };
            let pause = script.items[item].0 - before;
            for shorter in [pause, pause / 2] {
                if shorter > 0 {
                    let mut simple = (**script).clone();
                    simple.items[item..].iter_mut().for_each(|(at, _)| *at -= shorter);
                    simple.end -= shorter;
                    push(simple);
                }
            }
            if script.items[item].1 > 1 {
                let mut simple = (**script).clone();
                simple.items[item].1 = 1;
                push(simple);
            }
        }
    }
    let mut push = |way: Way| {
        if way != case.way {
            all.push(Case { scripts: case.scripts.clone(), way });
        }
    };
    for step in 0..case.way.steps.len() {
        let mut way = case.way.clone();
        way.steps.remove(step);
        if way.steps.iter().any(|step| *step != Step::Progress) {
            push(way);
        }
    }
    push(Way { again: case.way.again.saturating_sub(1), ..case.way.clone() });
    push(Way { busy: false, ..case.way.clone() });
    if let Some(turns) = case.way.drop_after {
        push(Way { drop_after: Some(turns.saturating_sub(1)), ..case.way.clone() });
    }
    all
}
