//! Resolves the names of an expression once a stream.

use std::ops::Range;
use std::rc::Rc;

use singer::near::{ALIKE, nearest};

use super::arithmetic::integer;
use super::ast::{Argument, Compare, Comprehension, Form, Node};
use super::call::{Function, Method};
use super::code::{Arguments, Code, Loop, Step};
use super::eval::Scene;
use super::faker::{Basis, Fakes, Provider};
use super::fault::Fault;
use super::functions::owned;
use super::place::Place;
use super::value::Value;
use super::weight;

/// What an expression can name.
pub(crate) struct Scope<'s> {
    /// The columns, and where they lie.
    pub(crate) names: &'s [(String, Place)],
    /// What `record` has, where that is not all of them.
    pub(crate) record: &'s [(String, Place)],
    /// The property that is computed: `self`.
    pub(crate) own: Option<&'s str>,
    /// `config`
    pub(crate) config: &'s Value<'static>,
    /// `__stream_name__`
    pub(crate) stream: &'s str,
    /// `__original_stream_name__`
    pub(crate) original: &'s str,
    /// `fake`
    pub(crate) fakes: &'s Rc<Fakes>,
    /// The columns that tell rows apart, for values that are not real.
    pub(crate) keys: &'s [String],
}

/// How many names an error lists.
const LISTED_MAX: usize = 20;

/// Compiles an expression.
pub(crate) fn compile(node: &Node, scope: &Scope<'_>) -> Result<Code, Fault> {
    Compiler { scope, locals: Vec::new(), conditions: 0 }.code(node)
}

