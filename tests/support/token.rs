//! Tokens and signatures, by implementations that are not the filter's.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use httpsig::prelude::{
    AlgorithmName, HttpSignatureBase, HttpSignatureParams, SharedKey, SigningKey,
    message_component::HttpMessageComponent,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use super::SIGNING_SECRET;

/// The claims, once `jsonwebtoken` has verified signature and times.
pub fn verify(token: &str) -> Value {
    verify_from("auth-o-tron.example.com", token)
}

/// As [`verify`], of a token of another issuer.
pub fn verify_from(issuer: &str, token: &str) -> Value {
    read_token(issuer, SIGNING_SECRET, token).expect("a valid token")
}

/// As [`verify`], with another secret. `None` where the token is not valid under it.
pub fn verify_with(secret: &str, token: &str) -> Option<Value> {
    read_token("auth-o-tron.example.com", secret, token)
}

fn read_token(issuer: &str, secret: &str, token: &str) -> Option<Value> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iat", "iss", "sub"]);
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode(token, &DecodingKey::from_secret(secret.as_bytes()), &validation);
    decoded.ok().map(|token| token.claims)
}

/// The JOSE header of a token, not verified.
pub fn jose_header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token, not verified.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Value {
    let part = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}

/// The two header fields of one label, as `httpsig` makes them from these lines of the signature base: RFC 9421 by
/// somebody else. The parameters come in the order of that implementation.
pub fn signature_fields(label: &str, lines: &[&str], params: &str, secret: &str) -> Vec<(String, String)> {
    let names: Vec<_> = lines.iter().map(|line| line.split_once(": ").unwrap().0).collect();
    let components: Vec<_> = lines.iter().map(|line| HttpMessageComponent::try_from(*line).unwrap()).collect();
    let params = HttpSignatureParams::try_from(format!("({}){params}", names.join(" ")).as_str()).unwrap();
    let base = HttpSignatureBase::try_new(&components, &params).unwrap();
    let key = SharedKey::from_base64(&AlgorithmName::HmacSha256, &STANDARD.encode(secret)).unwrap();
    let mac = STANDARD.encode(key.sign(&base.as_bytes()).unwrap());
    vec![
        ("signature-input".to_owned(), format!("{label}={params}")),
        ("signature".to_owned(), format!("{label}=:{mac}:")),
    ]
}
