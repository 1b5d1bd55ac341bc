//! Statistics of quotes.

use aqueduct::market::{AveragePrice, QuoteSummary, Ratio, Volume};
use aqueduct::time::Silence;
use aqueduct::window::Window;

use super::row;

row! {
    /// The quotes of a second.
    SecondRow {
        start_s: i64,
        quotes: u64,
        tw_spread: Option<AveragePrice>,
        covered_ns: i64,
        ofi: Volume,
        close_mid: Option<AveragePrice>,
        close_micro: Option<AveragePrice>,
        close_imbalance: Option<Ratio>,
    }
}

impl From<Window<QuoteSummary>> for SecondRow {
    fn from(Window { start, value: quotes, .. }: Window<QuoteSummary>) -> Self {
        Self {
            start_s: start.as_secs(),
            quotes: quotes.quotes,
            tw_spread: quotes.spread,
            covered_ns: quotes.covered_ns,
            ofi: quotes.flow,
            close_mid: quotes.close_mid(),
            close_micro: quotes.close_microprice(),
            close_imbalance: quotes.close_imbalance(),
        }
    }
}

row! {
    /// The last quote of a tenth of a second.
    QuoteRow {
        bucket_100ms: i64,
        u: u64,
    }
}

impl QuoteRow {
    /// The row of a tenth of a second; one without a quote has none.
    pub fn of(tenth: Window<Option<u64>>) -> Option<Self> {
        Some(Self { bucket_100ms: tenth.start.as_millis() / 100, u: tenth.value? })
    }
}

row! {
    /// A silence between two quotes.
    StaleRow {
        from_ns: i64,
        to_ns: i64,
    }
}

impl From<Silence> for StaleRow {
    fn from(Silence { from, to }: Silence) -> Self {
        Self { from_ns: from.as_nanos(), to_ns: to.as_nanos() }
    }
}
