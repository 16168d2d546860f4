//! The session of a connection: its settings, and whether it is ours alone or a pooler's.

use std::collections::BTreeSet;

use singer::Result;

use crate::client::Client;
use crate::ident::quote_literal;
use crate::parameters::{PARAMETERS, Parameter, SEARCH_PATH, Way};

/// How often to look whose session a connection has.
const LOOKS: usize = 64;
/// What stands between the values of settings: none of ours has it.
const SEPARATOR: char = '\u{1f}';

/// A pinned setting that is not what we set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its name.
    pub name: &'static str,
    /// Why it is pinned.
    pub reason: &'static str,
    /// The types whose text it changes; `*` for any.
    types: &'static str,
}

impl Changed {
    /// Returns the names of the types whose text the setting changes; `*` stands for any.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.types.split_ascii_whitespace()
    }

    /// Tells whether it changes how text is read.
    pub(crate) fn is_of_reading(&self) -> bool {
        const OF_READING: [&str; 8] = [
            "TimeZone",
            "timezone_abbreviations",
            "DateStyle",
            "IntervalStyle",
            "lc_monetary",
            "client_encoding",
            "array_nulls",
            "xmloption",
        ];
        OF_READING.contains(&self.name)
    }
}

/// Whether a type has money in it, at any depth. `$1` is its name or number.
const HOLDS_MONEY: &str = "\
WITH RECURSIVE part (oid) AS (
  SELECT $1::pg_catalog.regtype::oid
   UNION
  SELECT inner_part.oid
    FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid
   CROSS JOIN LATERAL (
      SELECT t.typbasetype UNION ALL SELECT t.typelem
       UNION ALL
      SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid
       UNION ALL
      SELECT a.atttypid FROM pg_catalog.pg_attribute a
       WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) inner_part (oid))
SELECT FROM part WHERE oid = 'pg_catalog.money'::regtype";

impl Client {
    /// Begins a transaction (`mode` as in `BEGIN mode`) and sets the session up for it anew, for a
    /// pooler that gives every transaction another server connection. The server does not end it
    /// for its pauses, nor for how long it takes: the other end of a pipe may take its time.
    pub fn begin(&mut self, mode: &str) -> Result<()> {
        let (settings, limits) = (self.pins(true), no_idle_limits(true));
        self.execute(&format!("BEGIN {mode}; SELECT {settings}; {limits}")).map(drop)
    }

    /// Sets the session up.
    pub fn set_up(&mut self) -> Result<()> {
        let settings = self.pins(false);
        self.execute(&format!("SELECT {settings}")).map(drop)
    }

    /// Sets the session up if it is that of the process which let us in; else somebody is in
    /// between. One statement for both.
    pub(crate) fn set_up_own(&mut self) -> Result<()> {
        let (settings, process) = (self.pins(false), self.protocol.backend.0);
        // The parts of a row are computed one after the other.
        let path = format!("pg_catalog.current_setting('{SEARCH_PATH}')");
        let sql =
            format!("SELECT {path}, {settings} WHERE pg_catalog.pg_backend_pid() = {process}");
        let rows = self.query(&sql, &[])?;
        self.own_path = rows.first().and_then(|row| row.get(0)).map(str::to_owned);
        self.pooled = rows.is_empty();
        Ok(())
    }

    /// Returns the expression for the values of all settings that are pinned, for
    /// [`Client::changed`]: to be asked in a statement that runs anyway.
    pub fn settings_now() -> String {
        let values = pinned().map(|Parameter { names, .. }| {
            let value = format!("pg_catalog.current_setting('{names}')");
            // It is the stronger one.
            match *names {
                "synchronous_commit" => {
                    format!("pg_catalog.replace({value}, 'remote_apply', 'on')")
                }
                _ => value,
            }
        });
        let values: Vec<String> = values.collect();
        let separator = u32::from(SEPARATOR);
        format!("pg_catalog.concat_ws(pg_catalog.chr({separator}), {})", values.join(", "))
    }

    /// Returns the settings that are not what we set, by the value of [`Client::settings_now`]: a
    /// function in a view, or a trigger, may have changed them.
    pub fn changed(&self, now: &str) -> Vec<Changed> {
        let values = pinned().zip(now.split(SEPARATOR));
        let changed = values.filter(|(parameter, now)| match parameter.way {
            Way::Lend(pin) if parameter.names == SEARCH_PATH => pin != *now,
            Way::Lend(_) if self.lent && parameter.names == "DateStyle" => !now.starts_with("ISO"),
            Way::Lend(_) if self.lent => false,
            _ => self.pin_of(parameter) != *now,
        });
        let changed = changed.map(|(parameter, _)| Changed {
            name: parameter.names,
            reason: parameter.reason,
            types: parameter.types,
        });
        changed.collect()
    }

    /// Returns how many digits behind the point `money` has in this database, by its own
    /// `lc_monetary`: an amount is kept as a whole number of the smallest unit.
    pub fn money_digits(&mut self) -> Result<usize> {
        if let Some(digits) = self.money_digits {
            return Ok(digits);
        }
        // The parts of a row are computed one after the other.
        let rows = self.query(
            "SELECT s.reset_val, \
                    pg_catalog.set_config('lc_monetary', s.reset_val, true), \
                    pg_catalog.scale(pg_catalog.numeric(0::pg_catalog.money)), \
                    pg_catalog.set_config('lc_monetary', 'C', true) \
               FROM pg_catalog.pg_settings s WHERE s.name = 'lc_monetary'",
            &[],
        )?;
        let digits = rows.first().and_then(|row| row.get(2)).and_then(|text| text.parse().ok());
        self.own_monetary = rows.first().and_then(|row| row.get(0)).map(str::to_owned);
        let digits = digits.unwrap_or(2);
        self.money_digits = Some(digits);
        Ok(digits)
    }

