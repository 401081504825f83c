//! `otron explain` and the filter in real Envoy give the same outcome, for every row of the tables that a filter sees.
//!
//! What a case sends is what a client writes on the wire. The command is told what the filter sees of it, so what Envoy
//! itself makes of a request is done here: see [`seen`].

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt, path::PathBuf};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::{otron, run};
use crate::support::{
    Lines, Message,
    cases::{Case, Expected, Protocol, alice, attacks, gateways, honest, lines, requests, without},
    judge::{self, Judge},
    shipped, token,
    trials::{self, Shared, trial},
};

pub static WORLD: Shared<World> = Shared::new(World::start);

pub struct World {
    judge: Judge,
    /// Each plugin configuration in a file of its own.
    directory: TempDir,
}

pub fn trials() -> Vec<Trial> {
    let named = |name: &str, check: fn(&mut World)| trial(module_path!(), name, move || WORLD.with(check));
    let several = [
        named("what `otron sign` prints is a proof", World::sign),
        named("what Envoy issues, `otron verify` takes", World::verify),
    ];
    trials::rows(module_path!(), &WORLD, table(), World::compare).into_iter().chain(several).collect()
}

/// Requests and attacks in HTTP/1.1 that come to the filter as they are.
fn table() -> Vec<Case> {
    let is_seen = |case: &Case| {
        let is_refused =
            matches!(case.expected, Expected::Refused | Expected::RefusedWith(_) | Expected::RefusedSince(..));
        case.protocol == Protocol::Http1 && !is_refused && !is_rewritten(case)
    };
    let mut table = [requests::table(), attacks::table()].concat();
    table.retain(is_seen);
    table
}

/// Envoy reads another value than the one that was sent.
fn is_rewritten(case: &Case) -> bool {
    case.headers.iter().any(|(_, value)| value.contains(&b'\r')) || case.target.contains('@')
}

/// A plugin configuration that is shipped in a file of its own.
pub fn check_sample(file: &str) {
    let mut world = World::of(&[("sample", shipped(file))]);
    let unproven = lines(&[("x-auth-username", "alice")]);
    for (name, target, headers, status) in [
        ("proven", "/", alice(), 200),
        ("unproven", "/", unproven, 401),
        ("passed by its rule", "/healthz", Lines::new(), 200),
    ] {
        let mut case = Case::new(name, "sample", headers, Expected::Passed);
        target.clone_into(&mut case.target);
        assert_eq!(world.judge.exchange(&case).status().0, status, "{name}");
        world.compare(&case);
    }
}

fn strings(args: &[&str]) -> Vec<OsString> {
    args.iter().map(OsString::from).collect()
}

/// The arguments that tell the command what the filter sees of a case. Of what a client sends, Envoy
/// - takes host and path apart where the target is a whole URL;
/// - drops `connection` and the headers that it nominates, unless it asks for an upgrade;
/// - chooses a route.
fn seen(case: &Case) -> Vec<OsString> {
    let url = case.target.strip_prefix("http://").and_then(|rest| rest.split_at_checked(rest.find('/')?));
    let (host, path) = url.unwrap_or((&case.host, &case.target));
    let mut args = strings(&["--method", &case.method, "--host", host]);
    if case.method != "CONNECT" {
        args.extend(strings(&["--path", path]));
        if path.starts_with("/orders") {
            args.extend(strings(&["--route", "orders"]));
        }
    }
    for (name, value) in kept(&case.headers) {
        let header = [name.as_bytes(), b": ", value].concat();
        args.extend(["--header".into(), OsString::from_vec(header)]);
    }
    args
}

fn kept(headers: &Lines) -> Vec<(&str, &[u8])> {
    let values = |wanted: &'static str| headers.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value);
    let mut dropped = Vec::new();
    if values("upgrade").next().is_none() {
        let nominated = values("connection").map(|value| String::from_utf8(value.clone()).unwrap());
        dropped.extend(nominated.flat_map(|value| value.split(", ").map(str::to_owned).collect::<Vec<_>>()));
        dropped.push("connection".to_owned());
    }
    let kept = headers.iter().filter(|(name, _)| !dropped.contains(name));
    kept.map(|(name, value)| (name.as_str(), value.as_slice())).collect()
}

impl World {
    fn start() -> Self {
        Self::of(&gateways::configurations())
    }

