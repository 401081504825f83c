//! The command as its user meets it: `tests/explain.rs` compares what it says with real Envoy.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{
    PROOF, SIGNING_SECRET,
    cases::now,
    configurations::{TYPED_SECRET, VARIABLES, changed, refused},
    demo_configuration, manager, plugin, shipped_text, shipped_yaml, top,
    trials::plain,
};
use jsonwebtoken::Header;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An inline secret that is long enough.
const INLINE: &str = "an inline secret, as long as it must be";

/// Nothing that is said may hold one of these.
const SECRETS: &[&str] = &[TYPED_SECRET, INLINE, SIGNING_SECRET, PROOF];

#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs the command, with the demo's secrets in its environment, and looks for secrets in whatever it says.
fn otron(args: &[&str], input: &str) -> Said {
    run(args, input, &[("AUTH_O_TRON_SECRET", SIGNING_SECRET), ("PROXY_SECRET", PROOF)])
}

fn run(args: &[&str], input: &str, environment: &[(&str, &str)]) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_otron"))
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("otron starts");
    // It need not read what it has no use for.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said =
        Said { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) };
    for secret in SECRETS {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "a secret is shown: {said:?}");
    }
    assert!(!said.err.contains("panicked"), "{said:?}");
    said
}

/// What `check --json` says to one text.
fn check(text: &str) -> (i32, Value) {
    let said = otron(&["check", "--json", "-"], text);
    let answer: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    (said.code, answer["files"][0].clone())
}

/// The one error, and that it is at the first `needle` of the text.
fn check_error(text: &str, needle: &str, path: &str, message: &str) {
    let (code, file) = check(text);
    let errors = if file["errors"] == json!([]) { &file["configurations"][0]["errors"] } else { &file["errors"] };
    assert_eq!(code, 1, "{file}");
    assert_eq!(errors.as_array().unwrap().len(), 1, "{file}");
    assert_eq!(errors[0]["path"], path, "{file}");
    assert!(errors[0]["message"].as_str().unwrap().starts_with(message), "{message} in {file}");
    let before = &text[..text.find(needle).unwrap()];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    assert_eq!((&errors[0]["line"], &errors[0]["column"]), (&json!(line), &json!(column)), "{text}\n{file}");
}