    /// Tells whether a type, by its name or number, has money in it: amounts inside composites and
    /// ranges are text that depends on `lc_monetary`.
    pub fn holds_money(&mut self, sql_type: &str) -> Result<bool> {
        Ok(!self.query(HOLDS_MONEY, &[Some(sql_type)])?.is_empty())
    }

    /// Has amounts of money be what they are in this database, as numbers: after
    /// [`Client::money_digits`], for databases whose money has not two digits behind the point.
    pub fn keep_money(&mut self) -> Result<()> {
        self.lc_monetary.clone_from(&self.own_monetary);
        self.take_back()
    }

    /// Warns of settings of the server that no session can mend: where they lose rows that were
    /// committed (which matters to who `writes`), or hide some.
    pub fn warn_of_server(&mut self, writes: bool) -> Result<()> {
        let rows = self.query(
            "SELECT pg_catalog.current_setting('fsync'), \
                    pg_catalog.current_setting('zero_damaged_pages'), \
                    pg_catalog.current_setting('ignore_checksum_failure')",
            &[],
        )?;
        let is = |column, value| rows.first().and_then(|row| row.get(column)) == Some(value);
        if writes && is(0, "off") {
            singer::warn!(
                "W-NOT-DURABLE",
                "fsync is off at the server: committed rows may be lost in a crash of its machine, \
                  although the state says that they are loaded"
            );
        }
        for (column, name) in [(1, "zero_damaged_pages"), (2, "ignore_checksum_failure")] {
            if is(column, "on") {
                singer::warn!(
                    "W-DAMAGED-PAGES",
                    "{name} is on at the server: rows of damaged pages are missing without an error"
                );
            }
        }
        Ok(())
    }

    /// Tells whether the time zone of the role is another one than UTC.
    pub fn has_other_zone(&mut self) -> Result<bool> {
        let rows = self.query(
            "SELECT FROM pg_catalog.pg_settings s, \
                    (VALUES ('2026-01-01 00:00+00'), ('2026-07-01 00:00+00')) v (text), \
                    LATERAL (SELECT v.text::pg_catalog.timestamptz) m (moment) \
              WHERE s.name = 'TimeZone' AND pg_catalog.timezone(s.reset_val, m.moment) \
                    <> pg_catalog.timezone('UTC', m.moment)",
            &[],
        )?;
        Ok(!rows.is_empty())
    }

    /// Returns the value that a setting is pinned to.
    fn pin_of<'a>(&'a self, parameter: &'a Parameter) -> &'a str {
        match (parameter.way, &self.lc_monetary) {
            (_, Some(own)) if parameter.names == "lc_monetary" => own,
            (Way::Pin(value) | Way::Lend(value), _) => value,
            (Way::Leave, _) => "",
        }
    }

    /// Writes the list of expressions that pin all settings, for the open transaction (`local`) or
    /// for good.
    pub(crate) fn pins(&self, local: bool) -> String {
        let pins = pinned().map(|parameter| {
            let name = parameter.names;
            let value = quote_literal(self.pin_of(parameter));
            let value = match name {
                // The cluster may have a stronger one.
                "synchronous_commit" => format!(
                    "CASE pg_catalog.current_setting('{name}') WHEN 'remote_apply' \
                     THEN 'remote_apply' ELSE {value} END"
                ),
                _ => value,
            };
            format!("pg_catalog.set_config('{name}', {value}, {local})")
        });
        pins.collect::<Vec<_>>().join(", ")
    }

    /// Tells whether somebody is in between who answers for the server: a connection pooler.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Tells whether a pooler gives every transaction another session: by looking on, by two
    /// connections, whose session it is.
    pub fn is_pooled_by_transaction(&mut self) -> Result<bool> {
        if !self.pooled {
            return Ok(false);
        }
        // Where no session is left for it, this one is ours.
        let Ok(mut other) = Self::connect(&self.protocol.config) else { return Ok(false) };
        let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
        // In a busy pool two connections may have the same two sessions for a while.
        for _ in 0..LOOKS {
            ours.insert(self.server_process()?);
            theirs.insert(other.server_process()?);
            if ours.len() > 1 || theirs.len() > 1 || !ours.is_disjoint(&theirs) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the process that serves us now.
    fn server_process(&mut self) -> Result<String> {
        let rows = self.query("SELECT pg_backend_pid()", &[])?;
        Ok(rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned())
    }
}

/// Returns the settings that have a value of ours.
pub(crate) fn pinned() -> impl Iterator<Item = &'static Parameter> {
    PARAMETERS.iter().filter(|parameter| parameter.way != Way::Leave)
}

/// Returns the statement that lifts the limits on idle sessions and on long transactions: for the
/// open transaction (`local`), or for good. Older servers do not have all of them.
pub fn no_idle_limits(local: bool) -> String {
    format!(
        "SELECT pg_catalog.set_config(name, '0', {local}) FROM pg_catalog.pg_settings WHERE name \
         IN ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')"
    )
}
