//! The cases about the notation itself: how marbles are read.

use serde_json::Value as Json;

use crate::case::{events, listed_events};
use crate::marble::parse_subscription;
use crate::value::Node;
use crate::world::Problem;

pub fn marble(node: Node) -> Result<(), Problem> {
    let marble = node.get("marble").and_then(Json::as_str).ok_or("`marble` is missing")?;
    let read = events(marble, node, "values", "error")?;
    let expected = listed_events(node["events"].as_array().into_iter().flatten())?;
    if read == expected { Ok(()) } else { Err(format!("{read:?} instead of {expected:?}").into()) }
}

pub fn subscription(node: Node) -> Result<(), Problem> {
    let marble = node.get("marble").and_then(Json::as_str).ok_or("`marble` is missing")?;
    let frame = |field: &str| node.get(field).and_then(Json::as_i64);
    let expected = frame("subscribed").map(|from| (from, frame("unsubscribed")));
    let read = parse_subscription(marble)?;
    if read == expected { Ok(()) } else { Err(format!("{read:?} instead of {expected:?}").into()) }
}
