//! Which of its metadata columns a target adds.

use crate::near::{ALIKE, nearest};
use crate::{Error, ErrorKind, Result};

/// What the names of all metadata columns begin with.
const PREFIX: &str = "_sdc_";

/// Checks the setting `metadata_columns`, which chooses some of the `known` columns, beside
/// `add_record_metadata`, which `adds` columns at all. Failures are of the kind `Config`.
pub fn check_chosen(known: &[&str], adds: bool, chosen: Option<&[String]>) -> Result<()> {
    let Some(chosen) = chosen else { return Ok(()) };
    if !adds {
        return Err(Error::new(
            ErrorKind::Config,
            "cannot choose metadata columns when none are added",
        )
        .with("metadata_columns", chosen.join(", "))
        .hint("set `add_record_metadata` to true, or remove `metadata_columns`"));
    }
    let Some(unknown) = chosen.iter().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let hint = match near(known, unknown) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the columns are {}", known.join(", ")),
    };
    Err(Error::new(ErrorKind::Config, "cannot add an unknown metadata column")
        .with("setting", "metadata_columns")
        .with("column", unknown)
        .hint(hint))
}

/// Tells whether a metadata column is added: all are that `metadata_columns` does not leave out.
pub fn adds(adds_any: bool, chosen: Option<&[String]>, column: &str) -> bool {
    adds_any && chosen.is_none_or(|names| names.iter().any(|name| name == column))
}

/// Returns the column whose name is most like this one, if any is.
fn near<'a>(known: &[&'a str], name: &str) -> Option<&'a str> {
    let rest = |name: &str| name.to_lowercase().trim_start_matches(PREFIX).to_owned();
    let rests: Vec<String> = known.iter().map(|known| rest(known)).collect();
    let near = nearest(&rest(name), rests.iter().map(String::as_str), ALIKE)?;
    known.iter().find(|known| rest(known) == near).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_unknown_and_what_has_no_effect() {
        let known = ["_sdc_extracted_at", "_sdc_deleted_at", "_sdc_sequence"];
        let check = |adds: bool, chosen: &[&str], hint: Option<&str>| {
            let chosen: Vec<String> = chosen.iter().map(ToString::to_string).collect();
            let found = check_chosen(&known, adds, Some(&chosen)).map_err(|failure| {
                assert_eq!(failure.kind(), ErrorKind::Config);
                failure.to_string()
            });
            match hint {
                None => assert_eq!(found, Ok(()), "{chosen:?}"),
                Some(hint) => assert!(found.is_err_and(|text| text.contains(hint)), "{chosen:?}"),
            }
        };
        check(true, &[], None);
        check(true, &["_sdc_sequence", "_sdc_sequence"], None);
        check(true, &["_sdc_extracted"], Some("did you mean `_sdc_extracted_at`?"));
        check(true, &["deleted_at"], Some("did you mean `_sdc_deleted_at`?"));
        check(true, &["_SDC_SEQUENCE"], Some("did you mean `_sdc_sequence`?"));
        check(true, &["_sdc_sequence", "id"], Some("the columns are _sdc_extracted_at, _sdc_del"));
        check(false, &["_sdc_sequence"], Some("`add_record_metadata`"));
        assert!(check_chosen(&known, false, None).is_ok());
    }
}
