//! What a server shows its clients.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// A certificate with its key, and what a client has to know to believe it.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its authority's, in PEM; its own, if it has no authority.
    pub authority: String,
}

impl Identity {
    /// Of an authority's, for these names and addresses.
    pub fn signed(names: &[&str]) -> Self {
        Self::by_authority(params(names, "xdpsar test server"))
    }

    /// As [`signed`](Self::signed), but over since long.
    pub fn expired(names: &[&str]) -> Self {
        let mut params = params(names, "xdpsar test server");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Self::by_authority(params)
    }

    /// As `openssl req -x509` makes it: signed by itself, an authority's as
    /// well, without any name but its subject's.
    pub fn laboratory(subject: &str) -> Self {
        let mut params = params(&[], subject);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self::by_itself(&params)
    }

    /// As [`laboratory`](Self::laboratory), but over since long.
    pub fn expired_laboratory(subject: &str) -> Self {
        let mut params = params(&[], subject);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        Self::by_itself(&params)
    }

    fn by_authority(params: CertificateParams) -> Self {
        let mut of_authority = self::params(&[], "xdpsar test authority");
        of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(of_authority, key()).expect("an authority");
        let key = key();
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        Self::new(certificate.der(), certificate.pem(), authority.pem(), &key)
    }

    fn by_itself(params: &CertificateParams) -> Self {
        let key = key();
        let certificate = params.self_signed(&key).expect("a certificate");
        Self::new(certificate.der(), certificate.pem(), certificate.pem(), &key)
    }

    fn new(
        der: &CertificateDer<'static>,
        certificate: String,
        authority: String,
        key: &KeyPair,
    ) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![der.clone()], key)
            .expect("a key that fits");
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { config: config.into(), certificate, authority }
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(names: &[&str], subject: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, subject);
    params
}
