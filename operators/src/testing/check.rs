//! [`check`]: an operator against every rule.

use std::fmt::Debug;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;

use super::cases::{Random, scripts, simpler, stuttering, ways};
use super::consumer::{Case, End, Make, Run, Way};
use super::input::{Input, Script};
use super::polled::{Erased, Polled};
use super::report::{Breach, Outcome, Report};
use super::{Rule, scenarios};
use crate::{Flow, Stage};

/// The seed where the environment gives none.
const SEED: u64 = 20_260_101;

/// Checks an operator against every rule: over every short input and many longer ones, polled in
/// every way that the contract of a stage allows, with inputs that are pending for no reason.
///
/// `make` builds the operator over its inputs. It is called for each run, and has to build the
/// same every time. The longer inputs are drawn from `AQUEDUCT_SEED` if that is set.
///
/// ```
/// use aqueduct_operators::testing::{Rule, check};
///
/// let report = check("map", |[input]| input.map(|x| x.value() + 1));
/// report.assert();
///
/// // An operator of three inputs.
/// let report = check("zip", |[a, b, c]| a.zip(b).zip(c));
/// assert_eq!(report.broken(), []);
/// ```
///
/// A rule that cannot be kept is declared:
///
/// ```
/// use aqueduct_operators::testing::{Rule, check_except};
///
/// let except = [(Rule::Invariance, "which of two ready inputs comes first is not promised")];
/// check_except("merge", |[a, b]| a.merge(b), &except).assert();
/// ```
pub fn check<S, const N: usize>(name: &str, make: impl Fn([Flow<Input>; N]) -> S) -> Report
where
    S: Stage<Item: Debug>,
{
    check_except(name, make, &[])
}

/// As [`check`], for an operator that declares that it does not keep some rules, and why.
pub fn check_except<S, const N: usize>(
    name: &str,
    make: impl Fn([Flow<Input>; N]) -> S,
    exceptions: &[(Rule, &'static str)],
) -> Report
where
    S: Stage<Item: Debug>,
{
    let make = |inputs: Vec<Flow<Input>>| -> Pin<Box<dyn Polled + '_>> {
        let Ok(inputs) = inputs.try_into() else {
            unreachable!("the checks make as many inputs as they were told");
        };
        Box::pin(Erased(make(inputs)))
    };
    Check::new(name, N, &make, exceptions).run()
}

/// A check under way.
pub(super) struct Check<'a> {
    name: &'a str,
    pub(super) inputs: usize,
    pub(super) make: &'a Make<'a>,
    exceptions: &'a [(Rule, &'static str)],
    seed: u64,
    default_seed: bool,
    pub(super) runs: usize,
    /// It polls for ever: every further run would take as long.
    hopeless: bool,
    /// Whether allocations were counted in a run.
    pub(super) counted: bool,
    breaches: Vec<(Rule, Breach)>,
    pub(super) not_measured: Vec<(Rule, &'static str)>,
}

