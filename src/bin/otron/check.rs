//! `otron check`: whether the filter will accept a configuration, and if not, why.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    env, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use auth_o_tron_envoy::{
    config::{
        Config,
        field::{ConfigError, ErrorKind, Report as Findings},
    },
    policy::Policy,
};
use schemars::schema_for;
use serde_json::{Value, json};

use crate::{
    Answer, UsageError,
    manifest::{self, Configuration, Passed, Plugin},
    report::{self, Finding, Level, Shown},
    source::{self, Kind, Node, Place},
};

/// Check plugin configurations, on their own or in manifests of Envoy, Istio and Envoy Gateway
///
/// The filter's own code reads each one. A variable named by `secret_env` comes from the manifest's own values, or else
/// from this command's environment. If it is set in neither, that is a warning, and everything else is still checked.
#[derive(clap::Args)]
pub struct Args {
    /// JSON or YAML, with any number of documents; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Treat warnings as errors, such as a variable that is not set here, or a secret in the file.
    #[arg(long)]
    strict: bool,
}

/// What takes the place of a secret that is not known here.
const STAND_IN: &str = "in place of a secret that is not set here";

/// A file that was read.
pub struct File {
    name: String,
    text: Vec<char>,
    documents: Vec<Node>,
}

/// What the filter says about a plugin configuration.
pub struct Checked {
    pub accepted: Option<(Config, Policy)>,
    pub findings: Vec<Finding>,
    /// The variables that a stand-in replaces.
    pub not_set: Vec<String>,
}

/// A configuration that the filter accepts, for commands that ask about requests.
pub struct Accepted {
    pub config: Config,
    pub policy: Policy,
    pub not_set: Vec<String>,
}

/// Which configuration a question is about
#[derive(clap::Args)]
pub struct ConfigurationArgs {
    /// A plugin configuration, or a manifest with one in it; `-` is standard input.
    file: PathBuf,
    /// The name of the filter, if the file has several.
    #[arg(long)]
    filter: Option<String>,
}

pub fn run(args: &Args, json: bool) -> Answer {
    let mut reports = Vec::new();
    let mut is_fine = true;
    for path in &args.files {
        let report = match File::read(path)? {
            Ok(file) => check_file(&file, json),
            Err(unreadable) => unreadable,
        };
        is_fine &= report.errors == 0 && !(args.strict && report.warnings > 0);
        if !json {
            for line in &report.lines {
                anstream::println!("{line}\n");
            }
        }
        reports.push(report);
    }
    if json {
        let files: Vec<_> = reports.iter().map(|report| &report.json).collect();
        anstream::println!("{}", json!({"ok": is_fine, "files": files}));
    } else {
        let sum = |count: fn(&Report) -> usize| reports.iter().map(count).sum::<usize>();
        let (accepted, errors, warnings) = (sum(|r| r.accepted), sum(|r| r.errors), sum(|r| r.warnings));
        let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        anstream::println!("{accepted} accepted, {}, {}", plural(errors, "error"), plural(warnings, "warning"));
    }
    Ok(is_fine)
}

/// Everything there is to say about a file.
#[derive(Default)]
pub struct Report {
    accepted: usize,
    errors: usize,
    warnings: usize,
    pub lines: Vec<String>,
    json: Value,
}

