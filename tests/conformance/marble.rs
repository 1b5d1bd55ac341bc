//! Marble diagrams: what happens when, as a line of characters (FORMAT.md, section 2).

/// What stands in a diagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mark {
    Item(char),
    Error,
    Complete,
}

/// Frames are milliseconds of virtual time.
pub type Frame = i64;

/// Reads a marble diagram: each event with its frame, an item by its character. With `^` the
/// frame of that position is 0, else that of the first column.
pub fn parse(marble: &str) -> Result<Vec<(Frame, Mark)>, String> {
    let mut events = Vec::new();
    let mut origin = 0;
    walk(marble, |frame, mark| {
        match mark {
            '|' => events.push((frame, Mark::Complete)),
            '#' => events.push((frame, Mark::Error)),
            '^' => origin = frame,
            item => events.push((frame, Mark::Item(item))),
        }
        Ok(())
    })?;
    Ok(events.into_iter().map(|(frame, mark)| (frame - origin, mark)).collect())
}

/// A subscription: from when, and until when if it ended.
pub type Subscription = (Frame, Option<Frame>);

/// Reads a diagram of one subscription. `None` if nobody subscribed.
pub fn parse_subscription(marble: &str) -> Result<Option<Subscription>, String> {
    let (mut from, mut until) = (None, None);
    walk(marble, |frame, mark| {
        let place = match mark {
            '^' => &mut from,
            '!' => &mut until,
            other => return Err(format!("`{other}` in a subscription marble")),
        };
        match place.replace(frame) {
            None => Ok(()),
            Some(_) => Err(format!("a second `{mark}` in a subscription marble")),
        }
    })?;
    match (from, until) {
        (None, Some(_)) => Err("`!` without `^` in a subscription marble".into()),
        (from, until) => Ok(from.map(|from| (from, until))),
    }
}

/// Calls `see` with each mark that is not time alone.
fn walk(
    marble: &str,
    mut see: impl FnMut(Frame, char) -> Result<(), String>,
) -> Result<(), String> {
    let mut frame = 0;
    let mut group = None;
    let mut rest = marble;
    let mut fresh = true;
    while let Some(mark) = rest.chars().next() {
        if fresh
            && group.is_none()
            && let Some((time, length)) = progression(rest)
        {
            frame += time;
            rest = &rest[length..];
            fresh = false;
            continue;
        }
        rest = &rest[mark.len_utf8()..];
        fresh = mark == ' ';
        let now = group.unwrap_or(frame);
        match mark {
            ' ' => continue,
            '-' => {}
            '(' if group.is_none() => group = Some(frame),
            ')' if group.is_some() => group = None,
            '(' | ')' => return Err(format!("`{mark}` out of place in `{marble}`")),
            mark => see(now, mark)?,
        }
        frame += 1;
    }
    match group {
        None => Ok(()),
        Some(_) => Err(format!("a group of `{marble}` is not closed")),
    }
}

/// A time progression at the beginning of `rest`: its time, and how long its text is.
fn progression(rest: &str) -> Option<(Frame, usize)> {
    let end = rest.find(' ')?;
    let word = &rest[..end];
    let digits = word.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = word[..digits].parse().ok()?;
    let unit = match &word[digits..] {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    Some(((number * unit) as Frame, end))
}
