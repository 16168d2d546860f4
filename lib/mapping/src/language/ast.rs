//! What an expression says, with the place of each part.

use std::ops::Range;

use num_bigint::BigInt;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where it stands, in bytes.
    pub(crate) at: Range<usize>,
    pub(crate) form: Form,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    None,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    Text(String),
    Name(String),
    List(Vec<Node>),
    Tuple(Vec<Node>),
    Dict(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negative(Box<Node>),
    Positive(Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    /// `a < b <= c`: the first operand, and the others with what stands before them.
    Compare(Box<Node>, Vec<(Compare, Node)>),
    And(Vec<Node>),
    Or(Vec<Node>),
    If {
        condition: Box<Node>,
        then: Box<Node>,
        other: Box<Node>,
    },
    Attribute(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    Slice(Box<Node>, Box<Slice>),
    Call(Box<Node>, Vec<Argument>),
    Comprehension(Box<Comprehension>),
}

/// `[start:stop:step]`
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slice {
    pub(crate) start: Option<Node>,
    pub(crate) stop: Option<Node>,
    pub(crate) step: Option<Node>,
}

/// An argument, by its name or its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Argument {
    pub(crate) name: Option<String>,
    pub(crate) value: Node,
}

/// `[item for names in over if condition]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comprehension {
    pub(crate) item: Node,
    pub(crate) names: Vec<String>,
    pub(crate) over: Node,
    pub(crate) condition: Option<Node>,
    /// The item is another loop, whose items are those of this one.
    pub(crate) is_outer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

impl Binary {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Modulo => "%",
            Self::Power => "**",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Is,
    IsNot,
    In,
    NotIn,
}

impl Compare {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Is => "is",
            Self::IsNot => "is not",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }
}
