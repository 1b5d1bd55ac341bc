//! The data of the workloads: generated, always the same, in memory before the clock starts.

use std::sync::OnceLock;

/// A trade or quote: 24 bytes.
#[derive(Debug, Clone, Copy)]
#[allow(
    dead_code,
    reason = "a tick has to be as large as its workloads say, also where they skip fields"
)]
pub(crate) struct Tick {
    /// When, in nanoseconds.
    pub(crate) time: u64,
    /// In ticks of the price.
    pub(crate) price: u64,
    /// 0 to 63.
    pub(crate) symbol: u32,
    /// 1 to 100.
    pub(crate) quantity: u32,
}

impl Tick {
    /// Price · quantity.
    pub(crate) fn value(&self) -> u64 {
        self.price.wrapping_mul(self.quantity.into())
    }
}

/// The finalizer of splitmix64.
pub(crate) fn mix64(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The generator splitmix64.
#[derive(Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    /// The seed is the state before the first draw.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix64(self.0)
    }
}

/// Ticks of 64 symbols whose prices walk from 10,000. `time` tells the time of each from its index
/// and may draw.
fn ticks(seed: u64, n: usize, mut time: impl FnMut(u64, &mut Draws) -> u64) -> Vec<Tick> {
    let mut draws = Draws::new(seed);
    let mut prices = [10_000_u64; 64];
    let tick = |index| {
        let [r1, r2, r3] = [draws.draw(), draws.draw(), draws.draw()];
        let symbol = r1 % 64;
        let price = &mut prices[symbol as usize];
        *price = (*price + r2 % 5).saturating_sub(2).max(1);
        Tick {
            time: time(index, &mut draws),
            price: *price,
            symbol: symbol as u32,
            quantity: (1 + r3 % 100) as u32,
        }
    };
    (0..n as u64).map(tick).collect()
}

/// What the workloads work on. Each part is generated when it is first asked for.
#[derive(Debug)]
pub(crate) struct Data {
    full: bool,
    base: OnceLock<&'static [Tick]>,
    disordered: OnceLock<&'static [Tick]>,
    sources: OnceLock<&'static [Vec<Tick>]>,
    trades: OnceLock<&'static [Tick]>,
    quotes: OnceLock<&'static [Tick]>,
}

impl Data {
    /// At full size, or at a tenth of it.
    pub(crate) fn new(full: bool) -> Self {
        Self {
            full,
            base: OnceLock::new(),
            disordered: OnceLock::new(),
            sources: OnceLock::new(),
            trades: OnceLock::new(),
            quotes: OnceLock::new(),
        }
    }

    /// The number for the size of this run.
    pub(crate) fn sized(&self, full: u64, tenth: u64) -> u64 {
        if self.full { full } else { tenth }
    }

    /// The ticks `base`, 10 M or 1 M, a microsecond apart.
    pub(crate) fn base(&self) -> &'static [Tick] {
        // Leaked, as tasks on other threads read it: it is needed until the program ends.
        self.base.get_or_init(|| {
            let n = self.sized(10_000_000, 1_000_000) as usize;
            ticks(42, n, |index, _| index * 1000).leak()
        })
    }

    /// The ticks `disordered`: those of `base`, each up to 100 µs earlier.
    pub(crate) fn disordered(&self) -> &'static [Tick] {
        self.disordered.get_or_init(|| {
            let mut draws = Draws::new(4343);
            let earlier = |tick: &Tick| {
                let time = tick.time.saturating_sub(draws.draw() % 100_001);
                Tick { time, ..*tick }
            };
            self.base().iter().map(earlier).collect::<Vec<_>>().leak()
        })
    }

    /// The ticks `trades`, 2 M or 500 k, four microseconds apart on average.
    pub(crate) fn trades(&self) -> &'static [Tick] {
        self.trades.get_or_init(|| {
            let n = self.sized(2_000_000, 500_000) as usize;
            ticks(43, n, |index, draws| index * 4000 + draws.draw() % 4000).leak()
        })
    }

    /// The ticks `quotes`: the first 8 M of `base`, or 2 M of the same.
    pub(crate) fn quotes(&self) -> &'static [Tick] {
        self.quotes.get_or_init(|| {
            let n = self.sized(8_000_000, 2_000_000) as usize;
            ticks(42, n, |index, _| index * 1000).leak()
        })
    }

    /// The ticks `source 0` to `source 7`, 1 M or 100 k each.
    pub(crate) fn sources(&self) -> &'static [Vec<Tick>] {
        self.sources.get_or_init(|| {
            let n = self.sized(1_000_000, 100_000) as usize;
            let source = |k: u64| {
                let mut now = 0;
                ticks(100 + k, n, move |_, draws| {
                    now += 1 + draws.draw() % 16_000;
                    now
                })
            };
            (0..8).map(source).collect::<Vec<_>>().leak()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(ticks: &[Tick]) -> u64 {
        ticks.iter().map(Tick::value).fold(0, u64::wrapping_add)
    }

    #[test]
    fn the_base_has_its_sums() {
        let data = Data::new(true);
        assert_eq!(sum(&data.base()[..1_000_000]), 505_882_292_904);
        assert_eq!(sum(data.base()), 5_047_941_958_170);
    }

    #[test]
    fn the_sources_have_their_sums_and_the_small_ones_are_their_beginnings() {
        let data = Data::new(true);
        let total = data.sources().iter().map(|source| sum(source)).sum::<u64>();
        assert_eq!(total, 4_042_147_499_955);
        let starts = data.sources().iter().map(|source| sum(&source[..100_000]));
        assert_eq!(starts.sum::<u64>(), 404_407_126_787);
        let small = Data::new(false).sources().iter().map(|source| sum(source)).sum::<u64>();
        assert_eq!(small, 404_407_126_787);
    }

    #[test]
    fn merged_by_time_and_source_the_sources_have_their_order() {
        let data = Data::new(false);
        let sources = data.sources().iter().enumerate();
        let mut merged: Vec<_> = sources
            .flat_map(|(source, ticks)| ticks.iter().map(move |tick| (tick.time, source)))
            .collect();
        merged.sort_unstable();
        let order = merged.iter().fold(2_166_136_261_u32, |f, (_, source)| {
            (f ^ *source as u32).wrapping_mul(16_777_619)
        });
        assert_eq!(order, 902_685_367);
    }
}
