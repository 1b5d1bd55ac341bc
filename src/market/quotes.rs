//! What quotes tell: mid, microprice and imbalance of one, order flow between two, and [`QuoteStats`]
//! of a stretch of time.

use super::decimal::ratio;
use super::{AveragePrice, Level, Quote, Ratio, Volume};
use crate::Timestamp;
use crate::aggregate::{Aggregate, Span};

/// A price in steps of 1e-10 from one in steps of 1e-8.
const FINER: i128 = 100;

impl Quote {
    /// The middle of bid and ask: (bid + ask) / 2.
    ///
    /// ```
    /// # use aqueduct::{Timestamp, market::{Level, Quote}};
    /// # let level = |price: &str, quantity: &str| {
    /// #     Level { price: price.parse().unwrap(), quantity: quantity.parse().unwrap() }
    /// # };
    /// # let mut quote = Quote { received: Timestamp::EPOCH, time: None, update_id: 0,
    /// #     symbol: "BTCUSDT".parse().unwrap(), bid: level("0", "0"), ask: level("0", "0") };
    /// quote.bid = level("99.98", "3");
    /// quote.ask = level("100.02", "1");
    /// assert_eq!(quote.mid().to_string(), "100.0000000000");
    /// assert_eq!(quote.microprice().unwrap().to_string(), "100.0100000000");
    /// assert_eq!(quote.imbalance().unwrap().to_string(), "0.5000000000");
    /// ```
    pub fn mid(&self) -> AveragePrice {
        AveragePrice::from_units((units(self.bid) + units(self.ask)) * (FINER / 2))
    }

    /// The middle weighted by what rests on the other side: (ask · bid quantity + bid · ask quantity) /
    /// (bid quantity + ask quantity). `None` if nothing rests, or so much that it does not fit.
    #[doc(alias("micro_price", "weighted_mid"))]
    pub fn microprice(&self) -> Option<AveragePrice> {
        let (bid, ask) = (self.bid.quantity.units(), self.ask.quantity.units());
        let weighted =
            units(self.ask).checked_mul(bid)?.checked_add(units(self.bid).checked_mul(ask)?)?;
        ratio(weighted, FINER, bid.checked_add(ask)?).map(AveragePrice::from_units)
    }

    /// How much more rests at the bid than at the ask, from −1 to 1: (bid quantity − ask quantity) /
    /// (bid quantity + ask quantity). `None` if nothing rests.
    #[doc(alias("order_book_imbalance", "queue_imbalance"))]
    pub fn imbalance(&self) -> Option<Ratio> {
        let (bid, ask) = (self.bid.quantity.units(), self.ask.quantity.units());
        ratio(bid - ask, 10_000_000_000, bid.checked_add(ask)?).map(Ratio::from_units)
    }

    /// Ask − bid; negative in a crossed market. Steps of 1e-8.
    fn spread(&self) -> i128 {
        units(self.ask) - units(self.bid)
    }
}

fn units(level: Level) -> i128 {
    level.price.units().into()
}

/// The order flow between two quotes that follow each other: what came to the bid and went from the
/// ask, less what went from the bid and came to the ask. After Cont, Kukanov and Stoikov, "The Price
/// Impact of Order Book Events", Journal of Financial Econometrics 12 (2014).
///
/// ```
/// # use aqueduct::{Timestamp, market::{Level, Quote, order_flow}};
/// # let quote = |bid: (&str, &str), ask: (&str, &str)| {
/// #     let level = |(price, quantity): (&str, &str)| {
/// #         Level { price: price.parse().unwrap(), quantity: quantity.parse().unwrap() }
/// #     };
/// #     Quote { received: Timestamp::EPOCH, time: None, update_id: 0,
/// #         symbol: "BTCUSDT".parse().unwrap(), bid: level(bid), ask: level(ask) }
/// # };
/// let before = quote(("10", "5"), ("11", "4"));
/// // One more at the same bid; the ask was taken, and seven rest above it.
/// let now = quote(("10", "6"), ("12", "7"));
/// assert_eq!(order_flow(&before, &now).to_string(), "5.00000000");
/// ```
#[doc(alias("ofi", "order_flow_imbalance"))]
pub fn order_flow(before: &Quote, now: &Quote) -> Volume {
    let mut flow = Volume::ZERO;
    if now.bid.price >= before.bid.price {
        flow += now.bid.quantity;
    }
    if now.bid.price <= before.bid.price {
        flow -= before.bid.quantity;
    }
    if now.ask.price <= before.ask.price {
        flow -= now.ask.quantity;
    }
    if now.ask.price >= before.ask.price {
        flow += before.ask.quantity;
    }
    flow
}

/// Turns the quotes of a window into a [`QuoteSummary`]. Times are those of the flow.
///
/// A quote holds until the next one comes. In windows that
/// [carry on](Aggregate::carry) the last quote of the window before holds from the beginning of a
/// window, and a window without quotes has it alone; elsewhere a window begins with its first quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct QuoteStats;

