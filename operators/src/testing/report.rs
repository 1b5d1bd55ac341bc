//! [`Report`]: which rules an operator keeps.

use std::fmt;

use super::Rule;

/// How a rule was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What was wrong, in words.
    pub what: String,
    /// The inputs and the polls of the shortest run that shows it, line by line. Empty for what
    /// shows only in a long one.
    pub trace: String,
}

/// What came of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No run broke it.
    Kept,
    /// Declared not to be kept. `broken` is `None` if no run broke it all the same.
    Excused {
        /// Why, as declared.
        reason: &'static str,
        /// How it was broken.
        broken: Option<Breach>,
    },
    /// It was broken.
    Broken(Breach),
    /// It could not be looked at here, for this reason.
    NotMeasured(&'static str),
}

/// Which rules an operator keeps: what [`check`](super::check) found.
#[derive(Debug, Clone)]
#[must_use = "a report says nothing until it is read: see `assert`"]
pub struct Report {
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) default_seed: bool,
    pub(super) runs: usize,
    pub(super) outcomes: Vec<(Rule, Outcome)>,
}

impl Report {
    /// The name of the operator.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often the operator was run.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Every rule with what came of it.
    pub fn outcomes(&self) -> impl Iterator<Item = (Rule, &Outcome)> {
        self.outcomes.iter().map(|(rule, outcome)| (*rule, outcome))
    }

    /// What came of one rule.
    pub fn outcome(&self, rule: Rule) -> &Outcome {
        let found = self.outcomes.iter().find(|(this, _)| *this == rule);
        found.map_or(&Outcome::NotMeasured("not looked at"), |(_, outcome)| outcome)
    }

    /// The rules that are broken, and not declared to be.
    pub fn broken(&self) -> Vec<Rule> {
        let broken = |outcome: &Outcome| matches!(outcome, Outcome::Broken(_));
        self.outcomes().filter(|(_, outcome)| broken(outcome)).map(|(rule, _)| rule).collect()
    }

    /// The rules that are declared not to be kept and that every run kept.
    pub fn stale(&self) -> Vec<Rule> {
        let stale = |outcome: &Outcome| matches!(outcome, Outcome::Excused { broken: None, .. });
        self.outcomes().filter(|(_, outcome)| stale(outcome)).map(|(rule, _)| rule).collect()
    }

    /// Passes if every rule is kept or declared not to be, and no declaration is stale.
    /// Whether an operator is [invariant](Rule::Invariance) may show in other runs only, so that
    /// declaration is never stale, nor is any under a seed of one's own.
    ///
    /// # Panics
    ///
    /// If not, with the report.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.broken().is_empty(), "{} breaks a rule\n\n{self}", self.name);
        let stale: Vec<_> =
            self.stale().into_iter().filter(|rule| *rule != Rule::Invariance).collect();
        assert!(
            stale.is_empty() || !self.default_seed,
            "{} keeps {stale:?}: take the exception away\n\n{self}",
            self.name
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} runs, AQUEDUCT_SEED={}", self.name, self.runs, self.seed)?;
        for (rule, outcome) in self.outcomes() {
            match outcome {
                Outcome::Kept => writeln!(f, "  kept          {rule}")?,
                Outcome::Excused { reason, broken: Some(_) } => {
                    writeln!(f, "  declared      {rule}: {reason}")?;
                }
                Outcome::Excused { reason, broken: None } => {
                    writeln!(f, "  kept, though declared otherwise  {rule}: {reason}")?;
                }
                Outcome::NotMeasured(why) => writeln!(f, "  not measured  {rule}: {why}")?,
                Outcome::Broken(breach) => {
                    writeln!(f, "  BROKEN        {rule}: {}", breach.what)?;
                    if !breach.trace.is_empty() {
                        writeln!(f, "{}", breach.trace)?;
                    }
                }
            }
        }
        Ok(())
    }
}
