//! [`SpikeRule`]: which values are spikes.

/// When a value is a spike: an isolated one that is far from its neighbours, and not a move.
///
/// Both rules judge a value by what came before it, so that nothing waits, and neither blocks a real
/// move for ever: a new level that stays is accepted after a known number of values.
///
/// A value that is not a finite number (NaN, infinite) is a spike for both, and remembered by
/// neither.
///
/// ```
/// # use aqueduct_operators::filter::SpikeRule;
/// // Three standard deviations of the last 20 values, and never less than two ticks of 0.01.
/// let robust = SpikeRule::hampel(20, 3.0).at_least(0.02);
/// // More than 5 % from the last value, unless three in a row agree on it.
/// let simple = SpikeRule::jump(0.05, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct SpikeRule {
    kind: Kind,
    /// Nearer than this is never a spike.
    at_least: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Hampel { window: usize, deviations: f64 },
    Jump { ratio: f64, confirmations: usize },
}

/// What the median absolute deviation of a normal distribution has to be multiplied by to be its
/// standard deviation: 1 / Φ⁻¹(3/4).
const NORMAL: f64 = 1.482_602_218_505_602;

impl SpikeRule {
    /// The filter of Hampel: further from the median of the last `window` values than `deviations`
    /// times their scale, which is 1.4826 times the median of their distances from the median (the
    /// MAD). Spikes are among the values that count, so that after half a window at a new level that
    /// is the median. Until `window` values have come none is a spike.
    ///
    /// More than half of the values equal, as prices often are, makes the scale zero, and then every
    /// other value is a spike: say what is too near with [`at_least`](Self::at_least).
    ///
    /// After F. R. Hampel, "The influence curve and its role in robust estimation" (1974), with the
    /// window before the value, as a stream needs it; usual are 3 deviations.
    ///
    /// # Panics
    ///
    /// If `window` is less than 3, or `deviations` is negative or not a number.
    #[track_caller]
    pub fn hampel(window: usize, deviations: f64) -> Self {
        assert!(window >= 3, "SpikeRule::hampel: the window must have 3 values at least");
        assert!(deviations >= 0.0, "SpikeRule::hampel: the deviations must not be negative");
        Self { kind: Kind::Hampel { window, deviations }, at_least: 0.0 }
    }

    /// Further from the last accepted value than `ratio` times that value, unless it is the last of
    /// `confirmations` in a row that are: each within the same bound of the one before. These are a
    /// move, of which the last comes out. The first value is accepted.
    ///
    /// # Panics
    ///
    /// If `ratio` is negative or not a number, or `confirmations` is less than 2: with one, nothing
    /// would be a spike.
    #[track_caller]
    pub fn jump(ratio: f64, confirmations: usize) -> Self {
        assert!(ratio >= 0.0, "SpikeRule::jump: the ratio must not be negative");
        assert!(confirmations >= 2, "SpikeRule::jump: there must be 2 confirmations at least");
        Self { kind: Kind::Jump { ratio, confirmations }, at_least: 0.0 }
    }

    /// A value at this distance or nearer is never a spike: some ticks of the price. It is the
    /// granularity γ of C. T. Brownlees and G. M. Gallo, "Financial econometric analysis at
    /// ultra-high frequency" (2006).
    ///
    /// # Panics
    ///
    /// If it is negative or not a number.
    #[track_caller]
    pub fn at_least(mut self, distance: f64) -> Self {
        assert!(distance >= 0.0, "SpikeRule::at_least: the distance must not be negative");
        self.at_least = distance;
        self
    }

    /// What has to be kept to judge values.
    pub(super) fn detector(self) -> Detector {
        match self.kind {
            Kind::Hampel { window, deviations } => Detector::Hampel {
                bound: Bound { ratio: deviations * NORMAL, at_least: self.at_least },
                values: Values::new(window),
            },
            Kind::Jump { ratio, confirmations } => Detector::Jump {
                bound: Bound { ratio, at_least: self.at_least },
                confirmations,
                accepted: None,
                candidate: None,
            },
        }
    }
}

