//! `otron check` as its user meets it.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    command::{INLINE, PLAIN, otron, run},
    support::{
        PROOF, SIGNING_SECRET,
        configurations::{TYPED_SECRET, VARIABLES, changed, refused},
        demo_configuration, manager, plugin, shipped_text, shipped_yaml, top,
        trials::plain,
    },
};

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

// === what is said to them ===

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
        assert_eq!((code, &file["errors"][0]["message"]), (1, &json!("anchors and aliases copy too much")));
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
    ]
}
