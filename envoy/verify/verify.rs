//! The service's side in Rust, with `jsonwebtoken`. Reads the value of `Authorization` on stdin and prints the claims.

use std::{env, io, process::ExitCode};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode,
    errors::{ErrorKind, Result},
};
use serde_json::Value;

/// The claims of a token of the filter. Any other is an error: answer 401.
fn verify(authorization: &str, secret: &str) -> Result<Value> {
    let (scheme, token) = authorization.split_once(' ').ok_or(ErrorKind::InvalidToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ErrorKind::InvalidToken.into());
    }
    // Never the algorithm that the token names.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&["auth-o-tron.example.com"]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    // With `claims.aud`, also: validation.set_audience(&["my-application"]);
    decode(token, &DecodingKey::from_secret(secret.as_bytes()), &validation).map(|token| token.claims)
}

fn main() -> ExitCode {
    let secret = env::var("AUTH_O_TRON_SECRET").unwrap_or_default();
    if secret.len() < 32 {
        eprintln!("AUTH_O_TRON_SECRET: missing, or shorter than 32 bytes");
        return ExitCode::FAILURE;
    }
    let authorization = io::read_to_string(io::stdin()).expect("stdin is text");
    match verify(authorization.trim(), &secret) {
        Ok(claims) => println!("{claims}"),
        Err(error) => {
            eprintln!("401: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
