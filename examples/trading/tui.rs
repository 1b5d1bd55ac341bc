//! The live view of a terminal.

use aqueduct::pipeline::{Probe, Report, RunError};
use futures::channel::oneshot;

use crate::problems::Problems;
use crate::screen::Screen;

/// Shows the run until it is over; `q` ends the feed.
pub async fn show(
    running: impl Future<Output = Result<Report, RunError>>,
    _screen: &Screen,
    _probe: &Probe,
    _problems: &Problems,
    _stop: oneshot::Sender<()>,
) -> anyhow::Result<Result<Report, RunError>> {
    Ok(running.await)
}
