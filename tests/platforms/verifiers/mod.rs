//! The services' side under `envoy/verify`: each takes a token that the core has issued, and refuses every bad one.

use std::{
    env,
    io::Write,
    process::{Command, Stdio},
    sync::OnceLock,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::{
    SIGNING_SECRET, cases,
    envoy::envoy_bin,
    policy::{decide, policy},
    python,
    scene::Scene,
    shipped::{manager, shipped_text},
    token, top,
    trials::plain,
};

/// The pinned wheel of `PyJWT`: name, version, SHA-256.
const PYJWT: [&str; 3] = ["pyjwt", "2.15.1", "42d59d631f7768a1028a64c7ff581a9bf7519804daf91fc5b6c56e30eec5e193"];

// === tokens ===

/// What the core issues with these changes to its `jwt` section, `age` seconds ago.
fn issued(jwt: &Value, age: i64) -> String {
    let mut configuration = json!({
        "jwt": {"iss": "auth-o-tron.example.com", "exp": 3600, "secret": SIGNING_SECRET},
        "trust": [{"shared_secret": {"header": "x-auth-proof", "secret": "proof"}}],
    });
    configuration["jwt"].as_object_mut().unwrap().extend(jwt.as_object().unwrap().clone());
    let headers = [("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-proof", "proof")];
    decide(&policy(&configuration), &headers, now() - age).value().to_owned()
}

fn now() -> i64 {
    i64::try_from(cases::now()).unwrap()
}

/// A token of the right secret, of another algorithm or with other claims.
fn signed(algorithm: Algorithm, exp: Option<i64>) -> String {
    let mut claims = json!({"iss": "auth-o-tron.example.com", "sub": "internal-alice", "iat": now(), "exp": exp});
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let key = EncodingKey::from_secret(SIGNING_SECRET.as_bytes());
    format!("Bearer {}", jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap())
}

fn bad() -> Vec<(&'static str, String)> {
    let good = issued(&json!({}), 0);
    let (payload, signature) = good.split_once('.').unwrap().1.split_once('.').unwrap();
    let header = |algorithm: &str| URL_SAFE_NO_PAD.encode(json!({"typ": "JWT", "alg": algorithm}).to_string());
    vec![
        ("expired", issued(&json!({}), 7200)),
        ("no expiry", signed(Algorithm::HS256, None)),
        ("another issuer", issued(&json!({"iss": "other.example.com"}), 0)),
        ("another secret", issued(&json!({"secret": "a secret of somebody else, long enough for HS256"}), 0)),
        ("another algorithm", signed(Algorithm::HS512, Some(now() + 60))),
        ("algorithm none", format!("Bearer {}.{payload}.", header("none"))),
        ("algorithm none, signature kept", format!("Bearer {}.{payload}.{signature}", header("none"))),
        ("algorithm changed in the header", format!("Bearer {}.{payload}.{signature}", header("RS256"))),
        ("cut signature", good[..good.len() - 4].to_owned()),
        ("no signature", good[..good.len() - signature.len()].to_owned()),
        ("no bearer", good.replacen("Bearer", "Basic", 1)),
        ("no token", "Bearer ".to_owned()),
    ]
}

/// `verify` takes `Authorization`, and tells what it took or why it did not.
fn check(verify: impl Fn(&str) -> Result<String, String>) {
    let taken = verify(&issued(&json!({}), 0)).expect("the good token");
    assert!(taken.contains("internal-alice"), "{taken}");
    // The control of those that are signed here.
    verify(&signed(Algorithm::HS256, Some(now() + 60))).expect("a token made here");
    for (name, authorization) in bad() {
        let error = verify(&authorization).expect_err(name);
        assert!(error.starts_with("401"), "{name}: {error}");
    }
}

// === programs ===

/// As [`check`], for a program that takes the `Authorization` on its stdin.
fn check_program(program: impl Fn() -> Command) {
    check(|authorization| run(&mut program(), SIGNING_SECRET, authorization));
    // Where the secret is not set, what is signed with nothing is not taken either.
    let key = EncodingKey::from_secret(b"");
    let claims = json!({"iss": "auth-o-tron.example.com", "sub": "root", "iat": now(), "exp": now() + 60});
    let signed_with_nothing = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
    let error = run(&mut program(), "", &format!("Bearer {signed_with_nothing}")).unwrap_err();
    assert_eq!(error.trim(), "AUTH_O_TRON_SECRET: missing, or shorter than 32 bytes");
}

fn run(command: &mut Command, secret: &str, authorization: &str) -> Result<String, String> {
    let command = command.env("AUTH_O_TRON_SECRET", secret).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // One that stops before it reads makes this an error.
    let _ = child.stdin.take().unwrap().write_all(authorization.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn a_service_in_python() {
    let wheel = crate::support::run(python("tests/support/fetch_wheel.py").args(PYJWT));
    check_program(|| {
        let mut service = python("envoy/verify/verify.py");
        service.env("PYTHONPATH", wheel.trim());
        service
    });
}

fn a_service_in_rust() {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--example", "verify", "--message-format", "json"]);
    // What this test's own cargo says of this package would make it build again what depends on such variables.
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
            build.env_remove(name);
        }
    }
    let build = build.current_dir(top()).output().unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let artifacts = String::from_utf8(build.stdout).unwrap();
    let program = artifacts.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).unwrap();
        message["executable"].as_str().map(str::to_owned)
    });
    let program = program.expect("cargo names the program");
    check_program(|| Command::new(&program));
}

