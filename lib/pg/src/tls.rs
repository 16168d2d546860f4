//! TLS by rustls: whom to trust, and which certificate to show.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use singer::{Context, Error, ErrorKind, Result, ResultExt};

use crate::private_file;
use crate::servers::Host;
use crate::settings::Config;
use crate::ssl_mode::SslMode;

const PRIVATE_KEY: &str = "ssl_client_private_key";

/// Prepares a TLS session for the host of the configuration.
pub(crate) fn session(config: &Config) -> Result<ClientConnection> {
    let provider = Arc::new(ring::default_provider());
    let check = match config.server.ssl_mode {
        SslMode::VerifyFull => Some(Check::new(config, &provider, false)?),
        SslMode::VerifyCa => Some(Check::new(config, &provider, true)?),
        _ => None,
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .or_kind(ErrorKind::Internal, "cannot set TLS up")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { provider, check }));
    let mut client = match &config.ssl_client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("ssl_client_certificate", certificate)?;
            let key = private_key(key.reveal())?;
            builder.with_client_auth_cert(chain, key).map_err(|cause| {
                let hint = client_certificate_hint(&cause);
                Error::new(ErrorKind::Config, "cannot use the TLS client certificate")
                    .caused_by(cause)
                    .hint(hint)
            })?
        }
    };
    // Postgres 17 and later take TLS from the first byte if this is offered; older ones ignore it.
    client.alpn_protocols = vec![b"postgresql".to_vec()];
    let host = match &config.server.host {
        Host::Tcp(host) => host.as_str(),
        Host::Unix(_) => "localhost",
    };
    let name = ServerName::try_from(host.to_owned())
        .or_kind(ErrorKind::Config, "cannot use the host name for TLS")
        .map_err(|failure| failure.with("host", host))?;
    ClientConnection::new(Arc::new(client), name).or_kind(ErrorKind::Internal, "cannot set TLS up")
}

/// Makes the failure of a TLS handshake.
pub(crate) fn refused(cause: rustls::Error) -> Error {
    let (kind, hint) = match &cause {
        rustls::Error::InvalidCertificate(reason) => (ErrorKind::Denied, certificate_hint(reason)),
        rustls::Error::AlertReceived(_) => {
            (ErrorKind::Denied, "the server may require a client certificate, or another one")
        }
        _ => (
            ErrorKind::Temporary,
            "the TLS data is not valid: check whether a proxy or firewall changes it",
        ),
    };
    Error::new(kind, "cannot agree on TLS with the Postgres server").caused_by(cause).hint(hint)
}

fn client_certificate_hint(cause: &rustls::Error) -> &'static str {
    match cause {
        rustls::Error::InvalidCertificate(_) => {
            "`ssl_client_certificate` must be an X.509 certificate of version 3: `openssl x509 \
             -noout -text -in FILE` shows its version; `openssl x509 -req` makes one of version 3 \
             where it is given `-extfile`"
        }
        rustls::Error::InconsistentKeys(_) => {
            "`ssl_client_private_key` is not the key of the certificate: set the one that belongs \
             to it"
        }
        _ => "check `ssl_client_certificate` and `ssl_client_private_key`",
    }
}

fn certificate_hint(reason: &CertificateError) -> &'static str {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate names another host: set `host` to the name in the \
             certificate, or `ssl_mode: verify-ca`"
        }
        CertificateError::UnknownIssuer => {
            "this system does not trust the signer of the server's certificate: set \
             `ssl_certificate_authority` to the certificate of the signer, or `ssl_mode: require`, \
              which lets an attacker on the network read the data"
        }
        _ => {
            "`ssl_certificate_authority` sets which signer to trust, `ssl_mode` sets what is \
              checked"
        }
    }
}

