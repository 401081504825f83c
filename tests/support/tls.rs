//! A certification authority of the test's own, and a client that shows certificates of it.

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, ServerName},
};

use serde_json::Value;

use super::http::{Reply, connect, exchange};

/// The directory that the shipped YAML names.
const SHIPPED_DIRECTORY: &str = "/etc/envoy/tls";

/// An authority, and a directory with what Envoy's side needs of it.
pub struct Authority {
    directory: tempfile::TempDir,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A client's certificate and its key.
pub struct Client {
    pub certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Its own name: a certificate whose issuer has the name of its subject counts as self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let authority = Self { directory, certificate, issuer: Issuer::new(params, key) };
        let gateway = authority.client(&[dns("localhost")]);
        for (file, text) in [
            ("ca.crt", authority.certificate.pem()),
            ("gateway.crt", gateway.certificate.pem()),
            ("gateway.key", gateway.key.serialize_pem()),
        ] {
            fs::write(authority.directory.path().join(file), text).unwrap();
        }
        authority
    }

    /// A shipped text with this authority's files in place of those that it names.
    pub fn placed(&self, text: &str) -> String {
        text.replace(SHIPPED_DIRECTORY, self.directory.path().to_str().unwrap())
    }

    /// As [`Authority::placed`], in data.
    pub fn place(&self, shipped: &mut Value) {
        *shipped = serde_json::from_str(&self.placed(&shipped.to_string())).unwrap();
    }

    /// A certificate of these subject alternative names.
    pub fn client(&self, names: &[SanType]) -> Client {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        let key = KeyPair::generate().unwrap();
        Client { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// Sends raw bytes on a new TLS connection and reads one reply. `None` when there is none.
    pub fn send(&self, port: u16, client: Option<&Client>, request: &[u8]) -> Option<Reply> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some(client) => {
                let key = PrivateKeyDer::try_from(client.key.serialize_der()).unwrap();
                config.with_client_auth_cert(vec![client.certificate.der().clone()], key).unwrap()
            }
        };
        let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        exchange(StreamOwned::new(connection, connect(port)), request)
    }
}

pub fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}