/// Judges one value after the other.
#[derive(Debug)]
pub enum Detector {
    #[doc(hidden)]
    Hampel { bound: Bound, values: Values },
    #[doc(hidden)]
    Jump {
        bound: Bound,
        confirmations: usize,
        accepted: Option<f64>,
        /// The last value that may be the begin of a move, and how many agree on it.
        candidate: Option<(f64, usize)>,
    },
}

/// How far is too far.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    ratio: f64,
    at_least: f64,
}

impl Bound {
    fn is_far(self, distance: f64, scale: f64) -> bool {
        distance > (self.ratio * scale).max(self.at_least)
    }
}

impl Detector {
    pub(super) fn is_spike(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return true;
        }
        match self {
            Self::Hampel { bound, values } => {
                let is_spike = values.is_full() && {
                    let (median, deviation) = values.median_and_deviation();
                    bound.is_far((value - median).abs(), deviation)
                };
                values.push(value);
                is_spike
            }
            Self::Jump { bound, confirmations, accepted, candidate } => {
                let is_far = |from: f64| bound.is_far((value - from).abs(), from.abs());
                if accepted.is_some_and(is_far) {
                    let agree = match *candidate {
                        Some((before, agree)) if !is_far(before) => agree + 1,
                        _ => 1,
                    };
                    if agree < *confirmations {
                        *candidate = Some((value, agree));
                        return true;
                    }
                }
                *candidate = None;
                *accepted = Some(value);
                false
            }
        }
    }
}

/// The last values, as they came and by size.
#[derive(Debug)]
pub struct Values {
    ring: Box<[f64]>,
    /// Where the next one goes, which is where the oldest is.
    next: usize,
    sorted: Vec<f64>,
}

impl Values {
    fn new(window: usize) -> Self {
        Self { ring: vec![0.0; window].into(), next: 0, sorted: Vec::with_capacity(window) }
    }

    fn is_full(&self) -> bool {
        self.sorted.len() == self.ring.len()
    }

    /// Adds a value in the place of the oldest.
    fn push(&mut self, value: f64) {
        let place = |sorted: &[f64], value: f64| {
            sorted.partition_point(|other| other.total_cmp(&value).is_lt())
        };
        let oldest = std::mem::replace(&mut self.ring[self.next], value);
        if self.is_full() {
            self.sorted.remove(place(&self.sorted, oldest));
        }
        self.sorted.insert(place(&self.sorted, value), value);
        self.next = (self.next + 1) % self.ring.len();
    }

    /// The median of the values, and the median of their distances from it.
    fn median_and_deviation(&self) -> (f64, f64) {
        let all = &self.sorted;
        let half = all.len() / 2;
        let is_odd = all.len() % 2 == 1;
        let median = if is_odd { all[half] } else { middle(all[half - 1], all[half]) };
        // The distances ascend from the middle to both sides.
        let (mut below, mut above) = (half, half);
        let (mut before, mut last) = (0.0, 0.0);
        for _ in 0..=half {
            let left = below.checked_sub(1).map(|at| median - all[at]);
            let right = all.get(above).map(|value| value - median);
            before = last;
            match (left, right) {
                (Some(left), Some(right)) if left <= right => (below, last) = (below - 1, left),
                (Some(left), None) => (below, last) = (below - 1, left),
                (_, Some(right)) => (above, last) = (above + 1, right),
                (None, None) => {}
            }
        }
        (median, if is_odd { last } else { middle(before, last) })
    }
}

