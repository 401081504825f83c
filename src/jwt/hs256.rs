//! HS256: the signing key and the compact serialisation (RFC 7515, section 3.1; RFC 7518, section 3.2).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The shortest secret that HS256 permits, in bytes (RFC 7518, section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// The length of an encoded SHA-256 MAC and of the two dots.
const FIXED_TOKEN_BYTES: usize = 43 + 2;

/// A key that signs HS256 tokens.
///
/// HMAC's key schedule is run once, here, and cloned for every token. The secret itself is not kept.
pub struct SigningKey {
    keyed: Hmac<Sha256>,
    /// The JOSE header in base64url, and the dot after it.
    header: String,
}

/// The keys of a configuration, of which the newest whose time has come is in use.
///
/// A whole fleet changes keys in the same second, without a new configuration at that moment.
#[derive(Debug)]
pub struct KeyRing {
    first: SigningKey,
    /// Keys by the epoch second from which on they are in use, in any order.
    later: Vec<(i64, SigningKey)>,
}

impl KeyRing {
    /// A ring of the key in use until the first of `later`, each from its epoch second on.
    #[must_use]
    pub const fn new(first: SigningKey, later: Vec<(i64, SigningKey)>) -> Self {
        Self { first, later }
    }

    /// The key in use at `now`, and since when: both in epoch seconds.
    #[must_use]
    pub fn at(&self, now: i64) -> (i64, &SigningKey) {
        let started = self.later.iter().filter(|(not_before, _)| *not_before <= now);
        started
            .max_by_key(|(not_before, _)| *not_before)
            .map_or((i64::MIN, &self.first), |(not_before, key)| (*not_before, key))
    }
}

/// A secret that is no HS256 key: it is shorter than [`MIN_SECRET_BYTES`].
#[derive(Debug, PartialEq, Eq)]
pub struct SecretTooShort;

/// HMAC-SHA-256 with its key schedule run.
///
/// # Errors
/// When the secret is shorter than [`MIN_SECRET_BYTES`].
pub fn keyed(secret: &[u8]) -> Result<Hmac<Sha256>, SecretTooShort> {
    if secret.len() < MIN_SECRET_BYTES {
        return Err(SecretTooShort);
    }
    Hmac::new_from_slice(secret).map_err(|_| SecretTooShort)
}

impl SigningKey {
    /// Prepares a key from the raw bytes of `secret`.
    ///
    /// # Errors
    /// When the secret is shorter than [`MIN_SECRET_BYTES`].
    pub fn new(secret: &[u8], kid: Option<&str>) -> Result<Self, SecretTooShort> {
        let keyed = keyed(secret)?;
        let mut jose = String::from(r#"{"typ":"JWT","alg":"HS256""#);
        if let Some(kid) = kid {
            jose.push_str(r#","kid":"#);
            jose.push_str(&serde_json::Value::from(kid).to_string());
        }
        jose.push('}');
        let mut header = URL_SAFE_NO_PAD.encode(jose);
        header.push('.');
        Ok(Self { keyed, header })
    }

    /// `prefix`, and behind it the signed token of `claims`, a JSON object in UTF-8.
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

    /// RFC 7515, appendix A.1: its JOSE header has line breaks that ours never has, so the MAC is what compares.
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

    /// RFC 4231, sections 4.2 to 4.8 (4.6 truncates, which HS256 never does).
    #[test]
    fn rfc_4231_hmac_sha_256() {
        let counting: Vec<u8> = (1..=25).collect();
        let large_key = [0xaa; 131];
        let vectors: [(&[u8], &[u8], &str); 6] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                &large_key,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &large_key,
                b"This is a test using a larger than block-size key and a larger than block-size data. \
                  The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (secret, data, expected) in vectors {
            // HMAC pads a key with zeros to its block of 64 bytes, so padding a short one changes nothing.
            let mut padded = secret.to_vec();
            padded.resize(secret.len().max(64), 0);
            let mac = SigningKey::new(&padded, None).unwrap().mac(data);
            let expected: Vec<u8> =
                (0..64).step_by(2).map(|i| u8::from_str_radix(&expected[i..i + 2], 16).unwrap()).collect();
            assert_eq!(mac, *expected);
        }
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
    fn the_newest_key_whose_time_has_come_is_in_use() {
        let key = |kid| SigningKey::new(SECRET, Some(kid)).unwrap();
        let ring = KeyRing::new(key("first"), vec![(100, key("second")), (300, key("fourth")), (200, key("third"))]);
        for (now, since, kid) in [
            (i64::MIN, i64::MIN, "first"),
            (99, i64::MIN, "first"),
            (100, 100, "second"),
            (199, 100, "second"),
            (200, 200, "third"),
            (300, 300, "fourth"),
            (i64::MAX, 300, "fourth"),
        ] {
            let (in_use_since, in_use) = ring.at(now);
            assert_eq!((in_use_since, &in_use.header), (since, &key(kid).header), "{now}");
        }
    }

    #[test]
    fn a_secret_is_at_least_32_bytes() {
        assert_eq!(SigningKey::new(&[b'x'; 31], None).unwrap_err(), SecretTooShort);
        assert!(SigningKey::new(&[b'x'; 32], None).is_ok());
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
