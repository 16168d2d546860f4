//! Addresses: joined, compared by origin, shown without their query. Pure.

use std::fmt;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fluent_uri::{Uri, UriRef};
use singer::{Error, ErrorKind, Result};

/// From so many characters a value is one that nobody writes by hand.
const OPAQUE_CHARS: usize = 16;
/// A page in a path is a number, which may have a short name in front: `2`, `page-2`.
const PAGE_DIGITS: usize = 7;
const PAGE_NAME_CHARS: usize = 6;

/// An absolute http or https address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Uri<String>);

/// Scheme, host and port of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Address {
    /// Reads an address; characters that must be encoded are. It may not carry a password.
    ///
    /// Fails with `Config`.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse =
            |hint: &str| Err(Error::new(ErrorKind::Config, "cannot use the address").hint(hint));
        let encoded = encode_odd(text.trim());
        let Ok(uri) = Uri::parse(encoded) else {
            return refuse("write it like `https://api.example.com/v1`");
        };
        let uri = uri.normalize();
        let Some(authority) = uri.authority() else {
            return refuse("write it like `https://api.example.com/v1`");
        };
        if authority.has_userinfo() {
            return refuse("put user and password into `username` and `password`");
        }
        if !matches!(uri.scheme().as_str(), "http" | "https") {
            return refuse("its scheme must be http or https");
        }
        if authority.host().is_empty()
            || !matches!(authority.port_to_u16(), Ok(port) if port != Some(0))
        {
            return refuse("its host or port is not valid");
        }
        Ok(Self(strip(&uri)))
    }

    /// Follows a reference found at this address: absolute, relative, or a query alone.
    pub fn join(&self, reference: &str) -> Result<Self> {
        let bad = || {
            Error::new(ErrorKind::Data, "cannot follow the address in the answer")
                .hint("the address must be an http or https address without a password")
        };
        let encoded = encode_odd(reference.trim());
        let reference = UriRef::parse(encoded.as_str()).map_err(|_| bad())?;
        let joined = reference.resolve_against(&self.0).map_err(|_| bad())?;
        Self::parse(joined.as_str()).map_err(|failure| bad().caused_by(failure))
    }

    /// Adds a path, which may have a query, behind the path of this address.
    pub fn with_path(&self, path: &str) -> Result<Self> {
        let base = self.0.as_str();
        let (base, query) = base.split_once('?').unwrap_or((base, ""));
        let (path, more) = path.split_once('?').unwrap_or((path, ""));
        let mut text = base.trim_end_matches('/').to_owned();
        if path.is_empty() {
            base.clone_into(&mut text);
        } else {
            text.push('/');
            text.push_str(path.trim_start_matches('/'));
        }
        for query in [query, more].into_iter().filter(|query| !query.is_empty()) {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str(query);
        }
        Self::parse(&text)
    }

    /// Adds parameters to the query, replacing those of the same name.
    pub fn with_params(&self, params: &[(String, String)]) -> Result<Self> {
        if params.is_empty() {
            return Ok(self.clone());
        }
        let text = self.0.as_str();
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let names: Vec<String> = params.iter().map(|(name, _)| encoded(name)).collect();
        let kept = query.split('&').filter(|part| {
            let name = part.split('=').next().unwrap_or_default();
            !part.is_empty() && !names.iter().any(|known| known == name)
        });
        let added = params.iter().map(|(name, value)| encoded(name) + "=" + &encoded(value));
        let parts: Vec<String> = kept.map(str::to_owned).chain(added).collect();
        Self::parse(&format!("{base}?{}", parts.join("&")))
    }

    /// Returns the whole text, query included: not for people.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns where the address leads to.
    pub fn origin(&self) -> Origin {
        let scheme = self.0.scheme().as_str().to_owned();
        let authority = self.0.authority();
        let port = authority.as_ref().and_then(|authority| authority.port_to_u16().ok().flatten());
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        let host = authority.map(|authority| authority.host().to_ascii_lowercase());
        Origin { scheme, host: host.unwrap_or_default(), port }
    }

    /// Returns host, path and query: what is asked, whatever the way there.
    pub fn place(&self) -> String {
        let (path, query) = (self.0.path().as_str().trim_end_matches('/'), self.0.query());
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{path}{query}", self.origin().host)
    }

    /// Tells whether it has parameters.
    pub fn has_params(&self) -> bool {
        self.params().next().is_some()
    }

    /// Adds the parameters of another address whose names it does not have.
    pub fn with_missing_of(&self, other: &Self) -> Result<Self> {
        let missing: Vec<_> = self.missing_of(other).collect();
        if missing.is_empty() {
            return Ok(self.clone());
        }
        let mark = if self.0.query().is_none() { '?' } else { '&' };
        Self::parse(&format!("{}{mark}{}", self.0.as_str(), missing.join("&")))
    }

    /// Tells whether a redirect to it loses the parameters of the address before: it lacks some and
    /// is no address that was made for what was asked, or has other numbers in them.
    pub fn loses_params_of(&self, before: &Self) -> bool {
        let is_missing = self.missing_of(before).next().is_some();
        is_missing && !self.is_made_for(before) || self.has_other_numbers(before)
    }

    /// Tells whether an address was made for what another one asked: at another path, with
    /// parameters of its own alone, it is signed, or not called the same.
    fn is_made_for(&self, before: &Self) -> bool {
        let signs = ["sig", "token", "expires", "key", "hash", "ticket", "jwt"];
        let is_signed = |param: &str| {
            let (name, value) = param.split_once('=').unwrap_or((param, ""));
            let name = name.to_ascii_lowercase();
            value.len() >= OPAQUE_CHARS || signs.iter().any(|sign| name.contains(sign))
        };
        let own =
            self.params().all(|param| before.params().all(|of| name_of(of) != name_of(param)));
        let is_other = self.last_segment() != before.last_segment();
        self.has_params()
            && !self.has_path_of(before)
            && own
            && (is_other || self.params().any(is_signed))
    }

    /// Tells whether a parameter that both have has other digits here: another page, or time.
    fn has_other_numbers(&self, before: &Self) -> bool {
        before.params().any(|asked| {
            let digits = digits_of(asked);
            let mut same = self.params().filter(|param| name_of(param) == name_of(asked));
            let first = same.next();
            first.is_some_and(|first| {
                !std::iter::once(first).chain(same).any(|it| digits_of(it).starts_with(&digits))
            })
        })
    }

    /// Tells whether it names a page of what another address asks for, and nothing else: by a
    /// number at the end of its path, or it is the same place. One with a token there knows what
    /// was asked.
    pub fn names_page_of(&self, asked: &Self) -> bool {
        let segment = self.last_segment();
        let segment = segment.strip_suffix(".json").unwrap_or(&segment);
        let name = segment.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_number = (1..=PAGE_DIGITS).contains(&(segment.len() - name.len()));
        let is_name = name.len() <= PAGE_NAME_CHARS && !name.contains(|c: char| c.is_ascii_digit());
        self.has_path_of(asked) || is_number && is_name
    }

    fn last_segment(&self) -> String {
        let path = self.0.path().as_str().trim_end_matches('/').to_ascii_lowercase();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Tells whether the paths are the same but for their ends.
    pub fn has_path_of(&self, other: &Self) -> bool {
        let path = |address: &Self| address.0.path().as_str().trim_end_matches('/').to_owned();
        path(other).eq_ignore_ascii_case(&path(self))
    }

    /// Returns the parameters of another address whose names it does not have.
    fn missing_of<'a>(&self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let names: Vec<_> = self.params().map(name_of).collect();
        other.params().filter(move |param| !names.contains(&name_of(param)))
    }

    fn params(&self) -> impl Iterator<Item = &str> {
        let query = self.0.query().map_or("", |query| query.as_str());
        query.split('&').filter(|param| !param.is_empty())
    }

    /// Tells whether TLS guards the way.
    pub fn is_secure(&self) -> bool {
        self.0.scheme().as_str() == "https"
    }
}

