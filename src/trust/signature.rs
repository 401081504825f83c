//! `signature`: the authenticator signs the identity headers (HTTP Message Signatures, RFC 9421, `hmac-sha256`).
//!
//! The signature must cover every identity header that is present, so that nobody can add, change or drop one, and the
//! entry's `components`, so that it is of no use for another request.

mod component;

use std::{fmt, rc::Rc};

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sfv::{BareItem, Dictionary, FieldType, InnerList, Item, KeyRef, ListEntry, ListSerializer, Parameters};
use sha2::Sha256;

use crate::{
    config::field::{Environment, ErrorKind, Field, MAX_TEXT_BYTES, Secret, all, read_key},
    request::{
        Facts, Request,
        names::{NameId, Names, Purpose},
    },
};
use component::{Component, DERIVED};

/// The authenticator's signature over the identity headers (RFC 9421, `hmac-sha256`).
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Signature"))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The keys that the authenticator signs with.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub keys: Vec<KeyConfig>,
    /// How old a signature may be, in seconds. Within that time, whoever sees a request can replay it.
    #[serde(default = "default_max_age")]
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_AGE_SECONDS)))]
    max_age: i64,
    /// What a signature must cover besides the identity headers: lower-case field names, or components such as `@path`.
    #[serde(default = "default_components")]
    components: Vec<String>,
}

const fn default_max_age() -> i64 {
    60
}

fn default_components() -> Vec<String> {
    ["@method", "@authority", "@path"].map(str::to_owned).to_vec()
}

/// A key that the authenticator signs with.
#[derive(Debug, Deserialize)]
#[cfg_attr(
    feature = "cli",
    derive(schemars::JsonSchema),
    schemars(rename = "SignatureKey", extend("oneOf" = crate::config::schema::one_secret()))
)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The key's name: `keyid` in a signature. ASCII. No two keys may share one.
    pub keyid: String,
    /// The secret itself, at least 32 bytes. Envoy's `/config_dump` shows it: prefer `secret_env`.
    secret: Option<Secret>,
    /// The environment variable that holds the secret.
    pub secret_env: Option<String>,
}

/// The longest `max_age`, in seconds: a day.
const MAX_AGE_SECONDS: i64 = 86_400;

/// How far ahead of the proxy's clock `created` may be, in seconds.
pub const MAX_SKEW_SECONDS: i64 = 5;
/// The most labels of a request that are verified: each costs a MAC, and anybody may send them.
pub const MAX_LABELS: usize = 4;
/// The longest signature base, in bytes: twice what the identity headers may be.
pub const MAX_BASE_BYTES: usize = 16_384;
/// What most signature bases fit into, in bytes.
const USUAL_BASE_BYTES: usize = 512;
/// How long `signature` and `signature-input` may each be, in bytes.
pub const MAX_FIELD_BYTES: usize = 8192;
/// The header fields of RFC 9421, section 4.
pub const FIELDS: [&str; 2] = ["signature-input", "signature"];

