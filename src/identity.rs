//! Section `identity`: which headers carry it, and what every identity must have.

pub mod attributes;
pub mod formats;
pub mod presets;
pub mod sources;

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor, value},
};

use crate::{
    config::field::{ErrorKind, Field, MAX_TEXT_BYTES, all},
    rejection::Flaw,
    request::{
        Request,
        names::{NameId, Names, Purpose},
    },
};
use attributes::{MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTES};
use formats::{Format, ScopesForm};
use presets::{Preset, PresetName};
use sources::{Headers, Identity, RealmSource, Sources, Unreadable};

/// Which headers carry the identity. Fields that are left out come from the preset.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Identity"))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The product whose headers the other fields default to.
    preset: PresetName,
    /// Where the username comes from.
    username: UsernameConfig,
    /// Where the realm comes from.
    realm: RealmConfig,
    /// Where the roles come from.
    roles: ListConfig,
    /// Where the scopes come from.
    scopes: ListConfig,
    /// Where further attributes of the user come from.
    attributes: AttributesConfig,
    /// What every identity must have besides a username and a realm.
    required: Vec<OptionalClaim>,
    /// The only realms that are accepted, compared exactly. If left out, all are.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    realms: Option<Vec<String>>,
}

/// Where the username comes from.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Username"))]
#[serde(deny_unknown_fields, default, expecting = "an object such as {\"header\": \"x-auth-username\"}")]
pub struct UsernameConfig {
    /// A header, or a list of headers: the first one present counts.
    header: Option<HeaderNames>,
}

/// Where the realm comes from: a header, or one value for every request.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Realm", extend("not" = crate::config::schema::all_of(&["header", "value"]))))]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "an object such as {\"value\": \"corp\"} or {\"header\": \"x-auth-realm\"}"
)]
pub struct RealmConfig {
    /// A header, or a list of headers: the first one present counts.
    header: Option<HeaderNames>,
    /// The realm of every identity, if the authenticator knows no realms. Not together with `header`.
    value: Option<String>,
}

/// Where the roles or scopes come from.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "List"))]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "an object such as {\"header\": \"x-auth-roles\", \"format\": \"csv\"}"
)]
pub struct ListConfig {
    /// A header, or a list of headers: the first one present counts.
    header: Option<HeaderNames>,
    /// How the header lists its items.
    format: Option<Format>,
}

/// Where further attributes of the user come from.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Attributes"))]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "an object such as {\"header\": \"x-auth-attributes\"} or {\"from\": {\"email\": \"x-auth-email\"}}"
)]
pub struct AttributesConfig {
    /// A header whose value is a JSON object of strings, or a list of such headers: the first one present counts.
    header: Option<HeaderNames>,
    /// Attributes that have a header each, at most 64: attribute name to header name.
    from: Option<BTreeMap<String, String>>,
}

/// A part of the identity that may be missing, unless it is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OptionalClaim {
    /// At least one role.
    Roles,
    /// At least one scope.
    Scopes,
    /// At least one attribute.
    Attributes,
}

/// A header name, or a list of header names: the first one present counts.
#[derive(Debug)]
pub struct HeaderNames(Vec<String>);

/// The section, compiled.
#[derive(Debug)]
pub struct IdentityReader {
    sources: Sources,
    required: Vec<OptionalClaim>,
    /// The only realms accepted; `None` accepts all.
    realms: Option<Vec<String>>,
}

// === impl IdentityReader ===

impl IdentityReader {
    /// Reads the identity of a request.
    ///
    /// # Errors
    /// When a part is missing, malformed or over a limit.
    pub fn read<'a>(&'a self, request: &Request<'a>, form: ScopesForm) -> Result<Identity<'a>, Unreadable> {
        let identity = self.sources.read(request, form)?;
        for claim in &self.required {
            let (part, is_empty) = match claim {
                OptionalClaim::Roles => ("roles", identity.roles.is_empty()),
                OptionalClaim::Scopes => ("scopes", identity.scopes.is_empty()),
                OptionalClaim::Attributes => ("attributes", identity.attributes.is_empty()),
            };
            if is_empty {
                return Err(Unreadable { part, header: None, flaw: Flaw::Missing });
            }
        }
        Ok(identity)
    }

    /// Whether an identity of this realm is accepted.
    #[must_use]
    pub fn accepts_realm(&self, realm: &str) -> bool {
        self.realms.as_ref().is_none_or(|realms| realms.iter().any(|own| own == realm))
    }
}

// === impl Config ===

const SINGLE: Purpose = Purpose::Identity { repeatable: false };

