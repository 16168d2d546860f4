//! YAML as it is read here: as Meltano reads it, within limits.

pub(crate) use places::{options, unreadable};
use serde_json::{Map, Value};
use singer::{Error, ErrorKind, Result};

/// Reads YAML; anchors, depth and size are bounded.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let value = serde_saphyr::from_str_with_options::<Option<Value>>(text, options());
    match value.map_err(|cause| unreadable(&cause, text))? {
        Some(value @ Value::Object(_)) => Ok(value),
        None => Ok(Value::Object(Map::new())),
        Some(_) => Err(Error::new(ErrorKind::Config, "the YAML is not a mapping")),
    }
}

/// Tells whether a text can be read.
pub(crate) fn accepts(text: &str) -> bool {
    serde_saphyr::from_str_with_options::<Option<Value>>(text, options()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_yaml_as_meltano_does() {
        let value =
            parse("a: yes\nb: true\nc: 1.50\nd: 00123\ne: ~\nf: &x {g: 1}\nh: *x\n").unwrap();
        assert_eq!(value["a"], "yes");
        assert_eq!(value["b"], true);
        assert_eq!(value["e"], Value::Null);
        assert_eq!(value["h"]["g"], 1);
        assert_eq!(parse("").unwrap(), Value::Object(Map::new()));
        for text in ["- a", "a: [", "a: 1\na: 2", "text"] {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
        let bomb: String = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |all, at| {
            let before = at - 1;
            let more = format!("a{at}: &a{at} [{}]\n", format!("*a{before},").repeat(9));
            all + &more
        });
        assert_eq!(parse(&bomb).unwrap_err().kind(), ErrorKind::Config);
        let deep = format!("a: {}", "[".repeat(100_000));
        assert_eq!(parse(&deep).unwrap_err().kind(), ErrorKind::Config);
    }
}