/// The two header fields of [`FIELDS`], by name, with their values.
pub type FieldLines = [(&'static str, String); 2];

const CREATED: &KeyRef = KeyRef::constant("created");
const KEYID: &KeyRef = KeyRef::constant("keyid");
/// The label of the signatures that we make ourselves.
const LABEL: &KeyRef = KeyRef::constant("sig");

/// What a signature must satisfy to prove an identity.
#[derive(Debug)]
pub struct Signature {
    /// The header that says what is signed and how.
    inputs: NameId,
    /// The header that carries the MACs.
    macs: NameId,
    /// The keys of the authenticator.
    keys: Vec<Key>,
    /// The longest time since `created`, in seconds.
    max_age: i64,
    /// The names of the components that a signature must cover besides the identity headers.
    components: Vec<String>,
}

/// A key that the authenticator signs with. The secret itself is not kept.
struct Key {
    id: String,
    keyed: Hmac<Sha256>,
}

// === impl Config ===

impl Config {
    pub(super) fn compile(
        &self,
        field: &Field<'_>,
        names: &mut Names,
        environment: Environment<'_>,
    ) -> Option<Signature> {
        let keys_field = field.name("keys");
        let keys = if self.keys.is_empty() {
            keys_field.empty("at least one key")
        } else {
            all(self.keys.iter().enumerate().map(|(index, key)| {
                let before = self.keys.get(..index).unwrap_or_default();
                key.compile(&keys_field.index(index), before, environment)
            }))
        };
        let max_age = field.name("max_age").range(self.max_age, MAX_AGE_SECONDS, "seconds");
        let components_field = field.name("components");
        let components: Option<()> = all(self.components.iter().enumerate().map(|(index, name)| {
            if Component::parse(name).is_some() {
                return Some(());
            }
            let expected = format!("a header name in lower case or one of {DERIVED}");
            components_field.index(index).malformed(name, expected)
        }));
        let [inputs, macs] = FIELDS.map(|name| names.own(field, name, Purpose::Proof { repeatable: true }));
        components?;
        Some(Signature {
            inputs: inputs?,
            macs: macs?,
            keys: keys?,
            max_age: max_age?,
            components: self.components.clone(),
        })
    }
}

impl KeyConfig {
    fn compile(&self, field: &Field<'_>, before: &[Self], environment: Environment<'_>) -> Option<Key> {
        let keyid_field = field.name("keyid");
        let keyid = keyid_field.text(&self.keyid, MAX_TEXT_BYTES).and_then(|()| {
            if !self.keyid.is_ascii() {
                return keyid_field.malformed(&self.keyid, "ASCII, which is all that a `keyid` can hold");
            }
            if before.iter().any(|other| other.keyid == self.keyid) {
                let words = format!("found {:?} a second time, expected another name", self.keyid);
                return keyid_field.refuse(ErrorKind::Duplicate, words);
            }
            Some(self.keyid.clone())
        });
        let secret = read_key(field, self.secret.as_ref(), self.secret_env.as_deref(), environment)?;
        Some(Key { id: keyid?, keyed: Hmac::new_from_slice(secret.as_bytes()).ok()? })
    }
}

// === impl Key ===

impl Key {
    /// Compares in constant time.
    fn verifies(&self, base: &[u8], mac: &[u8]) -> bool {
        self.keyed.clone().chain_update(base).verify_slice(mac).is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, …)", self.id)
    }
}

// === impl Signature ===

impl Signature {
    /// Whether any label of the request is a signature by one of the keys over everything it must cover.
    pub(super) fn proves(&self, request: &Request<'_>, facts: &Facts<'_>) -> bool {
        // Otherwise the same signature would hold for another identity.
        if !request.has_unique_combined_values() {
            return false;
        }
        let Some((inputs, macs)) = self.fields(request) else { return false };
        inputs
            .iter()
            .filter_map(|(label, input)| Some((inner_list(input)?, mac(macs.get(label)?)?)))
            .filter_map(|(input, mac)| Some((input, mac, self.key_of(&input.params)?)))
            .filter(|(input, ..)| self.is_current(&input.params, facts.now))
            .take(MAX_LABELS)
            .any(|(input, mac, key)| self.base(input, request).is_some_and(|base| key.verifies(&base, mac)))
    }

    /// The two header fields of a signature by the key `keyid` over everything this entry asks for, `created` in epoch
    /// seconds: the authenticator's side. `None` if there is no such key, or if no signature can prove the request.
    pub(super) fn sign(&self, keyid: &str, request: &Request<'_>, created: i64) -> Option<FieldLines> {
        let key = self.keys.iter().find(|key| key.id == keyid)?;
        if !request.has_unique_combined_values() {
            return None;
        }
        let mut names: Vec<&str> = self.components.iter().map(String::as_str).collect();
        for name in request.identity_names() {
            let name = str::from_utf8(name).ok()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let items = names.into_iter().map(|name| Some(Item::new(string(name)?)));
        let params = [(CREATED, BareItem::Integer(created.try_into().ok()?)), (KEYID, string(keyid)?)];
        let params = params.map(|(name, value)| (name.to_owned(), value));
        let input = InnerList::with_params(items.collect::<Option<_>>()?, params.into_iter().collect());
        let mac = key.keyed.clone().chain_update(self.base(&input, request)?).finalize().into_bytes();
        let label = || LABEL.to_owned();
        let mac = Item::new(BareItem::ByteSequence(mac.to_vec()));
        let input: Dictionary = [(label(), ListEntry::from(input))].into_iter().collect();
        let mac: Dictionary = [(label(), ListEntry::from(mac))].into_iter().collect();
        field_lines(&input, &mac)
    }

    /// What is signed and how, and the MACs, both by label.
    fn fields(&self, request: &Request<'_>) -> Option<(Rc<Dictionary>, Rc<Dictionary>)> {
        let field = |id| request.dictionary(id, MAX_FIELD_BYTES);
        Some((field(self.inputs)?, field(self.macs)?))
    }

    fn key_of(&self, params: &Parameters) -> Option<&Key> {
        let BareItem::String(id) = params.get("keyid")? else { return None };
        self.keys.iter().find(|key| key.id == id.as_str())
    }

    /// Section 3.2, step 3: the parameters must be ones that this entry accepts now.
    fn is_current(&self, params: &Parameters, now: i64) -> bool {
        let seconds = |name| match params.get(name) {
            Some(BareItem::Integer(value)) => Ok(Some(i64::from(*value))),
            Some(_) => Err(()),
            None => Ok(None),
        };
        let is_recent = |created: i64| {
            created <= now.saturating_add(MAX_SKEW_SECONDS) && now.saturating_sub(created) <= self.max_age
        };
        let is_our_algorithm = match params.get("alg") {
            Some(BareItem::String(alg)) => alg.as_str() == "hmac-sha256",
            Some(_) => false,
            None => true,
        };
        is_our_algorithm
            && matches!(seconds("created"), Ok(Some(created)) if is_recent(created))
            && matches!(seconds("expires"), Ok(expires) if expires.is_none_or(|expires| now < expires))
    }

    /// The signature base (section 2.5), if the input covers all it must, and nothing the filter does not understand.
    fn base(&self, input: &InnerList, request: &Request<'_>) -> Option<Vec<u8>> {
        let mut covered = Vec::with_capacity(input.items.len());
        let mut base = Vec::with_capacity(USUAL_BASE_BYTES);
        for item in &input.items {
            let BareItem::String(name) = &item.bare_item else { return None };
            let name = name.as_str();
            let component = Component::parse(name).filter(|_| item.params.is_empty())?;
            if covered.contains(&name) {
                return None;
            }
            base.push(b'"');
            base.extend(name.as_bytes());
            base.extend(b"\": ");
            component.write_value(request, &mut base)?;
            base.push(b'\n');
            if base.len() > MAX_BASE_BYTES {
                return None;
            }
            covered.push(name);
        }
        let covers = |name: &[u8]| covered.iter().any(|own| own.as_bytes() == name);
        if !self.components.iter().all(|name| covers(name.as_bytes())) || !request.identity_names().all(covers) {
            return None;
        }
        base.extend(b"\"@signature-params\": ");
        let mut params = ListSerializer::new();
        let mut names = params.inner_list();
        names.items(&input.items);
        names.finish().parameters(&input.params);
        base.extend(params.finish()?.into_bytes());
        Some(base)
    }
}

/// What is left of `signature-input` and `signature` without the labels of these entries' keys. `None` if nothing is.
///
/// A service behind Envoy may verify the rest: those are none of our business.
pub(super) fn remainder(entries: &[&Signature], request: &Request<'_>) -> Option<FieldLines> {
    let (inputs, macs) = entries.first()?.fields(request)?;
    let is_ours = |params: &Parameters| entries.iter().any(|entry| entry.key_of(params).is_some());
    let is_foreign = |label: &KeyRef, input: &ListEntry| {
        inner_list(input).is_some_and(|input| !is_ours(&input.params)) && macs.contains_key(label)
    };
    let foreign = inputs.iter().filter(|(label, input)| is_foreign(label, input));
    let inputs: Dictionary = foreign.map(|(label, input)| (label.clone(), input.clone())).collect();
    let macs = macs.iter().filter(|(label, _)| inputs.contains_key(label.as_str()));
    let macs: Dictionary = macs.map(|(label, mac)| (label.clone(), mac.clone())).collect();
    field_lines(&inputs, &macs)
}

/// `None` if there is nothing to send: an empty dictionary is left out altogether (RFC 9651, section 3.2).
fn field_lines(inputs: &Dictionary, macs: &Dictionary) -> Option<FieldLines> {
    let [input_name, mac_name] = FIELDS;
    Some([(input_name, inputs.serialize()?), (mac_name, macs.serialize()?)])
}

fn string(text: &str) -> Option<BareItem> {
    sfv::String::from_string(text.to_owned()).ok().map(BareItem::String)
}

const fn inner_list(entry: &ListEntry) -> Option<&InnerList> {
    match entry {
        ListEntry::InnerList(list) => Some(list),
        ListEntry::Item(_) => None,
    }
}

fn mac(entry: &ListEntry) -> Option<&[u8]> {
    match entry {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::ByteSequence(mac) => Some(mac),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    }
}

#[cfg(test)]
mod tests;
