//! The session of a connection: its settings, and whether it is ours alone or a pooler's.

use std::collections::BTreeSet;

use singer::Result;

use crate::client::Client;

/// How often to look whose session a connection has.
const LOOKS: usize = 64;

impl Client {
    /// Begins a transaction (`mode` as in `BEGIN mode`) and sets the session up for it anew, for a
    /// pooler that gives every transaction another server connection. The server does not end it
    /// for its pauses, nor for how long it takes: the other end of a pipe may take its time.
    pub fn begin(&mut self, mode: &str) -> Result<()> {
        let (settings, limits) = (statements("SET LOCAL"), no_idle_limits(true));
        self.execute(&format!("BEGIN {mode}; {settings} {limits}")).map(drop)
    }

    /// Sets the session up.
    pub fn set_up(&mut self) -> Result<()> {
        self.execute(&statements("SET")).map(drop)
    }

    /// Sets the session up if it is that of the process which let us in; else somebody is in
    /// between. One statement for both.
    pub(crate) fn set_up_own(&mut self) -> Result<()> {
        let set = |(name, value)| format!("pg_catalog.set_config('{name}', '{value}', false)");
        let (settings, process) = (SETTINGS.map(set).join(", "), self.backend.0);
        let sql = format!("SELECT {settings} WHERE pg_catalog.pg_backend_pid() = {process}");
        self.pooled = self.query(&sql, &[])?.is_empty();
        Ok(())
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
        let Ok(mut other) = Self::connect(&self.config) else { return Ok(false) };
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

/// What both ends of a transfer must agree on.
const SETTINGS: [(&str, &str); 9] = [
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "iso_8601"),
    ("extra_float_digits", "1"),
    ("lc_monetary", "C"),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("search_path", ""),
];

/// Returns the statement that lifts the limits on idle sessions and on long transactions: for the
/// open transaction (`local`), or for good. Older servers do not have all of them.
pub fn no_idle_limits(local: bool) -> String {
    format!(
        "SELECT pg_catalog.set_config(name, '0', {local}) FROM pg_catalog.pg_settings WHERE name \
         IN ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')"
    )
}

fn statements(set: &str) -> String {
    SETTINGS.map(|(name, value)| format!("{set} {name} = '{value}';")).join(" ")
}