/// What the quotes of a window tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteSummary {
    /// How many quotes came.
    pub quotes: u64,
    /// The spread, ask − bid, each weighted by how long it held; `None` if none held at all.
    pub spread: Option<AveragePrice>,
    /// For how much of the window a quote was known, in nanoseconds.
    pub covered_ns: i64,
    /// The sum of the [order flow](order_flow) from quote to quote, the first of the window included if
    /// the one before it is known.
    pub flow: Volume,
    /// The last quote: of this window, or the one that it began with.
    pub close: Option<Quote>,
}

/// The state of a [`QuoteSummary`] while quotes still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuoteState {
    quotes: u64,
    /// The quote that held when the window began.
    carried: Option<Quote>,
    first: Option<(Timestamp, Quote)>,
    last: Option<(Timestamp, Quote)>,
    /// Spread × nanoseconds from the first quote to the last.
    weighted: i128,
    /// From the first quote to the last.
    flow: Volume,
}

impl QuoteState {
    /// Notes that `quote` came after the last one.
    fn follow(&mut self, time: Timestamp, quote: &Quote) {
        match &self.last {
            Some((since, last)) => {
                self.weighted += weight(last, *since, time);
                self.flow += order_flow(last, quote);
            }
            None => self.first = Some((time, *quote)),
        }
    }
}

/// The spread of a quote times how long it held. One that came with a time before that of the quote
/// before it has held since then.
fn weight(quote: &Quote, since: Timestamp, until: Timestamp) -> i128 {
    quote.spread().saturating_mul((until.as_nanos() - since.as_nanos()).max(0).into())
}

impl Aggregate<Quote> for QuoteStats {
    type State = QuoteState;
    type Output = QuoteSummary;

    fn init(&self) -> QuoteState {
        QuoteState::default()
    }

    fn add(&self, state: &mut QuoteState, time: Timestamp, quote: &Quote) {
        state.follow(time, quote);
        state.last = Some((time, *quote));
        state.quotes += 1;
    }

    fn merge(&self, state: &mut QuoteState, later: &QuoteState) {
        if let (Some((time, first)), Some(last)) = (&later.first, later.last) {
            state.follow(*time, first);
            state.last = Some(last);
            state.weighted += later.weighted;
            state.flow += later.flow;
            state.quotes += later.quotes;
        }
    }

    fn finish(&self, state: &QuoteState, span: Span) -> QuoteSummary {
        let QuoteState { quotes, carried, first, last, mut weighted, mut flow } = *state;
        let first_time = first.map_or(span.end, |(time, _)| time);
        let mut since = first_time;
        if let Some(carried) = &carried {
            weighted += weight(carried, span.start, first_time);
            since = span.start;
            if let Some((_, first)) = &first {
                flow += order_flow(carried, first);
            }
        }
        if let Some((time, last)) = &last {
            weighted += weight(last, *time, span.end);
        }
        let covered_ns = span.end.as_nanos() - since.as_nanos();
        QuoteSummary {
            quotes,
            spread: ratio(weighted, FINER, covered_ns.into()).map(AveragePrice::from_units),
            covered_ns,
            flow,
            close: last.map(|(_, quote)| quote).or(carried),
        }
    }

    fn carry(&self, before: &QuoteState) -> QuoteState {
        let carried = before.last.map(|(_, quote)| quote).or(before.carried);
        QuoteState { carried, ..QuoteState::default() }
    }
}

impl QuoteSummary {
    /// The middle of the last quote.
    pub fn close_mid(&self) -> Option<AveragePrice> {
        self.close.map(|quote| quote.mid())
    }

    /// The [microprice](Quote::microprice) of the last quote.
    pub fn close_microprice(&self) -> Option<AveragePrice> {
        self.close?.microprice()
    }

    /// The [imbalance](Quote::imbalance) of the last quote.
    pub fn close_imbalance(&self) -> Option<Ratio> {
        self.close?.imbalance()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Price, Quantity};
    use proptest::prelude::*;

    fn level(price: i64, quantity: i128) -> Level {
        Level { price: Price::from_units(price), quantity: Quantity::from_units(quantity) }
    }

    fn quote(bid: (i64, i128), ask: (i64, i128)) -> Quote {
        Quote {
            received: Timestamp::EPOCH,
            time: None,
            symbol: "X".parse().unwrap(),
            update_id: 0,
            bid: level(bid.0, bid.1),
            ask: level(ask.0, ask.1),
        }
    }

    fn span(start: i64, end: i64) -> Span {
        Span { start: Timestamp::from_nanos(start), end: Timestamp::from_nanos(end) }
    }

    fn state(quotes: &[(i64, Quote)]) -> QuoteState {
        let mut state = QuoteStats.init();
        for (time, quote) in quotes {
            QuoteStats.add(&mut state, Timestamp::from_nanos(*time), quote);
        }
        state
    }

