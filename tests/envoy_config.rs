//! What Envoy says to a configuration: every shipped YAML is accepted, every wrong configuration stops Envoy with one
//! readable line.

mod support;

use std::{
    fs,
    process::{Command, ExitCode, Output},
};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

/// A secret that is written where it does not belong, or is no good. It must never be shown.
const TYPED_SECRET: &str = "hunter2 is too short";

/// Changes to the configuration that the demo ships: pointer → value, where null removes → the line expected.
#[allow(clippy::too_many_lines, reason = "it is a table")]
fn refused() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        // Missing.
        ("/jwt", Value::Null, "jwt: missing, expected as it is required"),
        ("/jwt/iss", Value::Null, "jwt.iss: missing, expected as it is required"),
        ("/jwt/exp", Value::Null, "jwt.exp: missing, expected as it is required"),
        ("/jwt/secret_env", Value::Null, "jwt: found neither `secret` nor `secret_env`, expected one of them"),
        ("/trust", Value::Null, "trust: empty or missing, expected at least one entry"),
        ("/trust", json!([]), "trust: empty or missing, expected at least one entry"),
        ("/trust/0/shared_secret", Value::Null, "trust[0]: found no proof, expected one of `shared_secret`, "),
        ("/trust/0/shared_secret/header", Value::Null, "trust[0].shared_secret.header: missing"),
        ("/trust/0/shared_secret/secret_env", Value::Null, "trust[0].shared_secret: found neither `secret` nor"),
        // Secrets.
        (
            "/jwt",
            json!({"iss": "a", "exp": 1, "secret": TYPED_SECRET}),
            "jwt.secret: found 20 bytes, expected at least 32 (RFC 7518, section 3.2)",
        ),
        ("/jwt/secret_env", json!("SHORT"), "jwt.secret_env: found 20 bytes, expected at least 32"),
        ("/jwt/secret", json!(TYPED_SECRET), "jwt: found both `secret` and `secret_env`, expected one of them"),
        (
            "/jwt/secret_env",
            json!("ABSENT"),
            "jwt.secret_env: environment variable \"ABSENT\" is not set for the filter",
        ),
        (
            "/trust/0/shared_secret/secret_env",
            json!("ABSENT"),
            "trust[0].shared_secret.secret_env: environment variable",
        ),
        (
            "/trust/0/shared_secret/secret_env",
            json!("EMPTY"),
            "trust[0].shared_secret.secret_env: found an empty secret",
        ),
        (
            "/trust/0/shared_secret/secret_env",
            json!("BLANK"),
            "trust[0].shared_secret.secret_env: found blanks at an end",
        ),
        // Types.
        ("", json!([]), "configuration: found a list, expected an object"),
        ("/jwt", json!(TYPED_SECRET), "jwt: found a string, expected an object"),
        ("/jwt/iss", json!(5), "jwt.iss: found an integer, expected a string"),
        ("/jwt/exp", json!("3600"), "jwt.exp: found a string, expected an integer"),
        ("/jwt/exp", json!(0.5), "jwt.exp: found a fraction, expected an integer"),
        ("/jwt/secret", json!([TYPED_SECRET]), "jwt.secret: found a list, expected a string"),
        ("/trust", json!({"shared_secret": TYPED_SECRET}), "trust: found an object, expected a list"),
        ("/trust/0/shared_secret", json!(TYPED_SECRET), "trust[0].shared_secret: found a string, expected an object"),
        ("/on_missing", json!("allow"), "on_missing: unknown variant `allow`, expected `deny` or `pass`"),
        ("/forward_identity", json!("yes"), "forward_identity: found a string, expected a boolean"),
        ("/identity", json!({"roles": {"format": "xml"}}), "identity.roles.format: unknown variant `xml`"),
        ("/identity", json!({"required": ["username"]}), "identity.required[0]: unknown variant `username`"),
        ("/claims", json!({"scopes": "string"}), "claims.scopes: unknown variant `string`, expected `list` or `map`"),
        // Unknown fields.
        ("/secret", json!(TYPED_SECRET), "secret: unknown field `secret`, expected one of `jwt`, `identity`, `trust`"),
        ("/jwt/issuer", json!("a"), "jwt.issuer: unknown field `issuer`, expected one of `iss`, `aud`, `exp`"),
        ("/trust/0/jwks", json!({}), "trust[0].jwks: unknown field `jwks`, expected one of `shared_secret`"),
        // A signature.
        (
            "/trust/0/signature",
            json!({"keys": [{"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}]}),
            "trust[0]: found both `shared_secret` and `signature`, expected exactly one proof",
        ),
        ("/trust", signature(&json!({})), "trust[0].signature.keys: missing"),
        ("/trust", signature(&json!({"keys": []})), "trust[0].signature.keys: found an empty list, expected"),
        ("/trust", signed_by("", "AUTH_O_TRON_SECRET"), "trust[0].signature.keys[0].keyid: found text that is empty"),
        (
            "/trust",
            signed_by("ä", "AUTH_O_TRON_SECRET"),
            "trust[0].signature.keys[0].keyid: found \"ä\", expected ASCII",
        ),
        ("/trust", signed_by("a", "SHORT"), "trust[0].signature.keys[0].secret_env: found 20 bytes, expected at least"),
        ("/trust", signed_by("a", "ABSENT"), "trust[0].signature.keys[0].secret_env: environment variable \"ABSENT\""),
        (
            "/trust",
            signature(&json!({"keys": [{"keyid": "a"}]})),
            "trust[0].signature.keys[0]: found neither `secret` nor `secret_env`",
        ),
        (
            "/trust",
            signature(&json!({"keys": [
                {"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}, {"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"},
            ]})),
            "trust[0].signature.keys[1].keyid: found \"a\" a second time",
        ),
        (
            "/trust",
            signed_with("max_age", &json!(0)),
            "trust[0].signature.max_age: found 0, expected 1 to 86400 seconds",
        ),
        ("/trust", signed_with("max_age", &json!(86_401)), "trust[0].signature.max_age: found 86401, expected 1 to"),
        (
            "/trust",
            signed_with("components", &json!(["@method", "@status"])),
            "trust[0].signature.components[1]: found \"@status\", expected a header name in lower case or one of `@method`",
        ),
        (
            "/trust",
            signed_with("components", &json!(["Date"])),
            "trust[0].signature.components[0]: found \"Date\", expected a header name in lower case",
        ),
        // The other proofs.
        (
            "/trust/0/peer",
            json!({"cidrs": ["10.0.0.0/8"]}),
            "trust[0]: found both `shared_secret` and `peer`, expected exactly one proof",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.0/8"]}, "mtls": {"dns_sans": ["a.example"]}}),
            "trust[0]: found both `mtls` and `peer`, expected exactly one proof",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.0/8"]}, "filter_state": {"key": "a", "value": "b"}}),
            "trust[0]: found both `peer` and `filter_state`, expected exactly one proof",
        ),
        ("/trust/0", json!({"mtls": {}}), "trust[0].mtls: found nothing to match, expected at least one of `uri_sans`"),
        ("/trust/0", json!({"mtls": {"sans": []}}), "trust[0].mtls.sans: unknown field `sans`, expected one of"),
        ("/trust/0", json!({"mtls": {"uri_sans": "a"}}), "trust[0].mtls.uri_sans: found a string, expected a list"),
        ("/trust/0", json!({"mtls": {"uri_sans": [""]}}), "trust[0].mtls.uri_sans[0]: found text that is empty"),
        ("/trust/0", json!({"mtls": {"dns_sans": ["a", ""]}}), "trust[0].mtls.dns_sans[1]: found text that is empty"),
        (
            "/trust/0",
            json!({"mtls": {"dns_sans": ["*.example.com"]}}),
            "trust[0].mtls.dns_sans[0]: found \"*.example.com\", expected a whole name",
        ),
        (
            "/trust/0",
            json!({"mtls": {"fingerprints": ["0a:0b"]}}),
            "trust[0].mtls.fingerprints[0]: found \"0a:0b\", expected a SHA-256 digest of 64 hexadecimal digits",
        ),
        ("/trust/0", json!({"mtls": {"fingerprints": ["0x".repeat(32)]}}), "trust[0].mtls.fingerprints[0]: found \"0x"),
        ("/trust/0", json!({"peer": {}}), "trust[0].peer.cidrs: missing, expected as it is required"),
        ("/trust/0", json!({"peer": {"cidrs": []}}), "trust[0].peer.cidrs: found an empty list, expected at least one"),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.0/8", "10.0.0.0/33"]}}),
            "trust[0].peer.cidrs[1]: found \"10.0.0.0/33\", expected an address and the length of its prefix",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.1"]}}),
            "trust[0].peer.cidrs[0]: found \"10.0.0.1\", expected an address and the length of its prefix",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["10.0.0.1/8"]}}),
            "trust[0].peer.cidrs[0]: found \"10.0.0.1/8\", expected \"10.0.0.0/8\", without bits after the prefix",
        ),
        (
            "/trust/0",
            json!({"peer": {"cidrs": ["::ffff:10.0.0.0/104"]}}),
            "trust[0].peer.cidrs[0]: found \"::ffff:10.0.0.0/104\", expected the range in IPv4",
        ),
        ("/trust/0", json!({"filter_state": {"key": "a"}}), "trust[0].filter_state.value: missing"),
        ("/trust/0", json!({"filter_state": {"value": "a"}}), "trust[0].filter_state.key: missing"),
        (
            "/trust/0",
            json!({"filter_state": {"key": "", "value": "a"}}),
            "trust[0].filter_state.key: found text that is empty",
        ),
        (
            "/trust/0",
            json!({"filter_state": {"key": "a\u{0}b", "value": "a"}}),
            "trust[0].filter_state.key: found text that",
        ),
        (
            "/trust/0",
            json!({"filter_state": {"key": "a", "value": ""}}),
            "trust[0].filter_state.value: found text that is empty",
        ),
        // Ranges.
        ("/jwt/iss", json!(""), "jwt.iss: found text that is empty, expected 1 to 256 bytes"),
        ("/jwt/exp", json!(0), "jwt.exp: found 0, expected 1 to 315360000 seconds"),
        ("/jwt/exp", json!(-1), "jwt.exp: found -1, expected 1 to 315360000 seconds"),
        ("/jwt/exp", json!(315_360_001), "jwt.exp: found 315360001, expected 1 to 315360000 seconds"),
        ("/token", json!({"max_bytes": 0}), "token.max_bytes: found 0, expected 1 to 61440 bytes"),
        ("/token", json!({"max_bytes": 61441}), "token.max_bytes: found 61441, expected 1 to 61440 bytes"),
        ("/identity", json!({"realms": []}), "identity.realms: found an empty list, expected at least one realm"),
        ("/identity", json!({"realms": [""]}), "identity.realms[0]: found text that is empty"),
        ("/trust/0/realms", json!([]), "trust[0].realms: found an empty list, expected at least one realm"),
        // Header names, and what goes into a header.
        ("/token", json!({"header": "x token"}), "token.header: found \"x token\", expected a header name"),
        ("/token", json!({"header": ""}), "token.header: found \"\", expected a header name"),
        ("/token", json!({"header": ":path"}), "token.header: found \":path\", expected a header name"),
        ("/token", json!({"header": "x\r\ny"}), "token.header: found \"x\\r\\ny\", expected a header name"),
        ("/token", json!({"header": "Host"}), "token.header: found \"host\", which frames the message"),
        (
            "/token",
            json!({"header": "x-auth-realm"}),
            "identity.realm.header: found \"x-auth-realm\", which serves another",
        ),
        ("/token", json!({"prefix": "Bearer\r\nx: "}), "token.prefix: found byte 6 outside printable ASCII"),
        ("/token", json!({"prefix": " Bearer"}), "token.prefix: found a leading space"),
        (
            "/trust/0/shared_secret/header",
            json!("x-auth-realm"),
            "trust[0].shared_secret.header: found \"x-auth-realm\", which",
        ),
        (
            "/trust/0/shared_secret/header",
            json!("x_auth_realm"),
            "trust[0].shared_secret.header: found \"x_auth_realm\", another spelling",
        ),
        ("/identity", json!({"username": {"header": []}}), "identity.username.header: found an empty list"),
        (
            "/identity",
            json!({"username": {"header": "x y"}}),
            "identity.username.header: found \"x y\", expected a header",
        ),
        (
            "/identity",
            json!({"realm": {"header": "x", "value": "y"}}),
            "identity.realm: found both `header` and `value`",
        ),
        ("/identity", json!({"realm": {"value": "a\nb"}}), "identity.realm.value: found text that"),
        (
            "/identity",
            json!({"attributes": {"from": {"a": "x y"}}}),
            "identity.attributes.from.a: found \"x y\", expected",
        ),
    ]
}

