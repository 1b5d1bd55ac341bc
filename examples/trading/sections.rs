//! Rows by kind: those of the first kind, then those of the next.

use std::ops::ControlFlow;

use aqueduct::transform::Step;
use aqueduct::{Bound, Node};

use crate::rows::{AnswerRow, Kind};

/// How many rows wait for those of earlier kinds. Of a hundred trades at most four are worth a row.
const MOST: usize = 1 << 20;

/// Puts rows into sections by kind, in each by arrival. The first section passes through, the others
/// wait for the end; a row that finds no more room to wait comes where it is.
#[derive(Debug, Default)]
pub struct Sections {
    waiting: Vec<AnswerRow>,
}

impl Step<AnswerRow> for Sections {
    type Out = AnswerRow;

    fn step(&mut self, row: AnswerRow, out: &mut impl FnMut(AnswerRow)) -> ControlFlow<()> {
        if row.kind() == Kind::NaiveGap || self.waiting.len() == MOST {
            out(row);
        } else {
            self.waiting.push(row);
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(AnswerRow)) {
        self.waiting.sort_by_key(AnswerRow::kind);
        self.waiting.drain(..).for_each(out);
    }

    fn name(&self) -> &'static str {
        "sections"
    }

    fn describe(&self, node: &mut Node) {
        node.holds(Bound::Items(MOST));
    }
}
