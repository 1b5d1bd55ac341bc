//! [`Op`]: an operator of a case, with its inputs and arguments.

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct::error::{Errors, Oks, OnError, try_region};
use aqueduct::transform::Boxed;
use aqueduct::{Flow, Stage, fail, never};
use serde_json::Value as Json;

use super::{Built, build, stream};
use crate::callbacks::Callback;
use crate::cell::Cell;
use crate::recipe::{Env, Recipe};
use crate::value::{Node, Value};
use crate::world::{Problem, World};
use crate::{Item, Stream};

/// A stream within a region: its items, without its error.
pub type Items = Flow<Oks<Boxed<Item>, Value>>;

/// An operator of a case.
pub struct Op {
    pub world: World,
    pub node: Node,
    pub env: Env,
    /// The arguments that were asked for.
    read: Cell<BTreeSet<&'static str>>,
}

impl Op {
    pub fn read(world: &World, node: Node, env: &Env) -> Result<Self, Problem> {
        let known = ["operator", "inputs", "args"];
        let fields = node.as_object().ok_or_else(|| format!("{node} is no stream"))?;
        if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("unknown field `{unknown}` of a stream").into());
        }
        Ok(Self { world: world.clone(), node, env: env.clone(), read: Cell::default() })
    }

    pub fn name(&self) -> &'static str {
        self.node.get("operator").and_then(Json::as_str).unwrap_or_default()
    }

    /// After it is built: an argument that nobody asked for has no effect, and that is a mistake.
    pub fn finish(&self) -> Result<(), Problem> {
        let arguments = self.node.get("args").and_then(Json::as_object).into_iter().flatten();
        let read = self.read.lock();
        match arguments.map(|(name, _)| name.as_str()).find(|name| !read.contains(name)) {
            Some(name) => Err(format!("unknown argument `{name}` of {}", self.name()).into()),
            None => Ok(()),
        }
    }

    // Inputs

    pub fn recipes(&self) -> Vec<Recipe> {
        let inputs = self.node.get("inputs").and_then(Json::as_array).into_iter().flatten();
        inputs.map(|node| Recipe::new(node, self.env.clone())).collect()
    }

    pub fn recipe(&self) -> Result<Recipe, Problem> {
        match self.recipes().into_iter().next() {
            Some(recipe) => Ok(recipe),
            None => Err(format!("{} has no input", self.name()).into()),
        }
    }

    /// The first input.
    pub fn input(&self) -> Built {
        build(&self.world, &self.recipe()?)
    }

    pub fn inputs(&self) -> Result<Vec<Stream>, Problem> {
        self.recipes().iter().map(|recipe| build(&self.world, recipe)).collect()
    }

    // Arguments

    fn argument(&self, name: &'static str) -> Option<Node> {
        self.read.lock().insert(name);
        self.node.get("args")?.get(name)
    }

    pub fn value(&self, name: &'static str) -> Result<Option<Value>, Problem> {
        let value = self.argument(name).map(|node| Value::read(node, &self.env));
        value.transpose().map_err(Problem::from)
    }

    pub fn values(&self, name: &'static str) -> Result<Option<Vec<Value>>, Problem> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::List(items)) => Ok(Some(items)),
            Some(other) => Err(format!("`{name}` is no list but {other:?}").into()),
        }
    }

    /// A number; `"inf"` is infinite.
    pub fn number(&self, name: &'static str) -> Result<Option<f64>, Problem> {
        match self.value(name)? {
            None | Some(Value::Null | Value::Undefined) => Ok(None),
            Some(Value::Text(text)) if text == "inf" => Ok(Some(f64::INFINITY)),
            Some(Value::Number(number)) => Ok(Some(number.0)),
            Some(other) => Err(format!("`{name}` is no number but {other:?}").into()),
        }
    }

    /// A count; one that is negative is zero, and `"inf"` more than anybody counts to.
    pub fn count(&self, name: &'static str) -> Result<Option<usize>, Problem> {
        Ok(self.number(name)?.map(|number| number as usize))
    }

    /// A time in milliseconds; one that is negative is zero.
    pub fn time(&self, name: &'static str) -> Result<Option<Duration>, Problem> {
        Ok(self.number(name)?.map(|millis| Duration::from_millis(millis as u64)))
    }

    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, Problem> {
        Ok(self.value(name)?.map_or(default, |value| value.is_truthy()))
    }

    /// A stream as an argument.
    pub fn stream(&self, name: &'static str) -> Result<Option<Recipe>, Problem> {
        let node = self.argument(name).filter(|node| !node.is_null());
        Ok(node.map(|node| Recipe::new(node, self.env.clone())))
    }

    pub fn callback(&self, name: &'static str) -> Result<Option<Callback>, Problem> {
        let Some(node) = self.argument(name).filter(|node| !node.is_null()) else {
            return Ok(None);
        };
        Ok(Some(Callback::new(node, self.env.clone(), self.world.clone())?))
    }

    /// A function without which the operator makes no sense.
    pub fn needed(&self, name: &'static str) -> Result<Callback, Problem> {
        let missing = || format!("{} without `{name}`", self.name()).into();
        self.callback(name)?.ok_or_else(missing)
    }

    pub fn is_callback(&self, name: &'static str) -> bool {
        self.argument(name).is_some_and(|node| node.get("fn").is_some())
    }

    // Regions

    /// A part over the items of the first input. What `part` makes discards what it holds at the
    /// first error.
    pub fn over<P>(&self, part: impl FnOnce(Items, Region) -> Flow<P>) -> Built
    where
        P: Stage<Item = Value> + Send + 'static,
    {
        let input = self.input()?;
        self.region(|region| part(region.items(input), region))
    }

    /// A part that takes its inputs itself.
    pub fn region<P>(&self, part: impl FnOnce(Region) -> Flow<P>) -> Built
    where
        P: Stage<Item = Value> + Send + 'static,
    {
        let region = |errors| part(Region { errors, world: self.world.clone() });
        Ok(try_region(OnError::Discard, region).boxed())
    }
}