// === Envoy ===

const JWT_AUTHN: &str = "verify/jwt_authn.yaml";

/// What the comment in the YAML says to put into the environment.
fn jwks() -> &'static str {
    static JWKS: OnceLock<String> = OnceLock::new();
    JWKS.get_or_init(|| {
        let yaml = shipped_text(JWT_AUTHN);
        let lines = yaml.lines().filter_map(|line| line.trim().strip_prefix("#   "));
        let script: Vec<_> = lines.filter(|line| line.starts_with("k=") || line.starts_with("export ")).collect();
        assert_eq!(script.len(), 2);
        let script = format!("{}\nprintf %s \"$AUTH_O_TRON_JWKS\"", script.join("\n"));
        run(Command::new("sh").args(["-c", &script]), SIGNING_SECRET, "").unwrap()
    })
}

/// Envoy's own verifier in front of a service.
pub fn check_envoy(file: &str) {
    let scene = Scene::shipped(file, |bootstrap, _| {
        let filter = &mut manager(bootstrap)["http_filters"][0];
        let jwks_source = &mut filter["typed_config"]["providers"]["auth_o_tron"]["local_jwks"];
        assert_eq!(*jwks_source, json!({"environment_variable": "AUTH_O_TRON_JWKS"}));
        *jwks_source = json!({"inline_string": jwks()});
    });
    check(|authorization| {
        let seen = scene.send("service", &[("authorization", authorization)]);
        let body = String::from_utf8_lossy(&seen.reply.as_ref().expect("a reply").body).into_owned();
        let (status, arrived) = seen.status();
        let Some(arrived) = arrived else { return Err(format!("{status} {body}")) };
        // The service gets the token that was sent.
        let taken = arrived.value("authorization").expect("a token");
        assert_eq!(taken, authorization);
        Ok(token::claims(&taken).to_string())
    });
}

/// As it is shipped: with the key in the environment Envoy takes the file, without it does not.
fn envoy_reads_the_key_from_its_environment() {
    let validate = |jwks: Option<&str>| {
        let mut envoy = Command::new(envoy_bin());
        envoy.current_dir(top().join("envoy")).args(["--mode", "validate", "-c", JWT_AUTHN]);
        envoy.env_remove("AUTH_O_TRON_JWKS").envs(jwks.map(|jwks| ("AUTH_O_TRON_JWKS", jwks)));
        run(&mut envoy, SIGNING_SECRET, "")
    };
    validate(Some(jwks())).unwrap();
    let error = validate(None).unwrap_err();
    assert!(error.contains("AUTH_O_TRON_JWKS"), "{error}");
}

pub fn trials() -> Vec<Trial> {
    plain![a_service_in_python, a_service_in_rust, envoy_reads_the_key_from_its_environment]
}
