//! Looks for what may be personal: names of columns, forms of values, and check digits.
//!
//! No value leaves this module: a finding has counts and reasons.

mod found;
mod iban;
mod names;
mod national;
mod proposal;
mod values;

use std::collections::BTreeMap;

use serde::Serialize;

pub use found::Finding;
use national::SCHEMES;
pub use proposal::propose;
use values::Form;

/// What data may say of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The name of a person.
    Name,
    /// A mail address.
    Mail,
    /// A number of a telephone.
    Phone,
    /// An account number of a bank.
    Iban,
    /// A number of a payment card.
    Card,
    /// An address of a network, or of a device.
    NetworkAddress,
    /// A number that a state gives to a person.
    NationalId,
    /// A date of birth, or an age.
    BirthDate,
    /// A street, or another part of a postal address.
    Address,
    /// A place on a map.
    Place,
    /// Sex or gender.
    Gender,
    /// The name of an account.
    Login,
    /// A password, or another secret.
    Secret,
    /// Health, belief, origin: what the law guards most.
    Sensitive,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sure {
    /// One sign that other data has, too.
    Low,
    /// A clear sign.
    Medium,
    /// Several signs, or check digits.
    High,
}

/// What was seen of the values of a column, or of a part of one.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Values that are not empty.
    count: u64,
    /// Values of each form.
    forms: BTreeMap<Form, u64>,
    /// Values that are a number of each scheme, by its place.
    schemes: BTreeMap<usize, u64>,
    /// Texts that contain a mail address, an account number or a number of a card.
    inside: u64,
    /// The first and the last year of dates.
    years: Option<(i16, i16)>,
}

impl Seen {
    /// Looks at a value.
    pub fn take(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.count += 1;
        let mut is_known = false;
        for form in values::forms(text) {
            *self.forms.entry(form).or_default() += 1;
            is_known = true;
        }
        for (at, scheme) in SCHEMES.iter().enumerate() {
            if (scheme.fits)(text) {
                *self.schemes.entry(at).or_default() += 1;
            }
        }
        if let Some(year) = values::year(text) {
            let (first, last) = self.years.unwrap_or((year, year));
            self.years = Some((first.min(year), last.max(year)));
        }
        if !is_known && values::has_some_inside(text) {
            self.inside += 1;
        }
    }
}

#[cfg(test)]
mod tests;