struct Compiler<'s> {
    scope: &'s Scope<'s>,
    /// The names of the loops around.
    locals: Vec<String>,
    /// How many conditions there are above: what stands there may never be computed.
    conditions: usize,
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.form {
        Form::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns `a.b.c` of names.
fn dotted(node: &Node) -> Option<String> {
    match &node.form {
        Form::Name(name) => Some(name.clone()),
        Form::Attribute(of, name) => Some(format!("{}.{name}", dotted(of)?)),
        _ => None,
    }
}

impl Compiler<'_> {
    fn code(&mut self, node: &Node) -> Result<Code, Fault> {
        let step = self.step(node).map_err(|fault| fault.within(&node.at))?;
        let code = Code { at: node.at.clone(), step };
        match folded(&code) {
            None => Ok(code),
            Some(Ok(value)) => Ok(Code { at: code.at, step: Step::Constant(value) }),
            Some(Err(_)) if self.conditions > 0 => Ok(code),
            Some(Err(fault)) => Err(fault),
        }
    }

    /// Compiles what a row may not reach.
    fn reached<T>(
        &mut self,
        compile: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.conditions += 1;
        let compiled = compile(self);
        self.conditions -= 1;
        compiled
    }

    /// Compiles operands of which all but the first may not be reached.
    fn operands(&mut self, nodes: &[Node]) -> Result<Vec<Code>, Fault> {
        let Some((first, others)) = nodes.split_first() else { return Ok(Vec::new()) };
        let mut all = vec![self.code(first)?];
        all.extend(self.reached(|this| this.all(others))?);
        Ok(all)
    }

    fn boxed(&mut self, node: &Node) -> Result<Box<Code>, Fault> {
        self.code(node).map(Box::new)
    }

    fn all(&mut self, nodes: &[Node]) -> Result<Vec<Code>, Fault> {
        nodes.iter().map(|node| self.code(node)).collect()
    }

    fn step(&mut self, node: &Node) -> Result<Step, Fault> {
        Ok(match &node.form {
            Form::None => Step::Constant(Value::None),
            Form::Bool(truth) => Step::Constant(Value::Bool(*truth)),
            Form::Int(number) => Step::Constant(integer(number.clone())),
            Form::Float(number) => Step::Constant(Value::Float(*number)),
            Form::Text(text) => Step::Constant(Value::text(text.clone())),
            Form::Name(name) => self.name(name, &node.at)?,
            Form::List(items) => Step::List(self.all(items)?),
            Form::Tuple(items) => Step::Tuple(self.all(items)?),
            Form::Dict(pairs) => {
                let pair = |(key, value): &(Node, Node)| Ok((self.code(key)?, self.code(value)?));
                Step::Dict(pairs.iter().map(pair).collect::<Result<_, Fault>>()?)
            }
            Form::Not(operand) => Step::Not(self.boxed(operand)?),
            Form::Negative(operand) => Step::Negative(self.boxed(operand)?),
            Form::Positive(operand) => Step::Positive(self.boxed(operand)?),
            Form::Binary(operator, one, two) => {
                Step::Binary(*operator, self.boxed(one)?, self.boxed(two)?)
            }
            Form::Compare(first, others) => self.compare(first, others)?,
            Form::And(operands) => Step::And(self.operands(operands)?),
            Form::Or(operands) => Step::Or(self.operands(operands)?),
            Form::If { condition, then, other } => Step::If {
                condition: self.boxed(condition)?,
                then: self.reached(|this| this.boxed(then))?,
                other: self.reached(|this| this.boxed(other))?,
            },
            Form::Attribute(of, name) => self.attribute(node, of, name)?,
            Form::Index(of, index) => self.index(of, index)?,
            Form::Slice(of, slice) => {
                let mut bound =
                    |node: &Option<Node>| node.as_ref().map(|node| self.code(node)).transpose();
                let bounds = [bound(&slice.start)?, bound(&slice.stop)?, bound(&slice.step)?];
                Step::Slice(self.boxed(of)?, Box::new(bounds))
            }
            Form::Call(of, arguments) => self.call(of, arguments)?,
            Form::Comprehension(all) => self.comprehension(all)?,
        })
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|local| local == name)
    }

    /// Tells whether this is the row.
    fn is_record(&self, node: &Node) -> bool {
        matches!(&node.form, Form::Name(name)
            if matches!(name.as_str(), "record" | "_") && !self.is_local(name))
    }

    fn place(&self, name: &str) -> Option<&Place> {
        self.scope.names.iter().find(|(known, _)| known == name).map(|(_, place)| place)
    }

    fn name(&self, name: &str, at: &Range<usize>) -> Result<Step, Fault> {
        if let Some(local) = self.locals.iter().rposition(|local| local == name) {
            return Ok(Step::Local(local));
        }
        let text = |text: &str| Ok(Step::Constant(Value::text(text.to_owned())));
        match name {
            "record" | "_" => return Ok(Step::Record(self.scope.record.to_vec())),
            "config" => return Ok(Step::Constant(self.scope.config.clone())),
            "__stream_name__" => return text(self.scope.stream),
            "__original_stream_name__" => return text(self.scope.original),
            "self" => {
                let own = self.scope.own.and_then(|own| self.place(own));
                return own.cloned().map(Step::Column).ok_or_else(|| {
                    Fault::new(at.clone(), "`self` is the value of the property before the map")
                        .hint("the stream has no property of this name: write another one")
                });
            }
            _ => {}
        }
        match self.place(name) {
            Some(place) => Ok(Step::Column(place.clone())),
            None => Err(self.unknown(name, at)),
        }
    }

    fn unknown(&self, name: &str, at: &Range<usize>) -> Fault {
        let fault = Fault::new(at.clone(), format!("unknown name `{name}`"));
        if matches!(name, "fake" | "Faker") {
            return fault.hint("name what you want to have, such as `fake.name()`");
        }
        if matches!(name, "rand" | "randint") {
            return fault.hint("maps make no random values: the same row gives the same values");
        }
        if Function::named(name).is_some() {
            return fault.hint(format!("`{name}` is a function: write `{name}(...)`"));
        }
        if matches!(name, "json" | "datetime") {
            let starts = |known: &&&str| known.starts_with(name);
            let known: Vec<&str> = Function::NAMES.iter().filter(starts).copied().collect();
            return fault.hint(format!("there are: {}", known.join(", ")));
        }
        let columns = || self.scope.names.iter().map(|(name, _)| name.as_str());
        let special = ["record", "self", "config", "__stream_name__"];
        if let Some(near) = nearest(name, columns().chain(special), ALIKE) {
            return fault.hint(format!("did you mean `{near}`?"));
        }
        let mut listed: Vec<&str> = columns().take(LISTED_MAX).collect();
        if self.scope.names.len() > LISTED_MAX {
            listed.push("...");
        }
        fault.hint(format!("the stream has the properties {}", listed.join(", ")))
    }

    fn compare(&mut self, first: &Node, others: &[(Compare, Node)]) -> Result<Step, Fault> {
        if let [(sign @ (Compare::In | Compare::NotIn), right)] = others
            && self.is_record(right)
            && let Some(name) = text_of(first)
        {
            let has = match self.place(name) {
                Some(place) => Step::Has(place.clone()),
                None => Step::Constant(Value::Bool(false)),
            };
            if *sign == Compare::In {
                return Ok(has);
            }
            return Ok(Step::Not(Box::new(Code { at: first.at.start..right.at.end, step: has })));
        }
        let single = |node: &Node| matches!(node.form, Form::None | Form::Bool(_));
        let mut left = first;
        for (sign, right) in others {
            if matches!(sign, Compare::Is | Compare::IsNot) && !single(left) && !single(right) {
                let at = left.at.start..right.at.end;
                return Err(Fault::new(at, "`is` compares with None, True or False")
                    .hint("write `==` to compare values"));
            }
            left = right;
        }
        let first = self.boxed(first)?;
        let mut compiled = Vec::new();
        for (at, (sign, node)) in others.iter().enumerate() {
            let code = match at {
                0 => self.code(node)?,
                _ => self.reached(|this| this.code(node))?,
            };
            compiled.push((*sign, code));
        }
        Ok(Step::Compare(first, compiled))
    }

    fn attribute(&mut self, node: &Node, of: &Node, name: &str) -> Result<Step, Fault> {
        if self.is_record(of) {
            return self.member(name, &node.at);
        }
        if dotted(node).as_deref() == Some("datetime.timezone.utc") {
            return Ok(Step::Constant(Value::Zone(0)));
        }
        let is_function =
            |name: &String| Function::named(name).is_some() || Provider::named(name).is_some();
        if let Some(function) = dotted(node).filter(is_function) {
            let reason = format!("`{function}` is a function: write `{function}(...)`");
            return Err(Fault::new(node.at.clone(), reason));
        }
        Ok(Step::Attribute(self.boxed(of)?, name.to_owned()))
    }

    /// Returns a member of the row.
    fn member(&self, name: &str, at: &Range<usize>) -> Result<Step, Fault> {
        match self.place(name) {
            Some(place) => Ok(Step::Column(place.clone())),
            None => Err(self.unknown(name, at)),
        }
    }

    fn index(&mut self, of: &Node, index: &Node) -> Result<Step, Fault> {
        if self.is_record(of)
            && let Some(name) = text_of(index)
        {
            return self.member(name, &index.at);
        }
        Ok(Step::Index(self.boxed(of)?, self.boxed(index)?))
    }

    fn call(&mut self, of: &Node, arguments: &[Argument]) -> Result<Step, Fault> {
        let root_is_column = |name: &str| {
            let root = name.split('.').next().unwrap_or_default();
            self.is_local(root)
        };
        let name = dotted(of).filter(|name| !root_is_column(name));
        if let Some(function) = name.as_deref().and_then(Function::named) {
            return Ok(Step::Function(function, self.arguments(arguments)?));
        }
        if let Some(made) = name.as_deref().and_then(|name| self.faked(name, arguments)) {
            return made;
        }
        let Form::Attribute(value, method) = &of.form else {
            return Err(no_function(of, name.as_deref()));
        };
        let rooted = ["json.", "datetime.", "fake."]
            .iter()
            .any(|root| name.as_deref().is_some_and(|name| name.starts_with(root)));
        let is_column = |root: &str| self.place(root).is_some();
        let root = name.as_deref().and_then(|name| name.split('.').next());
        if rooted && !root.is_some_and(is_column) {
            return Err(no_function(of, name.as_deref()));
        }
        if self.is_record(value) && method == "get" {
            return self.get(arguments);
        }
        let at = of.at.end - method.len()..of.at.end;
        let Some(method) = Method::named(method) else {
            if method == "format" {
                return Err(Fault::new(at, "unknown method `format`")
                    .hint("write an f-string: `f'{name}'`, or `'%s' % name`"));
            }
            let near = nearest(method, Method::NAMES.iter().copied(), ALIKE);
            let known = near.map_or_else(
                || format!("there are {}", Method::NAMES.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Fault::new(at, format!("unknown method `{method}`")).hint(known));
        };
        let arguments = self.arguments(arguments)?;
        Ok(Step::Method(self.boxed(value)?, method, arguments))
    }

    /// `fake.name()`, `Faker.seed(value)`
    fn faked(&mut self, name: &str, arguments: &[Argument]) -> Option<Result<Step, Fault>> {
        let provider = Provider::named(name);
        if provider.is_none() && name != "Faker.seed" {
            return None;
        }
        self.scope.fakes.used.set(true);
        let keys = self.scope.keys.iter();
        let mut row: Vec<Place> = keys.filter_map(|name| self.place(name)).cloned().collect();
        if row.is_empty() {
            row = self.scope.record.iter().map(|(_, place)| place.clone()).collect();
        }
        let own = self.scope.own.unwrap_or_default();
        let basis = Rc::new(Basis {
            fakes: Rc::clone(self.scope.fakes),
            own: self.place(own).cloned(),
            row,
            name: format!("{}.{own}", self.scope.stream),
        });
        let arguments = match self.arguments(arguments) {
            Ok(arguments) => arguments,
            Err(fault) => return Some(Err(fault)),
        };
        Some(match (provider, arguments) {
            (Some(provider), arguments) => checked(Step::Fake(provider, arguments, basis)),
            (None, Arguments { mut placed, named }) if placed.len() == 1 && named.is_empty() => {
                placed.pop().map(|of| Step::Seed(Box::new(of), basis)).ok_or_else(seed)
            }
            _ => Err(seed()),
        })
    }

    /// `record.get(name, default)`
    fn get(&mut self, arguments: &[Argument]) -> Result<Step, Fault> {
        let placed = |at: usize| arguments.get(at).map(|argument| &argument.value);
        let Some(name) = placed(0).and_then(text_of) else {
            let record = Step::Record(self.scope.record.to_vec());
            let record = Box::new(Code { at: 0..0, step: record });
            return Ok(Step::Method(record, Method::Get, self.arguments(arguments)?));
        };
        let default = match placed(1) {
            Some(node) => self.reached(|this| this.code(node))?,
            None => Code { at: 0..0, step: Step::Constant(Value::None) },
        };
        Ok(match self.place(name) {
            Some(place) => Step::Get(place.clone(), Box::new(default)),
            None => default.step,
        })
    }

    fn arguments(&mut self, arguments: &[Argument]) -> Result<Arguments, Fault> {
        let mut all = Arguments::default();
        for Argument { name, value } in arguments {
            let code = self.code(value)?;
            match name {
                Some(name) => all.named.push((name.clone(), code)),
                None if all.named.is_empty() => all.placed.push(code),
                None => {
                    let reason = "an argument without a name stands behind one with a name";
                    return Err(Fault::new(value.at.clone(), reason));
                }
            }
        }
        Ok(all)
    }

    fn comprehension(&mut self, all: &Comprehension) -> Result<Step, Fault> {
        let over = self.code(&all.over)?;
        let first = self.locals.len();
        self.locals.extend(all.names.iter().cloned());
        let item = self.reached(|this| this.code(&all.item));
        let condition = all.condition.as_ref();
        let condition = condition.map(|node| self.reached(|this| this.code(node))).transpose();
        self.locals.truncate(first);
        let (item, condition) = (item?, condition?);
        Ok(Step::Comprehension(Box::new(Loop {
            item,
            first,
            names: all.names.len(),
            over,
            condition,
            is_outer: all.is_outer,
        })))
    }
}