impl<'a> Check<'a> {
    fn new(
        name: &'a str,
        inputs: usize,
        make: &'a Make<'a>,
        exceptions: &'a [(Rule, &'static str)],
    ) -> Self {
        let seed = std::env::var("AQUEDUCT_SEED").ok().and_then(|seed| seed.parse().ok());
        Self {
            name,
            inputs,
            make,
            exceptions,
            seed: seed.unwrap_or(SEED),
            default_seed: seed.is_none(),
            runs: 0,
            hopeless: false,
            counted: false,
            breaches: Vec::new(),
            not_measured: Vec::new(),
        }
    }

    fn run(mut self) -> Report {
        self.short_runs();
        if self.hopeless {
            let why = "it polls for ever";
            let rules = Rule::ALL.into_iter().filter(|rule| !self.knows(*rule));
            self.not_measured = rules.map(|rule| (rule, why)).collect();
        } else {
            scenarios::all(&mut self);
        }
        let outcomes = Rule::ALL.map(|rule| (rule, self.outcome(rule)));
        Report {
            name: self.name.to_owned(),
            seed: self.seed,
            default_seed: self.default_seed,
            runs: self.runs,
            outcomes: outcomes.into(),
        }
    }

    fn outcome(&self, rule: Rule) -> Outcome {
        let breach = self.breaches.iter().find(|(this, _)| *this == rule);
        let breach = breach.map(|(_, breach)| breach.clone());
        let excuse = self.exceptions.iter().find(|(this, _)| *this == rule);
        let not_measured = self.not_measured.iter().find(|(this, _)| *this == rule);
        match (breach, excuse, not_measured) {
            (_, _, Some((_, why))) => Outcome::NotMeasured(why),
            (broken, Some((_, reason)), None) => Outcome::Excused { reason, broken },
            (Some(breach), None, None) => Outcome::Broken(breach),
            (None, None, None) => Outcome::Kept,
        }
    }

    fn short_runs(&mut self) {
        let mut random = Random::new(self.seed ^ 1);
        for (index, scripts) in scripts(self.inputs, self.seed).into_iter().enumerate() {
            if self.hopeless {
                return;
            }
            let base = Case { scripts, way: Way::pulled() };
            let expected = self.examine(&base, None);
            if index % 16 == 0 {
                self.runs += 1;
                let again = base.run(self.make);
                if again.lines != expected.lines || again.events != expected.events {
                    self.breach(&base, Rule::Deterministic, "two runs of it differ");
                }
            }
            for (turn, way) in ways(index, &mut random).into_iter().enumerate() {
                let stutters = (index + turn) % 3 == 0;
                let scripts =
                    if stutters { stuttering(&base.scripts) } else { base.scripts.clone() };
                self.examine(&Case { scripts, way }, Some(&expected));
            }
        }
    }

    /// Runs a case, and notes what it breaks. With another run to compare, also where they differ.
    fn examine(&mut self, case: &Case, expected: Option<&Run>) -> Run {
        self.runs += 1;
        let run = case.run(self.make);
        self.hopeless |= run.end == End::Exhausted;
        for (rule, what) in &run.breaches {
            self.breach(case, *rule, what);
        }
        if let Some(expected) = expected
            && let Some((rule, what)) = difference(case, expected, &run)
        {
            self.breach(case, rule, &what);
        }
        run
    }

    /// Whether the rule is known to be broken.
    pub(super) fn knows(&self, rule: Rule) -> bool {
        self.breaches.iter().any(|(this, _)| *this == rule)
    }

    /// Notes a breach that shows in a case, with the shortest trace that shows it.
    fn breach(&mut self, case: &Case, rule: Rule, what: &str) {
        if self.knows(rule) {
            return;
        }
        let excused = self.exceptions.iter().any(|(this, _)| *this == rule);
        let breach = if excused {
            Breach { what: what.to_owned(), trace: String::new() }
        } else {
            self.shortest(case, rule, what)
        };
        self.breaches.push((rule, breach));
    }

    /// Notes a breach that shows only in a long run.
    pub(super) fn breach_without_trace(&mut self, rule: Rule, what: String) {
        if !self.knows(rule) {
            self.breaches.push((rule, Breach { what, trace: String::new() }));
        }
    }

    fn shortest(&mut self, case: &Case, rule: Rule, what: &str) -> Breach {
        let mut best = (case.clone(), what.to_owned());
        let mut tries = if self.hopeless { 20 } else { 400 };
        'shorter: loop {
            for simple in simpler(&best.0) {
                if tries == 0 {
                    break 'shorter;
                }
                tries -= 1;
                if let Some(what) = self.shows(&simple, rule) {
                    best = (simple, what);
                    continue 'shorter;
                }
            }
            break;
        }
        let (case, what) = best;
        let mut trace = case.to_string();
        let run = case.run(self.make);
        for event in &run.events {
            let _ = writeln!(trace, "  {event}");
        }
        if matches!(rule, Rule::Mixture | Rule::Invariance | Rule::NextLosesNothing) {
            let expected = pulled(&case).run(self.make);
            let _ = writeln!(trace, "  when pulled: {:?}", expected.lines);
        }
        Breach { what, trace }
    }

    /// How the case breaks the rule, if it does.
    fn shows(&mut self, case: &Case, rule: Rule) -> Option<String> {
        self.runs += 2;
        let run = case.run(self.make);
        if let Some((_, what)) = run.breaches.iter().find(|(this, _)| *this == rule) {
            return Some(what.clone());
        }
        let expected = pulled(case).run(self.make);
        if rule == Rule::Deterministic {
            let again = case.run(self.make);
            return (again.lines != run.lines || again.events != run.events)
                .then(|| "two runs of it differ".to_owned());
        }
        difference(case, &expected, &run).filter(|(this, _)| *this == rule).map(|(_, what)| what)
    }
}

/// The case as it is pulled in the simplest way.
fn pulled(case: &Case) -> Case {
    let calm = |script: &Arc<Script>| Arc::new(Script { stutters: false, ..(**script).clone() });
    Case { scripts: case.scripts.iter().map(calm).collect(), way: Way::pulled() }
}

/// Which rule the run breaks because it differs from the one that was pulled, and how.
fn difference(case: &Case, expected: &Run, run: &Run) -> Option<(Rule, String)> {
    let unfinished =
        |end: &End| matches!(end, End::Aborted | End::Exhausted | End::Panicked(_) | End::Stalled);
    if unfinished(&expected.end) || unfinished(&run.end) || case.way.busy {
        return None;
    }
    let cut = expected.end == End::Cut || run.end == End::Cut;
    let common = if cut {
        expected.lines.len().min(run.lines.len())
    } else {
        expected.lines.len().max(run.lines.len())
    };
    let of = |run: &Run| run.lines[..common.min(run.lines.len())].to_vec();
    let (old, new) = (of(expected), of(run));
    let same_end = cut || expected.end == run.end;
    if old == new && same_end {
        return None;
    }
    let stutters = case.scripts.iter().any(|script| script.stutters);
    let text = |lines: &[(i64, String)]| -> Vec<String> {
        lines.iter().map(|(_, line)| line.clone()).collect()
    };
    let rule = if stutters || case.way.drives() {
        Rule::Invariance
    } else if text(&old) == text(&new) {
        Rule::Liveness
    } else if case.way.again > 0 && new.len() < old.len() {
        Rule::NextLosesNothing
    } else {
        Rule::Mixture
    };
    let what = format!(
        "polled so it gives {new:?}, {:?}; when it is pulled {old:?}, {:?}",
        run.end, expected.end
    );
    Some((rule, what))
}