/// Half way from one to the other, also where their sum is too great.
fn middle(a: f64, b: f64) -> f64 {
    a / 2.0 + b / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spikes(rule: SpikeRule, values: &[f64]) -> Vec<usize> {
        let mut detector = rule.detector();
        let judged = values.iter().enumerate();
        judged.filter(|(_, value)| detector.is_spike(**value)).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_filter_of_hampel_finds_an_isolated_value_and_follows_a_new_level() {
        let values = [1.0, 2.0, 3.0, 2.0, 1.0, 90.0, 2.0, 3.0];
        assert_eq!(spikes(SpikeRule::hampel(5, 3.0), &values), [5]);
        let mut values = vec![1.0, 2.0, 1.0, 2.0, 1.0];
        values.extend([50.0, 51.0, 50.0, 51.0, 50.0, 51.0]);
        // Three of five make the median; so the fourth at the new level is no spike any more.
        assert_eq!(spikes(SpikeRule::hampel(5, 3.0).at_least(1.0), &values), [5, 6, 7]);
    }

    #[test]
    fn values_that_are_mostly_equal_need_a_distance_that_is_too_near() {
        let values = [5.0, 5.0, 5.0, 5.0, 5.01, 5.0, 7.0];
        assert_eq!(spikes(SpikeRule::hampel(3, 3.0), &values), [4, 6]);
        assert_eq!(spikes(SpikeRule::hampel(3, 3.0).at_least(0.02), &values), [6]);
    }

    #[test]
    fn a_jump_is_a_move_when_enough_values_in_a_row_agree() {
        let rule = SpikeRule::jump(0.1, 3);
        assert_eq!(spikes(rule, &[100.0, 105.0, 150.0, 104.0, 150.0, 151.0, 152.0]), [2, 4, 5]);
        // They have to agree with each other.
        assert_eq!(spikes(rule, &[100.0, 150.0, 50.0, 150.0, 50.0, 51.0, 52.0]), [1, 2, 3, 4, 5]);
        assert_eq!(spikes(rule.at_least(60.0), &[100.0, 150.0, 50.0, 200.0]), [2]);
        // Below zero the bound is the same.
        assert_eq!(spikes(rule, &[-100.0, -105.0, -200.0]), [2]);
    }

    #[test]
    fn what_is_no_finite_number_is_a_spike_and_is_not_remembered() {
        let values = [f64::NAN, 1.0, f64::INFINITY, 2.0, 3.0, f64::NAN, 2.0, -f64::INFINITY, 9.0];
        assert_eq!(spikes(SpikeRule::hampel(4, 3.0), &values), [0, 2, 5, 7, 8]);
        assert_eq!(spikes(SpikeRule::jump(2.0, 2), &values), [0, 2, 5, 7, 8]);
    }

    #[test]
    fn the_greatest_values_do_no_harm() {
        let most = f64::MAX;
        let values = [most, most, most, most, -most, most];
        assert_eq!(spikes(SpikeRule::hampel(4, 3.0), &values), [4]);
    }

    #[test]
    #[should_panic(expected = "there must be 2 confirmations at least")]
    fn one_confirmation_is_refused() {
        let _ = SpikeRule::jump(0.1, 1);
    }

    #[test]
    #[should_panic(expected = "the deviations must not be negative")]
    fn deviations_that_are_no_number_are_refused() {
        let _ = SpikeRule::hampel(5, f64::NAN);
    }

    /// By sorting.
    fn median(mut all: Vec<f64>) -> f64 {
        all.sort_by(f64::total_cmp);
        let half = all.len() / 2;
        if all.len() % 2 == 1 { all[half] } else { all[half - 1] / 2.0 + all[half] / 2.0 }
    }

    proptest! {
        #[test]
        fn the_medians_are_those_of_sorted_lists(
            values in prop::collection::vec(-20i8..20, 3..60),
            window in 3usize..12,
        ) {
            let mut kept = Values::new(window);
            for (n, value) in values.iter().enumerate() {
                kept.push(f64::from(*value));
                if n + 1 >= window {
                    let last: Vec<_> =
                        values[n + 1 - window..=n].iter().map(|x| f64::from(*x)).collect();
                    let centre = median(last.clone());
                    let deviation = median(last.iter().map(|x| (x - centre).abs()).collect());
                    prop_assert!(kept.is_full());
                    prop_assert_eq!(kept.median_and_deviation(), (centre, deviation));
                }
            }
        }
    }
}
