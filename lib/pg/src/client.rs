//! The connection: simple and extended queries, transactions, COPY to the server.

use std::ops::Range;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use singer::{Error, ErrorKind, Result, ResultExt};

use crate::copy::CopyOut;
use crate::login;
use crate::protocol::{Protocol, STATEMENT};
use crate::settings::Config;

/// COPY data is sent in messages of about this size.
const COPY_BYTES: usize = 128 << 10;
/// So much memory the rows of an answer may take; a catalog of a million columns takes less. No
/// answer is larger but that of somebody who wants to fill our memory.
const ANSWER_BYTES_MAX: usize = 512 << 20;

/// A connection to a Postgres server; closed when dropped.
pub struct Client {
    pub(crate) protocol: Protocol,
    /// Whether somebody is in between who answers for the server.
    pub(crate) pooled: bool,
    /// Whether views compute by settings of the role, and not by ours.
    pub(crate) lent: bool,
    /// Whether they find names by the search path of the role; and that path, once it is known.
    pub(crate) path_lent: bool,
    pub(crate) own_path: Option<String>,
    /// The `lc_monetary` of the role, once it was asked for, and the one pinned in place of `C`.
    pub(crate) own_monetary: Option<String>,
    /// How many digits money has by it, once that was asked for.
    pub(crate) money_digits: Option<usize>,
    pub(crate) lc_monetary: Option<String>,
    copying: Copying,
}

/// Where a COPY to the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copying {
    /// There is none.
    No,
    /// The server waits for more data.
    Open,
    /// All data is sent; the server's answer is not read yet.
    Closed,
}

/// One row of a query, its values as text.
#[derive(Clone, Debug, Default)]
pub struct Row {
    text: String,
    cells: Vec<Option<(usize, usize)>>,
}

impl Row {
    /// Returns the value of a column; `None` for null and for a column that is not there.
    pub fn get(&self, column: usize) -> Option<&str> {
        let (start, end) = (*self.cells.get(column)?)?;
        self.text.get(start..end)
    }

    /// Returns about how much memory it takes.
    fn bytes(&self) -> usize {
        self.text.capacity() + self.cells.capacity() * size_of::<Option<(usize, usize)>>() + 64
    }

    /// Returns how many columns there are.
    pub fn width(&self) -> usize {
        self.cells.len()
    }

    fn parse(payload: &[u8]) -> Option<Self> {
        let mut row = Self::default();
        let (count, mut rest) = payload.split_first_chunk::<2>()?;
        for _ in 0..u16::from_be_bytes(*count) {
            let (length, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                row.cells.push(None);
                continue;
            };
            let start = row.text.len();
            row.text.push_str(std::str::from_utf8(rest.get(..length)?).ok()?);
            row.cells.push(Some((start, row.text.len())));
            rest = &rest[length..];
        }
        Some(row)
    }
}

/// What the answers to statements came to.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The rows of all of them.
    pub(crate) rows: Vec<Row>,
    /// How many rows each affected.
    pub(crate) affected: Vec<u64>,
    failure: Option<Error>,
}

impl Outcome {
    fn last(&self) -> u64 {
        self.affected.last().copied().unwrap_or_default()
    }
}

impl Client {
    /// Connects to the first server alone, authenticates and sets the session up: every setting
    /// that changes text, rows or whether a COMMIT lasts is pinned (`parameters.rs`).
    ///
    /// Behind a pooler the session is left as it is, for it may be another one with the next
    /// transaction: [`Client::begin`] sets up each, or [`Client::set_up`] one of ours alone.
    pub(crate) fn connect_to(config: &Config) -> Result<Self> {
        let mut client = Self {
            protocol: login::log_in(config)?,
            pooled: false,
            lent: false,
            path_lent: false,
            own_path: None,
            own_monetary: None,
            money_digits: None,
            lc_monetary: None,
            copying: Copying::No,
        };
        client.set_up_own()?;
        client.protocol.wire.established(config.read_timeout);
        Ok(client)
    }

    /// Returns how to connect to the same server again.
    pub fn config(&self) -> &Config {
        &self.protocol.config
    }

    /// Runs one or more statements without parameters; returns the rows affected by the last.
    pub fn execute(&mut self, sql: &str) -> Result<u64> {
        self.start(sql)?;
        self.finish_statement().map(|outcome| outcome.last())
    }

    /// Runs statements without parameters, sent at once; returns the rows of all of them. Each is
    /// a part of the transaction that the first one begins.
    pub fn query_all(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.start(sql)?;
        self.finish_statement().map(|outcome| outcome.rows)
    }

