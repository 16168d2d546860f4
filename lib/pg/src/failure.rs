//! What the server reports as failed, as an error of ours.

use singer::scrub::excerpt;
use singer::{Error, ErrorKind};

/// So much of a text of the server is looked at for secrets.
const TEXT_BYTES_MAX: usize = 128 << 10;
/// And so much of it is shown.
const TEXT_CHARS_MAX: usize = 2000;

/// Returns the SQLSTATE of a failure that came from the server.
pub fn sqlstate(failure: &Error) -> Option<&str> {
    failure.context("sqlstate")
}

/// Returns the class of a failure by its SQLSTATE.
pub fn kind_of(sqlstate: &str) -> ErrorKind {
    match sqlstate {
        "42501" => ErrorKind::Denied,
        // Cancelled, shut down, locked, read-only standby, idle or over time: another try helps.
        "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "55P03" | "55006" | "25006" | "25P03"
        | "25P04" => ErrorKind::Temporary,
        "P0001" => ErrorKind::Data,
        // A limit somebody set: it is there the next time, too.
        "53400" => ErrorKind::Unavailable,
        _ => match sqlstate.get(..2) {
            Some("28") => ErrorKind::Denied,
            Some("08" | "40" | "53") => ErrorKind::Temporary,
            Some("21" | "22" | "23" | "44") => ErrorKind::Data,
            _ => ErrorKind::Unavailable,
        },
    }
}

/// What to do about a failure, where the server itself has no hint.
pub(crate) fn hint_of(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "28P01" => "check `user` and `password`",
        "28000" => "check `user`, and what the server's pg_hba.conf allows from here",
        "3D000" => "check `database`",
        "3F000" => "check the name of the schema",
        "42501" => "grant the user the right, or use another user",
        "42P01" | "42703" => "the table or column may be gone or renamed: run discovery again",
        "23503" => "rows refer to rows that do not exist yet: load the table of those rows first",
        "23505" => {
            "two rows of the stream or the table have the same value in the index or constraint \
             that `constraint` names: correct the rows, or drop it if it is not needed"
        }
        "23514" => "a row does not meet a condition of the table: change the row or the condition",
        "22P02" | "22001" | "22003" | "22007" | "22008" => {
            "a value does not fit the column: correct it in the source, or change the column to a \
             wider type or to text"
        }
        "23502" => "the column does not allow null: let the stream give it a value",
        "22P05" => {
            "the encoding of the database lacks a character: load into a database of encoding UTF8"
        }
        "53100" => "the server's disk is full: free space there",
        "53200" => "the server is out of memory: give it more memory, or run fewer loads at once",
        "53400" => "raise the server's limit (temp_file_limit), or load fewer rows at once",
        "53300" => "the server has too many connections: close some, or raise max_connections",
        "57014" => {
            "the statement was cancelled, or took longer than the role's statement_timeout: raise \
             it (ALTER ROLE ... SET statement_timeout)"
        }
        "57P05" => "the role's idle_session_timeout is too short for a pause of this run: raise it",
        "25P03" => {
            "the role's idle_in_transaction_session_timeout is too short for a pause of \
                    this run: raise it"
        }
        "25P04" => "the role's transaction_timeout is too short for this run: raise it",
        "57P01" | "57P02" | "57P03" => "the server restarts: run again after it has started",
        "55P03" => "another session holds a lock: run again, or raise lock_timeout",
        "25006" => {
            "the server is a read-only standby (or default_transaction_read_only is on): connect \
             to the primary, or name all servers in `host` with `target_session_attrs: read-write`"
        }
        "40001" | "40P01" => "other sessions were in conflict with this run: run again",
        _ => return None,
    })
}

/// The fields of an `ErrorResponse` or `NoticeResponse` that are of use here.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
    rest: Vec<(&'static str, String)>,
    hint: Option<String>,
}

