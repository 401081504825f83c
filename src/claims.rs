//! The payload: the claims of Auth-O-Tron's documented token, in its order.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    config::ScopesForm,
    identity::{Identity, Scopes},
};

/// What every token of a configuration has in common.
#[derive(Clone, Debug)]
pub struct ClaimSet {
    /// The `iss` claim.
    pub issuer: Json,
    /// The `aud` claim, where tokens carry one.
    pub audience: Option<Json>,
    /// From `iat` to the latest possible `exp`, in seconds.
    pub lifetime: i64,
    /// How `scopes` is written.
    pub scopes: ScopesForm,
    /// Whether every token has a `jti`.
    pub has_id: bool,
    /// Further claims, of none of the names in [`RESERVED`], as [`Json::members`] has them.
    pub extra: Json,
}

/// The claims that `claims.extra` cannot set: those of the documented token, and the rest of RFC 7519, section 4.1.
pub const RESERVED: &[&str] =
    &["sub", "iss", "aud", "exp", "nbf", "iat", "jti", "roles", "username", "realm", "scopes", "attributes"];

/// How long a payload usually is, at most, in bytes.
const USUAL_PAYLOAD_BYTES: usize = 1024;

/// The `sub` claim: the realm that authenticated the user, and the authenticated username.
#[must_use]
pub fn subject(realm: &str, username: &str) -> String {
    [realm, "-", username].concat()
}

impl ClaimSet {
    /// When a token of `now` expires: no later than the user's own expiry. All are epoch seconds.
    #[must_use]
    pub fn expiry(&self, own: Option<i64>, now: i64) -> i64 {
        let latest = now.saturating_add(self.lifetime);
        own.map_or(latest, |own| own.min(latest))
    }

    /// The claims about `identity`, as JSON. Both `exp` and `now` are epoch seconds.
    ///
    /// # Errors
    /// When the system has no random numbers for `jti`.
    pub fn payload(&self, identity: &Identity<'_>, exp: i64, now: i64) -> Result<String, getrandom::Error> {
        // In one piece: to grow step by step costs as much as to write.
        let mut json = Json(String::with_capacity(USUAL_PAYLOAD_BYTES));
        json.push(r#"{"sub":"#);
        json.push_string(&subject(identity.realm, identity.username));
        json.push(r#","iss":"#);
        json.push(&self.issuer.0);
        if let Some(audience) = &self.audience {
            json.push(r#","aud":"#);
            json.push(&audience.0);
        }
        json.push(r#","exp":"#);
        json.push(&exp.to_string());
        json.push(r#","iat":"#);
        json.push(&now.to_string());
        json.push(r#","roles":"#);
        json.push_list(&identity.roles);
        json.push(r#","username":"#);
        json.push_string(identity.username);
        json.push(r#","realm":"#);
        json.push_string(identity.realm);
        self.push_scopes(&mut json, identity);
        json.push(r#","attributes":"#);
        json.push_object(identity.attributes.iter(), Json::push_string);
        if self.has_id {
            json.push(r#","jti":"#);
            json.push_string(&token_id()?);
        }
        json.push(&self.extra.0);
        json.push("}");
        Ok(json.0)
    }

    /// The documented list is absent when it is empty. The map of the Auth-O-Tron 0.3 server is always present.
    fn push_scopes(&self, json: &mut Json, identity: &Identity<'_>) {
        if self.scopes == ScopesForm::List && matches!(&identity.scopes, Scopes::List(scopes) if scopes.is_empty()) {
            return;
        }
        json.push(r#","scopes":"#);
        match (&identity.scopes, self.scopes) {
            (Scopes::List(scopes), ScopesForm::List) => json.push_list(scopes),
            (Scopes::List(scopes), ScopesForm::Map) => {
                let of_realm = (!scopes.is_empty()).then_some((identity.realm, scopes));
                json.push_object(of_realm, |json, scopes| json.push_list(scopes));
            }
            (Scopes::Map(services), _) => json.push_object(services, |json, scopes| json.push_list(scopes)),
        }
    }
}

/// 128 random bits in base64url (RFC 7519, section 4.1.7 asks for a negligible chance of a collision).
fn token_id() -> Result<String, getrandom::Error> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

/// A piece of JSON (RFC 8259).
#[derive(Clone, Debug)]
pub struct Json(String);

impl Json {
    /// A string.
    #[must_use]
    pub fn string(text: &str) -> Self {
        let mut json = Self(String::new());
        json.push_string(text);
        json
    }

    /// The members of an object, each with a comma before it.
    #[must_use]
    pub fn members(object: &Map<String, Value>) -> Self {
        let mut json = Self(String::new());
        for (name, value) in object {
            json.push(",");
            json.push_string(name);
            json.push(":");
            json.push(&value.to_string());
        }
        json
    }

    // This and `push_string` are once in the module, not once a caller: `ClaimSet::payload` is 6 KB compiled so, and was
    // 15. Code that is in no cache when a request comes costs more than a call.
    #[inline(never)]
    fn push(&mut self, json: &str) {
        self.0.push_str(json);
    }

    fn push_object<K: AsRef<str>, V>(
        &mut self,
        members: impl IntoIterator<Item = (K, V)>,
        mut push_value: impl FnMut(&mut Self, V),
    ) {
        self.0.push('{');
        for (index, (name, value)) in members.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.push_string(name.as_ref());
            self.0.push(':');
            push_value(self, value);
        }
        self.0.push('}');
    }

    fn push_list(&mut self, items: &[impl AsRef<str>]) {
        self.0.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.push_string(item.as_ref());
        }
        self.0.push(']');
    }

    /// Section 7: what must be escaped is, and nothing else.
    #[inline(never)]
    fn push_string(&mut self, text: &str) {
        self.0.push('"');
        if text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..=0x1f)) {
            for character in text.chars() {
                match character {
                    '"' | '\\' => self.0.extend(['\\', character]),
                    ..='\u{1f}' => self.push(&format!("\\u{:04x}", u32::from(character))),
                    _ => self.0.push(character),
                }
            }
        } else {
            self.push(text);
        }
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Any text at all, though none that an identity holds has a control character.
        #[test]
        fn a_json_reader_reads_what_was_written(texts in prop::collection::vec("[\\PC\"\\\\\\x00-\\x1f]{0,8}", 0..5)) {
            let mut json = Json(String::new());
            json.push_list(&texts);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json.0).unwrap(), texts.clone());

            let mut json = Json(String::new());
            json.push_object(texts.iter().map(|text| (text, text.as_str())), Json::push_string);
            let object = texts.iter().map(|text| (text.clone(), Value::from(&**text))).collect::<Map<_, _>>();
            prop_assert_eq!(serde_json::from_str::<Map<_, _>>(&json.0).unwrap(), object);
        }

        #[test]
        fn members_are_those_of_the_object(names in prop::collection::vec(".{0,4}", 0..5)) {
            let object: Map<_, _> = names.into_iter().map(|name| (name, serde_json::json!([1, "a\"b", null]))).collect();
            let json = format!("{{\"first\":0{}}}", Json::members(&object).0);
            let mut read: Map<_, _> = serde_json::from_str(&json).unwrap();
            read.remove("first");
            prop_assert_eq!(read, object);
        }
    }
}