/// A `trust` of one entry, a signature.
fn signature(proof: &Value) -> Value {
    json!([{"signature": proof}])
}

fn signed_by(keyid: &str, variable: &str) -> Value {
    signature(&json!({"keys": [{"keyid": keyid, "secret_env": variable}]}))
}

fn signed_with(field: &str, value: &Value) -> Value {
    signature(&json!({"keys": [{"keyid": "a", "secret_env": "AUTH_O_TRON_SECRET"}], field: value}))
}

/// The demo's bootstrap with `plugin` as the filter's `configuration`, and some variables for the wrong ones.
fn bootstrap(plugin: Value) -> Value {
    let mut bootstrap = support::shipped();
    for listener in bootstrap["static_resources"]["listeners"].as_array_mut().unwrap() {
        listener["address"]["socket_address"]["port_value"] = json!(0);
    }
    let manager = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    let filter = support::plugin(manager);
    filter["configuration"] = plugin;
    let variables = filter["vm_config"]["environment_variables"]["key_values"].as_object_mut().unwrap();
    variables.insert("SHORT".to_owned(), json!(TYPED_SECRET));
    variables.insert("EMPTY".to_owned(), json!(""));
    variables.insert("BLANK".to_owned(), json!("a proof that ends in a space "));
    bootstrap
}