impl File {
    /// Reads a file; the inner error is a report about one that is neither JSON nor YAML.
    pub fn read(path: &Path) -> Result<Result<Self, Report>, UsageError> {
        let name = path.display().to_string();
        let bytes = if name == "-" {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            fs::read(path)
        };
        let text = bytes.map_err(|error| format!("{name}: {error}")).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| format!("{name}: found bytes that are not UTF-8"))
        })?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let chars: Vec<char> = text.chars().collect();
        Ok(match source::read(&text, is_json) {
            Ok(documents) => Ok(Self { name, text: chars, documents }),
            Err(error) => {
                let finding = Finding::new(Level::Error, error.problem, Some(error.place));
                Err(Report::of_file(&name, &Shown::unreadable(&name, &chars), &finding))
            }
        })
    }

    /// The file with its secrets masked, including those in embedded texts.
    pub fn shown(&self) -> Shown {
        let mut shown = Shown::new(&self.name, &self.text, &self.documents);
        let known = field_names(schema_for!(Config).as_value());
        for tree in self.plugins().iter().filter_map(|plugin| self.tree(plugin)) {
            shown.mask_secrets(&tree);
            shown.mask_unknown(&tree, &known);
        }
        shown
    }

    /// All plugin configurations, of this filter and of others.
    pub fn plugins(&self) -> Vec<Plugin<'_>> {
        self.documents.iter().flat_map(manifest::find).collect()
    }

    /// Checks a configuration as the filter does. What is in the wrong place is no longer `shown`: it may be a secret.
    pub fn check(&self, shown: &mut Shown, plugin: &Plugin<'_>) -> Checked {
        let tree = self.tree(plugin);
        let tree = tree.as_ref();
        let mut findings = Vec::new();
        let json = match &plugin.configuration {
            Configuration::Text(node) => node.text().unwrap_or_default().to_owned(),
            Configuration::Tree(node) => node.to_json(),
            // The beginning of one, enough for the filter to say what it is.
            Configuration::Struct(_) => "\n\x12".to_owned(),
            Configuration::Missing => String::new(),
        };
        let asked = RefCell::new(BTreeSet::new());
        let report = Findings::default();
        let config = Config::from_json(json.as_bytes(), &report);
        let environment = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            variable(plugin, name)
        };
        let policy = Policy::compile(&config, &environment, &report);
        let accepted = policy.map(|policy| (config, policy));
        let (errors, warnings) = report.into_parts();
        findings.extend(errors.iter().map(|error| self.about_error(shown, plugin, tree, error)));
        findings.extend(warnings.into_iter().map(|warning| {
            let place = tree.map(|tree| tree.find(&warning.path, false).0);
            Finding { path: warning.path, ..Finding::new(Level::Warning, warning.words, place) }
        }));
        let asked = asked.into_inner();
        findings.extend(asked.iter().filter_map(|name| about_variable(plugin, tree, name)));
        let not_set = asked.into_iter().filter(|name| is_stand_in(plugin, name)).collect();
        if let Some(place) = &plugin.fails_open {
            let message = "requests pass when the module fails, with the client's own identity headers";
            let help = Some("FAIL_RELOAD starts the module again, and denies meanwhile");
            findings.push(Finding { help, ..Finding::new(Level::Warning, message, Some(place.clone())) });
        }
        Checked { accepted, findings, not_set }
    }

    /// The configuration as a tree whose places are those in the file.
    fn tree(&self, plugin: &Plugin<'_>) -> Option<Node> {
        match &plugin.configuration {
            Configuration::Text(node) => source::embedded(node, node.text()?, &self.text),
            Configuration::Tree(node) | Configuration::Struct(node) => Some((*node).clone()),
            Configuration::Missing => None,
        }
    }

    fn about_error(&self, shown: &mut Shown, plugin: &Plugin<'_>, tree: Option<&Node>, error: &ConfigError) -> Finding {
        let place = match tree {
            Some(tree) => place_of_error(shown, tree, error),
            None => match &plugin.configuration {
                Configuration::Text(node) => {
                    let text = node.text().unwrap_or_default();
                    *shown = Shown::unreadable(&self.name, &self.text);
                    source::json_error(text)
                        .map_or(node.place.clone(), |error| source::place_in(&error.place, node, text, &self.text))
                }
                other => other.node().map_or(plugin.place.clone(), |node| node.place.clone()),
            },
        };
        let help = plugin.environment.as_ref().map(|passed| passed.help);
        let help = help.filter(|_| error.kind() == ErrorKind::Variable && !error.hides());
        Finding { path: error.path().to_owned(), help, ..Finding::new(Level::Error, error.words(), Some(place)) }
    }
}

