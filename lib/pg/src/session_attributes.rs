//! Which of several servers will do: `target_session_attrs`, in libpq's words.

use schemars::JsonSchema;
use serde::Deserialize;
use singer::{Error, ErrorKind, Result};

/// What a server must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionAttributes {
    /// Any server.
    #[default]
    Any,
    /// One whose sessions can write.
    ReadWrite,
    /// One whose sessions cannot write: a standby, or one with `default_transaction_read_only`.
    ReadOnly,
    /// One that is no standby.
    Primary,
    /// A standby.
    Standby,
    /// A standby where there is one, else any server.
    PreferStandby,
}

impl SessionAttributes {
    /// Reads a word of libpq, from the setting or variable of this name.
    pub(crate) fn named(word: &str, setting: &str) -> Result<Self> {
        Ok(match word {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => {
                return Err(Error::new(ErrorKind::Config, "cannot use the session attributes")
                    .with("setting", setting)
                    .with("value", word)
                    .hint(
                        "write one of any, read-write, read-only, primary, standby, \
                           prefer-standby",
                    ));
            }
        })
    }

    /// Returns what to look for among all servers, one after the other.
    pub(crate) fn rounds(self) -> &'static [Self] {
        match self {
            Self::Any => &[Self::Any],
            Self::ReadWrite => &[Self::ReadWrite],
            Self::ReadOnly => &[Self::ReadOnly],
            Self::Primary => &[Self::Primary],
            Self::Standby => &[Self::Standby],
            Self::PreferStandby => &[Self::Standby, Self::Any],
        }
    }

    /// Says why a server will not do; `None` where it does.
    pub(crate) fn misfit(self, is_standby: bool, is_read_only: bool) -> Option<&'static str> {
        match self {
            Self::ReadWrite if is_standby => Some("it is a standby, which does not accept writes"),
            Self::ReadWrite if is_read_only => {
                Some("its sessions are read-only (default_transaction_read_only)")
            }
            Self::ReadOnly if !is_read_only => Some("its sessions accept writes"),
            Self::Primary if is_standby => Some("it is a standby"),
            Self::Standby if !is_standby => Some("it is not a standby"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SessionAttributes::{Any, Primary, ReadOnly, ReadWrite, Standby};

    #[test]
    fn a_server_does_or_does_not() {
        // A primary, one whose sessions are read-only by default, and a standby.
        let servers = [(false, false), (false, true), (true, true)];
        let check = |wanted: SessionAttributes, expected: [bool; 3]| {
            let seen = servers.map(|(standby, read)| wanted.misfit(standby, read).is_none());
            assert_eq!(seen, expected, "{wanted:?}");
        };
        check(Any, [true, true, true]);
        check(ReadWrite, [true, false, false]);
        check(ReadOnly, [false, true, true]);
        check(Primary, [true, true, false]);
        check(Standby, [false, false, true]);
    }

    #[test]
    fn its_words_are_those_of_libpq() {
        for word in ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] {
            let read: SessionAttributes = serde_json::from_value(word.into()).unwrap();
            assert_eq!(SessionAttributes::named(word, "x").unwrap(), read, "{word}");
        }
        assert!(SessionAttributes::named("master", "PGTARGETSESSIONATTRS").is_err());
    }
}
