//! HS256: a key, and the compact serialisation (RFC 7515, section 3.1; RFC 7518, section 3.2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::field::MIN_KEY_BYTES;

/// The length of an encoded SHA-256 MAC and the two dots, in bytes.
const FIXED_TOKEN_BYTES: usize = 43 + 2;

/// A key that signs HS256 tokens.
///
/// HMAC's key schedule runs once, here, and is cloned for every token. The secret itself is not kept.
pub struct SigningKey {
    keyed: Hmac<Sha256>,
    kid: Option<String>,
    /// The JOSE header in base64url, and the dot after it.
    header: String,
}

impl SigningKey {
    /// Prepares a key. `None` if it is shorter than [`MIN_KEY_BYTES`].
    #[must_use]
    pub fn new(secret: &[u8], kid: Option<&str>) -> Option<Self> {
        if secret.len() < MIN_KEY_BYTES {
            return None;
        }
        let mut jose = String::from(r#"{"typ":"JWT","alg":"HS256""#);
        if let Some(kid) = kid {
            jose.push_str(r#","kid":"#);
            jose.push_str(&serde_json::Value::from(kid).to_string());
        }
        jose.push('}');
        let mut header = URL_SAFE_NO_PAD.encode(jose);
        header.push('.');
        Some(Self { keyed: Hmac::new_from_slice(secret).ok()?, kid: kid.map(str::to_owned), header })
    }

    /// The name of the key, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `prefix`, followed by the signed token with `claims`, a JSON object in UTF-8.
    #[must_use]
    pub fn sign(&self, prefix: &str, claims: &[u8]) -> String {
        let encoded_claims = claims.len().div_ceil(3).saturating_mul(4);
        let parts = [prefix.len(), self.header.len(), encoded_claims, FIXED_TOKEN_BYTES];
        let mut value = String::with_capacity(parts.into_iter().fold(0, usize::saturating_add));
        value.push_str(prefix);
        value.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(claims, &mut value);
        let mac = self.mac(value.as_bytes().get(prefix.len()..).unwrap_or_default());
        value.push('.');
        URL_SAFE_NO_PAD.encode_string(mac, &mut value);
        value
    }

    /// HMAC-SHA-256 of the JWS signing input.
    fn mac(&self, signing_input: &[u8]) -> [u8; 32] {
        self.keyed.clone().chain_update(signing_input).finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"your-256-bit-secret-key-here-minimum-32-characters";

    /// RFC 7515, appendix A.1. Its JOSE header has line breaks, and ours never does, so only the MAC is compared.
    #[test]
    fn rfc_7515_a1_hs256() {
        let secret = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let signing_input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
            .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let key = SigningKey::new(&secret, None).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(key.mac(signing_input.as_bytes())),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    #[test]
    fn the_jose_header_is_typ_alg_and_kid_if_the_key_has_one() {
        for (kid, expected) in [
            (None, r#"{"typ":"JWT","alg":"HS256"}"#),
            (Some("2026-11"), r#"{"typ":"JWT","alg":"HS256","kid":"2026-11"}"#),
            (Some("a\"b"), r#"{"typ":"JWT","alg":"HS256","kid":"a\"b"}"#),
        ] {
            let token = SigningKey::new(SECRET, kid).unwrap().sign("", b"{}");
            let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
            assert_eq!(String::from_utf8(header).unwrap(), expected);
        }
    }

    #[test]
    fn a_secret_is_at_least_32_bytes() {
        assert!(SigningKey::new(&[b'x'; 31], None).is_none());
        assert!(SigningKey::new(&[b'x'; 32], None).is_some());
    }

    #[test]
    fn the_prefix_stands_before_the_token_and_is_not_signed() {
        let key = SigningKey::new(SECRET, None).unwrap();
        assert_eq!(key.sign("Bearer ", b"{}"), format!("Bearer {}", key.sign("", b"{}")));
    }

    #[test]
    fn debug_output_shows_no_key_material() {
        assert_eq!(format!("{:?}", SigningKey::new(SECRET, None).unwrap()), "SigningKey(…)");
    }
}
