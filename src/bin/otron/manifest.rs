//! The plugin configurations in a file: the file itself, or parts of manifests of Envoy, Istio and Envoy Gateway.

use std::collections::{BTreeMap, BTreeSet};

use auth_o_tron_envoy::config::SECTIONS;

use crate::source::{self, Node, Place};

/// A plugin configuration, and what its manifest says about the filter.
pub struct Plugin<'d> {
    /// What kind of manifest it is in.
    pub kind: &'static str,
    pub name: String,
    pub place: Place,
    pub configuration: Configuration<'d>,
    /// The variables of the VM. `None` if there is no manifest to say.
    pub environment: Option<Passed>,
    /// The setting, if any, that lets requests pass when the module fails.
    pub fails_open: Option<Place>,
    /// The file or image of the module.
    code: String,
}

/// How the configuration is written.
pub enum Configuration<'d> {
    /// As JSON in a text.
    Text(&'d Node),
    /// As a part of the manifest.
    Tree(&'d Node),
    /// As a `google.protobuf.Struct`, which Envoy does not hand over as JSON.
    Struct(&'d Node),
    /// Not at all.
    Missing,
}

/// The variables that the manifest gives to the VM.
#[derive(Default)]
pub struct Passed {
    /// Those with their values in the manifest, and where the values are.
    pub inline: BTreeMap<String, (String, Place)>,
    /// Those from the environment of the proxy.
    pub host: BTreeSet<String>,
    /// What to do about one that is missing.
    pub help: &'static str,
}

impl<'d> Configuration<'d> {
    /// The part of the file that holds it.
    pub const fn node(&self) -> Option<&'d Node> {
        match self {
            Self::Text(node) | Self::Tree(node) | Self::Struct(node) => Some(node),
            Self::Missing => None,
        }
    }
}

impl Plugin<'_> {
    /// Whether it is a configuration of this filter, and not of another.
    pub fn is_ours(&self) -> bool {
        let is_named = [&self.name, &self.code].into_iter().any(|text| folded(text).contains("authotron"));
        if is_named || self.environment.is_none() {
            return true;
        }
        match &self.configuration {
            Configuration::Tree(node) | Configuration::Struct(node) => looks_ours(node),
            Configuration::Text(node) => {
                let documents = node.text().and_then(|text| source::read(text, true).ok());
                documents.is_some_and(|documents| documents.iter().any(looks_ours))
            }
            Configuration::Missing => false,
        }
    }
}

fn folded(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn looks_ours(node: &Node) -> bool {
    node.get("jwt").is_some() && node.get("trust").is_some()
}

/// Every plugin configuration of a document.
pub fn find(document: &Node) -> Vec<Plugin<'_>> {
    let mut found = Vec::new();
    collect(document, &mut found);
    if found.is_empty() && SECTIONS.iter().any(|name| document.get(name).is_some()) {
        found.push(Plugin {
            kind: "plugin configuration",
            name: String::new(),
            place: document.place.clone(),
            configuration: Configuration::Tree(document),
            environment: None,
            fails_open: None,
            code: String::new(),
        });
    }
    found
}

fn collect<'d>(node: &'d Node, found: &mut Vec<Plugin<'d>>) {
    let kind = node.text_at(&["kind"]).unwrap_or_default();
    let spec = node.get("spec");
    match (kind, spec) {
        ("WasmPlugin", Some(spec)) => found.push(istio("Istio WasmPlugin", node, spec)),
        ("TrafficExtension", Some(spec)) => {
            found.extend(spec.get("wasm").map(|wasm| istio("Istio TrafficExtension", node, wasm)));
        }
        ("EnvoyExtensionPolicy", Some(spec)) => {
            found.extend(spec.get("wasm").iter().flat_map(|wasm| wasm.items()).map(|wasm| gateway(node, wasm)));
        }
        _ => {
            if let Some(config) =
                is_of_type(node, "extensions.filters.http.wasm.v3.Wasm").then(|| node.get("config")).flatten()
            {
                found.push(envoy(config));
            }
            node.items()
                .iter()
                .chain(node.fields().iter().map(|(_, value)| value))
                .for_each(|part| collect(part, found));
        }
    }
}

fn is_of_type(node: &Node, name: &str) -> bool {
    node.text_at(&["@type"]).is_some_and(|own| own.rsplit('/').next().is_some_and(|own| own.ends_with(name)))
}

/// The value of a protobuf field, whose name JSON may spell in `snake_case` or `camelCase`.
fn proto<'d>(node: &'d Node, name: &str) -> Option<&'d Node> {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    node.field(&[name, &camel]).map(|(_, value)| value)
}