/// Messages of warnings, in order.
fn warnings(file: &Value) -> Vec<&str> {
    let warnings = file["configurations"][0]["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning["message"].as_str().unwrap()).collect()
}

// === the manifests ===

const PLAIN: &str = "\
jwt: {iss: a, exp: 3600, secret_env: AUTH_O_TRON_SECRET}
trust:
- shared_secret: {header: x-proof, secret_env: PROXY_SECRET}
";

fn envoy() -> String {
    shipped_text("envoy.yaml")
}

/// The demo with its variables from the host.
fn envoy_in_production() -> String {
    let envoy = envoy();
    let (before, rest) = envoy.split_once("                    key_values:\n").unwrap();
    let after = rest.splitn(3, '\n').nth(2).unwrap();
    format!("{before}                    host_env_keys: [AUTH_O_TRON_SECRET, PROXY_SECRET]\n{after}")
}

fn istio(kind: &str) -> String {
    let plugin = "\
url: oci://registry.example.com/auth-o-tron-envoy:1
failStrategy: FAIL_RELOAD
vmConfig:
  env:
  - {name: AUTH_O_TRON_SECRET, valueFrom: HOST}
  - {name: PROXY_SECRET, valueFrom: HOST}
pluginConfig:
";
    let plugin = plugin.to_owned() + &indented(PLAIN, 2);
    let spec = if kind == "WasmPlugin" { plugin } else { format!("wasm:\n{}", indented(&plugin, 2)) };
    format!(
        "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: extensions.istio.io/v1alpha1\nkind: {kind}\n\
         metadata: {{name: gate}}\nspec:\n{}",
        indented(&spec, 2)
    )
}

fn gateway() -> String {
    let config = indented(PLAIN, 6);
    format!(
        "kind: EnvoyExtensionPolicy\nmetadata: {{name: policy}}\nspec:\n  wasm:\n  - name: auth-o-tron\n    \
         failOpen: false\n    env: {{hostKeys: [AUTH_O_TRON_SECRET, PROXY_SECRET]}}\n    config:\n{config}"
    )
}

fn indented(text: &str, by: usize) -> String {
    let margin = " ".repeat(by);
    text.lines().flat_map(|line| [&margin, line, "\n"]).collect()
}

/// Everything that a configuration can be in, in order.
fn manifests() -> Vec<(&'static str, String)> {
    vec![
        ("plugin configuration", PLAIN.to_owned()),
        ("plugin configuration", demo_configuration().to_string()),
        ("plugin configuration", serde_json::to_string_pretty(&demo_configuration()).unwrap().replace("  ", "\t")),
        ("Envoy Wasm filter", envoy_in_production()),
        ("Envoy Wasm filter", serde_yaml_ng::from_str::<Value>(&envoy_in_production()).unwrap().to_string()),
        ("Istio WasmPlugin", istio("WasmPlugin")),
        ("Istio TrafficExtension", istio("TrafficExtension")),
        ("Envoy Gateway EnvoyExtensionPolicy", gateway()),
    ]
}

fn a_configuration_is_found_wherever_it_is() {
    for (kind, text) in manifests() {
        let (code, file) = check(&text);
        assert_eq!(code, 0, "{text}\n{file}");
        assert_eq!(file["configurations"][0]["kind"], kind, "{file}");
        assert_eq!(file["configurations"][0]["accepted"], true, "{file}");
        assert_eq!(warnings(&file), [""; 0], "{file}");
        // Another filter beside it is none of ours.
        let other = text.replace("auth", "other").replace("jwt", "other");
        let (code, file) = check(&other);
        assert_eq!(code, 1, "{file}");
        if kind != "plugin configuration" {
            assert_eq!(file["skipped"][0]["kind"], kind, "{file}");
            assert_eq!(file["configurations"], json!([]), "{file}");
        }
    }
}

fn every_shipped_configuration_is_accepted() {
    let mut files = shipped_yaml();
    files.retain(|file| {
        let text = shipped_text(file);
        text.contains("secret_env: ") || text.contains("\"secret_env\"")
    });
    assert!(files.len() >= 7, "{files:?}");
    let mut args = vec!["check", "--json"];
    let files: Vec<_> = files.iter().map(|file| top().join("envoy").join(file)).collect();
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    let said = otron(&args, "");
    assert_eq!(said.code, 0, "{}", said.out);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    for file in answer["files"].as_array().unwrap() {
        assert!(!file["configurations"].as_array().unwrap().is_empty(), "{file}");
    }
}

/// What Envoy says to each wrong configuration, the command says, too.
fn a_wrong_configuration_is_refused_in_the_words_of_the_filter() {
    for (pointer, value, expected) in refused() {
        let mut manifest: Value = serde_yaml_ng::from_str(&envoy_in_production()).unwrap();
        let plugin = plugin(manager(&mut manifest));
        plugin["configuration"]["value"] = json!(changed(pointer, &value).to_string());
        let keys = json!(VARIABLES.map(|(name, _)| name));
        plugin["vm_config"]["environment_variables"]["host_env_keys"] = keys;
        let said = run(&["check", "--json", "-"], &manifest.to_string(), &VARIABLES);
        let answer: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
        let error = &answer["files"][0]["configurations"][0]["errors"][0];
        let line = format!("{}: {}", error["path"].as_str().unwrap(), error["message"].as_str().unwrap());
        assert!(line.starts_with(expected), "found    {line}\nexpected {expected}");
        assert_eq!(said.code, 1);
        // For people, with the text as it stands: no line that is shown has a secret.
        let text = serde_json::to_string_pretty(&changed(pointer, &value)).unwrap();
        if !expected.contains("\"ABSENT\"") && !expected.contains("environment variable") {
            assert_eq!(run(&["check", "-"], &text, &VARIABLES).code, 1, "{text}");
        }
    }
}

fn an_error_is_at_its_place() {
    for (_, text) in manifests() {
        // Where the JSON is in a text with escapes, there is no better place than that text.
        let needle = if text.contains("\\\"exp\\\"") { "\"{\\n" } else { "\"soon\"" };
        let wrong = ["exp: 3600", "\"exp\": 3600", "\"exp\":3600", "\\\"exp\\\": 3600"];
        let Some(right) = wrong.into_iter().find(|right| text.contains(right)) else { panic!("{text}") };
        let quoted = if right.contains('\\') { "\\\"soon\\\"" } else { "\"soon\"" };
        let text = text.replace(right, &right.replace("3600", quoted));
        check_error(&text, needle, "jwt.exp", "found \"soon\", expected an integer");
    }
    for (right, wrong, needle, path, message) in [
        ("exp: 3600", "exp: 3600, expires: 3600", "expires", "jwt.expires", "unknown field, expected one of"),
        ("iss: a, ", "", "jwt", "jwt.iss", "missing required field"),
        ("header: x-proof", "header: ä", "ä", "trust[0].shared_secret.header", "found \"ä\""),
        ("shared_secret:", "shared:", "shared:", "trust[0].shared", "unknown field"),
        ("iss: a", "iss: \"\"", "\"\"", "jwt.iss", "found an empty text"),
        ("iss: a", "iss: a, iss: b", "iss: b", "jwt.iss", "given twice, expected once"),
    ] {
        check_error(&PLAIN.replace(right, wrong), needle, path, message);
    }
    // In a block, also after characters of several bytes, and where its JSON is none.
    let block = envoy_in_production();
    let umlaut = block.replace("\"jwt\": {", "\"jwt\": {\"aud\": \"ä\", \"kid\": \"\",");
    let umlaut = umlaut.replace("\"aud\": \"my-application\",", "");
    check_error(&umlaut, "\"\",", "jwt.kid", "found an empty text");
    check_error(&umlaut.replace('\n', "\r\n"), "\"\",", "jwt.kid", "found an empty text");
    check_error(&umlaut.replace("value: |", "value: |2-"), "\"\",", "jwt.kid", "found an empty text");
    let comma = block.replace("\"exp\": 3600,", "\"exp\": 3600,;");
    check_error(&comma, ";", "configuration", "not JSON: key must be a string");
    check_error(&format!("\u{feff}{PLAIN}").replace("3600", "x"), "x, secret_env", "jwt.exp", "found \"x\"");
}

fn what_is_no_configuration_is_said_to_be_none() {
    for (text, needle, message) in [
        ("", "", "found nothing"),
        (" \n\n", "", "found nothing"),
        ("foo: [bar\n baz: }\n", ": }", "not YAML"),
        ("jwt:\n  iss: a\n exp: 3600\n", "exp", "not YAML"),
        ("{\"jwt\": {\"iss\": \"a\",,}}", ",}", "not JSON"),
        ("jwt:\n\tiss: a", "iss", "not YAML"),
        ("jwt:\n  iss: a\n  exp: 3600\n\tkid: b\n", "\tkid", "not YAML"),
        ("a: *b", "*b", "not YAML"),
    ] {
        check_error(text, needle, "", message);
    }
    for text in ["hello world", "- 1\n- 2", "{}", "kind: Deployment\nspec: {}\n", "---\n---\n"] {
        let (code, file) = check(text);
        assert_eq!(code, 1, "{text}");
        assert!(file["errors"][0]["message"].as_str().unwrap().starts_with("found no configuration"), "{file}");
    }
    let deep = "[".repeat(100_000);
    let bomb = (1..20).fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, n| {
        let alias = vec![format!("*a{}", n - 1); 4].join(", ");
        format!("{text}a{n}: &a{n} [{alias}]\n")
    });
    // A text, in YAML, and no number of JSON.
    for text in ["-inf", "-nan", "1e999"] {
        assert_eq!(check(&PLAIN.replace("iss: a", &format!("iss: {text}"))).0, 0, "{text}");
    }
    // What would fill the memory: the copies of one long text, and those of a list in lists that all have anchors.
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1_000));
    let open: Vec<_> = (0..100).map(|n| format!("&a{n} [")).collect();
    let anchors = open.concat() + &"x, ".repeat(50_000) + &"]".repeat(100);
    for text in [&text, &anchors] {
        let (code, file) = check(text);
        assert_eq!(
            (code, &file["errors"][0]["message"]),
            (1, &json!("anchors and aliases that are too much to be read"))
        );
    }
    for text in [deep.as_str(), &"{a: ".repeat(100_000), &bomb] {
        assert_eq!(check(text).0, 1);
    }
}

