//! Certificate authorities and certificates for the origins and for the gateway, made afresh in each run.
//!
//! Nothing here is written to disk; whoever needs files writes the PEM where it wants it.

use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

/// Signs certificates.
pub struct Authority {
    /// Its own certificate, in PEM.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, in PEM.
    pub certificate: String,
    /// The private key, in PEM.
    pub key: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
    /// The private key, in PKCS#8 DER.
    pub key_der: Vec<u8>,
    /// The certificate's serial number.
    pub serial: SerialNumber,
}

/// The authority every gateway of the tests is told to trust (`--cacert`).
pub fn trusted() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("Egret test authority"))
}

/// An authority that no gateway trusts unless its configuration says so.
pub fn stranger() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("Unknown authority"))
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.self_signed(&key).expect("a self-signed certificate");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate that is valid now, for these names (or addresses), as server and as client.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.sign(parameters(names))
    }

    /// A certificate that ended on 2 January 2020.
    pub fn issue_expired(&self, names: &[&str]) -> Issued {
        let mut params = parameters(names);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 2);
        self.sign(params)
    }

    /// The authority's list of what it has taken back, in PEM: this certificate.
    pub fn revoke(&self, issued: &Issued) -> String {
        let revoked = RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("a list").pem().expect("in PEM")
    }

    fn sign(&self, mut params: CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key pair");
        let serial = SerialNumber::from(fastrand::u64(1..));
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
            serial,
            key_der: key.serialize_der(),
        }
    }
}

fn parameters(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).expect("names a certificate can have");
    params.distinguished_name = named("Egret test certificate");
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
