//! `signature`: the authenticator signs the identity headers (HTTP Message Signatures, RFC 9421, `hmac-sha256`).
//!
//! The signature must cover every identity header that is present, so nobody can add, change or drop one, and the
//! entry's `components`, so that it is no use on another request.

use std::rc::Rc;

use hmac::{Hmac, Mac};
use sfv::{BareItem, Dictionary, FieldType, InnerList, Item, KeyRef, ListEntry, ListSerializer, Parameters};
use sha2::Sha256;

use crate::{
    jwt::{self, SecretTooShort},
    request::{NameId, Request},
};

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
    pub input: NameId,
    /// The header that carries the MACs.
    pub signature: NameId,
    /// The keys of the authenticator.
    pub keys: Vec<Key>,
    /// The longest time since `created`, in seconds.
    pub max_age: i64,
    /// The names of the components that a signature must cover beside the identity headers.
    pub components: Vec<String>,
}

/// A key that the authenticator signs with. The secret itself is not kept.
pub struct Key {
    id: String,
    keyed: Hmac<Sha256>,
}

/// A covered component without parameters (section 2).
#[derive(Clone, Copy, Debug)]
pub enum Component<'a> {
    /// A header field, by its name in lower case (section 2.1).
    Field(&'a str),
    /// `@method` (section 2.2.1).
    Method,
    /// `@target-uri` (section 2.2.2).
    TargetUri,
    /// `@authority` (section 2.2.3).
    Authority,
    /// `@scheme` (section 2.2.4).
    Scheme,
    /// `@path` (section 2.2.6).
    Path,
    /// `@query` (section 2.2.7).
    Query,
}

// === impl Key ===

impl Key {
    /// Prepares a key.
    ///
    /// # Errors
    /// When the secret is shorter than [`jwt::MIN_SECRET_BYTES`].
    pub fn new(id: String, secret: &[u8]) -> Result<Self, SecretTooShort> {
        Ok(Self { id, keyed: jwt::keyed(secret)? })
    }

    /// The name that a signature's `keyid` calls it by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Compares in constant time.
    fn verifies(&self, base: &[u8], mac: &[u8]) -> bool {
        self.keyed.clone().chain_update(base).verify_slice(mac).is_ok()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?}, …)", self.id)
    }
}

// === impl Signature ===

impl Signature {
    /// Whether any label of the request is a signature by one of the keys over all that it must cover.
    #[must_use]
    pub fn proves(&self, request: &Request<'_>, now: i64) -> bool {
        // Else the same signature would hold for another identity.
        if !request.is_told_by_combined_values() {
            return false;
        }
        let Some((inputs, macs)) = self.fields(request) else { return false };
        inputs
            .iter()
            .filter_map(|(label, input)| Some((inner_list(input)?, mac(macs.get(label)?)?)))
            .filter_map(|(input, mac)| Some((input, mac, self.key_of(&input.params)?)))
            .filter(|(input, ..)| self.is_current(&input.params, now))
            .take(MAX_LABELS)
            .any(|(input, mac, key)| self.base(input, request).is_some_and(|base| key.verifies(&base, mac)))
    }

    /// The two header fields of a signature by the key `keyid` over all that this entry asks for, `created` in epoch
    /// seconds: the authenticator's side. `None` where there is no such key, or nothing that it could prove so.
    #[must_use]
    pub fn sign(&self, keyid: &str, request: &Request<'_>, created: i64) -> Option<FieldLines> {
        let key = self.keys.iter().find(|key| key.id == keyid)?;
        if !request.is_told_by_combined_values() {
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
        Some((field(self.input)?, field(self.signature)?))
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
#[must_use]
pub fn remainder(entries: &[&Signature], request: &Request<'_>) -> Option<FieldLines> {
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

// === impl Component ===

impl<'a> Component<'a> {
    /// Reads a component name. `None` is one that the filter does not support.
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        Some(match name {
            "@method" => Self::Method,
            "@target-uri" => Self::TargetUri,
            "@authority" => Self::Authority,
            "@scheme" => Self::Scheme,
            "@path" => Self::Path,
            "@query" => Self::Query,
            _ if is_field_name(name) => Self::Field(name),
            _ => return None,
        })
    }

    /// Appends the component's value. `None` where the request has none.
    fn write_value(self, request: &Request<'_>, base: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Field(name) => return write_field(request, name.as_bytes(), base),
            Self::Method => base.extend(request.pseudo_header(b":method")?),
            Self::Authority => base.extend(authority(request)?),
            Self::Scheme => base.extend(scheme(request)?),
            Self::Path => base.extend(path_and_query(request)?.0),
            Self::Query => {
                base.push(b'?');
                base.extend(path_and_query(request)?.1.unwrap_or_default());
            }
            Self::TargetUri => {
                base.extend(scheme(request)?);
                base.extend(b"://");
                base.extend(authority(request)?);
                let (path, query) = path_and_query(request)?;
                base.extend(path);
                if let Some(query) = query {
                    base.push(b'?');
                    base.extend(query);
                }
            }
        }
        Some(())
    }
}

/// A field name in lower case, as section 2.1 has it. (A token of RFC 9110 that neither needs nor gets escaping.)
fn is_field_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// The lines of a field as one value (section 2.1). A line break in one would forge the lines after it.
fn write_field(request: &Request<'_>, name: &[u8], base: &mut Vec<u8>) -> Option<()> {
    let mut lines = request.all_values(name).peekable();
    lines.peek()?;
    for (index, line) in lines.enumerate() {
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return None;
        }
        if index > 0 {
            base.extend(b", ");
        }
        base.extend(line.trim_ascii());
    }
    Some(())
}

fn scheme(request: &Request<'_>) -> Option<Vec<u8>> {
    request.pseudo_header(b":scheme").map(<[u8]>::to_ascii_lowercase)
}

/// In lower case and without the scheme's default port (section 2.2.3; RFC 9110, section 4.2.3).
fn authority(request: &Request<'_>) -> Option<Vec<u8>> {
    let authority = request.pseudo_header(b":authority")?.to_ascii_lowercase();
    let port: &[u8] = match scheme(request).as_deref() {
        Some(b"https") => b":443",
        Some(b"http") => b":80",
        _ => return Some(authority),
    };
    Some(authority.strip_suffix(port).map(<[u8]>::to_vec).unwrap_or(authority))
}

/// An empty path is `/` (section 2.2.6); neither part is decoded.
fn path_and_query<'a>(request: &Request<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut parts = request.pseudo_header(b":path")?.splitn(2, |&byte| byte == b'?');
    let path = parts.next().filter(|path| !path.is_empty()).unwrap_or(b"/");
    Some((path, parts.next()))
}