fn a_manifest_is_checked_for_what_only_it_can_say() {
    let refused = "environment variable \"PROXY_SECRET\" is not set for the filter";
    for text in [
        envoy_in_production().replace(", PROXY_SECRET]", "]"),
        istio("WasmPlugin").replace("  - {name: PROXY_SECRET, valueFrom: HOST}\n", "\n"),
        istio("TrafficExtension").replace("  - {name: PROXY_SECRET, valueFrom: HOST}\n", "\n"),
        gateway().replace(", PROXY_SECRET]", "]"),
    ] {
        let after = text.rfind("PROXY_SECRET").unwrap();
        let needle = text[after - 1..].lines().next().unwrap();
        let needle = if needle.starts_with('"') { needle } else { &needle[1..] };
        check_error(&text, needle, "trust[0].shared_secret.secret_env", refused);
    }
    for (text, fails_open) in [
        (envoy_in_production(), "FAIL_RELOAD → FAIL_OPEN"),
        (envoy_in_production(), "failure_policy: FAIL_RELOAD → fail_open: true"),
        (istio("WasmPlugin"), "FAIL_RELOAD → FAIL_OPEN"),
        (istio("TrafficExtension"), "FAIL_RELOAD → FAIL_OPEN"),
        (gateway(), "failOpen: false → failOpen: true"),
        (gateway(), "failOpen: false → failOpen: True"),
        (gateway(), "failOpen: false → failOpen: yes"),
    ] {
        let (from, to) = fails_open.split_once(" → ").unwrap();
        assert!(text.contains(from));
        let (code, file) = check(&text.replace(from, to));
        assert_eq!((code, warnings(&file).len()), (0, 1), "{file}");
        assert!(warnings(&file)[0].starts_with("requests pass when the module fails"), "{file}");
    }
    let structure = "\"@type\": type.googleapis.com/google.protobuf.Struct\n                  value: {jwt: {}}";
    let envoy = envoy_in_production();
    let (before, rest) = envoy.split_once("\"@type\": type.googleapis.com/google.protobuf.StringValue").unwrap();
    let (_, after) = rest.split_once("                    }\n").unwrap();
    let text = format!("{before}{structure}\n{after}");
    check_error(&text, "{jwt: {}}", "configuration", "found a google.protobuf.Struct");
    let (before, after) = (before.trim_end().trim_end_matches("configuration:").trim_end(), after);
    check_error(
        &format!("{before}\n{after}"),
        "auth_o_tron\n                root_id",
        "configuration",
        "found nothing",
    );
}

