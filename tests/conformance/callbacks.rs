//! The functions that cases hand to operators (FORMAT.md, section 5).

use serde_json::Value as Json;

use crate::recipe::{Env, Recipe};
use crate::value::{Node, Value};
use crate::world::World;

/// A function of a case.
#[derive(Clone)]
pub struct Callback {
    node: Node,
    env: Env,
    world: World,
}

/// What a function gives; `Err` is what it throws.
pub type Outcome<T = Value> = Result<T, Value>;

impl Callback {
    pub fn new(node: Node, env: Env, world: World) -> Result<Self, String> {
        let this = Self { node, env, world };
        let known = match this.name() {
            "table" => &["cases"][..],
            "calls" => &["outs"],
            "const" | "eq" | "ne" => &["value"],
            "throw" => &["error"],
            "stream" => &["stream"],
            "prop" | "eq_prop" => &["name"],
            "plus" | "array" | "rem" | "lt" | "gt" | "index_lt" => &["n"],
            "rem_eq" => &["n", "r"],
            "join" => &["sep"],
            "append_str" => &["s"],
            "within" => &["tolerance"],
            "unused" | "just" | "identity" | "truthy" | "plus_list" | "concat_list"
            | "sum_list_str" | "concat_first_chars" | "append" | "concat_str" | "is_prime"
            | "lower_trim" | "reverse_str" | "first_char_lower" | "same_letter_case"
            | "compare_desc" => &[],
            _ => return Err(format!("unknown callback {node}")),
        };
        let fields = node.as_object().into_iter().flat_map(|fields| fields.keys());
        match fields.filter(|key| *key != "fn").find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => Err(format!("unknown field `{unknown}` of a callback {node}")),
            None => Ok(this),
        }
    }

    fn name(&self) -> &'static str {
        self.node.get("fn").and_then(Json::as_str).unwrap_or_default()
    }

    /// What it gives for these arguments. A stream is a value too.
    pub fn call(&self, arguments: &[Value]) -> Outcome {
        self.evaluate(arguments).unwrap_or_else(|problem| {
            self.world.fail(problem);
            Err(Value::Undefined)
        })
    }

    fn evaluate(&self, arguments: &[Value]) -> Result<Outcome, String> {
        let x = arguments.first().unwrap_or(&Value::Undefined);
        let y = arguments.get(1).unwrap_or(&Value::Undefined);
        let number = |name: &str| match self.node.get(name).and_then(Json::as_f64) {
            Some(number) => Ok(number),
            None => Err(format!("`{name}` is missing in {}", self.node)),
        };
        let text = |name: &str| match self.node.get(name).and_then(Json::as_str) {
            Some(text) => Ok(text),
            None => Err(format!("`{name}` is missing in {}", self.node)),
        };
        let first = |n: usize| arguments.iter().take(n);
        let arity = self.node.get("n").and_then(Json::as_u64).unwrap_or(2) as usize;
        let list = || match x {
            Value::List(items) => Ok(items),
            other => Err(format!("{} of {other:?}, which is no list", self.name())),
        };
        let joined = |items: &[Value]| items.iter().map(Value::to_text).collect::<String>();
        Ok(Ok(match self.name() {
            "table" => return self.look_up(arguments),
            "calls" => {
                let call = self.world.count_call(self.node);
                let out = self.node.get("outs").and_then(|outs| outs.get(call));
                return match out {
                    Some(out) => self.out(out, arguments),
                    None => Err(format!("call {call} of {}, which has no such", self.node)),
                };
            }
            "unused" => return Err(format!("a callback that is never called got {arguments:?}")),
            "const" | "throw" | "stream" => return self.out(self.node, arguments),
            "just" => Value::Stream(Recipe::items(vec![x.clone()])),
            "identity" => x.clone(),
            "truthy" => Value::Bool(x.is_truthy()),
            "prop" => x.property(text("name")?),
            "plus" => sum(first(arity)),
            "plus_list" => sum(list()?.iter()),
            "concat_list" => Value::Text(joined(list()?)),
            "sum_list_str" => {
                Value::Text(list()?.iter().map(Value::as_number).sum::<f64>().to_string())
            }
            "concat_first_chars" => Value::Text(
                list()?.iter().filter_map(|item| item.to_text().chars().next()).collect(),
            ),
            "array" => Value::List(first(arity).cloned().collect()),
            "append" => {
                let mut items = list()?.clone();
                items.push(y.clone());
                Value::List(items)
            }
            "join" => Value::Text(x.to_text() + text("sep")? + &y.to_text()),
            "concat_str" => Value::Text(x.to_text() + &y.to_text()),
            "append_str" => Value::Text(x.to_text() + text("s")?),
            "rem" => Value::number(x.as_number() % number("n")?),
            "rem_eq" => Value::Bool(x.as_number() % number("n")? == number("r")?),
            "lt" => Value::Bool(x.as_number() < number("n")?),
            "gt" => Value::Bool(x.as_number() > number("n")?),
            "is_prime" => {
                let x = x.as_number() as u64;
                Value::Bool(x > 1 && (2..x).all(|divisor| !x.is_multiple_of(divisor)))
            }
            "eq" => Value::Bool(*x == Value::read(&self.node["value"], &self.env)?),
            "ne" => Value::Bool(*x != Value::read(&self.node["value"], &self.env)?),
            "eq_prop" => Value::Bool(x.property(text("name")?) == y.property(text("name")?)),
            "within" => Value::Bool((x.as_number() - y.as_number()).abs() < number("tolerance")?),
            "index_lt" => Value::Bool(y.as_number() < number("n")?),
            "lower_trim" => Value::Text(x.to_text().trim().to_lowercase()),
            "reverse_str" => Value::Text(x.to_text().chars().rev().collect()),
            "first_char_lower" => Value::Text(x.to_text().to_lowercase().chars().take(1).collect()),
            "same_letter_case" => {
                let upper = |x: &Value| x.to_text().chars().all(char::is_uppercase);
                Value::Bool(upper(x) == upper(y))
            }
            "compare_desc" => Value::number(if y.less(x) { -1.0 } else { 1.0 }),
            other => return Err(format!("unknown callback `{other}`")),
        }))
    }

    fn look_up(&self, arguments: &[Value]) -> Result<Outcome, String> {
        for case in self.node["cases"].as_array().into_iter().flatten() {
            let expected = case["args"].as_array().into_iter().flatten();
            let expected: Vec<_> =
                expected.map(|value| Value::read(value, &self.env)).collect::<Result<_, _>>()?;
            if arguments.get(..expected.len()) == Some(&expected[..]) {
                return self.out(case, arguments);
            }
        }
        Err(format!("a callback was called with {arguments:?}, which RxJS never did"))
    }

    fn out(&self, out: Node, arguments: &[Value]) -> Result<Outcome, String> {
        if let Some(value) = out.get("value") {
            return Value::read(value, &self.env).map(Ok);
        }
        if let Some(stream) = out.get("stream") {
            return Ok(Ok(Value::Stream(Recipe::new(stream, self.env.within(arguments)))));
        }
        match out.get("throw").or_else(|| out.get("error")) {
            Some(error) => Ok(Err(Value::read(error, &self.env)?)),
            None => Err(format!("no outcome in {out}")),
        }
    }
}

fn sum<'a>(mut items: impl Iterator<Item = &'a Value>) -> Value {
    let first = items.next().cloned().unwrap_or(Value::Undefined);
    items.fold(first, |sum, item| sum.plus(item))
}
