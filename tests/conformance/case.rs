//! [`Case`]: one line of a file of cases (FORMAT.md, section 1).

use serde_json::{Value as Json, json};

use crate::marble::{self, Frame, Mark, Subscription};
use crate::recipe::{Env, Recipe};
use crate::sources::Event;
use crate::value::{Node, Value};
use crate::world::World;

/// A case about the behaviour of an operator.
pub struct Case {
    node: Node,
    /// The operator under test, with what is applied after it.
    stream: Node,
}

/// One consumer, and what it is to see.
pub struct Observer {
    pub stream: Recipe,
    pub subscribe_at: Frame,
    pub unsubscribe_at: Option<Frame>,
    pub expected: Vec<(Frame, Event)>,
}

const FIELDS: [&str; 21] = [
    "id",
    "origin",
    "also",
    "operator",
    "inputs",
    "args",
    "then",
    "sources",
    "expected",
    "expected_values",
    "expected_error",
    "expected_events",
    "subscribe_at",
    "unsubscribe_at",
    "request_at",
    "observers",
    "expected_subscriptions",
    "observed_finalize_frames",
    "tags",
    "validated_by",
    "note",
];

/// Refuses fields that nobody would read.
fn only(node: Node, what: &str, known: &[&str]) -> Result<(), String> {
    let Some(fields) = node.as_object() else {
        return Err(format!("{what} is no object: {node}"));
    };
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(format!("unknown field `{unknown}` of {what}")),
        None => Ok(()),
    }
}

fn text<'a>(node: &'a Json, field: &str) -> Result<&'a str, String> {
    node.get(field).and_then(Json::as_str).ok_or_else(|| format!("`{field}` is missing"))
}

impl Case {
    pub fn read(node: Node) -> Result<Self, String> {
        only(node, "a case", &FIELDS)?;
        let mut stream = json!({ "operator": node["operator"] });
        for field in ["inputs", "args"] {
            if let Some(value) = node.get(field) {
                stream[field] = value.clone();
            }
        }
        for then in list(node, "then") {
            only(then, "`then`", &["operator", "args", "others"])?;
            let mut inputs = vec![stream];
            inputs.extend(list(then, "others").cloned());
            stream = json!({ "operator": then["operator"], "inputs": inputs });
            if let Some(args) = then.get("args") {
                stream["args"] = args.clone();
            }
        }
        Ok(Self { node, stream: Box::leak(Box::new(stream)) })
    }

    pub fn stream(&self) -> Recipe {
        Recipe::new(self.stream, Env::default())
    }

    pub fn tags(&self) -> Vec<&'static str> {
        list(self.node, "tags").filter_map(Json::as_str).collect()
    }

    /// Puts the sources into the world.
    pub fn declare_sources(&self, world: &World) -> Result<(), String> {
        for source in list(self.node, "sources") {
            only(source, "a source", &["name", "kind", "marble", "values", "error"])?;
            let hot = match text(source, "kind")? {
                "hot" => true,
                "cold" => false,
                other => return Err(format!("a source that is neither hot nor cold but {other}")),
            };
            let events = events(text(source, "marble")?, source, "values", "error")?;
            world.sources().add(text(source, "name")?, hot, events);
        }
        Ok(())
    }

    pub fn observers(&self) -> Result<Vec<Observer>, String> {
        let all: Vec<Node> = match self.node.get("observers") {
            Some(_) => list(self.node, "observers").collect(),
            None => vec![self.node],
        };
        let fields = [
            "stream",
            "subscribe_at",
            "unsubscribe_at",
            "expected",
            "expected_values",
            "expected_error",
            "expected_events",
        ];
        let mut observers = Vec::new();
        for node in all {
            if self.node.get("observers").is_some() {
                only(node, "an observer", &fields)?;
            }
            let stream = node.get("stream").unwrap_or(&Json::Null);
            let stream = if stream.is_null() { self.stream } else { stream };
            let frame = |field| node.get(field).and_then(Json::as_i64);
            let expected = match node.get("expected_events") {
                Some(_) => listed_events(list(node, "expected_events"))?,
                None => {
                    let marble = text(node, "expected")?;
                    events(marble, node, "expected_values", "expected_error")?
                }
            };
            observers.push(Observer {
                stream: Recipe::new(stream, Env::default()),
                subscribe_at: frame("subscribe_at").unwrap_or(0),
                unsubscribe_at: frame("unsubscribe_at"),
                expected,
            });
        }
        Ok(observers)
    }

    /// The frames before which the slow consumer makes no request.
    pub fn requests(&self) -> Option<Vec<Frame>> {
        self.node.get("request_at")?;
        Some(list(self.node, "request_at").filter_map(Json::as_i64).collect())
    }

    /// The subscriptions that each source is to have seen.
    pub fn subscriptions(&self) -> Result<Vec<(&'static str, Vec<Subscription>)>, String> {
        let all = self.node.get("expected_subscriptions").and_then(Json::as_object);
        let read = |(name, marbles): (&'static String, &'static Json)| {
            let marbles = marbles.as_array().into_iter().flatten().filter_map(Json::as_str);
            let parsed = marbles.map(marble::parse_subscription).collect::<Result<Vec<_>, _>>()?;
            Ok((name.as_str(), parsed.into_iter().flatten().collect()))
        };
        all.into_iter().flatten().map(read).collect()
    }

    pub fn finalized(&self) -> Option<Vec<Frame>> {
        self.node.get("observed_finalize_frames")?;
        Some(list(self.node, "observed_finalize_frames").filter_map(Json::as_i64).collect())
    }
}

fn list(node: Node, field: &str) -> impl Iterator<Item = Node> + use<> {
    node.get(field).and_then(Json::as_array).into_iter().flatten()
}

/// The events of a diagram, with the values and the error that stand beside it.
pub fn events(
    marble: &str,
    node: Node,
    values: &str,
    error: &str,
) -> Result<Vec<(Frame, Event)>, String> {
    let read = |(frame, mark)| {
        let event = match mark {
            Mark::Item(mark) => match node.get(values).and_then(|v| v.get(mark.to_string())) {
                Some(value) => Event::Next(Value::read(value, &Env::default())?),
                None => Event::Next(Value::text(mark)),
            },
            Mark::Error => match node.get(error) {
                Some(error) => Event::Error(Value::read(error, &Env::default())?),
                None => Event::Error(Value::text("error")),
            },
            Mark::Complete => Event::Complete,
        };
        Ok((frame, event))
    };
    marble::parse(marble)?.into_iter().map(read).collect()
}

/// Events as a list: frame, kind, value.
pub fn listed_events(events: impl Iterator<Item = Node>) -> Result<Vec<(Frame, Event)>, String> {
    let read = |event: Node| {
        let value = |default| match event.get(2) {
            Some(value) => Value::read(value, &Env::default()),
            None => Ok(default),
        };
        let parsed = match event.get(1).and_then(Json::as_str) {
            Some("next") => Event::Next(value(Value::Undefined)?),
            Some("error") => Event::Error(value(Value::text("error"))?),
            Some("complete") => Event::Complete,
            _ => return Err(format!("unknown event {event}")),
        };
        match event.get(0).and_then(Json::as_i64) {
            Some(frame) => Ok((frame, parsed)),
            None => Err(format!("no frame in {event}")),
        }
    };
    events.map(read).collect()
}
