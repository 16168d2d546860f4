//! Triggers and rules of a table that act on rows before they are in it, or before they leave it.
//! AFTER triggers, like those that keep a log, are none.

/// Which changes of rows may be made otherwise than they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// Rows that are added.
    pub inserts: bool,
    /// Rows that are changed.
    pub updates: bool,
    /// Rows that are removed.
    pub deletes: bool,
}

/// Asks for the guards of the relation `c` and its partitions and children, as the bits of
/// `tgtype`. A COPY knows no rules, and what `TimescaleDB` has puts rows where they belong.
pub const GUARDS: &str = "\
(WITH RECURSIVE tree (oid) AS (SELECT c.oid
   UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
 SELECT coalesce(bit_or(g.kind), 0) FROM (
   SELECT t.tgtype::integer & 28 FROM tree JOIN pg_trigger t ON t.tgrelid = tree.oid
    WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype::integer & 67 = 3
      AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid AND d.deptype = 'e'
          AND x.extname = 'timescaledb')
   UNION ALL
   SELECT CASE r.ev_type WHEN '2' THEN 16 ELSE 8 END FROM pg_rewrite r
    WHERE r.ev_class = c.oid AND r.is_instead AND r.ev_enabled IN ('O', 'A')
      AND r.ev_type IN ('2', '4')
 ) g (kind))";

impl Guards {
    /// Reads what [`GUARDS`] gives.
    pub fn of(bits: Option<&str>) -> Self {
        let bits: u32 = bits.and_then(|bits| bits.parse().ok()).unwrap_or(0);
        Self { inserts: bits & 4 != 0, updates: bits & 16 != 0, deletes: bits & 8 != 0 }
    }

    /// Tells whether there are any.
    pub fn any(self) -> bool {
        self.inserts || self.updates || self.deletes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_tell_what_is_guarded() {
        let check = |bits, inserts, updates, deletes| {
            assert_eq!(Guards::of(bits), Guards { inserts, updates, deletes }, "{bits:?}");
        };
        check(None, false, false, false);
        check(Some("0"), false, false, false);
        check(Some("4"), true, false, false);
        check(Some("20"), true, true, false);
        check(Some("8"), false, false, true);
    }
}