fn a_secret_that_is_not_known_here_is_a_warning_and_that_in_a_file_another() {
    let not_set = |name: &str| format!("{name:?} is not set here");
    let with_none = |args: &[&str], text: &str| {
        let said = run(args, text, &[]);
        (said.code, serde_json::from_str::<Value>(&said.out).unwrap()["files"][0].clone())
    };
    for (_, text) in manifests() {
        let (code, file) = with_none(&["check", "--json", "-"], &text);
        let warnings = warnings(&file);
        assert_eq!((code, warnings.len()), (0, 2), "{file}");
        assert!(warnings[0].starts_with(&not_set("AUTH_O_TRON_SECRET")), "{file}");
        assert!(warnings[1].starts_with(&not_set("PROXY_SECRET")), "{file}");
        assert_eq!(with_none(&["check", "--json", "--strict", "-"], &text).0, 1);
        assert_eq!(otron(&["check", "--strict", "-"], &text).code, 0);
    }
    // The rest is checked all the same.
    let wrong = PLAIN.replace("3600", "0");
    let (code, file) = with_none(&["check", "--json", "-"], &wrong);
    assert_eq!((code, &file["configurations"][0]["errors"][0]["path"]), (1, &json!("jwt.exp")));
    // One that is set, and no good.
    let said = run(&["check", "-"], PLAIN, &[("AUTH_O_TRON_SECRET", TYPED_SECRET), ("PROXY_SECRET", PROOF)]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("jwt.secret_env: found 20 bytes, expected at least 32"), "{said:?}");

    let inline = PLAIN.replace("secret_env: AUTH_O_TRON_SECRET", &format!("secret: \"{INLINE}\""));
    let (code, file) = check(&inline);
    assert_eq!((code, warnings(&file).len()), (0, 1), "{file}");
    assert_eq!(file["configurations"][0]["warnings"][0]["path"], "jwt.secret");
    let (code, file) = check(&envoy());
    assert_eq!((code, warnings(&file).len()), (0, 2), "{file}");
    assert!(warnings(&file)[0].contains("has its value in the manifest"), "{file}");
    let host = "{name: PROXY_SECRET, valueFrom: HOST}";
    let (code, file) = check(&istio("WasmPlugin").replace(host, &format!("{{name: PROXY_SECRET, value: {PROOF}}}")));
    assert_eq!((code, warnings(&file).len()), (0, 1), "{file}");
}

