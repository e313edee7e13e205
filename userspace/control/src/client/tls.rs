//! Whom to believe (`control-plane.md` §6.2, §6.3).

use std::{fmt, fs, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::error::{Error, ErrorKind};

/// Which servers to believe that they are who they say, where the URI asks
/// for TLS (`ejfats`). With `ejfat` this does not matter.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Those with a certificate for their name by an authority that this
    /// host knows.
    #[default]
    System,
    /// Those with a certificate by one of these authorities for their name,
    /// and those that present one of these very certificates, as a
    /// laboratory's self-signed one, whatever name it has: who has its key is
    /// who was meant.
    Certificates(Certificates),
    /// Anybody. Tokens are then sent to whoever answers.
    NoVerify,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::Certificates(Certificates(those)) => write!(f, "Certificates({})", those.len()),
            Self::NoVerify => f.write_str("NoVerify"),
        }
    }
}

/// Certificates from PEM texts.
#[derive(Clone)]
pub struct Certificates(Vec<CertificateDer<'static>>);

impl Certificates {
    /// Those in a text: one at least.
    ///
    /// # Errors
    /// [`ErrorKind::Parse`] if there is none, or one is damaged.
    pub fn from_pem(text: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::read(text.as_ref(), "certificates in PEM".into())
    }

    /// Those in a file.
    ///
    /// # Errors
    /// Also [`ErrorKind::NotFound`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let asked = format!("certificates in the file {}", path.as_ref().display());
        let text = fs::read(path).map_err(|error| {
            let remedy = "name a readable file of certificates in PEM";
            Error::new(ErrorKind::NotFound, &asked, error.to_string(), remedy)
        })?;
        Self::read(&text, asked)
    }

    fn read(text: &[u8], asked: String) -> Result<Self, Error> {
        let remedy = "write them as `openssl x509 -in FILE` prints them";
        let wrong = |found: String| Error::new(ErrorKind::Parse, &asked, found, remedy);
        let those: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let those = those.map_err(|error| wrong(error.to_string()))?;
        for one in &those {
            rustls::server::ParsedCertificate::try_from(one)
                .map_err(|error| wrong(error.to_string()))?;
        }
        if those.is_empty() {
            return Err(wrong("there is no BEGIN CERTIFICATE in it".into()));
        }
        Ok(Self(those))
    }
}

/// The client's side of TLS.
pub(super) fn config(trust: &Trust) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let system = |error: rustls::Error| {
        let asked = "TLS for the control plane";
        Error::new(ErrorKind::System, asked, error.to_string(), "name other certificates")
    };
    let verifier = Arc::new(Verifier::new(trust, provider.clone())?);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(system)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// What rustls does by itself, and exceptions for whom the user named.
#[derive(Debug)]
struct Verifier {
    /// None: anybody will do.
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    /// Good as they are.
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trust: &Trust, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let (roots, pinned) = match trust {
            Trust::NoVerify => {
                return Ok(Self { by_authority: None, pinned: Vec::new(), provider });
            }
            Trust::System => (system_roots()?, Vec::new()),
            Trust::Certificates(Certificates(those)) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(those.iter().cloned());
                (roots, those.clone())
            }
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
        let by_authority = verifier.build().map_err(|error| {
            let asked = "a verifier of the server's certificate";
            Error::new(ErrorKind::System, asked, error.to_string(), "name other certificates")
        })?;
        Ok(Self { by_authority: Some(by_authority), pinned, provider })
    }
}

fn system_roots() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or("none is installed".into(), ToString::to_string);
        return Err(Error::new(
            ErrorKind::NotFound,
            "the certificate authorities that this host knows",
            why,
            "install ca-certificates, or name the server's certificate or authority",
        ));
    }
    Ok(roots)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(by_authority) = &self.by_authority else {
            return Ok(ServerCertVerified::assertion());
        };
        let verdict = by_authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            Err(rustls::Error::InvalidCertificate(why))
                if self.pinned.iter().any(|pinned| pinned == end_entity) && forgivable(&why) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What does not matter of a certificate that the user named: that it is an
/// authority's as well (webpki calls that `CaUsedAsEndEntity`), that none
/// vouches for it, its name. That its time is over does.
fn forgivable(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::Other(_)
            | CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. }
            | CertificateError::InvalidPurpose
            | CertificateError::InvalidPurposeContext { .. }
    )
}

/// What is wrong with a server's certificate or its TLS, and what to do.
pub(super) fn explain(error: &rustls::Error, server: &str) -> (String, String) {
    use CertificateError as Bad;
    const AUTHORITY: &str =
        "name the server's certificate or its authority (PEM) as the one to trust";
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => (
                "the server's certificate has expired".into(),
                "have it renewed; check this host's clock".into(),
            ),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => (
                "the server's certificate is not valid yet".into(),
                "check this host's clock, and the server's".into(),
            ),
            // A bad signature is that of another authority of the same name.
            Bad::UnknownIssuer | Bad::BadSignature => (
                "no authority that is trusted vouches for the server's certificate".into(),
                AUTHORITY.into(),
            ),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                let names = match bad {
                    Bad::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                        format!("for {}", presented.join(", "))
                    }
                    _ => "for no name at all".into(),
                };
                (
                    format!("the server's certificate is {names}, not for {server}"),
                    "write a name that it has into the URI or as the server's name, or trust this \
                     very certificate"
                        .into(),
                )
            }
            Bad::Other(_) => (
                format!("the server's certificate is of no use for a server: {bad}"),
                AUTHORITY.into(),
            ),
            bad => (format!("the server's certificate is refused: {bad}"), AUTHORITY.into()),
        },
        rustls::Error::InvalidMessage(_) => (
            "the server does not speak TLS".into(),
            "write ejfat:// in the URI, or correct the port".into(),
        ),
        error => (format!("TLS failed: {error}"), "compare what server and client can".into()),
    }
}
