//! Diagrams of several timelines with their columns aligned.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Timeline;

/// A gap of more milliseconds than this is written as a number.
const LONG: i64 = 24;

type Line = Timeline<String>;

/// What is left of a `Debug` form without quotes and blanks.
pub(super) fn plain(debug: &str) -> String {
    debug.chars().filter(|c| !c.is_whitespace() && !matches!(c, '\'' | '"')).collect()
}

/// The named rows, one below the other: equal times stand in one column.
pub(super) fn rows(rows: &[(&str, &Line)]) -> String {
    let mut times = BTreeSet::from([0]);
    for (_, line) in rows {
        times.extend(line.events.iter().map(|(at, _)| *at));
        times.extend((line.end != Line::NEVER).then_some(line.end));
    }
    let name_width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text: Vec<String> =
        rows.iter().map(|(name, _)| format!("{name:name_width$}  ")).collect();
    let mut before = None;
    for at in times {
        let gap = before.map_or(0, |before: i64| at - before - 1);
        let cells: Vec<_> = rows.iter().map(|(_, line)| cell(line, at)).collect();
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(1);
        for ((text, cell), (_, line)) in text.iter_mut().zip(&cells).zip(rows) {
            let over = |at| line.end < at;
            let gap_fill = if over(at) { ' ' } else { '-' };
            if gap > LONG {
                let _ = write!(text, " {gap}ms ");
            } else {
                text.extend((0..gap).map(|_| gap_fill));
            }
            text.push_str(cell);
            let fill = if over(at + 1) { ' ' } else { '-' };
            text.extend((cell.chars().count()..width).map(|_| fill));
        }
        before = Some(at);
    }
    let lines: Vec<_> = text.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

/// What stands at one instant.
fn cell(line: &Line, at: i64) -> String {
    let now = line.events.iter().filter(|(when, _)| *when == at);
    let mut marks: Vec<&str> = now.map(|(_, item)| item.as_str()).collect();
    let wide = marks.iter().any(|mark| mark.chars().count() > 1);
    if line.end == at {
        marks.push("|");
    }
    match marks[..] {
        [] if line.end < at => " ".to_owned(),
        [] => "-".to_owned(),
        [one] => one.to_owned(),
        _ => format!("({})", marks.join(if wide { " " } else { "" })),
    }
}

/// The first difference of two timelines, in words.
pub(super) fn difference(expected: &Line, actual: &Line) -> Option<String> {
    let mut times = BTreeSet::new();
    for line in [expected, actual] {
        times.extend(line.events.iter().map(|(at, _)| *at));
        times.insert(line.end);
    }
    let said = |line: &Line, at: i64| match cell(line, at).as_str() {
        "-" | " " => "nothing".to_owned(),
        "|" => "the end".to_owned(),
        cell => cell.to_owned(),
    };
    let at = times.into_iter().find(|at| cell(expected, *at) != cell(actual, *at))?;
    if at == Line::NEVER {
        let (never, ends) =
            if expected.end == Line::NEVER { ("expected", actual) } else { ("actual", expected) };
        return Some(format!("the {never} one never ends, the other at {} ms", ends.end));
    }
    Some(format!("at {at} ms expected {}, got {}", said(expected, at), said(actual, at)))
}

/// The first difference and both diagrams.
pub(super) fn compare(expected: &Line, actual: &Line) -> Option<String> {
    let difference = difference(expected, actual)?;
    Some(format!("{difference}\n{}", rows(&[("expected", expected), ("actual", actual)])))
}

/// The line in the exact grammar, as far as that can say it.
pub(super) fn marble(line: &Line) -> Option<String> {
    let mut values: Vec<(char, &str)> = Vec::new();
    let letters = ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let mut free = letters.filter(|letter| !line.events.iter().any(|(_, item)| is(item, *letter)));
    let mut times: BTreeSet<i64> = line.events.iter().map(|(at, _)| *at).collect();
    times.extend((line.end != Line::NEVER).then_some(line.end));
    let (mut text, mut now) = (String::new(), 0);
    for at in times {
        let mut group = String::new();
        for (_, item) in line.events.iter().filter(|(when, _)| *when == at) {
            let mut known = values.iter().filter(|(_, value)| value == item);
            let mark = match known.next() {
                _ if item.starts_with("Err(") => '#',
                _ if item.chars().count() == 1 && !item.contains(RESERVED) => {
                    item.chars().next()?
                }
                Some((mark, _)) => *mark,
                None => {
                    values.push((free.next()?, item));
                    values.last()?.0
                }
            };
            group.push(mark);
        }
        if line.end == at {
            group.push('|');
        }
        if at < now {
            return None;
        }
        if at - now > LONG {
            let _ = write!(text, " {}ms ", at - now);
        } else {
            text.extend((now..at).map(|_| '-'));
        }
        now = at + 1;
        if group.chars().count() > 1 {
            now += group.chars().count() as i64 + 1;
            group = format!("({group})");
        }
        text.push_str(&group);
    }
    // An error that is the last mark would end the row.
    if line.end == Line::NEVER && (text.ends_with(['#']) || text.ends_with("#)")) {
        text.push('-');
    }
    let text = text.trim_start().to_owned();
    if values.is_empty() {
        return Some(text);
    }
    let said: Vec<_> = values.iter().map(|(mark, value)| format!("{mark} = {value}")).collect();
    Some(format!("{text}\nwhere  {}", said.join(", ")))
}

/// Characters that are no items.
const RESERVED: [char; 8] = ['-', '(', ')', '|', '#', '^', '!', ' '];

fn is(item: &str, letter: char) -> bool {
    item.chars().eq([letter])
}
