//! The live view of a terminal.

mod candles;
mod draw;
mod ladder;
mod stages;
mod tape;
#[cfg(test)]
mod tests;
mod text;

use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use aqueduct::combine::merge;
use aqueduct::interval;
use aqueduct::pipeline::{Probe, Report, RunError};
use aqueduct::source::Missed;
use crossterm::event::{Event, EventStream, KeyCode, KeyModifiers};
use futures::future::{Either, select};
use ratatui::DefaultTerminal;

use crate::feed::Stop;
use crate::problems::Problems;
use crate::screen::{Screen, Shown};
use draw::{View, draw};

/// How long a picture stays, if no key is pressed.
const PERIOD: Duration = Duration::from_millis(100);

/// Shows the run until it is over; `q` ends the feed.
pub async fn show(
    running: impl Future<Output = Result<Report, RunError>>,
    screen: &Screen,
    probe: &Probe,
    problems: &Problems,
    stop: &Stop,
) -> anyhow::Result<Result<Report, RunError>> {
    let mut terminal = Restored(ratatui::try_init().context("the terminal cannot be set up")?);
    let mut running = pin!(running);
    let mut view = View::default();

    let keys = aqueduct::flow(EventStream::new()).map(|event| event.map(Wake::from));
    let beats = interval(PERIOD, Missed::Skip).map(|_| Ok(Wake::Redraw));
    // Of many inputs it polls only those that were woken: `running` wakes this task all the time,
    // and to look for a key is a system call.
    let mut wakes = merge([keys.boxed(), beats.boxed()]);
    loop {
        view.stages.update(probe.report());
        view.problems = problems.counts();
        let shown = screen.read();
        let nothing = Shown::default();
        terminal.0.draw(|frame| draw(frame, shown.as_deref().unwrap_or(&nothing), &mut view))?;
        drop(shown);

        let wake = match select(running.as_mut(), wakes.next()).await {
            Either::Left((outcome, _)) => return Ok(outcome),
            Either::Right((wake, _)) => wake.unwrap_or(Ok(Wake::Redraw)),
        };
        match wake.context("the keyboard cannot be read")? {
            Wake::Redraw => {}
            Wake::Scroll(rows) => view.stages.scroll(rows),
            Wake::Quit if view.stopping => {
                anyhow::bail!("left before the run had ended: its output is cut off")
            }
            Wake::Quit => {
                view.stopping = true;
                stop.now();
            }
        }
    }
}

/// Gives the terminal back when the view is left.
struct Restored(DefaultTerminal);

impl Drop for Restored {
    fn drop(&mut self) {
        // The panic hook of ratatui has done it already; a second time the cursor would jump back
        // over the message.
        if !std::thread::panicking() {
            ratatui::restore();
        }
    }
}

/// Why the view does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    Redraw,
    /// By so many rows, down if positive.
    Scroll(isize),
    Quit,
}

impl From<Event> for Wake {
    fn from(event: Event) -> Self {
        let Some(key) = event.as_key_press_event() else { return Self::Redraw };
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Self::Quit,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Self::Quit,
            KeyCode::Up => Self::Scroll(-1),
            KeyCode::Down => Self::Scroll(1),
            _ => Self::Redraw,
        }
    }
}
