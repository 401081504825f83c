//! `otron explain`: what the filter does with a request, and why.

use auth_o_tron_envoy::{
    config::{Config, Trust},
    policy::{Grounds, Policy, Verdict},
    rejection::{Code, Rejection},
    request::Request,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    Answer,
    check::{self, Accepted, ConfigurationArgs},
    report::{self, Level},
    request::{self, EvidenceArgs, RequestArgs},
};

/// Explain what the filter does with a request: the rule, the proof, the token, or why it is denied
///
/// The filter's own code decides, on the headers as Envoy would hand them over.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    configuration: ConfigurationArgs,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    evidence: EvidenceArgs,
}

pub fn run(args: &Args, json: bool) -> Answer {
    let Some(Accepted { config, policy, not_set }) = check::one(&args.configuration, json)? else {
        return Ok(false);
    };
    let warnings: Vec<_> = not_set.iter().map(|name| stand_in(name)).collect();
    let (pairs, properties, now) = (args.request.pairs()?, args.evidence.properties()?, args.request.now());
    let pairs = request::borrowed(&pairs);
    let request = Request::scan(policy.names(), &pairs);
    let evidence = |path: &[&str]| {
        let path = path.join(".");
        properties.iter().find(|(own, _)| *own == path).map(|(_, value)| value.clone())
    };
    let mut grounds = Grounds::default();
    let verdict = policy.decide_noting(&request, &evidence, now, &mut grounds);
    let answer = Explanation::new(&policy, &request, &verdict).json(&config, grounds, &warnings);
    if json {
        anstream::println!("{answer}");
    } else {
        print(&answer, &verdict, &config, grounds);
    }
    Ok(!matches!(verdict, Verdict::Deny(_)))
}

fn stand_in(name: &str) -> String {
    format!("{name:?} is not set here: something else takes its place, so what is proven or signed by it is not real")
}

struct Explanation<'v> {
    verdict: &'v Verdict,
    set: Vec<(String, String)>,
    removed: Vec<String>,
}

impl<'v> Explanation<'v> {
    fn new(policy: &Policy, request: &Request<'_>, verdict: &'v Verdict) -> Self {
        if matches!(verdict, Verdict::Deny(_)) {
            return Self { verdict, set: Vec::new(), removed: Vec::new() };
        }
        let mut removed: Vec<String> =
            policy.removals(request, verdict).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        removed.dedup();
        let replaced = policy.replacements(request).into_iter().flatten();
        let mut set: Vec<_> = replaced.map(|(name, value)| (name.to_owned(), value)).collect();
        if let Verdict::Issue { value, .. } = verdict {
            set.push((policy.token_header().to_owned(), value.to_string()));
        }
        Self { verdict, set, removed }
    }

    fn json(&self, config: &Config, grounds: Grounds, warnings: &[String]) -> Value {
        let rule = grounds.rule.map(|rule| format!("rules[{rule}]"));
        let proof = grounds.proof.map(|proof| format!("trust[{proof}]"));
        let kind = grounds.proof.and_then(|proof| config.trust.get(proof)).map(kind);
        let mut answer = json!({
            "outcome": self.verdict.outcome().as_str(), "rule": rule, "proof": proof, "proof_kind": kind,
            "set": self.set.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "removed": self.removed, "warnings": warnings,
        });
        let more = match self.verdict {
            Verdict::Issue { value, .. } => {
                let (header, claims) = decode(value).unwrap_or_default();
                json!({"token": token(value), "header": header, "claims": claims})
            }
            Verdict::Pass => json!({}),
            Verdict::Deny(rejection) => denial(rejection),
        };
        if let (Some(answer), Value::Object(mut more)) = (answer.as_object_mut(), more) {
            answer.append(&mut more);
        }
        answer
    }
}

/// What the client gets, and what the filter logs about it.
fn denial(Rejection { code, part, flaw }: &Rejection) -> Value {
    let body: Value = serde_json::from_str(code.body()).unwrap_or_default();
    json!({"status": code.status(), "code": code.as_str(), "detail": body.get("detail"), "reason": format!("{part}: {flaw}")})
}

fn kind(entry: &Trust) -> &'static str {
    match entry {
        Trust { shared_secret: Some(_), .. } => "shared_secret",
        Trust { signature: Some(_), .. } => "signature",
        Trust { mtls: Some(_), .. } => "mtls",
        Trust { peer: Some(_), .. } => "peer",
        _ => "filter_state",
    }
}

/// The token alone, which has no blank, while what stands before it may end in one.
fn token(value: &str) -> &str {
    value.rsplit(' ').next().unwrap_or_default()
}

/// The JOSE header and the claims.
fn decode(value: &str) -> Option<(Value, Value)> {
    let mut parts = token(value).rsplit('.').skip(1);
    let (claims, header) = (parts.next()?, parts.next()?);
    // A prefix without a blank before the token.
    let header = header.get(header.find("eyJ")?..)?;
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some((read(header)?, read(claims)?))
}

fn print(answer: &Value, verdict: &Verdict, config: &Config, grounds: Grounds) {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    for warning in list("warnings") {
        anstream::eprintln!("{}", report::title(Level::Warning, warning.as_str().unwrap_or_default()));
    }
    let line = |name: &str, value: &str| anstream::println!("  {name:<8} {value}");
    let title = match verdict {
        Verdict::Issue { .. } => report::named_title(Level::Fine, "issued", "the request goes on with a token"),
        Verdict::Pass => report::named_title(Level::Fine, "passed", "the request goes on without a token"),
        Verdict::Deny(rejection) => {
            let answer = format!("{} {}", rejection.code.status(), rejection.code);
            report::named_title(Level::Error, "denied", &answer)
        }
    };
    anstream::println!("{title}");
    if let Verdict::Deny(_) = verdict {
        line("reason", text("reason"));
        line("detail", text("detail"));
    }
    match grounds.rule {
        Some(_) => line("rule", text("rule")),
        None if config.rules.is_empty() => {}
        None => line("rule", "none matches"),
    }
    if grounds.proof.is_some() {
        line("proof", &format!("{}, {}", text("proof"), text("proof_kind")));
    } else if text("code") == Code::IdentityUntrusted.as_str() {
        let entries = config.trust.iter().enumerate();
        let entries = entries.map(|(index, entry)| format!("trust[{index}], {}", kind(entry))).collect::<Vec<_>>();
        line("proof", &format!("not by {}", entries.join(", nor by ")));
    }
    for header in list("set") {
        let part = |index: usize| header.get(index).and_then(Value::as_str).unwrap_or_default();
        line("sets", &format!("{}: {}", part(0), part(1)));
    }
    for name in list("removed") {
        line("removes", name.as_str().unwrap_or_default());
    }
    if let (Some(header), Some(claims)) = (answer.get("header"), answer.get("claims")) {
        line("header", &header.to_string());
        line("claims", &serde_json::to_string_pretty(claims).unwrap_or_default().replace('\n', "\n           "));
        for name in ["iat", "exp"] {
            if let Some(seconds) = claims.get(name).and_then(Value::as_i64) {
                line(name, &request::rfc_3339(seconds));
            }
        }
    }
}
