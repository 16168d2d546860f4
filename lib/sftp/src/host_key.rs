//! Whether the key that a server shows is the one it should have. Pure but for reading the file.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::Sha1;
use singer::{Error, ErrorKind, Result, ResultExt, private_file};

use crate::options::{Options, Trust};

/// What is known of a host before it is called.
#[derive(Debug)]
pub(crate) struct HostKeys {
    address: String,
    host: String,
    port: u16,
    trust: Trust,
    known: Vec<Known>,
}

/// A line of the file of known hosts that is about this host.
#[derive(Debug)]
struct Known {
    line: usize,
    revoked: bool,
    key: PublicKey,
}

impl HostKeys {
    /// Reads the file of known hosts, where it is what counts; one that is not there knows none.
    pub(crate) fn of(options: &Options) -> Result<Self> {
        let known = match &options.trust {
            Trust::Fingerprint(_) => Vec::new(),
            Trust::KnownHosts(path) => match private_file::read(path) {
                Ok((text, _)) => {
                    let text = String::from_utf8_lossy(&text);
                    entries(&text, &name_of(&options.host, options.port))
                }
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                Err(cause) => {
                    let message = "cannot read the file of known hosts";
                    return Err(cause)
                        .or_kind(ErrorKind::Config, message)
                        .map_err(|failure| failure.with("path", path.display()));
                }
            },
        };
        Ok(Self {
            address: options.address(),
            host: options.host.clone(),
            port: options.port,
            trust: options.trust.clone(),
            known,
        })
    }

    /// Puts the algorithms of keys that are known first: a server has keys of several, and shows
    /// one that is asked for.
    pub(crate) fn order(&self, algorithms: &[Algorithm]) -> Vec<Algorithm> {
        let is_known = |algorithm: &Algorithm| {
            let same = |known: &Known| same_type(&known.key.algorithm(), algorithm);
            self.known.iter().any(|known| !known.revoked && same(known))
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = algorithms.iter().cloned().partition(is_known);
        first.extend(rest);
        first
    }

    /// Accepts the key a server shows, or says why not and how to change that.
    ///
    /// Fails with `Denied`.
    pub(crate) fn check(&self, key: &PublicKey) -> Result<()> {
        let shown = key.fingerprint(HashAlg::Sha256).to_string();
        let refuse = |message: &str| {
            Error::new(ErrorKind::Denied, message)
                .with("server", &self.address)
                .with("key", format!("{} {shown}", key.algorithm()))
        };
        let path = match &self.trust {
            Trust::Fingerprint(wanted) if wanted.to_string() == shown => return Ok(()),
            Trust::Fingerprint(wanted) => {
                return Err(refuse(
                    "cannot trust the server: its key differs from `host_key_fingerprint`",
                )
                .with("host_key_fingerprint", wanted)
                .hint(
                    "if the server has a new key, and its owner confirms this fingerprint, set \
                          `host_key_fingerprint` to it; otherwise an attacker may pose as the \
                         server. A server has keys of several types: set the fingerprint that is \
                         shown here",
                ));
            }
            Trust::KnownHosts(path) => path.display(),
        };
        if let Some(known) = self.known.iter().find(|known| known.revoked && same(&known.key, key))
        {
            return Err(refuse("cannot trust the server: its key is revoked")
                .with("known_hosts_file", format!("{path}, line {}", known.line))
                .hint(
                    "the server needs a new key: with the old key an attacker can pose as the \
                       server",
                ));
        }
        let mut valid = self.known.iter().filter(|known| !known.revoked);
        if valid.clone().any(|known| same(&known.key, key)) {
            return Ok(());
        }
        if let Some(known) = valid.next() {
            return Err(refuse("cannot trust the server: its key has changed")
                .with("known_hosts_file", format!("{path}, line {}", known.line))
                .with("known key", known.key.fingerprint(HashAlg::Sha256))
                .hint(format!(
                    "if its owner confirms the new fingerprint, run ssh-keygen -f {path} -R '{}', \
                     then {}; otherwise an attacker may pose as the server",
                    name_of(&self.host, self.port),
                    self.scan()
                )));
        }
        Err(refuse("cannot trust the server: its key is not known")
            .with("known_hosts_file", path)
            .hint(format!(
                "if its owner confirms this fingerprint, set `host_key_fingerprint` to {shown}, or \
                 add the key: {}",
                self.scan()
            )))
    }

    fn scan(&self) -> String {
        let file = match &self.trust {
            Trust::KnownHosts(path) => path.display().to_string(),
            Trust::Fingerprint(_) => String::new(),
        };
        format!("ssh-keyscan -p {} {} >> {file}", self.port, self.host)
    }
}

/// Returns the name by which the file knows a host.
fn name_of(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Returns the lines about a host; lines that cannot be read count for nothing.
fn entries(text: &str, name: &str) -> Vec<Known> {
    let read = |(at, line): (usize, &str)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let entry: Entry = words.join(" ").parse().ok()?;
        let revoked = match entry.marker() {
            None => false,
            Some(Marker::Revoked) => true,
            Some(Marker::CertAuthority) => return None,
        };
        let key = entry.public_key().clone();
        matches(entry.host_patterns(), name).then_some(Known { line: at + 1, revoked, key })
    };
    text.lines().enumerate().filter_map(read).collect()
}

fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let sum = Hmac::<Sha1>::new_from_slice(salt);
            sum.is_ok_and(|sum| sum.chain_update(name).verify_slice(hash).is_ok())
        }
        HostPatterns::Patterns(patterns) => {
            let fits = |pattern: &str| like(pattern.to_lowercase().as_bytes(), name.as_bytes());
            let denied = patterns.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(fits);
            let named = |pattern: &String| !pattern.starts_with('!') && fits(pattern);
            !denied && patterns.iter().any(named)
        }
    }
}

