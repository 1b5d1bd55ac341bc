//! A diagram: its rows, and what its characters stand for.

use super::Marble;
use super::documentation::{blocks_of, source_file};
use super::grammar::Row as Kind;
use super::value::parts;

/// A diagram: rows of marbles below each other, in which one column is one millisecond.
#[doc(hidden)]
#[derive(Debug)]
pub struct Diagram {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
    /// The names of the rows that are compared.
    pub(super) outputs: Vec<String>,
    /// What a character stands for.
    values: Vec<(char, String)>,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// The column in which it begins.
    pub(super) from: i64,
    pub(super) text: String,
}

impl Diagram {
    /// The first diagram in the documentation of `fn method` in this file that has all the rows.
    pub fn in_docs_of(manifest: &str, file: &str, method: &str) -> impl FnOnce(&[&str]) -> Self {
        let path = source_file(manifest, file);
        let source = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let blocks = blocks_of(&source, method);
        let title = format!("the diagram of `{method}` in {file}");
        assert!(
            !blocks.is_empty(),
            "{title}: `fn {method}` has no ```text block in its documentation"
        );
        move |outputs| {
            let diagrams = blocks.iter().map(|block| Self::read(title.clone(), block, outputs));
            let has = |diagram: &Self| outputs.iter().all(|name| diagram.row(name).is_some());
            diagrams.into_iter().find(has).unwrap_or_else(|| {
                panic!("{title}: no ```text block has the row `{}`", outputs.join("` and `"))
            })
        }
    }

    /// A diagram as text, indented or not.
    pub fn in_text(file: &str, line: u32, text: &str) -> impl FnOnce(&[&str]) -> Self {
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let indented = |line: &str| line.len() - line.trim_start().len();
        let indent = lines().map(indented).min().unwrap_or(0);
        let block: String = lines().flat_map(|line| [&line[indent..], "\n"]).collect();
        let title = format!("the diagram at {file}:{line}");
        move |outputs| {
            let diagram = Self::read(title, &block, outputs);
            for name in outputs {
                assert!(diagram.row(name).is_some(), "{}: no row `{name}`", diagram.title);
            }
            diagram
        }
    }

    fn read(title: String, block: &str, outputs: &[&str]) -> Self {
        let lines: Vec<&str> = block.lines().filter(|line| !line.trim().is_empty()).collect();
        let mut values = Vec::new();
        let mut rows = Vec::new();
        let is_where = |line: &&&str| line.starts_with("where ");
        for line in lines.iter().filter(is_where) {
            values.extend(bindings(&line["where".len()..]));
        }
        let named = || lines.iter().filter(|line| !is_where(line) && !line.starts_with(' '));
        let column = named().filter_map(|line| marble_column(line)).min().unwrap_or(0);
        for line in named() {
            let split = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
            let (name, rest) = line.split_at(split);
            let marble = rest.trim_start();
            let from = rest.chars().count() - marble.chars().count();
            // Two blanks end the marble: what follows is the call.
            let text = if matches!(name.trim(), "time" | "busy") {
                marble
            } else {
                marble.split("  ").next().unwrap_or_default()
            };
            if let Some((_, said)) = marble.split_once("  where ") {
                values.extend(bindings(said));
            }
            let text = text.trim_end();
            rows.push(Row {
                name: name.trim().to_owned(),
                from: from as i64,
                text: text.to_owned(),
            });
        }
        let outputs = outputs.iter().map(|name| (*name).to_owned()).collect();
        Self { title, rows, outputs, values }
    }

    /// A marble and perhaps lines that say what its characters stand for.
    pub(in crate::testing) fn of_row(text: &str) -> Self {
        Self::read("the marble".to_owned(), &format!("out  {}", text.trim_start()), &["out"])
    }

    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    pub(super) fn marble(&self, row: &Row, kind: Kind) -> Marble {
        Marble::read(&row.text, kind)
            .unwrap_or_else(|error| panic!("{}, row `{}`, {error}", self.title, row.name))
    }

    pub(super) fn value(&self, mark: char) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == mark).map(|(_, value)| value.as_str())
    }
}

/// The column after the name and the blanks behind it.
fn marble_column(line: &str) -> Option<usize> {
    let name = line.find("  ").or_else(|| line.find(' '))?;
    let rest = &line[name..];
    let blanks = rest.chars().count() - rest.trim_start().chars().count();
    Some(line[..name].chars().count() + blanks)
}

/// `x = (1, a), y = [b, c]`
fn bindings(text: &str) -> Vec<(char, String)> {
    let mut all: Vec<(char, String)> = Vec::new();
    for part in parts(text.trim()) {
        let mut chars = part.chars();
        let name = chars.next();
        match (name, chars.as_str().trim_start().strip_prefix('=')) {
            (Some(name), Some(value)) => all.push((name, value.trim().to_owned())),
            // A comma of the value, outside of brackets.
            _ => all.iter_mut().last().into_iter().for_each(|(_, value)| {
                value.push(',');
                value.push_str(part);
            }),
        }
    }
    all
}
