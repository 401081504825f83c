//! The token cache of one policy: bounded, and exact. It knows nothing but bytes and seconds.
//!
//! Two generations: when the young one is full it becomes the old one, and what was old is dropped whole. Nothing is
//! ordered, scanned or moved by a look-up, and the bounds hold by construction. What a busier cache would win is little:
//! a token lives in it for the few seconds of `token.reuse`.

use std::{collections::HashMap, rc::Rc};

/// The most tokens of one generation.
const MAX_ENTRIES: usize = 2048;
/// The most that the keys and tokens of one generation take, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// What the two generations take at most, in bytes, beside what the allocator and the tables of the maps add.
pub const MAX_CACHE_BYTES: usize = 2 * MAX_BYTES;

/// Tokens that may be handed out again.
#[derive(Debug, Default)]
pub struct TokenCache {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    tokens: HashMap<Box<[u8]>, Token>,
    bytes: usize,
}

#[derive(Debug)]
struct Token {
    value: Rc<str>,
    /// The first second in which it may be handed out, and the first in which it may no longer.
    seconds: std::ops::Range<i64>,
}

impl TokenCache {
    /// The token of `key`, if it may be handed out at `now`, in epoch seconds.
    #[must_use]
    pub fn get(&self, key: &[u8], now: i64) -> Option<Rc<str>> {
        [&self.young, &self.old]
            .into_iter()
            .filter_map(|generation| generation.tokens.get(key))
            .find(|token| token.seconds.contains(&now))
            .map(|token| Rc::clone(&token.value))
    }

    /// Keeps the token of `key` to be handed out within `seconds`.
    pub fn insert(&mut self, key: &[u8], value: Rc<str>, seconds: std::ops::Range<i64>) {
        let bytes = key.len().saturating_add(value.len());
        if bytes > MAX_BYTES {
            return;
        }
        let is_full = self.young.tokens.len() >= MAX_ENTRIES || self.young.bytes.saturating_add(bytes) > MAX_BYTES;
        if is_full {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes = self.young.bytes.saturating_add(bytes);
        if let Some(replaced) = self.young.tokens.insert(key.into(), Token { value, seconds }) {
            let freed = key.len().saturating_add(replaced.value.len());
            self.young.bytes = self.young.bytes.saturating_sub(freed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(text: &str) -> Rc<str> {
        Rc::from(text)
    }

    #[test]
    fn a_token_is_handed_out_in_its_seconds_and_to_its_key_only() {
        let mut cache = TokenCache::default();
        cache.insert(b"alice", token("a"), 10..12);
        for (key, now, expected) in [
            ("alice", 9, None),
            ("alice", 10, Some("a")),
            ("alice", 11, Some("a")),
            ("alice", 12, None),
            ("alic", 10, None),
            ("alice ", 10, None),
            ("", 10, None),
        ] {
            assert_eq!(cache.get(key.as_bytes(), now).as_deref(), expected, "{key:?} at {now}");
        }
    }

    #[test]
    fn the_token_of_now_takes_the_place_of_an_earlier_one_in_either_generation() {
        let mut cache = TokenCache::default();
        cache.insert(b"alice", token("first"), 10..11);
        for other in 0..MAX_ENTRIES {
            cache.insert(&other.to_le_bytes(), token("other"), 10..11);
        }
        assert_eq!(cache.get(b"alice", 10).as_deref(), Some("first"), "it is in the old generation");
        cache.insert(b"alice", token("second"), 11..12);
        assert_eq!(cache.get(b"alice", 11).as_deref(), Some("second"));
    }

    proptest! {
        /// Whatever is inserted: the bounds hold, and what comes out is what went in last under that key.
        #[test]
        fn bounded_and_exact(inserts in prop::collection::vec((0_u16..600, 1_usize..9000), 0..3000)) {
            let mut cache = TokenCache::default();
            let mut last = HashMap::new();
            for (key, length) in inserts {
                let value = token(&format!("{key:05}").repeat(length / 5));
                last.insert(key, Rc::clone(&value));
                cache.insert(&key.to_le_bytes(), value, 0..1);
                for generation in [&cache.young, &cache.old] {
                    let bytes: usize = generation.tokens.iter().map(|(key, token)| key.len() + token.value.len()).sum();
                    prop_assert_eq!(bytes, generation.bytes);
                    prop_assert!(bytes <= MAX_BYTES && generation.tokens.len() <= MAX_ENTRIES);
                }
                prop_assert_eq!(cache.get(&key.to_le_bytes(), 0), last.get(&key).cloned());
            }
            for (key, value) in last {
                prop_assert!(cache.get(&key.to_le_bytes(), 0).is_none_or(|found| found == value));
            }
        }
    }
}
