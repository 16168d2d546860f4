//! What an expression is compiled into: names are places of columns, functions are known.

use std::ops::Range;
use std::rc::Rc;

use super::ast::{Binary, Compare};
use super::call::{Function, Method};
use super::faker::{Basis, Provider};
use super::place::Place;
use super::value::Value;

/// A part that can be computed.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) at: Range<usize>,
    pub(crate) step: Step,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Constant(Value<'static>),
    Column(Place),
    /// `record.get(name, default)`
    Get(Place, Box<Code>),
    /// `name in record`
    Has(Place),
    /// The whole row: names and places.
    Record(Vec<(String, Place)>),
    Local(usize),
    List(Vec<Code>),
    Tuple(Vec<Code>),
    Dict(Vec<(Code, Code)>),
    Not(Box<Code>),
    Negative(Box<Code>),
    Positive(Box<Code>),
    Binary(Binary, Box<Code>, Box<Code>),
    Compare(Box<Code>, Vec<(Compare, Code)>),
    And(Vec<Code>),
    Or(Vec<Code>),
    If {
        condition: Box<Code>,
        then: Box<Code>,
        other: Box<Code>,
    },
    Attribute(Box<Code>, String),
    Index(Box<Code>, Box<Code>),
    Slice(Box<Code>, Box<[Option<Code>; 3]>),
    Function(Function, Arguments),
    Method(Box<Code>, Method, Arguments),
    Comprehension(Box<Loop>),
    /// `fake.name()`
    Fake(Provider, Arguments, Rc<Basis>),
    /// `Faker.seed(value)`
    Seed(Box<Code>, Rc<Basis>),
}

/// The arguments of a call: those without a name first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) placed: Vec<Code>,
    pub(crate) named: Vec<(String, Code)>,
}

/// `[item for names in over if condition]`; the names are locals from `first` on.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) item: Code,
    pub(crate) first: usize,
    pub(crate) names: usize,
    pub(crate) over: Code,
    pub(crate) condition: Option<Code>,
    /// The item is another loop, whose items are those of this one.
    pub(crate) is_outer: bool,
}