fn seed() -> Fault {
    Fault::of("`Faker.seed` takes one value").hint("write `Faker.seed(email) or fake.email()`")
}

/// Tries a call once whose arguments no row changes, so that wrong ones are found before a row.
fn checked(step: Step) -> Result<Step, Fault> {
    let fixed = |code: &Code| matches!(code.step, Step::Constant(_));
    let Step::Fake(_, given, _) = &step else { return Ok(step) };
    if !given.placed.iter().all(fixed) || !given.named.iter().all(|(_, code)| fixed(code)) {
        return Ok(step);
    }
    let code = Code { at: 0..0, step };
    Scene::new(None).value(&code)?;
    Ok(code.step)
}

fn no_function(of: &Node, name: Option<&str>) -> Fault {
    let Some(name) = name else {
        return Fault::new(of.at.clone(), "only functions and methods can be called");
    };
    let fault = Fault::new(of.at.clone(), format!("unknown function `{name}`"));
    let hint = match name {
        "rand" | "randint" => {
            "maps make no random values: the same row gives the same values".to_owned()
        }
        "fake.unique" | "fake.seed_instance" | "fake.seed" => {
            "`Faker.seed(value)` says what the values are made of".to_owned()
        }
        _ if name.starts_with("fake.unique.") => {
            "values are made of a value or a row, and not unique: write the call without `unique`"
                .to_owned()
        }
        _ if name.starts_with("fake.") => {
            // What all names begin with would make them all alike.
            let own = |name: &'static str| name.split('.').next_back().unwrap_or(name);
            let wanted = name.trim_start_matches("fake.");
            match nearest(wanted, Provider::NAMES.iter().map(|name| own(name)), ALIKE) {
                Some(near) => format!("did you mean `fake.{near}`?"),
                None => format!("there are {}", Provider::NAMES.join(", ")),
            }
        }
        _ => match nearest(name, Function::NAMES.iter().copied(), ALIKE) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", Function::NAMES.join(", ")),
        },
    };
    fault.hint(hint)
}

/// Computes what no row changes. A failure is one of every row.
fn folded(code: &Code) -> Option<Result<Value<'static>, Fault>> {
    let fixed = |code: &Code| matches!(code.step, Step::Constant(_));
    let all_fixed = |given: &Arguments| {
        given.placed.iter().all(fixed) && given.named.iter().all(|(_, code)| fixed(code))
    };
    let folds = match &code.step {
        Step::Not(one) | Step::Negative(one) | Step::Positive(one) | Step::Attribute(one, _) => {
            fixed(one)
        }
        Step::Binary(_, one, two) | Step::Index(one, two) => fixed(one) && fixed(two),
        Step::Compare(one, others) => fixed(one) && others.iter().all(|(_, code)| fixed(code)),
        Step::List(items) | Step::Tuple(items) => items.iter().all(fixed),
        Step::Function(function, given) => {
            let clock = [Function::Now, Function::Today, Function::UtcNow, Function::DateToday];
            !clock.contains(function) && all_fixed(given)
        }
        Step::Method(of, _, given) => fixed(of) && all_fixed(given),
        _ => false,
    };
    folds.then(|| {
        let value = Scene::new(None).value(code)?;
        weight::whole(&value)?;
        Ok(owned(&value))
    })
}
