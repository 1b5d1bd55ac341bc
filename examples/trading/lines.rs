//! The view where there is no terminal: a line for each bar of one second.

use std::time::Duration;

use futures::future::{Either, select};

use crate::output::say;
use crate::screen::{Screen, Shown};

/// How often it looks for new bars.
const LOOK: Duration = Duration::from_millis(250);

/// Prints new bars until the run is over.
pub async fn print<F: Future>(running: F, screen: &Screen) -> F::Output {
    let mut running = std::pin::pin!(running);
    let mut printed = 0;
    loop {
        let look = std::pin::pin!(tokio::time::sleep(LOOK));
        let over = select(running.as_mut(), look).await;
        if let Some(shown) = screen.read() {
            print_new(&shown, printed);
            printed = shown.bar_count;
        }
        if let Either::Left((output, _)) = over {
            return output;
        }
    }
}

fn print_new(shown: &Shown, printed: u64) {
    let new = usize::try_from(shown.bar_count - printed).unwrap_or(usize::MAX);
    let skipped = shown.bars.len().saturating_sub(new);
    for bar in shown.bars.iter().skip(skipped) {
        let price = |level: Option<&aqueduct::market::Level>| {
            level.map_or_else(String::new, |level| level.price.to_string())
        };
        say(format_args!(
            "{} open {} high {} low {} close {} volume {} trades {} book {} / {}",
            bar.start.as_secs(),
            bar.value.open,
            bar.value.high,
            bar.value.low,
            bar.value.close,
            bar.value.volume,
            bar.value.trades,
            price(shown.bids.first()),
            price(shown.asks.first()),
        ));
    }
}
