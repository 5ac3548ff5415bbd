//! Whose cryptography TLS to origins is made of.

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// aws-lc's: it has the post-quantum key exchange, and the quickest signatures and AES-GCM. Only on processors with
/// vector instructions for AES (VAES) but without AVX-512 records are ring's, since aws-lc's AES-GCM
/// uses the ones only with the other: a large body then takes a quarter less CPU. Both offer the same suites.
pub fn provider() -> CryptoProvider {
    let provider = aws_lc_rs::default_provider();
    #[cfg(target_arch = "x86_64")]
    if vaes_without_avx512() {
        let cipher_suites = rustls::crypto::ring::default_provider().cipher_suites;
        return CryptoProvider { cipher_suites, ..provider };
    }
    provider
}

#[cfg(target_arch = "x86_64")]
fn vaes_without_avx512() -> bool {
    is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && !is_x86_feature_detected!("avx512f")
}

#[cfg(test)]
mod tests {
    use rustls::SupportedCipherSuite;

    use super::*;

    #[test]
    fn what_an_origin_is_offered_is_the_same_on_every_processor() {
        let offered = |provider: CryptoProvider| -> Vec<_> {
            provider.cipher_suites.iter().map(SupportedCipherSuite::suite).collect()
        };
        assert_eq!(offered(provider()), offered(aws_lc_rs::default_provider()));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            offered(rustls::crypto::ring::default_provider()),
            offered(aws_lc_rs::default_provider())
        );
    }
}
