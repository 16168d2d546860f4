//! What the server's catalog says of a type, through domains and arrays down to what holds values.

use serde::Deserialize;

use crate::types::{Making, SqlType};

/// Asks for the facts of the type `t` with the modifier `m`, as JSON. A domain gives its own
/// modifier to the type under it, an array gives its modifier to its elements.
pub const FACTS: &str = "(WITH RECURSIVE d (type, modifier, arrays) AS (
       SELECT t.oid, m, 0
       UNION ALL SELECT CASE n.typtype WHEN 'd' THEN n.typbasetype ELSE n.typelem END,
         CASE n.typtype WHEN 'd' THEN n.typtypmod ELSE d.modifier END,
         d.arrays + (n.typtype <> 'd')::int
       FROM d JOIN pg_catalog.pg_type n ON n.oid = d.type
       WHERE n.typtype = 'd' OR n.typinput = 'pg_catalog.array_in'::regproc)
     SELECT json_build_object('leaf', format_type(d.type, d.modifier), 'arrays', d.arrays,
       'making', e.typtype, 'delimiter', e.typdelim, 'extension', x.extname,
       'builtin', e.typnamespace = 'pg_catalog'::regnamespace)::text
     FROM d JOIN pg_catalog.pg_type e ON e.oid = d.type
     LEFT JOIN pg_catalog.pg_depend p ON p.classid = 'pg_catalog.pg_type'::regclass
       AND p.objid = e.oid AND p.deptype = 'e'
       AND p.refclassid = 'pg_catalog.pg_extension'::regclass
     LEFT JOIN pg_catalog.pg_extension x ON x.oid = p.refobjid
     WHERE e.typtype <> 'd' AND e.typinput <> 'pg_catalog.array_in'::regproc)";

/// The answer.
#[derive(Deserialize)]
struct Facts {
    /// What the innermost type is called.
    leaf: String,
    /// How many arrays are around it, if there are domains in between.
    arrays: usize,
    making: String,
    #[serde(default = "comma")]
    delimiter: char,
    builtin: bool,
    extension: Option<String>,
}

impl SqlType {
    /// Takes over the facts of the type, as [`FACTS`] gives them.
    #[must_use]
    pub fn with_facts(self, json: Option<&str>) -> Self {
        let facts = json.and_then(|json| serde_json::from_str::<Facts>(json).ok());
        let Some(facts) = facts else { return self };
        let array = if facts.arrays > 0 { "[]" } else { "" };
        let leaf = format!("{}{array}", facts.leaf);
        let making = match &*facts.making {
            _ if facts.arrays > 1 => Making::Parts,
            "c" | "r" | "m" if facts.builtin => Making::KnownParts,
            "c" | "r" | "m" => Making::Parts,
            "e" => Making::Label,
            _ => Making::One,
        };
        // An element that is an array under a domain is written as its literal.
        let is_nested = facts.arrays > 1 && self.array;
        let under = (leaf != self.sql() && !is_nested).then_some(&*leaf);
        let extension = facts.extension.as_deref().unwrap_or_default();
        let delimiter = u8::try_from(facts.delimiter).unwrap_or(b',');
        let mut found = self.known(under, making, extension);
        found.delimiter = delimiter;
        found.base.iter_mut().for_each(|base| base.delimiter = delimiter);
        found
    }
}

fn comma() -> char {
    ','
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_under_domains_and_arrays() {
        let check = |name: &str, facts: &str, storage: &str, making| {
            let sql = SqlType::from_server(name).with_facts(Some(facts));
            assert_eq!((&*sql.storage().sql(), sql.making), (storage, making), "{name}");
            assert_eq!(sql.storage().making, making, "{name}");
            assert_eq!(sql.sql(), name);
        };
        let one =
            r#"{"leaf":"numeric(10,2)","arrays":1,"making":"b","builtin":true,"extension":null}"#;
        check("public.d[]", one, "numeric(10,2)[]", Making::One);
        check("numeric(10,2)[]", one, "numeric(10,2)[]", Making::One);
        let own =
            r#"{"leaf":"public.pt","arrays":0,"making":"c","builtin":false,"extension":null}"#;
        check("public.pt", own, "public.pt", Making::Parts);
        let range =
            r#"{"leaf":"int4range","arrays":0,"making":"r","builtin":true,"extension":null}"#;
        check("int4range", range, "int4range", Making::KnownParts);
        let nested =
            r#"{"leaf":"integer","arrays":2,"making":"b","builtin":true,"extension":null}"#;
        check("public.list[]", nested, "public.list[]", Making::Parts);
    }
}
