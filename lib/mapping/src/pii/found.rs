//! What was found of a column: what it may be, how sure that is, and why.

use serde::Serialize;

use super::names;
use super::national::SCHEMES;
use super::values::Form;
use super::{Kind, Seen, Sure};

/// What a column may say of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How sure.
    pub sure: Sure,
    /// Why: the name, and counts of values. No value.
    pub why: String,
}

/// Fewer values than this prove little by their check digits.
const VALUES_MIN: u64 = 5;

impl Seen {
    /// Says what a column of this name and these values may be.
    pub fn finding(&self, name: &str) -> Option<Finding> {
        let named = names::of_name(name);
        let denied = |found: &(Kind, Sure, String)| names::denies(name, found.0);
        let by_values = self.by_values().filter(|found| !denied(found));
        match (named, by_values) {
            (Some(kind), Some((found, _, why))) if kind == found || fits(kind, found) => {
                let kind = if kind == Kind::Name { kind } else { found };
                Some(Finding { kind, sure: Sure::High, why: format!("its name; {why}") })
            }
            // Check digits say more than a name.
            (_, Some((kind, Sure::High, why))) => Some(Finding { kind, sure: Sure::High, why }),
            (Some(kind), Some((.., why))) => {
                Some(Finding { kind, sure: Sure::Medium, why: format!("its name; but {why}") })
            }
            (Some(kind), None) => {
                let why = match self.count {
                    0 => "its name; there are no values".to_owned(),
                    count => format!("its name; {}", count_of(count)),
                };
                Some(Finding { kind, sure: Sure::Medium, why })
            }
            (None, Some((kind, sure, why))) => Some(Finding { kind, sure, why }),
            (None, None) => None,
        }
    }

    fn by_values(&self) -> Option<(Kind, Sure, String)> {
        let count = self.count;
        let is_share = |found: u64, percent: u64| found * 100 >= count * percent && found > 0;
        let of = |form: Form| self.forms.get(&form).copied().unwrap_or_default();
        let why = |found: u64, what: &str| format!("{found} of {} {what}", count_of(count));
        let enough = count >= VALUES_MIN;
        for (form, kind, what) in [
            (Form::Mail, Kind::Mail, "are mail addresses"),
            (Form::Iban, Kind::Iban, "have the check digits of an IBAN"),
            (Form::NetworkAddress, Kind::NetworkAddress, "are addresses of a network"),
            (Form::Card, Kind::Card, "have the form and the check digit of a card"),
        ] {
            let found = of(form);
            let is_certain = form != Form::Card || enough;
            if is_share(found, 80) && is_certain {
                return Some((kind, Sure::High, why(found, what)));
            }
            // Some numbers have the check digit of a card by chance.
            let percent = if form == Form::Card { 30 } else { 10 };
            if is_share(found, percent) {
                return Some((kind, Sure::Medium, why(found, what)));
            }
        }
        let scheme = self.schemes.iter().max_by_key(|(_, found)| **found);
        if let Some((at, found)) = scheme.filter(|(_, found)| is_share(**found, 80)) {
            let name = SCHEMES.get(*at).map_or("", |scheme| scheme.name);
            let sure = if enough { Sure::High } else { Sure::Low };
            return Some((Kind::NationalId, sure, why(*found, &format!("fit the {name}"))));
        }
        let (written, people) = (of(Form::Phone), of(Form::Name));
        let phones = written + of(Form::Digits);
        if is_share(phones, 80) {
            // Digits alone could be any number.
            let sure = if enough && written * 2 >= phones { Sure::Medium } else { Sure::Low };
            return Some((Kind::Phone, sure, why(phones, "are written as phones are")));
        }
        // One of several values may be a first name by chance.
        if is_share(people, 30) && (people > 1 || count < 3) {
            return Some((Kind::Name, Sure::Medium, why(people, "begin with a common first name")));
        }
        let mails = of(Form::Mail) + of(Form::Iban);
        if self.inside > 0 || mails > 0 {
            let found = self.inside + mails;
            let what = "contain a mail address, an account number or a card number";
            return Some((Kind::Mail, Sure::Low, why(found, what)));
        }
        match self.years {
            // Such as dates of birth: long ago, and over decades.
            Some((first, last)) if enough && first < 1975 && first > 1900 && last - first >= 30 => {
                Some((Kind::BirthDate, Sure::Low, "the dates lie decades apart".to_owned()))
            }
            _ => None,
        }
    }
}

/// Tells whether values of one kind are what a name of another kind means.
fn fits(named: Kind, found: Kind) -> bool {
    matches!((named, found), (Kind::Login, Kind::Mail | Kind::Name) | (Kind::Name, Kind::Mail))
}

fn count_of(count: u64) -> String {
    if count == 1 { "1 value".to_owned() } else { format!("{count} values") }
}