/// Reads the file that a setting names, where it is no PEM text itself.
fn pem_file(setting: &str, path: &str) -> Result<(Vec<u8>, Metadata)> {
    // What a secret setting holds may be no path at all: it is shown once a file has that name.
    let known = Path::new(path).exists();
    let read = singer::private_file::read(Path::new(path)).map_err(|cause| {
        let kind = match cause.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Config,
        };
        Error::new(kind, "cannot read the PEM file").caused_by(cause).with("setting", setting)
    });
    if known || setting != PRIVATE_KEY { read.with("path", path) } else { read }
}

fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN")
}

fn certificates(setting: &str, text: &str) -> Result<Vec<CertificateDer<'static>>> {
    let mut pem = text.as_bytes().to_vec();
    if !is_pem(text) {
        let (bytes, metadata) = pem_file(setting, text)?;
        if private_file::is_open_to_all(&metadata) {
            singer::warn!(
                "W-FILE-OPEN-TO-ALL",
                "all users can change the file {text} (`{setting}`), which says which signers to \
                 trust: chmod o-w"
            );
        }
        pem = bytes;
    }
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .or_kind(ErrorKind::Config, "cannot read the certificate")
        .map_err(|failure| failure.with("setting", setting))?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Config, "cannot find a certificate in the PEM text")
            .with("setting", setting));
    }
    Ok(found)
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>> {
    let mut pem = text.as_bytes().to_vec();
    if !is_pem(text) {
        let (bytes, metadata) = pem_file(PRIVATE_KEY, text)?;
        private_file::check_private(Path::new(text), &metadata).with("setting", PRIVATE_KEY)?;
        pem = bytes;
    }
    PrivateKeyDer::from_pem_slice(&pem)
        .or_kind(ErrorKind::Config, "cannot read the private key")
        .map_err(|failure| {
            failure
                .with("setting", PRIVATE_KEY)
                .hint("the key must be PEM text without a passphrase")
        })
}

/// Whom to trust.
#[derive(Debug)]
struct Check {
    webpki: Arc<WebPkiServerVerifier>,
    /// The certificates that were named as authority, for a server that shows one of them.
    pinned: Vec<CertificateDer<'static>>,
    any_name: bool,
}

impl Check {
    fn new(config: &Config, provider: &Arc<CryptoProvider>, any_name: bool) -> Result<Self> {
        const UNUSABLE: &str = "cannot use the certificate authority";
        let mut roots = RootCertStore::empty();
        let mut pinned = Vec::new();
        if let Some(authority) = &config.ssl_root {
            pinned = certificates("ssl_certificate_authority", authority)?;
            for certificate in &pinned {
                roots.add(certificate.clone()).or_kind(ErrorKind::Config, UNUSABLE)?;
            }
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(Error::new(
                ErrorKind::Config,
                "cannot find a certificate authority to trust",
            )
            .hint("set `ssl_certificate_authority`, or install the system's certificates"));
        }
        let roots = Arc::new(roots);
        let webpki = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
            .build()
            .or_kind(ErrorKind::Config, UNUSABLE)?;
        Ok(Self { webpki, pinned, any_name })
    }

    /// Judges what the chain of trust was refused for.
    fn reconsider(
        &self,
        refusal: rustls::Error,
        shown: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let rustls::Error::InvalidCertificate(reason) = &refusal else { return Err(refusal) };
        match reason {
            // The name is checked last, after the chain.
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                if self.any_name =>
            {
                Ok(ServerCertVerified::assertion())
            }
            // A server's own self-signed certificate, named as the authority, counts for libpq as
            // well. Its dates were checked before this reason could come up.
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity")
                    && self.pinned.iter().any(|known| known == shown) =>
            {
                if !self.any_name {
                    verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            _ => Err(refusal),
        }
    }
}

/// Checks as much of the server's certificate as the mode says; signatures always.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Option<Check>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(check) = &self.check else { return Ok(ServerCertVerified::assertion()) };
        check
            .webpki
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .or_else(|refusal| check.reconsider(refusal, end_entity, server_name))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
