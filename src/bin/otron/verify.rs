//! `otron verify`: whether a service would accept a token.

use std::{env, io};

use auth_o_tron_envoy::config::field::MIN_KEY_BYTES;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde_json::{Value, json};

use crate::{
    Answer,
    report::{self, Level},
    request::rfc_3339,
};

/// Verify an HS256 token as a service would, and print its claims
#[derive(clap::Args)]
pub struct Args {
    /// The token, with or without `Bearer `; `-` is standard input, which keeps it out of the list of processes.
    token: String,
    /// The environment variable that holds the secret.
    #[arg(long, value_name = "NAME")]
    secret_env: String,
    /// The issuer that the token must have.
    #[arg(long)]
    iss: Option<String>,
    /// The audience that the token must have.
    #[arg(long)]
    aud: Option<String>,
}

pub fn run(args: &Args, json: bool) -> Answer {
    let secret = env::var(&args.secret_env).map_err(|_| {
        format!("--secret-env: the environment variable {:?} is not set, or not UTF-8", args.secret_env)
    })?;
    // The filter never has such a key, and with an empty one anybody can sign.
    if secret.len() < MIN_KEY_BYTES {
        return Err(format!(
            "--secret-env: found {} bytes in {:?}, expected at least {MIN_KEY_BYTES} (RFC 7518, section 3.2)",
            secret.len(),
            args.secret_env
        ));
    }
    let token = if args.token == "-" {
        io::read_to_string(io::stdin()).map_err(|error| format!("the standard input: {error}"))?
    } else {
        args.token.clone()
    };
    let token = token.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim();
    let mut validation = Validation::new(Algorithm::HS256);
    // No leeway: a token's times are whole seconds of one clock, and the filter allows none either.
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.validate_aud = args.aud.is_some();
    validation.set_required_spec_claims(&["exp"]);
    if let Some(iss) = &args.iss {
        validation.set_issuer(&[iss]);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    if let Some(aud) = &args.aud {
        validation.set_audience(&[aud]);
        validation.required_spec_claims.insert("aud".to_owned());
    }
    let decoded = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_secret(secret.as_bytes()), &validation);
    match decoded {
        Ok(token) => {
            if json {
                anstream::println!("{}", json!({"valid": true, "header": token.header, "claims": token.claims}));
            } else {
                anstream::println!("{}", report::title(Level::Fine, "the token is valid"));
                if let Some(exp) = token.claims.get("exp").and_then(Value::as_i64) {
                    anstream::println!("  until {}", rfc_3339(exp));
                }
                anstream::println!("{}", serde_json::to_string_pretty(&token.claims).unwrap_or_default());
            }
            Ok(true)
        }
        Err(error) => {
            // Signed with the secret, so what it says may be shown.
            let signed = || {
                let mut signature_only = Validation::new(Algorithm::HS256);
                signature_only.validate_exp = false;
                signature_only.validate_aud = false;
                signature_only.required_spec_claims.clear();
                let key = DecodingKey::from_secret(secret.as_bytes());
                jsonwebtoken::decode::<Value>(token, &key, &signature_only)
                    .map(|token| token.claims)
                    .unwrap_or_default()
            };
            let reason = reason(error.kind(), args, &signed);
            if json {
                anstream::println!("{}", json!({"valid": false, "reason": reason}));
            } else {
                anstream::println!("{}", report::title(Level::Error, &format!("the token is not valid: {reason}")));
            }
            Ok(false)
        }
    }
}

/// Why a token is not valid. `signed` gives its claims if the signature is right.
fn reason(kind: &ErrorKind, args: &Args, signed: &dyn Fn() -> Value) -> String {
    let differs = |name: &str, expected: Option<&String>| {
        let found = signed().get(name).map_or("none".to_owned(), ToString::to_string);
        format!("its `{name}` is {found}, and --{name} is {:?}", expected.map_or("", String::as_str))
    };
    match kind {
        ErrorKind::InvalidSignature => format!("it is not signed with the secret in {:?}", args.secret_env),
        ErrorKind::ExpiredSignature => "its `exp` has passed".to_owned(),
        ErrorKind::ImmatureSignature => "its `nbf` is ahead".to_owned(),
        ErrorKind::InvalidIssuer => differs("iss", args.iss.as_ref()),
        ErrorKind::InvalidAudience => differs("aud", args.aud.as_ref()),
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "it is not HS256".to_owned(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no `{claim}`"),
        _ => "it does not have three parts in base64url, with JSON in the first two".to_owned(),
    }
}
