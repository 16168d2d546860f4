//! The ways to servers: TLS, proxies, timeouts, and addresses that are out of bounds.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use singer::{Context, Error, ErrorKind, Result, ResultExt};
use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::address::{Address, is_private};
use crate::retry::seconds;
use crate::settings::NetworkSettings;

/// Agents for http and https, made when they are needed.
#[derive(Debug)]
pub(crate) struct Network {
    settings: NetworkSettings,
    user_agent: String,
    plain: OnceLock<Agent>,
    secure: OnceLock<Agent>,
}

impl Network {
    /// Keeps the settings.
    pub(crate) fn new(settings: &NetworkSettings, user_agent: &str) -> Self {
        let (settings, user_agent) = (settings.clone(), user_agent.to_owned());
        Self { settings, user_agent, plain: OnceLock::new(), secure: OnceLock::new() }
    }

    /// Returns the agent for an address; refuses one that is out of bounds, as far as can be told
    /// without connecting.
    pub(crate) fn agent(&self, address: &Address) -> Result<&Agent> {
        let secure = address.is_secure();
        let cell = if secure { &self.secure } else { &self.plain };
        let agent = if let Some(agent) = cell.get() {
            agent
        } else {
            let agent = self.build(secure)?;
            cell.get_or_init(|| agent)
        };
        if self.settings.block_private_addresses && agent.config().proxy().is_some() {
            // The proxy finds the address, so the guard at the resolver does not see it.
            let host = address.origin().host_and_port();
            let found = host.to_socket_addrs().into_iter().flatten();
            if let Some(found) = found.into_iter().find(|found| is_private(found.ip())) {
                return Err(out_of_bounds(found));
            }
        }
        Ok(agent)
    }

    fn build(&self, secure: bool) -> Result<Agent> {
        let settings = &self.settings;
        let proxy = proxy(secure)?;
        let guard = Guard {
            inner: DefaultResolver::default(),
            block: settings.block_private_addresses,
            proxy: proxy.as_ref().map(|proxy| (proxy.host().to_owned(), proxy.port())),
        };
        let mut config = ureq::config::Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(self.user_agent.as_str())
            .accept("application/json, */*;q=0.5")
            .accept_encoding("gzip, br, zstd")
            .proxy(proxy)
            .timeout_resolve(Some(seconds(settings.connect_timeout_seconds)))
            .timeout_connect(Some(seconds(settings.connect_timeout_seconds)))
            .timeout_per_read(Some(seconds(settings.read_timeout_seconds)))
            .timeout_per_write(Some(seconds(settings.read_timeout_seconds)))
            .timeout_per_call(Some(seconds(settings.request_timeout_seconds)));
        if secure {
            config = config.tls_config(tls(settings.ca_file.as_deref())?);
        }
        Ok(Agent::with_parts(config.build(), DefaultConnector::default(), guard))
    }
}

fn tls(ca_file: Option<&str>) -> Result<TlsConfig> {
    let mut certificates: Vec<CertificateDer<'static>> =
        rustls_native_certs::load_native_certs().certs;
    if let Some(ca_file) = ca_file {
        certificates.extend(named(ca_file).with("setting", "ca_file")?);
    }
    if certificates.is_empty() {
        return Err(Error::new(ErrorKind::Config, "cannot find a certificate authority to trust")
            .hint("set `ca_file`, or install the system's certificates"));
    }
    let certificates: Vec<Certificate<'static>> =
        certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .build())
}

/// Reads the certificates of PEM text, or of the file it is in.
fn named(ca_file: &str) -> Result<Vec<CertificateDer<'static>>> {
    let text = if ca_file.contains("-----BEGIN") {
        ca_file.as_bytes().to_vec()
    } else {
        std::fs::read(ca_file)
            .or_kind(ErrorKind::Config, "cannot read the PEM file")
            .with("path", ca_file)?
    };
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<std::result::Result<Vec<_>, _>>()
        .or_kind(ErrorKind::Config, "cannot read the certificate")?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Config, "cannot find a certificate in the PEM text"));
    }
    Ok(found)
}

/// Reads the proxy for a scheme from the environment, as curl does, and who is to be asked without.
fn proxy(secure: bool) -> Result<Option<ureq::Proxy>> {
    // HTTP_PROXY in capitals could come from a request's header in a web server; we are not one.
    let names: &[&str] = if secure {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    };
    let variable = |name: &&str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let Some((name, text)) = names.iter().find_map(|name| Some((name, variable(name)?))) else {
        return Ok(None);
    };
    let bad = |_| {
        Error::new(ErrorKind::Config, "cannot use the proxy of the environment")
            .with("variable", name)
            .hint("write it like http://user:password@proxy.example.com:3128")
    };
    let given = ureq::Proxy::new(&text).map_err(bad)?;
    let mut builder = ureq::Proxy::builder(given.protocol()).host(given.host()).port(given.port());
    if let Some(username) = given.username() {
        builder = builder.username(username);
    }
    if let Some(password) = given.password() {
        builder = builder.password(password);
    }
    let exempt = ["no_proxy", "NO_PROXY"].iter().find_map(variable).unwrap_or_default();
    for host in exempt.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        builder = builder.no_proxy(host);
    }
    builder.build().map(Some).map_err(bad)
}

/// Finds addresses, and refuses private ones if asked to.
#[derive(Debug)]
struct Guard {
    inner: DefaultResolver,
    block: bool,
    /// The proxy was chosen by whoever runs this.
    proxy: Option<(String, u16)>,
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let to_proxy = self.proxy.as_ref().is_some_and(|(host, port)| {
            uri.host() == Some(host.as_str()) && uri.port_u16().is_none_or(|found| found == *port)
        });
        if self.block
            && !to_proxy
            && let Some(private) = found.iter().find(|found| is_private(found.ip()))
        {
            return Err(ureq::Error::Other(Box::new(out_of_bounds(*private))));
        }
        Ok(found)
    }
}

fn out_of_bounds(found: SocketAddr) -> Error {
    Error::new(ErrorKind::Denied, "the address is not allowed")
        .with("address", found.ip())
        .hint("`block_private_addresses` refuses this address")
}
