//! [`Value`]: whatever an item of a case may be (FORMAT.md, section 4).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;

use crate::recipe::{Env, Recipe};

/// A part of a case. The cases live as long as the process, so that everything may borrow.
pub type Node = &'static Json;

#[derive(Clone, PartialEq)]
pub enum Value {
    Undefined,
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
    /// An error object of the original: its kind, and its message where that counts.
    Error(String, Option<String>),
    /// An absolute frame.
    At(i64),
    /// A stream as an item, to be subscribed to.
    Stream(Recipe),
    Notification(Box<Notification>),
    /// In expectations: the events of a stream that is subscribed to when it is emitted.
    Inner(Node),
}

#[derive(Clone, PartialEq)]
pub enum Notification {
    Next(Value),
    Error(Value),
    Complete,
}

/// A number that equals itself.
#[derive(Clone, Copy)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.0.is_nan() && other.0.is_nan()
    }
}

impl Value {
    /// Reads a value; streams in it see the arguments of the callbacks around them.
    pub fn read(node: Node, env: &Env) -> Result<Self, String> {
        Ok(match node {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Number(number) => Self::number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) => Self::List(
                items.iter().map(|item| Self::read(item, env)).collect::<Result<_, _>>()?,
            ),
            Json::Object(fields) => {
                let Some(mark) = fields.keys().find(|key| key.starts_with('$')) else {
                    let read =
                        |(key, item): (&String, _)| Ok((key.clone(), Self::read(item, env)?));
                    return Ok(Self::Object(
                        fields.iter().map(read).collect::<Result<_, String>>()?,
                    ));
                };
                return Self::special(mark, node, env);
            }
        })
    }

    fn special(mark: &str, node: Node, env: &Env) -> Result<Self, String> {
        let field = |name: &str| node.get(name);
        let text = |name: &str| field(name).and_then(Json::as_str);
        let other = |name: &str| match field(name) {
            Some(item) => Self::read(item, env),
            None => Ok(Self::Undefined),
        };
        let allowed: &[&str] = match mark {
            "$error" => &["$error", "message"],
            "$notification" => &["$notification", "value", "error"],
            "$inner" => &["$inner", "values", "error"],
            _ => &[mark],
        };
        if let Some(fields) = node.as_object()
            && let Some(unknown) = fields.keys().find(|key| !allowed.contains(&key.as_str()))
        {
            return Err(format!("unknown field `{unknown}` beside `{mark}`"));
        }
        Ok(match (mark, text(mark)) {
            ("$undefined", _) => Self::Undefined,
            ("$number", Some("NaN")) => Self::number(f64::NAN),
            ("$number", Some("Infinity")) => Self::number(f64::INFINITY),
            ("$number", Some("-Infinity")) => Self::number(f64::NEG_INFINITY),
            ("$error", Some(kind)) => {
                Self::Error(kind.to_owned(), text("message").map(str::to_owned))
            }
            ("$at", _) => match field("$at").and_then(Json::as_i64) {
                Some(frame) => Self::At(frame),
                None => return Err("`$at` is not a frame".into()),
            },
            ("$stream", _) => Self::Stream(Recipe::new(&node["$stream"], env.clone())),
            ("$notification", Some("next")) => Notification::Next(other("value")?).into(),
            ("$notification", Some("error")) => Notification::Error(other("error")?).into(),
            ("$notification", Some("complete")) => Notification::Complete.into(),
            ("$inner", Some(_)) => Self::Inner(node),
            _ => return Err(format!("unknown special object {node}")),
        })
    }

    pub fn number(number: f64) -> Self {
        Self::Number(Number(number))
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An error of a kind that carries no message.
    pub fn error(kind: &str) -> Self {
        Self::Error(kind.to_owned(), None)
    }

    pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// A property; `undefined` if there is none.
    pub fn property(&self, name: &str) -> Self {
        let found = match self {
            Self::Object(fields) => fields.get(name).cloned(),
            Self::Text(text) if name == "length" => Some(Self::number(text.chars().count() as f64)),
            Self::List(items) if name == "length" => Some(Self::number(items.len() as f64)),
            _ => None,
        };
        found.unwrap_or(Self::Undefined)
    }

    /// As a condition in JavaScript.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Bool(bool) => *bool,
            Self::Number(Number(number)) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            _ => true,
        }
    }

    /// As a number: numeric strings are parsed.
    pub fn as_number(&self) -> f64 {
        match self {
            Self::Number(Number(number)) => *number,
            Self::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
            Self::Bool(bool) => f64::from(u8::from(*bool)),
            Self::Null => 0.0,
            _ => f64::NAN,
        }
    }

    /// As JavaScript writes it into a string.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Undefined => "undefined".into(),
            Self::Null => "null".into(),
            Self::Bool(bool) => bool.to_string(),
            Self::Number(Number(number)) => number.to_string(),
            Self::List(items) => items.iter().map(Self::to_text).collect::<Vec<_>>().join(","),
            other => format!("{other:?}"),
        }
    }

    /// `+` of JavaScript: numbers add, anything else is written one after the other.
    pub fn plus(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::number(a.0 + b.0),
            (a, b) => Self::Text(a.to_text() + &b.to_text()),
        }
    }

    /// `<` of JavaScript.
    pub fn less(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a < b,
            (a, b) => a.as_number() < b.as_number(),
        }
    }
}

impl From<Notification> for Value {
    fn from(notification: Notification) -> Self {
        Self::Notification(Box::new(notification))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str("undefined"),
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Number(Number(number)) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Object(fields) => f.debug_map().entries(fields).finish(),
            Self::Error(kind, None) => f.write_str(kind),
            Self::Error(kind, Some(message)) => write!(f, "{kind}({message})"),
            Self::At(frame) => write!(f, "at {frame}"),
            Self::Stream(recipe) => write!(f, "{recipe:?}"),
            Self::Notification(notification) => match &**notification {
                Notification::Next(value) => write!(f, "next({value:?})"),
                Notification::Error(error) => write!(f, "error({error:?})"),
                Notification::Complete => f.write_str("complete"),
            },
            Self::Inner(node) => write!(f, "{}", node["$inner"]),
        }
    }
}