    fn of(configurations: &[(&str, Value)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (gateway, configuration) in configurations {
            fs::write(directory.path().join(gateway).with_extension("json"), configuration.to_string()).unwrap();
        }
        Self { judge: Judge::of("warning", configurations), directory }
    }

    fn configuration(&self, gateway: &str) -> PathBuf {
        self.directory.path().join(gateway).with_extension("json")
    }

    fn compare(&mut self, case: &Case) {
        let envoy = self.judge.exchange(case);
        let (token_header, _) = gateways::token_header(case.gateway);
        let issued = envoy.arrived.as_ref().and_then(|arrived| arrived.value(token_header));
        let mut args = strings(&["explain", "--json"]);
        args.push(self.configuration(case.gateway).into());
        args.extend(seen(case));
        // In the second in which the token was signed, so that it is the same one.
        if let Some(issued) = &issued {
            args.extend(strings(&["--at", &token::claims(issued)["iat"].to_string()]));
        }
        let said = otron(&args, "");
        let explained: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
        assert_eq!(explained["warnings"], json!([]));
        let Some(arrived) = envoy.arrived else {
            let reply = envoy.reply.expect("a reply");
            assert_eq!(said.code, 1, "Envoy: {reply:?}, otron: {explained}");
            assert_eq!(explained["status"], reply.status, "{explained}");
            if case.method != "HEAD" {
                let body: Value = serde_json::from_slice(&reply.body).unwrap();
                for field in ["code", "detail"] {
                    assert_eq!(explained[field], body[field], "{explained}");
                }
            }
            return;
        };
        assert_eq!(said.code, 0, "Envoy: {arrived:?}, otron: {explained}");
        assert_eq!(explained["outcome"], if issued.is_some() { "issued" } else { "passed" });
        assert_eq!(explained["proof"].is_string(), issued.is_some(), "{explained}");
        check_headers(&explained, &arrived, case, token_header);
        if let Some(issued) = issued {
            let (mut found, mut told) = (token::claims(&issued), explained["claims"].clone());
            // Nobody else can know it.
            let is_random = found.as_object_mut().unwrap().remove("jti").is_some();
            assert_eq!(told.as_object_mut().unwrap().remove("jti").is_some(), is_random);
            assert_eq!(told, found);
            if !is_random {
                assert_eq!(explained["set"].as_array().unwrap().last().unwrap()[1], issued);
            }
        }
    }

    /// `otron sign`: Envoy takes what it prints for curl. One that is changed by a letter, it does not.
    fn sign(&mut self) {
        let headers = without(alice(), "x-auth-proof");
        let mut args =
            strings(&["sign", "--keyid", "gw-1", "--host", "test:80", "--path", "/a?b=c", "--method", "POST"]);
        args.push(self.configuration("signed").into());
        for (name, value) in &headers {
            args.extend(["-H".into(), format!("{name}: {}", str::from_utf8(value).unwrap()).into()]);
        }
        let said = otron(&args, "");
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        let header = |line: &str| {
            let (name, value) =
                line.strip_prefix("-H '").unwrap().strip_suffix('\'').unwrap().split_once(": ").unwrap();
            (name.to_owned(), value.as_bytes().to_vec())
        };
        let signature: Lines = said.out.lines().map(header).collect();
        assert_eq!(signature.len(), 2);
        for (target, expected) in [("/a?b=c", 200), ("/b?b=c", 401)] {
            let headers = [headers.clone(), signature.clone()].concat();
            let mut case = Case::new("sign", "signed", headers, Expected::Passed);
            (case.method, case.target) = ("POST".to_owned(), target.to_owned());
            assert_eq!(self.judge.exchange(&case).status().0, expected, "{target}");
        }
    }

    /// `otron verify`: it takes a token that Envoy let pass, and no other.
    fn verify(&mut self) {
        let honest = honest("rich");
        let token = judge::token("rich", &self.judge.exchange(&honest).arrived.unwrap());
        let (signed, mac) = token.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", mac.chars().rev().collect::<String>());
        let iss = "auth-o-tron.example.com";
        for (token, more, code) in [
            (token.as_str(), &[][..], 0),
            (&format!("Bearer {token}"), &["--iss", iss, "--aud", "my-application"], 0),
            (&token, &["--iss", "other"], 1),
            (&token, &["--aud", "other"], 1),
            (&forged, &[], 1),
            (signed, &[], 1),
            ("", &[], 1),
        ] {
            let args = [&["verify", "--json", token, "--secret-env", "AUTH_O_TRON_SECRET"], more].concat();
            let said = otron(&args, "");
            assert_eq!(said.code, code, "{token} {more:?}: {}{}", said.out, said.err);
            let answer: Value = serde_json::from_str(&said.out).unwrap();
            assert_eq!(answer["valid"], code == 0);
            assert_eq!(answer["claims"]["sub"], if code == 0 { json!("internal-alice") } else { Value::Null });
        }
        let other = "x".repeat(32);
        let wrong_secret = run(&["verify", &token, "--secret-env", "OTHER"], "", &[("OTHER", &other)]);
        assert_eq!(wrong_secret.code, 1);
        let no_secret = otron(&["verify", &token, "--secret-env", "ABSENT"], "");
        assert_eq!(no_secret.code, 2);
    }
}

/// What is set arrived so, and what is removed did not arrive beside it; what did not arrive is said to be removed.
fn check_headers(explained: &Value, arrived: &Message, case: &Case, token_header: &str) {
    let set = explained["set"].as_array().unwrap();
    for header in set {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        if name != token_header {
            assert_eq!(arrived.value(name).as_deref(), Some(value), "{name}");
        }
    }
    for name in explained["removed"].as_array().unwrap() {
        let is_set = set.iter().any(|header| header[0] == *name);
        assert_eq!(arrived.values(name.as_str().unwrap()).len(), usize::from(is_set), "{name} of {arrived:?}");
    }
    let is_removed = |name: &str| explained["removed"].as_array().unwrap().contains(&json!(name));
    for (name, _) in kept(&case.headers) {
        let name = name.to_ascii_lowercase();
        assert!(!arrived.values(&name).is_empty() || is_removed(&name), "{name} did not arrive: {explained}");
    }
}