impl Config {
    /// Compiles the section at `field`, and owns its headers.
    pub fn compile(&self, field: &Field<'_>, names: &mut Names) -> Option<IdentityReader> {
        let preset = self.preset.preset();
        let realms = self.realms.as_ref().map_or(Some(()), |realms| {
            field.name("realms").some_texts(realms, "at least one realm (leave it out to allow all)")
        });
        let username = own(&field.name("username"), self.username.header.as_ref(), preset.username, SINGLE, names);
        let realm = self.realm.compile(&field.name("realm"), preset, names);
        let roles = self.roles.compile(&field.name("roles"), preset.roles, names);
        let scopes = self.scopes.compile(&field.name("scopes"), preset.scopes, names);
        let attributes = self.attributes.compile(&field.name("attributes"), preset, names);
        realms?;
        let (attributes, attributes_from) = attributes?;
        Some(IdentityReader {
            sources: Sources {
                username: username?,
                realm: realm?,
                roles: roles?,
                scopes: scopes?,
                attributes,
                attributes_from,
                empty_is_absent: preset.sends_empty,
            },
            required: self.required.clone(),
            realms: self.realms.clone(),
        })
    }

    /// Owns all headers of the preset, even those that no claim is read from: a service may still believe them.
    pub fn own_defaults(&self, names: &mut Names) {
        for (name, repeatable) in self.preset.preset().headers() {
            let purpose = Purpose::Identity { repeatable };
            match name.strip_suffix('*') {
                Some(prefix) => names.own_prefix(prefix, purpose),
                None => names.own_default(name, purpose),
            }
        }
    }
}

/// Owns the headers named by `header` in the object at `field`, or else the defaults.
fn own(
    field: &Field<'_>,
    headers: Option<&HeaderNames>,
    default: &[&str],
    purpose: Purpose,
    names: &mut Names,
) -> Option<Headers> {
    let field = field.name("header");
    match headers {
        None => all(default.iter().map(|name| names.own(&field, name, purpose))),
        Some(HeaderNames(headers)) if headers.is_empty() => field.empty("at least one header name"),
        Some(HeaderNames(headers)) => all(headers.iter().map(|name| names.own(&field, name, purpose))),
    }
}

impl RealmConfig {
    fn compile(&self, field: &Field<'_>, preset: &Preset, names: &mut Names) -> Option<RealmSource> {
        match (&self.header, &self.value) {
            (Some(_), Some(_)) => {
                field.refuse(ErrorKind::Choice, "found both `header` and `value`, expected one of them")
            }
            (None, Some(value)) => {
                field.name("value").text(value, MAX_TEXT_BYTES)?;
                Some(RealmSource::Fixed(value.clone()))
            }
            (None, None) if preset.realm.is_empty() => field.refuse(
                ErrorKind::Missing,
                "missing, and the preset has no header for it; expected {\"value\": \"corp\"} or {\"header\": \"x-auth-realm\"}",
            ),
            (header, None) => own(field, header.as_ref(), preset.realm, SINGLE, names).map(RealmSource::Header),
        }
    }
}

impl ListConfig {
    fn compile(
        &self,
        field: &Field<'_>,
        (header, format): (&[&str], Format),
        names: &mut Names,
    ) -> Option<(Headers, Format)> {
        let format = self.format.unwrap_or(format);
        let purpose = Purpose::Identity { repeatable: format == Format::Repeated };
        Some((own(field, self.header.as_ref(), header, purpose, names)?, format))
    }
}

impl AttributesConfig {
    fn compile(
        &self,
        field: &Field<'_>,
        preset: &Preset,
        names: &mut Names,
    ) -> Option<(Headers, Vec<(String, NameId)>)> {
        let header = own(field, self.header.as_ref(), preset.attributes, SINGLE, names);
        let field = field.name("from");
        let from: Vec<(&str, &str)> = match &self.from {
            Some(from) => from.iter().map(|(attribute, header)| (attribute.as_str(), header.as_str())).collect(),
            None => preset.attributes_from.to_vec(),
        };
        if from.len() > MAX_ATTRIBUTES {
            let words = format!("found {} attributes, expected at most {MAX_ATTRIBUTES}", from.len());
            return field.refuse(ErrorKind::Range, words);
        }
        let from = all(from.into_iter().map(|(attribute, header)| {
            let attribute_field = field.name(attribute);
            field.text(attribute, MAX_ATTRIBUTE_KEY_BYTES)?;
            Some((attribute.to_owned(), names.own(&attribute_field, header, SINGLE)?))
        }));
        Some((header?, from?))
    }
}

// === impl HeaderNames ===

#[cfg(feature = "cli")]
impl schemars::JsonSchema for HeaderNames {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderNames".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A header name, or a list of names, of which the first one in the request counts.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
        })
    }
}

impl<'de> Deserialize<'de> for HeaderNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderNamesVisitor;

        impl<'de> Visitor<'de> for HeaderNamesVisitor {
            type Value = HeaderNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header name or a list of header names")
            }

            fn visit_str<E>(self, name: &str) -> Result<HeaderNames, E> {
                Ok(HeaderNames(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<HeaderNames, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(names)).map(HeaderNames)
            }
        }

        deserializer.deserialize_any(HeaderNamesVisitor)
    }
}
