//! The keys of a configuration, and when each takes over.

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::hs256::SigningKey;
use crate::config::field::{Environment, ErrorKind, Field, MAX_TEXT_BYTES, Secret, all, read_key};

/// A key that takes over at a given time.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema), schemars(rename = "RotationKey", extend("oneOf" = crate::config::schema::one_secret())))]
#[serde(deny_unknown_fields)]
pub struct RotationConfig {
    /// The key's name: `kid` in the JOSE header of the tokens it signs. No two keys may share one.
    kid: String,
    /// The signing secret itself, at least 32 bytes. Envoy's `/config_dump` shows it: prefer `secret_env`.
    secret: Option<Secret>,
    /// The environment variable that holds the signing secret.
    secret_env: Option<String>,
    /// When the key takes over: RFC 3339, whole seconds, such as `2026-12-01T00:00:00Z`. No two keys may share a time.
    #[cfg_attr(feature = "cli", schemars(extend("format" = "date-time")))]
    not_before: String,
}

/// What the configuration says about one key.
pub struct KeyConfig<'c> {
    /// Its name.
    pub kid: Option<&'c str>,
    /// Its secret.
    pub secret: Option<&'c Secret>,
    /// The environment variable that holds the secret.
    pub variable: Option<&'c str>,
}

/// The keys. The newest one whose time has come is in use.
///
/// A whole fleet changes keys in the same second, without a new configuration at that moment.
#[derive(Debug)]
pub struct KeyRing {
    first: SigningKey,
    /// Later keys, each with the epoch second from which it is in use, in any order.
    later: Vec<(i64, SigningKey)>,
}

impl KeyRing {
    /// The key in use at `now`, and since when. Both times are epoch seconds.
    #[must_use]
    pub fn at(&self, now: i64) -> (i64, &SigningKey) {
        let started = self.later.iter().filter(|(not_before, _)| *not_before <= now);
        started
            .max_by_key(|(not_before, _)| *not_before)
            .map_or((i64::MIN, &self.first), |(not_before, key)| (*not_before, key))
    }
}

/// Compiles the key of the object at `field`, and those in its `rotation`.
pub fn compile(
    field: &Field<'_>,
    first: &KeyConfig<'_>,
    rotation: &[RotationConfig],
    environment: Environment<'_>,
) -> Option<KeyRing> {
    let first_key = first.compile(field, environment);
    let field = field.name("rotation");
    let later = all(rotation.iter().enumerate().map(|(index, key)| {
        let field = field.index(index);
        let before = rotation.get(..index).unwrap_or_default();
        let kid = if first.kid == Some(&*key.kid) || before.iter().any(|other| other.kid == key.kid) {
            field
                .name("kid")
                .refuse(ErrorKind::Duplicate, format!("found {:?} a second time, expected another name", key.kid))
        } else {
            Some(())
        };
        let not_before = compile_time(&field.name("not_before"), &key.not_before, before);
        let key = KeyConfig { kid: Some(&key.kid), secret: key.secret.as_ref(), variable: key.secret_env.as_deref() };
        let key = key.compile(&field, environment);
        kid?;
        Some((not_before?, key?))
    }));
    Some(KeyRing { first: first_key?, later: later? })
}

impl KeyConfig<'_> {
    fn compile(&self, field: &Field<'_>, environment: Environment<'_>) -> Option<SigningKey> {
        let kid = self.kid.map_or(Some(()), |kid| field.name("kid").text(kid, MAX_TEXT_BYTES));
        let secret = read_key(field, self.secret, self.variable, environment)?;
        kid?;
        SigningKey::new(secret.as_bytes(), self.kid)
    }
}

/// When a key takes over, in epoch seconds. No key `before` it may have the same time.
fn compile_time(field: &Field<'_>, text: &str, before: &[RotationConfig]) -> Option<i64> {
    let Some(time) = epoch_seconds(text) else {
        return field.malformed(text, "a time of RFC 3339 in whole seconds, such as \"2026-12-01T00:00:00Z\"");
    };
    if before.iter().any(|other| epoch_seconds(&other.not_before) == Some(time)) {
        return field.refuse(ErrorKind::Duplicate, "found the time of another key, expected a time of its own");
    }
    Some(time)
}

fn epoch_seconds(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().filter(|time| time.nanosecond() == 0)?;
    Some(time.unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_key_whose_time_has_come_is_in_use() {
        let key = |kid| SigningKey::new(&[b'x'; 32], Some(kid)).unwrap();
        let ring = KeyRing {
            first: key("first"),
            later: vec![(100, key("second")), (300, key("fourth")), (200, key("third"))],
        };
        for (now, since, kid) in [
            (i64::MIN, i64::MIN, "first"),
            (99, i64::MIN, "first"),
            (100, 100, "second"),
            (199, 100, "second"),
            (200, 200, "third"),
            (300, 300, "fourth"),
            (i64::MAX, 300, "fourth"),
        ] {
            let (in_use_since, in_use) = ring.at(now);
            assert_eq!((in_use_since, in_use.kid()), (since, Some(kid)), "{now}");
        }
    }

    #[test]
    fn a_time_is_one_of_rfc_3339_in_whole_seconds() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("2026-12-01T00:00:00.000Z", Some(1_796_083_200)),
            ("2026-12-01T00:00:00.5Z", None),
            ("2026-12-01", None),
            ("2026-12-01T00:00:00", None),
            ("1796083200", None),
        ] {
            assert_eq!(epoch_seconds(text), expected, "{text}");
        }
    }
}