impl Report {
    /// Reads the payload of the message.
    pub(crate) fn parse(payload: &[u8]) -> Self {
        let mut report = Self::default();
        for field in payload.split(|byte| *byte == 0) {
            let Some((code, text)) = field.split_first() else { continue };
            // Nobody reads on, and a server can write what it wants.
            let text = String::from_utf8_lossy(&text[..text.len().min(TEXT_BYTES_MAX)]);
            let text = excerpt(&text, TEXT_CHARS_MAX).into_owned();
            let name = match code {
                b'V' => {
                    report.severity = text;
                    continue;
                }
                b'S' if report.severity.is_empty() => {
                    report.severity = text;
                    continue;
                }
                b'C' => {
                    report.sqlstate = text;
                    continue;
                }
                b'M' => {
                    report.message = text;
                    continue;
                }
                b'H' => {
                    report.hint = Some(text);
                    continue;
                }
                b'D' => "detail",
                b'W' => "where",
                b's' => "schema",
                b't' => "table",
                b'c' => "column",
                b'd' => "type",
                b'n' => "constraint",
                b'P' => "position",
                _ => continue,
            };
            report.rest.push((name, text));
        }
        report
    }

    /// Returns the function that says it, and where in it.
    pub(crate) fn function(&self) -> Option<&str> {
        let (_, place) = self.rest.iter().find(|(name, _)| *name == "where")?;
        let line = place.lines().next()?;
        (line.starts_with("PL/") && line.contains(" function ")).then_some(line)
    }

    /// Returns what to do where a function uses a name without a schema: it is found by the search
    /// path of the role, if at all.
    fn names_by_path(&self) -> Option<String> {
        const NOT_FOUND: [&str; 5] = ["42P01", "42883", "42704", "42703", "3F000"];
        let name = self.innermost_function().filter(|_| NOT_FOUND.contains(&&*self.sqlstate))?;
        Some(format!(
            "the function {name} uses names without a schema, which need the search path of the \
             role: write them with their schemas, or run: ALTER FUNCTION {name} SET search_path = \
             \"$user\", public"
        ))
    }

    /// Returns the name of the function that was computing, in whatever language.
    fn innermost_function(&self) -> Option<&str> {
        let (_, place) = self.rest.iter().find(|(name, _)| *name == "where")?;
        place.lines().find_map(|line| {
            let (language, rest) = line.split_once(" function ")?;
            match language {
                "SQL" => rest.strip_prefix('"')?.split('"').next(),
                _ if language.starts_with("PL/") => rest.split(" line ").next(),
                _ => None,
            }
        })
    }

    /// Tells whether the server ends the connection after this.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Leaves out what is data: the rows and keys in details, and values, which come in quotes.
    fn without_data(mut self) -> Self {
        // What is in quotes there are the names of encodings.
        if self.sqlstate.starts_with("22") && !matches!(&*self.sqlstate, "22P05" | "22021") {
            let parts = self.message.split('"').enumerate();
            let named = parts.map(|(at, part)| if at % 2 == 1 { "\"...\"" } else { part });
            self.message = named.collect();
        }
        if self.sqlstate.starts_with("22") || self.sqlstate.starts_with("23") {
            self.rest.retain(|(name, _)| *name != "detail");
        }
        for (_, place) in self.rest.iter_mut().filter(|(name, _)| *name == "where") {
            place.truncate(place.find(": \"").unwrap_or(place.len()));
        }
        self
    }