fn string_value(text: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text})
}

/// The demo's plugin configuration with `value` at `pointer`; null removes what is there.
fn changed(pointer: &str, value: &Value) -> Value {
    let mut configuration = support::shipped_configuration();
    if let Some(present) = configuration.pointer_mut(pointer).filter(|_| !value.is_null()) {
        *present = value.clone();
        return configuration;
    }
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = configuration.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(field).expect("something to remove");
    } else {
        parent.insert(field.to_owned(), value.clone());
    }
    configuration
}

fn validate(bootstrap: &Value) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("envoy.json");
    fs::write(&config, bootstrap.to_string()).unwrap();
    support::validate(&config)
}

/// Envoy stops, and the filter says why in exactly one line, which shows no secret.
fn check_refused(plugin: Value, expected: &str) {
    let output = validate(&bootstrap(plugin));
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let lines: Vec<_> = log.lines().filter_map(|line| line.split_once("configuration refused: ")).collect();
    let [(_, line)] = lines[..] else { panic!("expected one line: {log}") };
    assert!(line.starts_with(expected), "found    {line}\nexpected {expected}");
    assert!(!log.contains("panicked"), "{log}");
    for secret in [TYPED_SECRET, support::SIGNING_SECRET, support::PROOF] {
        assert!(!line.contains(secret), "{line}");
    }
}

