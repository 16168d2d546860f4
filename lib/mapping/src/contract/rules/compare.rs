//! Rules of two versions of a contract: which are the same, and which allow more.

use super::{Bound, Metric, Rule};

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleChange {
    /// It asks for the same.
    Same,
    /// What kept the old rule keeps the new one.
    Looser,
    /// Rows that kept the old rule may breach the new one.
    Other,
}

impl Rule {
    /// Tells whether both count the same, whatever the bounds are.
    pub(crate) fn counts_as(&self, other: &Self) -> bool {
        let counted = |rule: &Self| format!("{:?}", (&rule.name, &rule.metric, rule.is_percent));
        counted(self) == counted(other)
    }

    /// Compares it with the rule of the new version that counts the same.
    pub(crate) fn becomes(&self, new: &Self) -> RuleChange {
        let is_same = format!("{:?}", self.bounds) == format!("{:?}", new.bounds);
        match (self.is_advice, new.is_advice) {
            (one, other) if one == other && is_same => RuleChange::Same,
            // A breach that is only reported ends no run.
            (_, true) => RuleChange::Looser,
            (true, false) => RuleChange::Other,
            (false, false) => {
                let is_wider = |(old, new): (&Bound, &Bound)| old.is_within(*new);
                let same_number = self.bounds.len() == new.bounds.len();
                if same_number && self.bounds.iter().zip(&new.bounds).all(is_wider) {
                    RuleChange::Looser
                } else {
                    RuleChange::Other
                }
            }
        }
    }

    /// Returns what it asks for, for people.
    pub(crate) fn words(&self) -> String {
        let unit = if self.is_percent { " percent" } else { "" };
        let bounds: Vec<String> = self.bounds.iter().map(|bound| bound.words()).collect();
        let of = match &self.metric {
            Metric::Missing(words) => listed(words.iter().map(Option::as_deref)),
            Metric::Invalid { valid, pattern } => {
                let valid = listed(valid.iter().map(|word| Some(word.as_slice())));
                let pattern = pattern.as_ref().map(|pattern| format!(" [pattern {pattern}]"));
                valid + &pattern.unwrap_or_default()
            }
            Metric::Duplicates(names) if !names.is_empty() => format!(" [{}]", names.join(", ")),
            Metric::Nulls | Metric::Duplicates(_) | Metric::Rows => String::new(),
        };
        let advice = if self.is_advice { ", reported only" } else { "" };
        format!("{}{of}: {}{unit}{advice}", self.name, bounds.join(" and "))
    }
}

impl Bound {
    /// Tells whether each number that this bound lets pass passes the other one.
    fn is_within(self, other: Self) -> bool {
        match other {
            Self::Is(bound) => matches!(self, Self::Is(own) if own.total_cmp(&bound).is_eq()),
            Self::IsNot(bound) => match self {
                Self::IsNot(own) => own.total_cmp(&bound).is_eq(),
                one => !one.holds(bound),
            },
            Self::NotBetween(low, high) => match self {
                Self::NotBetween(first, last) => first <= low && last >= high,
                Self::Is(own) => other.holds(own),
                Self::Below(end) => end <= low,
                Self::UpTo(end) => end < low,
                Self::Above(end) => end >= high,
                Self::From(end) => end > high,
                Self::Between(first, last) => last < low || first > high,
                Self::IsNot(_) => false,
            },
            Self::Above(_) | Self::From(_) | Self::Below(_) | Self::UpTo(_) | Self::Between(..) => {
                self.ends().is_some_and(|(low, high)| other.takes(low, high))
            }
        }
    }

    /// Returns the lowest and the highest number that pass, each with whether it does.
    fn ends(self) -> Option<((f64, bool), (f64, bool))> {
        let (lowest, highest) = ((f64::NEG_INFINITY, false), (f64::INFINITY, false));
        Some(match self {
            Self::Is(bound) => ((bound, true), (bound, true)),
            Self::Above(bound) => ((bound, false), highest),
            Self::From(bound) => ((bound, true), highest),
            Self::Below(bound) => (lowest, (bound, false)),
            Self::UpTo(bound) => (lowest, (bound, true)),
            Self::Between(low, high) => ((low, true), (high, true)),
            Self::IsNot(_) | Self::NotBetween(..) => return None,
        })
    }

    /// Tells whether a range lies within it.
    fn takes(self, low: (f64, bool), high: (f64, bool)) -> bool {
        let Some((own_low, own_high)) = self.ends() else { return false };
        let starts = low.0 > own_low.0 || low.0 >= own_low.0 && (own_low.1 || !low.1);
        let ends = high.0 < own_high.0 || high.0 <= own_high.0 && (own_high.1 || !high.1);
        starts && ends
    }
}

/// Shows values; they stand in the contract.
fn listed<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> String {
    let show = |value: Option<&[u8]>| {
        value.map_or("null".to_owned(), |value| String::from_utf8_lossy(value).into_owned())
    };
    let values: Vec<String> = values.map(show).collect();
    if values.is_empty() { String::new() } else { format!(" [{}]", values.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_within_another_one_where_no_number_passes_it_alone() {
        let all = [
            Bound::Is(2.0),
            Bound::IsNot(2.0),
            Bound::Above(2.0),
            Bound::From(2.0),
            Bound::Below(3.0),
            Bound::UpTo(3.0),
            Bound::Between(1.0, 3.0),
            Bound::Between(2.0, 2.5),
            Bound::NotBetween(1.0, 3.0),
            Bound::Below(5.0),
            Bound::From(5.0),
        ];
        let numbers: Vec<f64> = (-20..40).map(|number| f64::from(number) / 4.0).collect();
        for one in all {
            for other in all {
                let expected =
                    numbers.iter().all(|number| !one.holds(*number) || other.holds(*number));
                assert_eq!(one.is_within(other), expected, "{one:?} in {other:?}");
            }
        }
    }
}