/// Compares with a pattern of `*` and `?`.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((back, seen)) = star else { return false };
                star = Some((back, seen + 1));
                at = back + 1;
                from = seen + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

fn same(one: &PublicKey, other: &PublicKey) -> bool {
    one.key_data() == other.key_data()
}

fn same_type(one: &Algorithm, other: &Algorithm) -> bool {
    match (one, other) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use singer::Fingerprint;

    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAeVbY5/tN4xnZ+LFb4ONJm5NfRKPz7/MKcBDNuMHXbm";
    const TWO: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

    fn key(text: &str) -> PublicKey {
        PublicKey::from_openssh(text).unwrap()
    }

    fn verdict(known: &str, port: u16) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        std::fs::write(&path, known).unwrap();
        checked(Trust::KnownHosts(path), port)
    }

    fn checked(trust: Trust, port: u16) -> Result<()> {
        let options = Options {
            host: "Files.Example.com".to_owned(),
            port,
            user: "u".to_owned(),
            password: None,
            keys: Vec::new(),
            agent: false,
            trust,
            legacy: false,
            connect_timeout: std::time::Duration::ZERO,
            request_timeout: std::time::Duration::ZERO,
            reconnects_max: 0,
        };
        HostKeys::of(&options)?.check(&key(ONE))
    }

    #[test]
    fn knows_hosts_as_openssh_does() {
        let good = |known: &str, port| verdict(known, port).unwrap();
        good(&format!("files.example.com {ONE}\n"), 22);
        good(&format!("# c\n\nbad line\na,files.example.com,10.0.0.1\t{ONE} comment\n"), 22);
        good(&format!("[files.example.com]:2222 {ONE}\n"), 2222);
        good(&format!("*.example.com {ONE}\n"), 22);
        good(&format!("[*.example.com]:2222 {ONE}"), 2222);
        good(&format!("files.example.com {TWO}\nfiles.example.com {ONE}\n"), 22);
        good(&format!("@revoked * {TWO}\nfiles.example.com {ONE}\n"), 22);
        let bad = |known: &str, port, words: &str| {
            let failure = verdict(known, port).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Denied);
            assert!(failure.message().contains(words), "{known}: {failure}");
            assert!(failure.to_string().contains("SHA256:"), "{failure}");
        };
        bad("", 22, "not known");
        bad(&format!("other.example.com {ONE}\n"), 22, "not known");
        bad(&format!("files.example.com {ONE}\n"), 2222, "not known");
        bad(&format!("!files.example.com,*.example.com {ONE}\n"), 22, "not known");
        bad(&format!("@cert-authority files.example.com {ONE}\n"), 22, "not known");
        bad(&format!("files.example.com {TWO}\n"), 22, "has changed");
        bad(&format!("files.example.com {ONE}\n@revoked * {ONE}\n"), 22, "revoked");
    }

    #[test]
    fn knows_hashed_names() {
        let salt = [7; 20];
        let mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
        let hash = mac.chain_update("[files.example.com]:2222").finalize().into_bytes();
        let hash: [u8; 20] = hash.into();
        let patterns = HostPatterns::HashedName { salt: salt.to_vec(), hash };
        let line = format!("{} {ONE}\n", patterns.to_string());
        verdict(&line, 2222).unwrap();
        assert!(verdict(&line, 22).is_err());
    }

    #[test]
    fn a_pinned_fingerprint_is_all_that_counts() {
        let shown = key(ONE).fingerprint(HashAlg::Sha256).to_string();
        let pinned = |text: &str| checked(Trust::Fingerprint(Fingerprint::read(text).unwrap()), 22);
        pinned(&shown).unwrap();
        pinned(shown.strip_prefix("SHA256:").unwrap()).unwrap();
        pinned(&format!(" {shown}= ")).unwrap();
        let other = key(TWO).fingerprint(HashAlg::Sha256).to_string();
        let failure = pinned(&other).unwrap_err();
        assert!(failure.to_string().contains(&shown), "{failure}");
    }

    #[test]
    fn a_missing_file_knows_nobody() {
        let failure = checked(Trust::KnownHosts("/nonexistent".into()), 22).unwrap_err();
        assert!(failure.message().contains("not known"), "{failure}");
        assert!(failure.to_string().contains("ssh-keyscan -p 22"), "{failure}");
    }

    #[test]
    fn patterns_of_stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*aab", "aaab", true),
        ] {
            assert_eq!(like(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