fn trial(name: String, check: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        check();
        Ok::<(), Failed>(())
    })
}

fn shipped_trials() -> impl Iterator<Item = Trial> {
    let files = fs::read_dir(support::top().join("envoy")).unwrap().map(|file| file.unwrap().path());
    let yaml: Vec<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml")).collect();
    assert!(!yaml.is_empty());
    yaml.into_iter().map(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        trial(format!("shipped: {name} is valid"), move || {
            let authority = support::tls::Authority::new();
            let directory = tempfile::tempdir().unwrap();
            let config = directory.path().join("envoy.yaml");
            fs::write(&config, authority.place(&file)).unwrap();
            let output = support::validate(&config);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        })
    })
}

fn refused_trials() -> Vec<Trial> {
    let changes = refused().into_iter().map(|(pointer, value, expected)| {
        let name =
            if value.is_null() { format!("refused: no {pointer}") } else { format!("refused: {pointer} {value}") };
        trial(name, move || check_refused(string_value(&changed(pointer, &value).to_string()), expected))
    });
    let structure = json!({
        "@type": "type.googleapis.com/google.protobuf.Struct", "value": support::shipped_configuration(),
    });
    let whole = [
        (
            "a Struct",
            structure,
            "configuration: found a google.protobuf.Struct, expected JSON in a google.protobuf.StringValue",
        ),
        ("nothing", string_value(""), "configuration: found nothing, expected JSON"),
        ("no JSON", string_value("jwt: {}"), "configuration: not JSON: expected value at line 1 column 1"),
        ("JSON cut short", string_value("{\"jwt\": {"), "configuration: not JSON: EOF"),
    ];
    let whole = whole
        .map(|(name, plugin, expected)| trial(format!("refused: {name}"), move || check_refused(plugin, expected)));
    changes.chain(whole).collect()
}

/// The control: what `check_refused` starts from is accepted, so it is the change that is refused.
fn check_unchanged() {
    let output = validate(&bootstrap(string_value(&support::shipped_configuration().to_string())));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What `make demo` runs. It ends with 0 only where every answer is the expected one.
fn check_demo() {
    let mut demo = Command::new("python3");
    let output = demo.arg(support::top().join("envoy/demo.py")).arg(support::envoy_bin()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn main() -> ExitCode {
    let mut trials: Vec<_> = shipped_trials().chain(refused_trials()).collect();
    trials.push(trial("accepted: the unchanged configuration".to_owned(), check_unchanged));
    trials.push(trial("shipped: the demo shows what it says".to_owned(), check_demo));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