/// Where an error is in the file. It masks there what may be a secret in the wrong place.
fn place_of_error(shown: &mut Shown, tree: &Node, error: &ConfigError) -> Place {
    let (key, node) = if error.path() == "configuration" {
        (tree.place.clone(), tree)
    } else {
        // If a field is given twice, the second one is one too many.
        tree.find(error.path(), error.kind() == ErrorKind::Duplicate)
    };
    // The value of an unknown field may be a secret, too.
    if error.hides() || error.kind() == ErrorKind::UnknownField {
        shown.mask_all(node);
    }
    match (&node.kind, error.kind()) {
        (Kind::Scalar(..), kind) if !matches!(kind, ErrorKind::UnknownField | ErrorKind::Duplicate) => {
            node.place.clone()
        }
        _ => key,
    }
}

/// The name of every field that a plugin configuration may have, at any depth.
fn field_names(schema: &Value) -> BTreeSet<String> {
    let parts = schema.as_object().into_iter().flatten();
    parts
        .flat_map(|(name, part)| {
            let own = part.as_object().filter(|_| name == "properties").into_iter().flat_map(|fields| fields.keys());
            own.cloned().chain(field_names(part)).collect::<Vec<_>>()
        })
        .collect()
}

/// A variable as the VM will have it.
fn variable(plugin: &Plugin<'_>, name: &str) -> Option<String> {
    let here = || env::var(name).unwrap_or_else(|_| STAND_IN.to_owned());
    match &plugin.environment {
        None => Some(here()),
        Some(passed) => match passed.inline.get(name) {
            Some((value, _)) => Some(value.clone()),
            None => passed.host.contains(name).then(here),
        },
    }
}

/// Whether a variable comes from the proxy's environment and is not set here.
fn is_stand_in(plugin: &Plugin<'_>, name: &str) -> bool {
    let is_from_host = |passed: &Passed| !passed.inline.contains_key(name) && passed.host.contains(name);
    plugin.environment.as_ref().is_none_or(is_from_host) && env::var(name).is_err()
}

/// What there is to say about a variable that the filter asked for.
fn about_variable(plugin: &Plugin<'_>, tree: Option<&Node>, name: &str) -> Option<Finding> {
    if let Some((_, place)) = plugin.environment.as_ref().and_then(|passed| passed.inline.get(name)) {
        let message = format!("{name:?} has its value in the manifest, where /config_dump shows it");
        let help = Some("let the proxy's environment have it, and list its name only");
        return Some(Finding { help, ..Finding::new(Level::Warning, message, Some(place.clone())) });
    }
    let message = format!("{name:?} is not set here, so its value is not checked; the proxy must have it");
    let place = tree.and_then(|tree| place_of_text(tree, name));
    is_stand_in(plugin, name).then(|| Finding::new(Level::Warning, message, place))
}

/// Where the name of a variable is.
fn place_of_text(node: &Node, text: &str) -> Option<Place> {
    if node.text() == Some(text) {
        return Some(node.place.clone());
    }
    let fields = node.fields().iter().map(|(_, value)| value);
    node.items().iter().chain(fields).find_map(|part| place_of_text(part, text))
}