/// Shows the address without its query, which may hold secrets.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().split('?').next().unwrap_or_default())
    }
}

impl Origin {
    /// Tells whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Returns host and port as one text, to look them up.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

fn strip(uri: &Uri<String>) -> Uri<String> {
    uri.strip_fragment().to_owned()
}

/// Returns the digits of the value of a parameter.
fn digits_of(param: &str) -> Vec<u8> {
    let value = param.split_once('=').map_or("", |(_, value)| value);
    decoded(value).into_iter().filter(u8::is_ascii_digit).collect()
}

/// Returns the name of a parameter, decoded.
fn name_of(param: &str) -> Vec<u8> {
    decoded(param.split('=').next().unwrap_or_default())
}

fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = rest.get(1..3).filter(|_| is_escape(rest));
        let byte = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if byte.is_some() { &rest[3..] } else { behind };
    }
    out
}

/// Percent-encodes what stands in no address but in many answers: spaces, letters beyond ASCII,
/// and brackets behind the host.
fn encode_odd(text: &str) -> String {
    let host_end = match text.find("//") {
        Some(start) => {
            text[start + 2..].find(['/', '?', '#']).map_or(text.len(), |end| start + 2 + end)
        }
        None => 0,
    };
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let bracket = matches!(byte, b'[' | b']') && at >= host_end;
        let odd =
            matches!(byte, b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
        let stray = byte == b'%' && !is_escape(&text.as_bytes()[at..]);
        if bracket || odd || stray || !(0x21..0x7f).contains(&byte) {
            let _ = write!(out, "%{byte:02X}");
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn is_escape(text: &[u8]) -> bool {
    matches!(text, [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

/// Percent-encodes all but letters, digits and `-._~`.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Tells whether an address belongs to this machine, a private network, or nobody.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            embedded(ip).is_some_and(is_private_v4)
                || ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || first & 0xffc0 == 0xfec0
        }
    }
}

/// The address of the older kind within one of the newer: mapped, translated (NAT64) or 6to4.
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let mapped = ip.to_ipv4_mapped();
    let bits = ip.to_bits();
    let low =
        |shift: u32| Ipv4Addr::from_bits(u32::try_from(bits >> shift & 0xffff_ffff).unwrap_or(0));
    let nat64 = (bits >> 32 == 0x0064_ff9b_u128 << 64).then(|| low(0));
    let six_to_four = (bits >> 112 == 0x2002).then(|| low(80));
    mapped.or(nat64).or(six_to_four)
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 198 && b & 0xfe == 18)
        || (a == 192 && b == 0 && c == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_what_answers_hold() {
        let base = Address::parse("https://API.example.com:443/v1/items?page=1#x").unwrap();
        let check = |reference: &str, expected: &str| {
            assert_eq!(base.join(reference).unwrap().as_str(), expected, "{reference}");
        };
        check("?page=2", "https://api.example.com/v1/items?page=2");
        check("items?page=2", "https://api.example.com/v1/items?page=2");
        check("/v2/x", "https://api.example.com/v2/x");
        check("//other.example/x", "https://other.example/x");
        check("http://other.example/x?a=b#frag", "http://other.example/x?a=b");
        check(
            " ?q=größe&f[a]=1 2 ",
            "https://api.example.com/v1/items?q=gr%C3%B6%C3%9Fe&f%5Ba%5D=1%202",
        );
        check("?q=100%", "https://api.example.com/v1/items?q=100%25");
        check("../x", "https://api.example.com/x");
        for bad in ["file:///etc/passwd", "ftp://x/", "http://u:p@x/", "javascript:1", "http://"] {
            assert!(base.join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn adds_paths_and_parameters() {
        let base = Address::parse("http://h/v1/?key=1").unwrap();
        assert_eq!(base.with_path("/a/b?x=y").unwrap().as_str(), "http://h/v1/a/b?key=1&x=y");
        assert_eq!(base.with_path("").unwrap().as_str(), "http://h/v1/?key=1");
        let params = [("key".to_owned(), "a b&ü".to_owned()), ("p".to_owned(), "2".to_owned())];
        let with = base.with_params(&params).unwrap();
        assert_eq!(with.as_str(), "http://h/v1/?key=a%20b%26%C3%BC&p=2");
        assert_eq!(with.to_string(), "http://h/v1/");
    }

    #[test]
    fn a_link_gets_what_it_lacks_and_a_redirect_must_not_lose_it() {
        let asked = Address::parse("http://h/v1/x?f%5Ba%5D=1&since=2026&k=a&k=b").unwrap();
        let check = |link: &str, expected: &str| {
            let link = asked.join(link).unwrap();
            assert_eq!(link.with_missing_of(&asked).unwrap().as_str(), expected);
        };
        check("?page=2", "http://h/v1/x?page=2&f%5Ba%5D=1&since=2026&k=a&k=b");
        check("?f[a]=9&k=c", "http://h/v1/x?f%5Ba%5D=9&k=c&since=2026");
        check("?k=&f%5ba%5d=1&since=+&p=2", "http://h/v1/x?k=&f%5Ba%5D=1&since=+&p=2");
        let loses = |to: &str| asked.join(to).unwrap().loses_params_of(&asked);
        for to in ["/v1/x/", "/v1/x", "/v2/other", "http://i/x?", "/V1/X/?since=2026"] {
            assert!(loses(to), "{to}");
        }
        for to in ["/v1/x/?k=b&f[a]=&since=1", "/v2/x?lang=en", "/y?k=a", "/x?f[a]=1&since=2025"] {
            assert!(loses(to), "{to}");
        }
        for to in ["/v2/x?f[a]=1&since=2026&k=a&k=b", "/v1/x/?k=b&f[a]=1&since=2026-01-01"] {
            assert!(!loses(to), "{to}");
        }
        for to in ["/file?sig=1", "/file?v=1", "http://i/v2/x?token=k"] {
            assert!(!loses(to), "{to}");
        }
    }

    #[test]
    fn compares_origins() {
        let origin = |text: &str| Address::parse(text).unwrap().origin();
        assert_eq!(origin("https://A.example/x"), origin("https://a.example:443/y?z"));
        assert_ne!(origin("https://a.example/x"), origin("http://a.example/x"));
        assert_ne!(origin("http://a.example/x"), origin("http://a.example:8080/x"));
    }

    #[test]
    fn knows_private_addresses() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_private(text.parse().unwrap()), expected, "{text}");
        };
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "224.0.0.1",
        ] {
            check(text, true);
        }
        for text in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8"] {
            check(text, false);
        }
    }
}
