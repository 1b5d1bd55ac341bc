//! Event time: items that carry timestamps, watermarks between them, windows over them.

mod agenda;
mod as_of;
mod as_of_by;
mod count_windows;
mod event_time;
#[cfg(test)]
mod fixtures;
mod gauge;
mod grouping;
mod hopping;
mod interval_join;
mod interval_join_by;
mod join;
mod late;
mod merge_timed;
#[cfg(test)]
mod reference;
mod reorder;
mod reorder_within;
mod results;
mod rolling;
mod roster;
mod session;
mod session_windows;
mod sessions;
mod sorter;
mod tail;
mod threshold;
mod threshold_windows;
mod time_windows;
mod timed;
mod tumbling;
mod values;
mod watermarks;
#[expect(clippy::module_inception, reason = "the file of the type, as everywhere")]
mod window;
mod window_join;
mod windows;

pub use crate::aggregate::{Aggregate, Span};
pub use as_of::{AsOf, AsOfJoin};
pub use as_of_by::AsOfByJoin;
pub use event_time::EventTime;
pub use gauge::{Gauged, WatermarkGauge};
pub use grouping::{ByKey, Grouping, Hashed, Index, Only, Whole};
pub use interval_join::{IntervalJoin, Offset, Within};
pub use interval_join_by::IntervalJoinBy;
pub use join::{Join, JoinCounts};
pub use late::{DropLate, EmitLate, Late, LatePolicy};
pub use merge_timed::{MergeTimed, MergeTimedCounts, merge_timed};
pub use reorder::Reorder;
pub use reorder_within::ReorderWithin;
pub use rolling::{Rolled, Rolling, RollingCounts, Rolls};
pub use session_windows::SessionWindows;
pub use sessions::{Sessions, Tie};
pub use sorter::ReorderCounts;
pub use threshold_windows::{ByCount, ByWeight, ThresholdWindows, Weigh};
pub use time_windows::{TimeWindows, Windowed};
pub use timed::Timed;
pub use values::Values;
pub use watermarks::{EventTimeCounts, Watermarks};
pub use window::{Closed, Empty, Firing, Window, WindowCounts};
pub use window_join::{WindowJoin, WindowJoinCounts};
pub use windows::Windows;
