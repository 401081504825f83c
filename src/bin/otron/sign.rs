//! `otron sign`: the authenticator's side of a `signature` proof.

use auth_o_tron_envoy::{request::Request, trust::signature::FIELDS};
use serde_json::json;

use crate::{
    Answer,
    check::{self, Accepted, ConfigurationArgs},
    report::{self, Level},
    request::{self, RequestArgs},
};

/// Sign a request as `trust[].signature` expects it, and print the headers for curl
///
/// The headers are those of RFC 9421. They cover what the configuration asks for, and every identity header given.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    /// The key that signs.
    #[arg(long)]
    keyid: String,
    #[command(flatten)]
    request: RequestArgs,
}

pub fn run(args: &Args, json: bool) -> Answer {
    let Some(Accepted { config, policy, not_set }) = check::one(&args.configuration, json)? else {
        return Ok(false);
    };
    let signatures = config.trust.0.iter().flatten().filter_map(|entry| entry.signature.as_ref());
    let keys: Vec<_> = signatures.flat_map(|signature| &signature.keys).collect();
    if keys.is_empty() {
        return Err("trust: found no `signature` in the configuration, expected one whose key signs".to_owned());
    }
    let Some(key) = keys.iter().find(|key| key.keyid == args.keyid) else {
        let keyids: Vec<_> = keys.iter().map(|key| key.keyid.as_str()).collect();
        return Err(format!("--keyid: found {:?}, expected one of: {}", args.keyid, keyids.join(", ")));
    };
    if let Some(name) = key.secret_env.as_ref().filter(|name| not_set.contains(name)) {
        return Err(format!("the environment variable {name:?} is not set: it is the secret of {:?}", args.keyid));
    }
    let (mut pairs, now) = (args.request.pairs()?, args.request.now());
    // Leave out the fields of another signature: nothing would cover them.
    pairs.retain(|(name, _)| !FIELDS.iter().any(|own| own.as_bytes() == name));
    let unsigned = request::borrowed(&pairs);
    let request = Request::scan(policy.names(), &unsigned);
    let Some(fields) = policy.trust().sign(&args.keyid, &request, now) else {
        let problem =
            "the request lacks something that a signature must cover, or has an identity header that none can";
        return Err(problem.to_owned());
    };
    if !request.has_identity() {
        anstream::eprintln!(
            "{}",
            report::title(Level::Warning, "no --header carries an identity: the signature proves nothing")
        );
    }
    if json {
        let [input, signature] = &fields;
        anstream::println!("{}", json!({input.0: input.1, signature.0: signature.1}));
    } else {
        for (name, value) in fields {
            // Quoted for a shell, whatever names it contains.
            anstream::println!("-H '{name}: {}'", value.replace('\'', r"'\''"));
        }
    }
    Ok(true)
}
