//! `otron explain`: what the filter does with a request, and why.

use auth_o_tron_envoy::{
    policy::{Decision, Policy, Verdict},
    rejection::Flaw,
    request::{Facts, Request},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Serializer, Value, value::RawValue};

use crate::{
    Answer,
    check::{self, Accepted, ConfigurationArgs},
    report::{self, Level},
    request::{self, FactsArgs, RequestArgs},
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
    facts: FactsArgs,
}

/// Everything there is to say about a decision.
#[derive(Serialize)]
struct Explanation {
    outcome: &'static str,
    rule: Option<String>,
    proof: Option<String>,
    proof_kind: Option<&'static str>,
    key: Option<String>,
    set: Vec<(String, String)>,
    removed: Vec<String>,
    warnings: Vec<String>,
    #[serde(flatten)]
    issued: Option<Issued>,
    #[serde(flatten)]
    denied: Option<Denied>,
}

/// The token, taken apart. Header and claims are exactly as in the token, in the same order.
#[derive(Serialize)]
struct Issued {
    token: String,
    header: Option<Box<RawValue>>,
    claims: Option<Box<RawValue>>,
}

/// What the client gets, and what the filter logs about it.
#[derive(Serialize)]
struct Denied {
    status: u16,
    code: &'static str,
    detail: Value,
    reason: String,
}

pub fn run(args: &Args, json: bool) -> Answer {
    let Some(Accepted { policy, not_set, .. }) = check::one(&args.configuration, json)? else {
        return Ok(false);
    };
    let (pairs, properties, now) = (args.request.pairs()?, args.facts.properties()?, args.request.now());
    let pairs = request::borrowed(&pairs);
    let request = Request::scan(policy.names(), &pairs);
    let property = |path: &[&str]| {
        let path = path.join(".");
        properties.iter().find(|(own, _)| *own == path).map(|(_, value)| value.clone())
    };
    let decision = policy.decide(&request, &Facts::new(now, &property));
    let warnings = not_set.iter().map(|name| stand_in(name)).collect();
    let explanation = Explanation::new(&decision, warnings);
    if json {
        anstream::println!("{}", serde_json::to_string(&explanation).map_err(|error| error.to_string())?);
    } else {
        explanation.print(&decision, &policy);
    }
    Ok(!matches!(decision.verdict, Verdict::Deny(_)))
}

fn stand_in(name: &str) -> String {
    format!("{name:?} is not set here: a placeholder stands in, so whatever it proves or signs is not real")
}

impl Explanation {
    fn new(decision: &Decision<'_, '_>, warnings: Vec<String>) -> Self {
        let grounds = decision.grounds;
        let mut removed: Vec<String> =
            decision.remove.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        removed.dedup();
        Self {
            outcome: decision.verdict.outcome().as_str(),
            rule: grounds.rule.map(|position| format!("rules[{position}]")),
            proof: grounds.proof.map(|entry| format!("trust[{}]", entry.position)),
            proof_kind: grounds.proof.map(|entry| entry.kind),
            key: grounds.key.and_then(|key| key.kid()).map(str::to_owned),
            set: decision.set().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            removed,
            warnings,
            issued: decision.token.as_ref().map(|(_, value)| Issued::new(value)),
            denied: match decision.verdict {
                Verdict::Deny(rejection) => {
                    let body: Value = serde_json::from_str(rejection.code.body()).unwrap_or_default();
                    Some(Denied {
                        status: rejection.code.status(),
                        code: rejection.code.as_str(),
                        detail: body.get("detail").cloned().unwrap_or_default(),
                        reason: rejection.reason(),
                    })
                }
                Verdict::Issue { .. } | Verdict::Pass => None,
            },
        }
    }

    fn print(&self, decision: &Decision<'_, '_>, policy: &Policy) {
        for warning in &self.warnings {
            anstream::eprintln!("{}", report::title(Level::Warning, warning));
        }
        let line = |name: &str, value: &str| anstream::println!("  {name:<8} {value}");
        let title = match (decision.verdict, &self.denied) {
            (Verdict::Issue { .. }, _) => {
                report::named_title(Level::Fine, "issued", "the request goes on with a token")
            }
            (_, None) => report::named_title(Level::Fine, "passed", "the request goes on without a token"),
            (_, Some(denied)) => {
                report::named_title(Level::Error, "denied", &format!("{} {}", denied.status, denied.code))
            }
        };
        anstream::println!("{title}");
        if let Some(denied) = &self.denied {
            line("reason", &denied.reason);
            line("detail", denied.detail.as_str().unwrap_or_default());
        }
        if policy.has_rules() {
            line("rule", self.rule.as_deref().unwrap_or("none matches"));
        }
        match (&self.proof, decision.verdict) {
            (Some(proof), _) => line("proof", &format!("{proof}, {}", self.proof_kind.unwrap_or_default())),
            (None, Verdict::Deny(rejection)) if rejection.flaw == Flaw::Unproven => {
                let entries =
                    policy.trust().entries().map(|entry| format!("trust[{}], {}", entry.position, entry.kind));
                line("proof", &format!("not by {}", entries.collect::<Vec<_>>().join(", nor by ")));
            }
            (None, _) => {}
        }
        if let Some(kid) = &self.key {
            line("key", kid);
        }
        for (name, value) in &self.set {
            line("sets", &format!("{name}: {value}"));
        }
        for name in &self.removed {
            line("removes", name);
        }
        if let Some(Issued { header: Some(header), claims: Some(claims), .. }) = &self.issued {
            line("header", header.get());
            line("claims", &pretty(claims.get()).replace('\n', "\n           "));
            let times: Value = serde_json::from_str(claims.get()).unwrap_or_default();
            for name in ["iat", "exp"] {
                if let Some(seconds) = times.get(name).and_then(Value::as_i64) {
                    line(name, &request::rfc_3339(seconds));
                }
            }
        }
    }
}

impl Issued {
    fn new(value: &str) -> Self {
        // The token itself has no blanks, but the prefix before it may end in one.
        let token = value.rsplit(' ').next().unwrap_or_default();
        let mut parts = token.rsplit('.').skip(1);
        let read = |part: &str| {
            let json = String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
            RawValue::from_string(json).ok()
        };
        let claims = parts.next().and_then(read);
        // There may also be a prefix that does not end in a blank.
        let header = parts.next().and_then(|header| read(header.get(header.find("eyJ")?..)?));
        Self { token: token.to_owned(), header, claims }
    }
}

/// JSON on several lines, in its original order.
fn pretty(json: &str) -> String {
    let mut bytes = Vec::new();
    let _ =
        serde_transcode::transcode(&mut serde_json::Deserializer::from_str(json), &mut Serializer::pretty(&mut bytes));
    String::from_utf8(bytes).unwrap_or_default()
}