/// A secret on the very line that is shown, in every way to write one.
fn no_line_that_is_shown_has_a_secret() {
    let long = INLINE;
    for text in [
        format!("{{\"jwt\": {{\"iss\": 5, \"exp\": 1, \"secret\": \"{long}\"}}}}"),
        format!("{{\"jwt\": {{\"iss\": 5, \"exp\": 1, \"secret\": \"{long}\"}}, }}"),
        format!("jwt: {{iss: 5, secret: '{long}'}} # {long}"),
        format!("jwt: {{iss: 5, secret: '{long}'"),
        format!("jwt: {{iss: 5, secert: '{long}'}}"),
        format!("jwt: {{iss: 5, \"Secret\": [\"{long}\"]}}"),
        format!("{{\"jwt\": {{\"iss\": 5, \"secert\": \"{long}\"}}}}"),
        format!("jwt: {{iss: 5}} # {long}"),
        format!("jwt: {{iss: 5, secret:\"{SIGNING_SECRET}\"}}"),
        format!("jwt: {{iss: a, secret:\"{SIGNING_SECRET}\"}}"),
        format!("jwt: {{iss: 5, other: {{secret\"{SIGNING_SECRET}\"}}}}"),
        format!("{{ {{iss: 5, secret: \"{long}\"}}, }}"),
        format!("jwt: {{iss: 5, {{secret: \"{long}\"}}: 5}}"),
        format!("jwt: {{iss: a\n\"{long}\": 5 ]"),
        format!("jwt: \"{long}\""),
        format!("jwt: [\"{long}\"]"),
        format!("jwt: {{iss: {{a: \"{long}\"}}, exp: 1}}"),
        format!("jwt: {{issuer: \"{long}\"}}"),
        format!("jwt: {{iss: a, exp: \"{long}\"}}"),
        format!("jwt: &a {{iss: 5, secret: \"{long}\"}}\nother: *a"),
        format!("jwt: {{iss: 5}}\ntrust: [{{shared_secret: {{header: x, secret: \"{long}\"}}}}]"),
        format!("{long}\n  : jwt: a: b"),
        format!(
            "\"@type\": envoy.extensions.filters.http.wasm.v3.Wasm\nconfig:\n  name: auth_o_tron\n  configuration: \
             {{\"@type\": google.protobuf.Struct, value: {{jwt: {{secert: '{long}'}}}}}}\n"
        ),
        format!("- {long}\njwt: {{iss: 5}}"),
        format!("jwt: a\n - {long}:{long}\n  :"),
        format!(
            "\"@type\": envoy.extensions.filters.http.wasm.v3.Wasm\nconfig:\n  name: auth_o_tron\n  configuration: \
             {{\"@type\": google.protobuf.StringValue, value: '{{\"jwt\": {{\"iss\": 5, \"secret\": \"{long}\"}}}}'}}\n"
        ),
        envoy().replace("3600", "x"),
        envoy().replace("3600", "\"x\""),
        serde_yaml_ng::from_str::<Value>(&envoy()).unwrap().to_string().replace("3600", "0"),
        envoy().replace("\"secret_env\": \"AUTH_O_TRON_SECRET\"", &format!("\"iss\": 1, \"secret\": \"{long}\"")),
        istio("WasmPlugin").replace("iss: a", &format!("iss: 5, secret: \"{long}\"")),
    ] {
        // `otron` looks for them.
        let said = otron(&["check", "-"], &text);
        assert_eq!(said.code, 1, "{text}\n{said:?}");
        for command in ["explain", "sign"] {
            let keyid: &[&str] = if command == "sign" { &["--keyid", "a"] } else { &[] };
            assert_ne!(otron(&[&[command, "-"], keyid].concat(), &text).code, 0);
        }
    }
    let header = format!("x-auth-proof {PROOF}");
    assert_eq!(otron(&["explain", "-", "-H", &header], PLAIN).code, 2);
}