fn check_file(file: &File, json: bool) -> Report {
    let mut report = Report { json: json!({"file": file.name, "errors": []}), ..Report::default() };
    let (mut configurations, mut skipped) = (Vec::new(), Vec::new());
    let whole = file.shown();
    for plugin in file.plugins() {
        let (line, _) = whole.position(&plugin.place);
        let named = if plugin.name.is_empty() { String::new() } else { format!(" {:?}", plugin.name) };
        let title = format!("{}:{line}: {}{named}", file.name, plugin.kind);
        if !plugin.is_ours() {
            report.lines.push(report::title(Level::Skipped, &format!("{title}, which is not this filter")));
            skipped.push(json!({"kind": plugin.kind, "name": plugin.name, "line": line}));
            continue;
        }
        let mut shown = whole.clone();
        let Checked { accepted, findings, .. } = file.check(&mut shown, &plugin);
        let of = |level| findings.iter().filter(|finding| finding.level == level).collect::<Vec<_>>();
        let (errors, warnings) = (of(Level::Error), of(Level::Warning));
        report.errors += errors.len();
        report.warnings += warnings.len();
        if accepted.is_some() {
            report.accepted += 1;
            report.lines.push(report::title(Level::Fine, &title));
        }
        if !json {
            report.lines.extend(findings.iter().map(|finding| shown.render(finding)));
        }
        let all = |findings: &[&Finding]| findings.iter().map(|finding| shown.json(finding)).collect::<Vec<_>>();
        configurations.push(json!({
            "kind": plugin.kind, "name": plugin.name, "line": line, "accepted": accepted.is_some(),
            "errors": all(&errors), "warnings": all(&warnings),
        }));
    }
    if configurations.is_empty() {
        let message =
            "found no configuration of this filter, expected one, or a manifest of Envoy, Istio or Envoy Gateway";
        let finding = Finding::new(Level::Error, message, None);
        let mut nothing = Report::of_file(&file.name, &whole, &finding);
        report.lines.append(&mut nothing.lines);
        report.errors += 1;
        report.json = nothing.json;
    }
    if let Some(fields) = report.json.as_object_mut() {
        fields.insert("configurations".to_owned(), configurations.into());
        fields.insert("skipped".to_owned(), skipped.into());
    }
    report
}

impl Report {
    /// The report on a file in which nothing can be found.
    fn of_file(name: &str, shown: &Shown, finding: &Finding) -> Self {
        Self {
            errors: 1,
            lines: vec![shown.render(finding)],
            json: json!({"file": name, "errors": [shown.json(finding)], "configurations": [], "skipped": []}),
            ..Self::default()
        }
    }
}

/// The one configuration of a file, for commands that ask about requests. `None` if it is refused, and that is printed.
pub fn one(
    ConfigurationArgs { file: path, filter }: &ConfigurationArgs,
    json: bool,
) -> Result<Option<Accepted>, UsageError> {
    let file = match File::read(path)? {
        Ok(file) => file,
        Err(report) => {
            refuse(&report.lines, &report.json, json);
            return Ok(None);
        }
    };
    let mut ours = file.plugins();
    ours.retain(Plugin::is_ours);
    let plugins: Vec<_> =
        ours.iter().filter(|plugin| filter.as_ref().is_none_or(|name| plugin.name == *name)).collect();
    let [plugin] = plugins[..] else {
        let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        let name = path.display();
        return Err(match (names.as_slice(), filter) {
            ([], None) => format!("{name}: found no configuration of this filter"),
            ([], Some(filter)) => {
                let all: Vec<_> = ours.iter().map(|plugin| plugin.name.as_str()).collect();
                format!("{name}: found no filter {filter:?}, expected one of: {}", all.join(", "))
            }
            _ => format!(
                "{name}: found several configurations, expected one, or --filter with one of: {}",
                names.join(", ")
            ),
        });
    };
    let mut shown = file.shown();
    let Checked { accepted, findings, not_set } = file.check(&mut shown, plugin);
    let Some((config, policy)) = accepted else {
        let errors: Vec<_> = findings.iter().filter(|finding| finding.level == Level::Error).collect();
        let lines: Vec<_> = errors.iter().map(|finding| shown.render(finding)).collect();
        let errors: Vec<_> = errors.into_iter().map(|finding| shown.json(finding)).collect();
        refuse(&lines, &json!({"errors": errors}), json);
        return Ok(None);
    };
    Ok(Some(Accepted { config, policy, not_set }))
}

fn refuse(lines: &[String], answer: &Value, json: bool) {
    if json {
        anstream::println!("{answer}");
    } else {
        for line in lines {
            anstream::println!("{line}");
        }
    }
}