    #[test]
    fn the_middle_of_an_odd_spread_is_exact() {
        let quote = quote((1, 1), (4, 1));
        assert_eq!(quote.mid(), AveragePrice::from_units(250));
    }

    #[test]
    fn the_microprice_lies_towards_the_thinner_side() {
        let quote = quote((100, 9), (200, 1));
        assert_eq!(quote.microprice(), Some(AveragePrice::from_units(19_000)));
        assert_eq!(quote.imbalance().map(Ratio::units), Some(8_000_000_000));
    }

    #[test]
    fn without_quantities_there_is_neither_microprice_nor_imbalance() {
        let quote = quote((100, 0), (200, 0));
        assert_eq!((quote.microprice(), quote.imbalance()), (None, None));
    }

    #[test]
    fn what_does_not_fit_is_no_microprice_rather_than_a_wrong_one() {
        let quote = quote((i64::MAX, i128::MAX / 4), (i64::MAX, 1));
        assert_eq!(quote.microprice(), None);
    }

    #[test]
    fn order_flow_counts_each_way_a_side_can_move() {
        let before = quote((100, 5), (110, 7));
        for (bid, ask, flow) in [
            ((100, 5), (110, 7), 0),
            ((100, 8), (110, 7), 3),
            ((101, 2), (110, 7), 2),
            ((99, 9), (110, 7), -5),
            ((100, 5), (110, 9), -2),
            ((100, 5), (109, 4), -4),
            ((100, 5), (111, 4), 7),
        ] {
            let flowed = order_flow(&before, &quote(bid, ask));
            assert_eq!(flowed.units(), flow, "{bid:?} {ask:?}");
        }
    }

    #[test]
    fn a_spread_weighs_as_long_as_it_holds() {
        let (narrow, wide) = (quote((10, 1), (11, 1)), quote((10, 1), (15, 1)));
        let got = QuoteStats.finish(&state(&[(2, narrow), (8, wide)]), span(0, 10));
        // 6 ns at 1 and 2 ns at 5, from the first quote on.
        assert_eq!(got.covered_ns, 8);
        assert_eq!(got.spread, Some(AveragePrice::from_units(200)));
        assert_eq!((got.quotes, got.close), (2, Some(wide)));
    }

    #[test]
    fn a_window_that_carries_on_begins_with_the_quote_before_it() {
        let (narrow, wide) = (quote((10, 4), (11, 1)), quote((10, 9), (15, 1)));
        let mut next = QuoteStats.carry(&state(&[(2, narrow)]));
        let silent = QuoteStats.finish(&next, span(10, 20));
        assert_eq!((silent.quotes, silent.covered_ns), (0, 10));
        assert_eq!(silent.spread, Some(AveragePrice::from_units(100)));
        assert_eq!((silent.flow, silent.close), (Volume::ZERO, Some(narrow)));
        let mut after = QuoteStats.carry(&next);
        assert_eq!(after, next);
        QuoteStats.add(&mut after, Timestamp::from_nanos(25), &wide);
        QuoteStats.add(&mut next, Timestamp::from_nanos(15), &wide);
        let got = QuoteStats.finish(&next, span(10, 20));
        assert_eq!((got.spread, got.covered_ns), (Some(AveragePrice::from_units(300)), 10));
        // Five more at the bid, and the one at the ask is gone.
        assert_eq!(got.flow.units(), 6);
    }

    #[test]
    fn nothing_is_known_of_a_window_without_any_quote() {
        let got = QuoteStats.finish(&QuoteStats.init(), span(0, 10));
        assert_eq!((got.quotes, got.covered_ns, got.spread, got.close), (0, 0, None, None));
        assert_eq!(got.close_mid(), None);
    }

    proptest! {
        #[test]
        fn two_parts_merged_are_the_whole(
            quotes in prop::collection::vec((0_i64..50, 0_i64..9, 0_i128..9, 1_i64..9, 0_i128..9), 0..20),
            cut in 0_usize..20,
            carried: bool,
        ) {
            let mut quotes: Vec<_> = quotes
                .into_iter()
                .map(|(time, bid, b, spread, a)| (time, quote((bid, b), (bid + spread, a))))
                .collect();
            quotes.sort_by_key(|(time, _)| *time);
            let cut = cut.min(quotes.len());
            let before = state(&[(-5, quote((3, 3), (5, 5)))]);
            let begin = || if carried { QuoteStats.carry(&before) } else { QuoteStats.init() };
            let add = |mut state: QuoteState, quotes: &[(i64, Quote)]| {
                for (time, quote) in quotes {
                    QuoteStats.add(&mut state, Timestamp::from_nanos(*time), quote);
                }
                state
            };
            let whole = add(begin(), &quotes);
            let mut merged = add(begin(), &quotes[..cut]);
            QuoteStats.merge(&mut merged, &add(QuoteStats.init(), &quotes[cut..]));
            let span = span(0, 50);
            prop_assert_eq!(QuoteStats.finish(&merged, span), QuoteStats.finish(&whole, span));
        }
    }
}
