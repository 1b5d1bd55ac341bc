//! [`Table`]: what came of the cases, by operator.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::world::{Problem, Reason};

#[derive(Default)]
pub struct Table {
    rows: BTreeMap<String, Row>,
    /// The cases that failed, with what was seen.
    failures: Vec<(String, String)>,
}

#[derive(Default)]
struct Row {
    passed: usize,
    failed: usize,
    not_applicable: usize,
    reasons: BTreeSet<Reason>,
}

impl Table {
    pub fn add(&mut self, operator: &str, id: String, outcome: Result<(), Problem>) {
        let row = self.rows.entry(operator.to_owned()).or_default();
        match outcome {
            Ok(()) => row.passed += 1,
            Err(Problem::Failed(message)) => {
                row.failed += 1;
                self.failures.push((id, message));
            }
            Err(Problem::NotApplicable(reason)) => {
                row.not_applicable += 1;
                row.reasons.insert(reason);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn failed(&self) -> usize {
        self.failures.len()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, message) in &self.failures {
            writeln!(f, "{id}\n    {message}")?;
        }
        writeln!(f, "{:24} {:>6} {:>6} {:>14}", "operator", "passed", "failed", "not applicable")?;
        let mut all = Row::default();
        for (operator, row) in &self.rows {
            let Row { passed, failed, not_applicable, reasons } = row;
            let reasons: Vec<_> = reasons.iter().map(Reason::to_string).collect();
            let reasons = reasons.join("; ");
            let line =
                format!("{operator:24} {passed:6} {failed:6} {not_applicable:14}  {reasons}");
            writeln!(f, "{}", line.trim_end())?;
            all.passed += passed;
            all.failed += failed;
            all.not_applicable += not_applicable;
        }
        let Row { passed, failed, not_applicable, .. } = all;
        write!(f, "conformance: {passed} passed, {failed} failed, {not_applicable} not applicable")
    }
}
