//! The test kit: what the operators of this library are tested with, for yours as well.
//!
//! - [`conformance!`](crate::conformance) (as a function: [`check`]) runs an operator over short
//!   and long inputs, polled in every way that the contract of a stage allows, and says which
//!   [`Rule`] it breaks, with the shortest run that shows it.
//! - [`specification!`](crate::specification) compares an operator with a pure function over
//!   timelines, [`marbles!`](crate::marbles) with the diagram in its documentation, and
//!   [`script`] with what happens step by step.
//! - [`TestSource`] and [`Probe`] stand above and below a flow in a test that you write yourself;
//!   [`Tracked`] items and their [`Ledger`] show leaks and high-water marks, and
//!   [`CountingAllocator`] what is allocated.
//!
//! Everything runs under [virtual time](crate::Virtual). The module is there with the feature
//! `testing`.

mod allocations;
mod cases;
mod check;
mod conformance;
mod consumer;
mod draw;
mod feed;
#[cfg(test)]
mod glances;
mod input;
mod marbles;
mod observe;
mod polled;
mod probe;
mod record;
mod report;
mod rule;
mod scenarios;
mod script;
mod source;
mod specification;
mod steps;
mod timeline;
mod timetable;
mod tracked;

pub use crate::{conformance, marble, marbles, specification};
pub use allocations::{CountingAllocator, allocations};
pub use check::{check, check_except};
pub use feed::Feed;
#[cfg(test)]
pub(crate) use glances::{
    HALF, after, at_glances, both, branched, glances, line, sorted_line, two, unordered, whole,
};
pub use input::Input;
pub use marbles::{
    Diagram, Event, Inputs, Marble, MarbleError, MarbleItem, Problem, Subscription, validate,
};
pub use observe::{Observation, Observed, ObservedAll};
#[doc(hidden)]
pub use pastey::paste;
pub use probe::Probe;
pub use report::{Breach, Outcome, Report};
pub use rule::Rule;
pub use script::{Script, script};
pub use source::{Misbehavior, TestSource, Watch};
#[doc(hidden)]
pub use specification::{Case, Erasure, Kind as SpecKind, check as check_specification, erased};
pub use specification::{SpecItem, Specified};
pub use steps::Steps;
pub use timeline::Timeline;
pub use timetable::{every_way, items, ms, timeline, timetable};
pub use tracked::{Ledger, Tracked};
