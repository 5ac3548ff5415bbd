//! A certificate authority of the run's own, and the origin's certificate from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::work::{DOMAIN, HOST};

/// The files, in PEM.
pub struct Pki {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The origin's certificate: ECDSA P-256, for [`HOST`] and one label below [`DOMAIN`].
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Pki {
    /// Makes them in a directory.
    ///
    /// Errors: files cannot be written.
    pub fn make(directory: &Path) -> io::Result<Self> {
        let mut params = CertificateParams::new(vec![]).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, "egret-peers");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let ca = params.self_signed(&key).map_err(io::Error::other)?.pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names = vec![HOST.to_owned(), format!("*.{DOMAIN}")];
        let mut leaf = CertificateParams::new(names).map_err(io::Error::other)?;
        // OpenSSL takes a certificate whose subject is its issuer for a self-signed one.
        leaf.distinguished_name.push(DnType::CommonName, HOST);
        let leaf = leaf.signed_by(&key, &issuer).map_err(io::Error::other)?;
        let write = |name: &str, text: String| -> io::Result<PathBuf> {
            let path = directory.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        Ok(Self {
            ca: write("ca.pem", ca)?,
            certificate: write("origin.pem", leaf.pem())?,
            key: write("origin.key", key.serialize_pem())?,
        })
    }
}
