//! `signature`: the authenticator signs the identity headers (HTTP Message Signatures, RFC 9421, `hmac-sha256`).
//!
//! The signature must cover every identity header that is present, so nobody can add, change or drop one, and the
//! entry's `components`, so that it is no use on another request.

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

/// A signature of the authenticator over the identity headers (RFC 9421, `hmac-sha256`).
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "Signature"))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The keys that the authenticator signs with.
    #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
    pub keys: Vec<KeyConfig>,
    /// How old a signature may be, in seconds. Within that time, whoever sees a request can send it again.
    #[serde(default = "default_max_age")]
    #[cfg_attr(feature = "cli", schemars(range(min = 1, max = MAX_AGE_SECONDS)))]
    max_age: i64,
    /// What a signature must cover beside the identity headers: header names in lower case, or derived components.
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
    /// The name that a signature calls the key by.
    pub keyid: String,
    /// The secret itself, at least 32 bytes. Better use `secret_env`.
    secret: Option<Secret>,
    /// The environment variable that holds the secret.
    pub secret_env: Option<String>,
}

/// The longest `max_age`, in seconds: a day.
const MAX_AGE_SECONDS: i64 = 86_400;

/// How far ahead of the proxy's clock `created` may be, in seconds.
pub const MAX_SKEW_SECONDS: i64 = 5;
/// The most labels of a request that are verified: each costs a MAC, and who sends them may be anybody.
pub const MAX_LABELS: usize = 4;
/// The longest signature base, in bytes: twice what the identity headers may be.
pub const MAX_BASE_BYTES: usize = 16_384;
/// What most signature bases fit into, in bytes.
const USUAL_BASE_BYTES: usize = 512;
/// The longest that `signature` and `signature-input` may be, each, in bytes.
pub const MAX_FIELD_BYTES: usize = 8192;
/// The header fields of section 4.
pub const FIELDS: [&str; 2] = ["signature-input", "signature"];

/// The two header fields of [`FIELDS`], by name, with their values.
pub type FieldLines = [(&'static str, String); 2];

const CREATED: &KeyRef = KeyRef::constant("created");
const KEYID: &KeyRef = KeyRef::constant("keyid");
/// Of the signatures that we make ourselves.
const LABEL: &KeyRef = KeyRef::constant("sig");

/// A signature that proves.
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
    /// The names of the components that a signature must cover beside the identity headers.
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
    /// Whether any label of the request is a signature by one of the keys over all that it must cover.
    pub(super) fn proves(&self, request: &Request<'_>, facts: &Facts<'_>) -> bool {
        // Else the same signature would hold for another identity.
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

    /// The two header fields of a signature by the key `keyid` over all that this entry asks for, `created` in epoch
    /// seconds: the authenticator's side. `None` where there is no such key, or nothing that it could prove so.
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

    /// What is signed and how, and the MACs, each by its label.
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

    /// The signature base (section 2.5), if the input covers all that it must and nothing that is not understood.
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

/// What is left of `signature-input` and `signature` once the labels of these entries' keys are gone; `None` is nothing.
///
/// A service behind may verify the others: they are none of our business.
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

/// `None` is nothing: an empty dictionary is not sent at all (RFC 9651, section 3.2).
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
mod tests {
    use super::*;
    use crate::config::field::Report;

    const HEADERS: &[(&str, &str)] =
        &[(":method", "GET"), (":authority", "example.com"), (":path", "/"), ("x-user", "alice"), ("x-realm", "corp")];

    fn compile(config: serde_json::Value) -> (Names, Option<Signature>, Vec<String>) {
        let config: Config = serde_json::from_value(config).unwrap();
        let (mut names, report) = (Names::default(), Report::default());
        let field = Field::section(&report, "signature");
        for name in ["x-user", "x-realm"] {
            names.own(&field, name, Purpose::Identity { repeatable: false });
        }
        let proof = config.compile(&field, &mut names, &|_| Some("x".repeat(32)));
        (names, proof, report.errors().iter().map(ToString::to_string).collect())
    }

    fn gateway() -> (Names, Signature) {
        let (names, proof, _) = compile(serde_json::json!({"keys": [{"keyid": "gw-1", "secret_env": "KEY"}]}));
        (names, proof.unwrap())
    }

    /// Whether a request of these headers, signed at 1000 and then changed so, is proven at `now`.
    fn proves(change: impl FnOnce(&mut Vec<(String, String)>), now: i64) -> bool {
        let (names, signature) = gateway();
        let borrow = |headers: &[(String, String)]| -> Vec<(Vec<u8>, Vec<u8>)> {
            headers.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect()
        };
        let mut headers: Vec<_> =
            HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let bytes = borrow(&headers);
        let pairs: Vec<_> = bytes.iter().map(|(name, value)| (&**name, &**value)).collect();
        let lines = signature.sign("gw-1", &Request::scan(&names, &pairs), 1000).unwrap();
        headers.extend(lines.map(|(name, value)| (name.to_owned(), value)));
        change(&mut headers);
        let bytes = borrow(&headers);
        let pairs: Vec<_> = bytes.iter().map(|(name, value)| (&**name, &**value)).collect();
        signature.proves(&Request::scan(&names, &pairs), &Facts::new(now, &()))
    }

    #[test]
    fn what_the_gateway_signs_proves_for_as_long_as_max_age() {
        for (now, expected) in [(1000, true), (995, true), (994, false), (1060, true), (1061, false), (i64::MIN, false)]
        {
            assert_eq!(proves(|_| {}, now), expected, "{now}");
        }
    }

    #[test]
    fn no_header_that_is_covered_can_be_changed_added_or_dropped() {
        for index in 0..HEADERS.len() {
            assert!(!proves(|headers| headers[index].1.push('x'), 1000), "{:?}", HEADERS[index]);
            assert!(!proves(|headers| drop(headers.remove(index)), 1000), "{:?}", HEADERS[index]);
        }
        assert!(!proves(|headers| headers.push(("x-user".to_owned(), "root".to_owned())), 1000));
        assert!(!proves(|headers| headers.retain(|(name, _)| name != "signature"), 1000));
        assert!(proves(|headers| headers.push(("x-other".to_owned(), "1".to_owned())), 1000));
    }

    #[test]
    fn every_error_is_reported() {
        let (_, proof, errors) = compile(serde_json::json!({
            "keys": [{"keyid": "a", "secret_env": "KEY"}, {"keyid": "a", "secret_env": "no name"}, {"keyid": "\u{e4}"}],
            "max_age": 0,
            "components": ["@method", "@status"],
        }));
        assert!(proof.is_none());
        let paths: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "signature.keys[1].keyid",
                "signature.keys[1].secret_env",
                "signature.keys[2].keyid",
                "signature.keys[2]",
                "signature.max_age",
                "signature.components[1]",
            ]
        );
    }
}