/// Whether Envoy or Kubernetes reads it as true, as YAML 1.1 does.
fn is_true(node: &Node) -> bool {
    node.text().is_some_and(|text| ["true", "yes", "on", "y"].contains(&text.to_ascii_lowercase().as_str()))
}

fn inline_value(node: &Node) -> Option<(String, Place)> {
    Some((node.text()?.to_owned(), node.place.clone()))
}

fn texts(list: Option<&Node>) -> BTreeSet<String> {
    list.iter().flat_map(|list| list.items()).filter_map(Node::text).map(str::to_owned).collect()
}

/// The text of the first of these that has one.
fn first(candidates: [Option<&Node>; 3]) -> String {
    candidates.into_iter().flatten().find_map(Node::text).unwrap_or_default().to_owned()
}

/// `envoy.extensions.wasm.v3.PluginConfig`.
fn envoy(config: &Node) -> Plugin<'_> {
    let vm = proto(config, "vm_config");
    let configuration = match config.get("configuration") {
        None => Configuration::Missing,
        Some(any) => match any.get("value") {
            Some(value) if is_of_type(any, "google.protobuf.StringValue") => Configuration::Text(value),
            Some(value) if is_of_type(any, "google.protobuf.Struct") => Configuration::Struct(value),
            _ => Configuration::Struct(any),
        },
    };
    let variables = vm.and_then(|vm| proto(vm, "environment_variables"));
    let values = variables.and_then(|variables| proto(variables, "key_values"));
    let inline = values.iter().flat_map(|values| values.fields());
    let fails_open = proto(config, "failure_policy").filter(|policy| policy.text() == Some("FAIL_OPEN"));
    let fails_open = fails_open.or_else(|| proto(config, "fail_open").filter(|open| is_true(open)));
    let code = vm.and_then(|vm| vm.get("code")).map(Node::to_json).unwrap_or_default();
    Plugin {
        kind: "Envoy Wasm filter",
        name: first([config.get("name"), proto(config, "root_id"), None]),
        place: config.get("name").unwrap_or(config).place.clone(),
        configuration,
        environment: Some(Passed {
            inline: inline.filter_map(|(key, value)| Some((key.text()?.to_owned(), inline_value(value)?))).collect(),
            host: texts(variables.and_then(|variables| proto(variables, "host_env_keys"))),
            help: "list the variable in vm_config.environment_variables.host_env_keys",
        }),
        fails_open: fails_open.map(|open| open.place.clone()),
        code,
    }
}

/// Istio's kinds, whose variables have values or come from the proxy.
fn istio<'d>(kind: &'static str, manifest: &'d Node, wasm: &'d Node) -> Plugin<'d> {
    let mut environment =
        Passed { help: "list the variable in vmConfig.env, with valueFrom: HOST", ..Passed::default() };
    let env = wasm.get("vmConfig").and_then(|vm| vm.get("env"));
    for variable in env.iter().flat_map(|env| env.items()) {
        let Some(name) = variable.text_at(&["name"]) else { continue };
        if variable.text_at(&["valueFrom"]) == Some("HOST") {
            environment.host.insert(name.to_owned());
        } else if let Some(value) = variable.get("value").and_then(inline_value) {
            environment.inline.insert(name.to_owned(), value);
        }
    }
    let named = manifest.get("metadata").and_then(|metadata| metadata.get("name"));
    let fails_open = wasm.get("failStrategy").filter(|strategy| strategy.text() == Some("FAIL_OPEN"));
    Plugin {
        kind,
        name: first([wasm.get("pluginName"), named, None]),
        place: named.unwrap_or(wasm).place.clone(),
        configuration: wasm.get("pluginConfig").map_or(Configuration::Missing, Configuration::Tree),
        environment: Some(environment),
        fails_open: fails_open.map(|open| open.place.clone()),
        code: first([wasm.get("url"), named, None]),
    }
}

/// Envoy Gateway's kind, whose variables come from the proxy.
fn gateway<'d>(manifest: &'d Node, wasm: &'d Node) -> Plugin<'d> {
    let named = manifest.get("metadata").and_then(|metadata| metadata.get("name"));
    Plugin {
        kind: "Envoy Gateway EnvoyExtensionPolicy",
        name: first([wasm.get("name"), wasm.get("rootID"), named]),
        place: wasm.get("name").or(named).unwrap_or(wasm).place.clone(),
        configuration: wasm.get("config").map_or(Configuration::Missing, Configuration::Tree),
        environment: Some(Passed {
            host: texts(wasm.get("env").and_then(|env| env.get("hostKeys"))),
            help: "list the variable in env.hostKeys",
            ..Passed::default()
        }),
        fails_open: wasm.get("failOpen").filter(|open| is_true(open)).map(|open| open.place.clone()),
        code: wasm.get("code").map(Node::to_json).unwrap_or_default(),
    }
}
