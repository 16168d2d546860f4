//! Triggers and rules of a table: what they may make of the rows of a load.

/// Which changes of rows may be made otherwise than they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts of the table")]
pub struct Guards {
    /// Rows that are added.
    pub inserts: bool,
    /// Rows that are changed.
    pub updates: bool,
    /// Rows that are removed.
    pub deletes: bool,
    /// Rows of the load behind its statement, by a trigger that is to see them, or by one for the
    /// whole statement: it may be a log of them that does nothing to them.
    pub after: bool,
    /// Whether there is any trigger or rule, foreign keys included: what it starts may wait for
    /// the COMMIT.
    pub fires: bool,
}

/// Asks for the guards of the relation `c` and its partitions and children, as the bits of
/// `tgtype` for those that act on a row before it is in the table or leaves it. A COPY knows no
/// rules, and what `TimescaleDB` has puts rows where they belong.
pub const GUARDS: &str = "\
(WITH RECURSIVE tree (oid) AS (SELECT c.oid
   UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid)
 SELECT coalesce(bit_or(g.kind), 0) FROM (
   SELECT 512 FROM tree JOIN pg_trigger t ON t.tgrelid = tree.oid AND t.tgenabled IN ('O', 'A')
   UNION ALL SELECT 512 WHERE c.relhasrules
   UNION ALL
   SELECT CASE WHEN t.tgtype::integer & 67 = 3 THEN t.tgtype::integer & 28 ELSE 256 END
     FROM tree JOIN pg_trigger t ON t.tgrelid = tree.oid
    WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype::integer & 28 <> 0
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
        let has = |bit| bits & bit != 0;
        Self {
            inserts: has(4),
            updates: has(16),
            deletes: has(8),
            after: has(256),
            fires: has(512),
        }
    }

    /// Tells whether there are any.
    pub fn any(self) -> bool {
        self.inserts || self.updates || self.deletes || self.after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_tell_what_is_guarded() {
        let check = |bits, expected: [bool; 5]| {
            let Guards { inserts, updates, deletes, after, fires } = Guards::of(bits);
            assert_eq!([inserts, updates, deletes, after, fires], expected, "{bits:?}");
        };
        check(None, [false; 5]);
        check(Some("0"), [false; 5]);
        check(Some("516"), [true, false, false, false, true]);
        check(Some("20"), [true, true, false, false, false]);
        check(Some("8"), [false, false, true, false, false]);
        check(Some("768"), [false, false, false, true, true]);
    }
}