fn exit_codes_are_those_of_the_help() {
    let directory = TempDir::new().unwrap();
    let good = directory.path().join("good.yaml");
    fs::write(&good, PLAIN).unwrap();
    let good = good.to_str().unwrap();
    let bad = directory.path().join("trailing-comma.json");
    fs::write(&bad, r#"{"jwt": {"iss": "a", "exp": 1, "secret_env": "AUTH_O_TRON_SECRET"},}"#).unwrap();
    let binary = directory.path().join("binary.yaml");
    fs::write(&binary, b"\xff\xfe").unwrap();
    let absent = directory.path().join("absent.yaml");
    let proof = format!("x-proof: {PROOF}");
    let alice = ["-H", "x-auth-username: alice", "-H", "x-auth-realm: a", "-H", &proof];
    let (bad, binary, absent) = (bad.to_str().unwrap(), binary.to_str().unwrap(), absent.to_str().unwrap());
    for (code, args) in [
        (0, &["--help"][..]),
        (0, &["check", good]),
        (1, &["check", good, bad]),
        (2, &["check", good, absent]),
        (2, &["check", binary]),
        (2, &["check", directory.path().to_str().unwrap()]),
        (2, &["check"]),
        (2, &["chekc", good]),
        (0, &[&["explain", good][..], &alice].concat()),
        (1, &["explain", good]),
        (1, &["explain", bad]),
        (2, &["explain", absent]),
        (2, &["explain", good, "-H", "no colon"]),
        (2, &["explain", good, "--at", "yesterday"]),
        (2, &["explain", good, "--property", "a"]),
        (2, &["explain", good, "--filter", "another"]),
        (2, &["sign", good, "--keyid", "a"]),
        (2, &["sign", good]),
        (1, &["verify", "a.b.c", "--secret-env", "AUTH_O_TRON_SECRET"]),
        (2, &["verify", "a.b.c", "--secret-env", "ABSENT"]),
        (0, &["schema"]),
    ] {
        let said = otron(args, "");
        assert_eq!(said.code, code, "{args:?}: {said:?}");
        assert_ne!(format!("{}{}", said.out, said.err), "", "{args:?}");
        let said = otron(&[&["--json"], args].concat(), "");
        assert_eq!(said.code, code, "{args:?}: {said:?}");
    }
    let said = otron(&["sign", good, "--keyid", "a"], "");
    assert!(said.err.contains("found no `signature` in the configuration"), "{said:?}");
}

/// What only people who ask by hand get to see: `tests/explain.rs` has the rest in JSON.
fn an_explanation_says_rule_proof_claims_and_headers() {
    let rules = format!("{PLAIN}rules:\n- {{match: {{path: /open}}, action: pass}}\n- {{match: {{path_prefix: /}}}}\n");
    let proof = format!("x-proof: {PROOF}");
    let alice = ["explain", "-", "-H", "x-auth-username: alice", "-H", "x-auth-realm: internal", "-H", &proof];
    let at = ["--at", "2026-12-01T00:00:00Z"];
    let said = otron(&[&alice[..], &at].concat(), &rules);
    for line in [
        "issued: the request goes on with a token",
        "rule     rules[1]",
        "proof    trust[0], shared_secret",
        "sets     authorization: Bearer eyJ",
        "removes  x-proof",
        "\"sub\": \"internal-alice\"",
        "exp      2026-12-01T01:00:00Z",
    ] {
        assert!(said.out.contains(line), "{line} in {}", said.out);
    }
    let said = otron(&[&alice[..6], &["--path", "/a"]].concat(), &rules);
    for line in ["denied: 401 identity_untrusted", "rule     rules[1]", "proof    not by trust[0], shared_secret"] {
        assert!(said.out.contains(line), "{line} in {}", said.out);
    }
    let said = otron(&[&alice[..], &["--path", "/open"]].concat(), &rules);
    for line in ["passed: the request goes on without a token", "rule     rules[0]"] {
        assert!(said.out.contains(line), "{line} in {}", said.out);
    }
    // Without the secrets, the answer is not the proxy's, and it says so.
    let said = run(&alice, &rules, &[]);
    assert!(said.err.contains("\"PROXY_SECRET\" is not set here"), "{said:?}");
    let trust = "trust: [{signature: {keys: [{keyid: a, secret_env: PROXY_SECRET}]}}]";
    let signed = format!("jwt: {{iss: a, exp: 1, secret_env: AUTH_O_TRON_SECRET}}\n{trust}\n");
    let said = run(&["sign", "-", "--keyid", "a", "-H", "x-auth-username: a"], &signed, &[]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
}

fn properties_and_filter_state_are_evidence() {
    let jwt = "jwt: {iss: a, exp: 1, secret_env: AUTH_O_TRON_SECRET}\n";
    let uri = "connection.uri_san_peer_certificate=spiffe://a/b";
    for (trust, evidence, code) in [
        ("mtls: {uri_sans: ['spiffe://a/b']}", &["--property", "connection.mtls=true", "--property", uri][..], 0),
        ("mtls: {uri_sans: ['spiffe://a/b']}", &["--property", "connection.mtls=false", "--property", uri], 1),
        ("peer: {cidrs: [10.0.0.0/8]}", &["--filter-state", "auth_o_tron.peer=10.1.2.3"], 0),
        ("peer: {cidrs: [10.0.0.0/8]}", &["--filter-state", "auth_o_tron.peer=11.1.2.3"], 1),
        ("filter_state: {key: a.b, value: c}", &["--filter-state", "a.b=c"], 0),
        ("filter_state: {key: a.b, value: c}", &[], 1),
    ] {
        let args = ["explain", "-", "-H", "x-auth-username: alice", "-H", "x-auth-realm: a"];
        let said = otron(&[&args[..], evidence].concat(), &format!("{jwt}trust: [{{{trust}}}]\n"));
        assert_eq!(said.code, code, "{trust} {evidence:?}: {said:?}");
    }
}

/// A token that is signed with a secret that the filter refuses proves nothing: with an empty one, anybody can sign.
fn a_token_is_verified_with_no_secret_that_is_too_short() {
    let long = "x".repeat(32);
    for (secret, code) in [("", 2), (TYPED_SECRET, 2), (&long[1..], 2), (&long, 0)] {
        let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::default(), &json!({"exp": 4_102_444_800_u64}), &key).unwrap();
        let said = run(&["verify", &token, "--secret-env", "SECRET"], "", &[("SECRET", secret)]);
        assert_eq!(said.code, code, "{said:?}");
        let found = format!("--secret-env: found {} bytes in \"SECRET\", expected at least 32", secret.len());
        assert_eq!(said.err.contains(&found), code == 2, "{said:?}");
    }
}

/// In time to the second, and with what is asked for.
fn a_token_is_verified_as_a_service_does() {
    let key = jsonwebtoken::EncodingKey::from_secret(SIGNING_SECRET.as_bytes());
    let now = i64::try_from(now()).unwrap();
    let later = now + 600;
    let aud = &["--aud", "a"][..];
    for (claims, more, reason) in [
        (json!({"exp": later, "nbf": now - 5, "aud": "a"}), aud, ""),
        (json!({"exp": later, "aud": "a"}), &[], ""),
        (json!({"exp": now - 2}), &[], "its `exp` has passed"),
        (json!({"exp": later, "nbf": now + 300}), &[], "its `nbf` is ahead"),
        (json!({"exp": later, "nbf": now + 50}), &[], "its `nbf` is ahead"),
        (json!({"iss": "a"}), &[], "it has no `exp`"),
        (json!({"exp": later}), aud, "it has no `aud`"),
        (json!({"exp": later}), &["--iss", "a"], "it has no `iss`"),
        (json!({"exp": later, "aud": "b"}), aud, "its `aud` is \"b\", and --aud is \"a\""),
        (json!({"exp": later, "iss": "b"}), &["--iss", "a"], "its `iss` is \"b\", and --iss is \"a\""),
    ] {
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
        let said = otron(&[&["verify", &token, "--secret-env", "AUTH_O_TRON_SECRET"], more].concat(), "");
        assert_eq!(said.code, i32::from(!reason.is_empty()), "{claims} {more:?}: {said:?}");
        assert!(said.out.contains(reason), "{claims} {more:?}: {said:?}");
    }
}

/// As for Envoy, a `host` header is the authority.
fn a_host_header_chooses_the_rule() {
    let rules = format!("{PLAIN}rules: [{{match: {{hosts: [open.example]}}, action: pass}}]\n");
    for (args, code) in [(&["-H", "Host: open.example:80"][..], 0), (&["--host", "open.example"], 0), (&[], 1)] {
        assert_eq!(otron(&[&["explain", "-"], args].concat(), &rules).code, code, "{args:?}");
    }
}

fn colour_is_for_terminals() {
    let colours = |environment: &[(&str, &str)]| run(&["check", "-"], PLAIN, environment).out.contains('\u{1b}');
    assert!(!colours(&[]));
    assert!(colours(&[("CLICOLOR_FORCE", "1")]));
    assert!(!colours(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

pub fn trials() -> Vec<Trial> {
    plain![
        a_configuration_is_found_wherever_it_is,
        every_shipped_configuration_is_accepted,
        a_wrong_configuration_is_refused_in_the_words_of_the_filter,
        an_error_is_at_its_place,
        what_is_no_configuration_is_said_to_be_none,
        a_manifest_is_checked_for_what_only_it_can_say,
        a_secret_that_is_not_known_here_is_a_warning_and_that_in_a_file_another,
        no_line_that_is_shown_has_a_secret,
        exit_codes_are_those_of_the_help,
        an_explanation_says_rule_proof_claims_and_headers,
        properties_and_filter_state_are_evidence,
        a_token_is_verified_with_no_secret_that_is_too_short,
        a_token_is_verified_as_a_service_does,
        a_host_header_chooses_the_rule,
        colour_is_for_terminals,
    ]
}