    /// Runs one statement with text parameters (`$1`, ...) by an unnamed prepared statement.
    pub fn query(&mut self, sql: &str, params: &[Option<&str>]) -> Result<Vec<Row>> {
        self.check_idle()?;
        let out = &mut self.protocol.wire.output;
        frontend::parse("", sql, [], out).or_kind(ErrorKind::Data, STATEMENT)?;
        let bound = frontend::bind(
            "",
            "",
            [0_i16],
            params,
            |param, buffer: &mut BytesMut| match param {
                Some(text) => {
                    buffer.extend_from_slice(text.as_bytes());
                    Ok(IsNull::No)
                }
                None => Ok(IsNull::Yes),
            },
            [0_i16],
            out,
        );
        if bound.is_err() {
            out.clear();
            return Err(Error::new(ErrorKind::Internal, "cannot bind the query's parameters"));
        }
        frontend::execute("", 0, out).or_kind(ErrorKind::Internal, STATEMENT)?;
        frontend::sync(out);
        self.protocol.send()?;
        self.finish_statement().map(|outcome| outcome.rows)
    }

    /// Starts `COPY ... TO STDOUT`.
    pub fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        self.start(sql)?;
        loop {
            let (kind, range) = self.protocol.message()?;
            match kind {
                b'H' => return Ok(CopyOut::new(&mut self.protocol)),
                _ => self.before_copy(kind, range)?,
            }
        }
    }

    /// Sets how much text a row of a COPY to us may have, before more memory is taken for it.
    pub fn limit_rows(&mut self, bytes_max: usize) {
        self.protocol.wire.row_bytes_max = bytes_max;
    }

    /// Starts `COPY ... FROM STDIN`, to be fed by [`Client::copy_data`].
    pub fn begin_copy_in(&mut self, sql: &str) -> Result<()> {
        self.start(sql)?;
        loop {
            let (kind, range) = self.protocol.message()?;
            if kind == b'G' {
                self.copying = Copying::Open;
                return Ok(());
            }
            self.before_copy(kind, range)?;
        }
    }

    /// Sends data of the COPY begun, buffered into messages of at least 64 KiB. Reports a failure
    /// that the server has sent so far; the COPY is over then.
    pub fn copy_data(&mut self, data: &[u8]) -> Result<()> {
        self.check_copying()?;
        let out = &mut self.protocol.wire.output;
        if out.is_empty() {
            out.put_u8(b'd');
            out.put_u32(0);
        }
        out.extend_from_slice(data);
        if out.len() < COPY_BYTES {
            return Ok(());
        }
        self.close_copy_message();
        self.protocol.send()?;
        while self.protocol.wire.ready(Duration::ZERO)? {
            let (kind, range) = self.protocol.message()?;
            if kind == b'E' {
                self.copying = Copying::No;
                let failure = self.protocol.report(range);
                return Err(self.protocol.until_idle(failure));
            }
            self.protocol.aside(kind, range)?;
        }
        Ok(())
    }

    /// Ends the data of the COPY begun, and does not wait for the server to be done with it: that
    /// does [`Client::end_copy_in`].
    pub fn close_copy_in(&mut self) -> Result<()> {
        self.check_copying()?;
        self.close_copy_message();
        self.copying = Copying::Closed;
        frontend::copy_done(&mut self.protocol.wire.output);
        self.protocol.send()
    }

    /// Ends the COPY begun; returns how many rows the server took.
    pub fn end_copy_in(&mut self) -> Result<u64> {
        if self.copying != Copying::Closed {
            self.close_copy_in()?;
        }
        self.copying = Copying::No;
        self.finish_statement().map(|outcome| outcome.last())
    }

    /// Tells whether a transaction block is open (also a failed one).
    pub fn in_transaction(&self) -> bool {
        self.protocol.in_transaction()
    }

    /// Tells whether the connection is beyond use.
    pub fn is_broken(&self) -> bool {
        self.protocol.is_broken()
    }

    /// Makes the failure for an answer that has no end, and gives the connection up.
    fn too_much(&mut self) -> Error {
        self.protocol.give_up();
        Error::new(ErrorKind::Unavailable, "cannot read the server's answer: it is too large")
            .with("limit in bytes", ANSWER_BYTES_MAX)
            .hint(
                "check that `host` and `port` are those of your server; if its catalog is that \
                 large, set `filter_schemas`",
            )
    }

    fn start(&mut self, sql: &str) -> Result<()> {
        self.check_idle()?;
        frontend::query(sql, &mut self.protocol.wire.output)
            .or_kind(ErrorKind::Data, "cannot send SQL with U+0000")?;
        self.protocol.send()
    }

    pub(crate) fn check_idle(&mut self) -> Result<()> {
        if self.protocol.is_broken() {
            return Err(Error::new(ErrorKind::Temporary, "cannot use the broken connection"));
        }
        if self.copying != Copying::No {
            return Err(Error::new(ErrorKind::Internal, "cannot run SQL while COPY is open"));
        }
        self.protocol.wire.output.clear();
        Ok(())
    }

    fn check_copying(&self) -> Result<()> {
        if self.copying == Copying::Open {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Internal, "cannot continue a COPY that is not open"))
    }

    fn close_copy_message(&mut self) {
        let out = &mut self.protocol.wire.output;
        if out.is_empty() {
            return;
        }
        let length = u32::try_from(out.len() - 1).unwrap_or(u32::MAX);
        out[1..5].copy_from_slice(&length.to_be_bytes());
    }

    /// Handles what comes instead of the start of a COPY.
    fn before_copy(&mut self, kind: u8, range: Range<usize>) -> Result<()> {
        match kind {
            b'E' => {
                let failure = self.protocol.report(range);
                Err(self.protocol.until_idle(failure))
            }
            b'C' | b'T' | b'D' | b'I' => Ok(()),
            b'Z' => {
                self.protocol.ready_for_query(range);
                Err(Error::new(ErrorKind::Internal, "cannot copy: the statement is not a COPY"))
            }
            _ => self.protocol.aside(kind, range),
        }
    }

    /// Reads the answers to a statement to their end.
    pub(crate) fn finish_statement(&mut self) -> Result<Outcome> {
        let (mut outcome, mut bytes) = (Outcome::default(), 0);
        loop {
            let (kind, range) = match self.protocol.message() {
                Ok(message) => message,
                Err(failure) => return Err(outcome.failure.unwrap_or(failure)),
            };
            match kind {
                b'D' => match Row::parse(self.protocol.wire.payload(range)) {
                    Some(row) => {
                        bytes += row.bytes();
                        if bytes > ANSWER_BYTES_MAX {
                            return Err(self.too_much());
                        }
                        outcome.rows.push(row);
                    }
                    None => return Err(self.protocol.wire.garbled()),
                },
                b'C' => outcome.affected.push(affected(self.protocol.wire.payload(range))),
                b'E' => {
                    let failure = self.protocol.report(range);
                    if self.protocol.is_broken() {
                        return Err(failure);
                    }
                    outcome.failure.get_or_insert(failure);
                }
                b'Z' => {
                    self.protocol.ready_for_query(range);
                    return match outcome.failure {
                        Some(failure) => Err(failure),
                        None => Ok(outcome),
                    };
                }
                b'G' => {
                    frontend::copy_fail("no data was to be sent", &mut self.protocol.wire.output)
                        .or_kind(ErrorKind::Internal, STATEMENT)?;
                    self.protocol.send()?;
                }
                // Parse, bind, close complete; row description; no data; empty; COPY out unread.
                b'1' | b'2' | b'3' | b'T' | b'n' | b't' | b'I' | b's' | b'H' | b'd' | b'c' => {}
                _ => self.protocol.aside(kind, range)?,
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.protocol.is_broken() && self.copying == Copying::No {
            self.protocol.wire.output.clear();
            self.protocol.wire.timeout = Duration::from_millis(200);
            frontend::terminate(&mut self.protocol.wire.output);
            let _ = self.protocol.wire.flush();
        }
    }
}

/// Returns the row count at the end of a command tag such as `INSERT 0 5`.
pub(crate) fn affected(tag: &[u8]) -> u64 {
    let tag = std::str::from_utf8(tag).unwrap_or("").trim_end_matches('\0');
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_tags_end_in_a_count() {
        assert_eq!(affected(b"COPY 12\0"), 12);
        assert_eq!(affected(b"INSERT 0 5\0"), 5);
        assert_eq!(affected(b"BEGIN\0"), 0);
    }

    #[test]
    fn rows_tell_null_from_empty() {
        let row = Row::parse(b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0").unwrap();
        assert_eq!((row.get(0), row.get(1), row.get(2)), (Some("ab"), None, Some("")));
        assert_eq!((row.width(), row.get(3)), (3, None));
        assert!(Row::parse(b"\0\x01\0\0\0\x09ab").is_none());
    }
}