    /// Makes it a failure of ours; it says nothing of the data.
    pub(crate) fn into_error(self, message: &str) -> Error {
        let by_name = self.names_by_path();
        let Self { sqlstate, message: said, rest, hint, .. } = self.without_data();
        let (mut kind, mut advice) = (kind_of(&sqlstate), hint_of(&sqlstate));
        // The name of the setting is the same in every language of the server.
        let no_room = hint.as_ref().is_some_and(|hint| hint.contains("max_locks_per_transaction"));
        if no_room && sqlstate == "53200" {
            kind = ErrorKind::Unavailable;
            advice = Some("raise max_locks_per_transaction, or use fewer tables in a run");
        }
        let hint = by_name.or(advice.map(str::to_owned)).or(hint);
        let mut failure = Error::new(kind, message).with("server_message", said);
        for (name, text) in rest {
            failure = failure.with(name, text);
        }
        failure = failure.with("sqlstate", sqlstate);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_the_sqlstate() {
        let check = |code, kind| assert_eq!(kind_of(code), kind, "{code}");
        check("28P01", ErrorKind::Denied);
        check("42501", ErrorKind::Denied);
        check("3D000", ErrorKind::Unavailable);
        check("42P01", ErrorKind::Unavailable);
        check("22003", ErrorKind::Data);
        check("23505", ErrorKind::Data);
        check("57P01", ErrorKind::Temporary);
        check("40001", ErrorKind::Temporary);
        check("53300", ErrorKind::Temporary);
        check("53400", ErrorKind::Unavailable);
        check("08006", ErrorKind::Temporary);
        check("XX000", ErrorKind::Unavailable);
        check("", ErrorKind::Unavailable);
    }

    #[test]
    fn a_function_that_finds_nothing_by_bare_names_is_told() {
        let hint = |place: &str| {
            let said = "VERROR\0C42P01\0Mrelation \"audit\" does not exist";
            let payload = format!("{said}\0W{place}\0\0");
            Report::parse(payload.as_bytes()).into_error("cannot copy").to_string()
        };
        let told = hint("PL/pgSQL function s.log() line 3 at SQL statement\nCOPY t, line 1");
        assert!(told.contains("ALTER FUNCTION s.log() SET search_path"), "{told}");
        let told = hint("SQL function \"f\" during inlining");
        assert!(told.contains("ALTER FUNCTION f SET search_path"), "{told}");
        assert!(hint("COPY t, line 1").contains("run discovery again"));
    }

    #[test]
    fn reports_carry_constraint_and_state() {
        let payload = b"SFEHLER\0VERROR\0C23505\0Mduplicate key\0DKey (id)=(1) exists\0npk\0\0";
        let report = Report::parse(payload);
        assert!(!report.is_fatal());
        let failure = report.into_error("cannot run the statement");
        assert_eq!(failure.kind(), ErrorKind::Data);
        assert_eq!(failure.context("constraint"), Some("pk"));
        assert_eq!(failure.context("detail"), None, "it has the key of a row");
        assert_eq!(sqlstate(&failure), Some("23505"));
        let payload = b"VERROR\0C42P01\0Mrelation \"audit\" does not exist\0\
                        WPL/pgSQL function public.note(integer) line 2 at SQL statement\0\0";
        let failure = Report::parse(payload).into_error("cannot copy").to_string();
        assert!(failure.contains("run: ALTER FUNCTION public.note(integer) SET"), "{failure}");
        let payload = b"VERROR\0C22P05\0Mcharacter in encoding \"UTF8\" has no equivalent\0\0";
        let failure = Report::parse(payload).into_error("cannot copy");
        let said = failure.context("server_message").unwrap_or_default();
        assert!(said.contains("UTF8"), "{said}");
        let payload = b"VERROR\0C53200\0Mout of memory\0\0";
        assert_eq!(Report::parse(payload).into_error("cannot copy").kind(), ErrorKind::Temporary);
        let payload = b"VERROR\0C53200\0Mout of shared memory\0\
                        HYou might need to increase \"max_locks_per_transaction\".\0\0";
        let failure = Report::parse(payload).into_error("cannot copy");
        assert_eq!(failure.kind(), ErrorKind::Unavailable, "a try again meets the same limit");
        let payload = b"VERROR\0C22P02\0Minvalid syntax for type bigint: \"7 x\"\0\
                        WCOPY t, line 3, column n: \"7 x\"\0\0";
        let failure = Report::parse(payload).into_error("cannot copy");
        let said = Some("invalid syntax for type bigint: \"...\"");
        assert_eq!(failure.context("server_message"), said);
        assert_eq!(failure.context("where"), Some("COPY t, line 3, column n"));
    }
}
