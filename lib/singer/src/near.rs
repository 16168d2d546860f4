//! Names that were probably meant (pure).

/// How alike names are that are offered in place of one that is not known, of 1.
pub const ALIKE: f64 = 0.8;

/// Returns the known name that is most like this one, if any is so much alike.
pub fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    least: f64,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(likeness, _)| *likeness > least)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}
