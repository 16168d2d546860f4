//! `fake`: values that are not real.
//!
//! A value is made of the seed of the settings and of the value in whose place it stands. So one
//! value becomes one and the same value in every row, stream and run, and a rerun changes nothing.

mod locale;
mod names;
mod numbers;
mod provider;
mod random;
mod words;

use std::cell::Cell;
use std::rc::Rc;

use fake::rand::SeedableRng as _;
use sha2::{Digest as _, Sha256};

use super::given::Given;
use super::place::Place;
use super::value::Valued;

pub(crate) use locale::Locale;
pub(crate) use names::Provider;
pub(crate) use random::Random;

/// What the settings say of values that are not real.
#[derive(Clone, Debug)]
pub(crate) struct Fakes {
    /// The sum of the seed.
    salt: [u8; 32],
    locales: Vec<Locale>,
    /// An expression has asked for one.
    pub(crate) used: Cell<bool>,
}

impl Fakes {
    pub(crate) fn new(seed: &str, locales: Vec<Locale>) -> Self {
        let locales = if locales.is_empty() { vec![Locale::default()] } else { locales };
        let mut sum = Sha256::new();
        sum.update(b"chorus fake 1");
        sum.update(seed);
        Self { salt: sum.finalize().into(), locales, used: Cell::new(false) }
    }
}

/// What the values of an expression are made of, beside the row.
#[derive(Clone, Debug)]
pub(crate) struct Basis {
    pub(crate) fakes: Rc<Fakes>,
    /// The property that is computed, as it was before the map.
    pub(crate) own: Option<Place>,
    /// What tells rows apart: the keys, or all columns.
    pub(crate) row: Vec<Place>,
    /// The stream and the property, so that two properties of a row differ.
    pub(crate) name: String,
}

impl Basis {
    /// Returns what is drawn from where a value has to become another one.
    pub(crate) fn of_value(&self, text: &[u8]) -> Random {
        self.seeded(|sum| {
            sum.update(b"value");
            sum.update(text);
        })
    }

    /// Returns what is drawn from where there is no value: the row decides.
    pub(crate) fn of_row<'c>(&self, cells: impl Iterator<Item = Option<&'c [u8]>>) -> Random {
        self.seeded(|sum| {
            sum.update(b"row");
            // The lengths make sure that ("ab", "c") is not ("a", "bc").
            let mut add = |part: Option<&[u8]>| {
                let length = part.map_or(u64::MAX, |part| part.len() as u64);
                sum.update(length.to_be_bytes());
                sum.update(part.unwrap_or_default());
            };
            add(Some(self.name.as_bytes()));
            cells.for_each(add);
        })
    }

    fn seeded(&self, add: impl FnOnce(&mut Sha256)) -> Random {
        let mut sum = Sha256::new();
        sum.update(self.fakes.salt);
        add(&mut sum);
        Random::from_seed(sum.finalize().into())
    }

    /// Makes a value.
    pub(crate) fn make<'a>(
        &self,
        provider: Provider,
        mut given: Given<'a>,
        random: &mut Random,
    ) -> Valued<'a> {
        let locale = match self.fakes.locales.as_slice() {
            [one] => *one,
            several => several[random::below(several.len(), random)],
        };
        let made = provider::make(provider, locale, &mut given, random)?;
        given.end()?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests;
