//! The languages and countries that names and addresses are of.

use singer::near::{ALIKE, nearest};

/// A locale that there are words of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Locale {
    Arabic,
    German,
    #[default]
    English,
    Persian,
    French,
    Italian,
    Japanese,
    Dutch,
    Brazilian,
    Portuguese,
    Turkish,
    Welsh,
    Chinese,
    Taiwanese,
}

/// Their names. Of a language without a country the first one counts.
const NAMES: [(&str, Locale); 14] = [
    ("ar_SA", Locale::Arabic),
    ("cy_GB", Locale::Welsh),
    ("de_DE", Locale::German),
    ("en_US", Locale::English),
    ("fa_IR", Locale::Persian),
    ("fr_FR", Locale::French),
    ("it_IT", Locale::Italian),
    ("ja_JP", Locale::Japanese),
    ("nl_NL", Locale::Dutch),
    ("pt_PT", Locale::Portuguese),
    ("pt_BR", Locale::Brazilian),
    ("tr_TR", Locale::Turkish),
    ("zh_CN", Locale::Chinese),
    ("zh_TW", Locale::Taiwanese),
];

/// A locale that there are no words of.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) hint: String,
}

impl Locale {
    /// Finds a locale by its name, and says which one stands in for another one of its language.
    pub(crate) fn named(name: &str) -> Result<(Self, Option<&'static str>), Unknown> {
        let wanted = name.trim().replace('-', "_");
        let language = |name: &str| name.split('_').next().unwrap_or_default().to_lowercase();
        if let Some((_, locale)) = NAMES.iter().find(|(one, _)| one.eq_ignore_ascii_case(&wanted)) {
            return Ok((*locale, None));
        }
        let alike = NAMES.iter().find(|(one, _)| language(one) == language(&wanted));
        if let Some((one, locale)) = alike {
            return Ok((*locale, wanted.contains('_').then_some(*one)));
        }
        let names = || NAMES.iter().map(|(name, _)| *name);
        Err(Unknown {
            hint: match nearest(&wanted, names(), ALIKE) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            },
        })
    }
}