/// A region of a stream in which errors are not items: they leave it.
#[derive(Clone)]
pub struct Region {
    pub errors: Errors<Value>,
    pub world: World,
}

impl Region {
    /// A stream in here.
    pub fn items(&self, stream: Stream) -> Items {
        self.errors.ok(stream)
    }

    /// Builds what a recipe describes.
    pub fn build(&self, recipe: &Recipe) -> Items {
        self.items(self.world.build_or_never(recipe))
    }

    /// A value that stands for a stream.
    pub fn stream(&self, value: &Value) -> Items {
        self.items(self.world.or_never(stream(&self.world, value)))
    }

    /// A function whose errors leave this region.
    pub fn function(&self, callback: Callback) -> Function {
        Function { callback, region: self.clone(), index: 0 }
    }
}

impl World {
    /// A stream that cannot be built fails the case, and never does anything.
    pub fn or_never(&self, built: Built) -> Stream {
        built.unwrap_or_else(|problem| {
            self.fail(problem);
            never().boxed()
        })
    }

    /// Builds a stream while the case runs.
    pub fn build_or_never(&self, recipe: &Recipe) -> Stream {
        self.or_never(build(self, recipe))
    }
}

/// A function of a case within a region: what it throws leaves the region.
#[derive(Clone)]
pub struct Function {
    callback: Callback,
    region: Region,
    /// How many items it was called for.
    index: u32,
}

impl Function {
    pub fn call(&self, arguments: &[Value]) -> Value {
        self.callback.call(arguments).unwrap_or_else(|error| {
            self.region.errors.fail(error);
            Value::Undefined
        })
    }

    /// Called with an item and the number of items before it.
    pub fn of(&mut self, item: &Value) -> Value {
        self.index += 1;
        self.call(&[item.clone(), Value::number(f64::from(self.index - 1))])
    }

    /// As an accumulator.
    pub fn add(&mut self, state: Value, item: Value) -> Value {
        self.index += 1;
        self.call(&[state, item, Value::number(f64::from(self.index - 1))])
    }

    /// As an accumulator whose first state is the first item.
    pub fn add_or_begin(&mut self, state: Option<Value>, item: Value) -> Value {
        match state {
            Some(state) => self.add(state, item),
            None => {
                self.index += 1;
                item
            }
        }
    }

    /// As an accumulator that gives a stream.
    pub fn stream_added(&mut self, state: &Value, item: Value) -> Items {
        self.index += 1;
        self.stream(&[state.clone(), item, Value::number(f64::from(self.index - 1))])
    }

    /// As a predicate of an item.
    pub fn test(&mut self, item: &Value) -> bool {
        self.of(item).is_truthy()
    }

    /// The stream that it gives for these arguments.
    pub fn stream(&self, arguments: &[Value]) -> Items {
        match self.callback.call(arguments) {
            Ok(value) => self.region.stream(&value),
            // It fails when it is subscribed to, as the original does.
            Err(error) => self.region.items(fail(|| error).boxed()),
        }
    }

    /// The stream that it gives for an item.
    pub fn stream_of(&mut self, item: &Value) -> Items {
        self.index += 1;
        self.stream(&[item.clone(), Value::number(f64::from(self.index - 1))])
    }
}
