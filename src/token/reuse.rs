//! The token cache of one policy: bounded, and exact. It knows nothing but bytes and seconds.
//!
//! Two generations: when the young one is full, it becomes the old one, and the old one is dropped whole. A look-up
//! orders, scans and moves nothing, and the bounds hold by construction. A cleverer cache would gain little: a token
//! lives in it for the few seconds of `token.reuse`.

use std::{cell::RefCell, collections::HashMap, fmt, ops::Range, rc::Rc};

/// The most tokens in one generation.
const MAX_ENTRIES: usize = 2048;
/// How much the keys and tokens of one generation may take, in bytes, not counting the tables of the map and what the
/// allocator adds.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// What a request gets.
#[derive(Clone)]
pub struct Issued {
    /// The value of the token's header.
    pub value: Rc<str>,
    /// The subject of the token, if it goes into filter state.
    pub subject: Option<Rc<str>>,
}

/// Tokens that may be handed out again.
pub struct TokenCache {
    /// How long a token may be handed out, in seconds after the second in which it was made.
    seconds: i64,
    generations: RefCell<Generations>,
}

#[derive(Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    tokens: HashMap<Vec<u8>, Token>,
    bytes: usize,
}

struct Token {
    issued: Issued,
    /// The epoch seconds in which it may be handed out.
    seconds: Range<i64>,
}

impl TokenCache {
    /// A cache of tokens that may be handed out again for this many `seconds` after the one in which they were made.
    #[must_use]
    pub fn new(seconds: i64) -> Self {
        Self { seconds, generations: RefCell::default() }
    }

    /// The token of `key`, if it may be handed out at `now`, in epoch seconds.
    #[must_use]
    pub fn get(&self, key: &[u8], now: i64) -> Option<Issued> {
        self.generations.try_borrow().ok()?.get(key, now)
    }

    /// Keeps the token of `key`, made at `now` and no longer handed out from `expiry` on, both in epoch seconds.
    pub fn keep(&self, key: Vec<u8>, issued: Issued, now: i64, expiry: i64) {
        let end = now.saturating_add(self.seconds).saturating_add(1).min(expiry);
        if let Ok(mut generations) = self.generations.try_borrow_mut() {
            generations.insert(key, Token { issued, seconds: now..end });
        }
    }
}

/// Shows neither tokens nor the identities in their keys.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache(…)")
    }
}

impl Issued {
    fn bytes(&self) -> usize {
        self.value.len().saturating_add(self.subject.as_deref().map_or(0, str::len))
    }
}

impl Generations {
    fn get(&self, key: &[u8], now: i64) -> Option<Issued> {
        [&self.young, &self.old]
            .into_iter()
            .filter_map(|generation| generation.tokens.get(key))
            .find(|token| token.seconds.contains(&now))
            .map(|token| token.issued.clone())
    }

    fn insert(&mut self, key: Vec<u8>, token: Token) {
        let key_bytes = key.len();
        let bytes = key_bytes.saturating_add(token.issued.bytes());
        let is_full = self.young.tokens.len() >= MAX_ENTRIES || self.young.bytes.saturating_add(bytes) > MAX_BYTES;
        if is_full {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes = self.young.bytes.saturating_add(bytes);
        if let Some(replaced) = self.young.tokens.insert(key, token) {
            let freed = key_bytes.saturating_add(replaced.issued.bytes());
            self.young.bytes = self.young.bytes.saturating_sub(freed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(text: &str) -> Issued {
        Issued { value: text.into(), subject: None }
    }

    fn get(cache: &TokenCache, key: &[u8], now: i64) -> Option<String> {
        cache.get(key, now).map(|issued| issued.value.to_string())
    }

    #[test]
    fn a_token_is_handed_out_in_its_seconds_and_to_its_key_only() {
        let cache = TokenCache::new(2);
        cache.keep(b"alice".to_vec(), token("a"), 10, 99);
        cache.keep(b"bob".to_vec(), token("b"), 10, 12);
        for (key, now, expected) in [
            ("alice", 9, None),
            ("alice", 10, Some("a")),
            ("alice", 12, Some("a")),
            ("alice", 13, None),
            ("bob", 11, Some("b")),
            ("bob", 12, None),
            ("alic", 10, None),
            ("alice ", 10, None),
            ("", 10, None),
        ] {
            assert_eq!(get(&cache, key.as_bytes(), now).as_deref(), expected, "{key:?} at {now}");
        }
    }

    #[test]
    fn the_token_of_now_takes_the_place_of_an_earlier_one_in_either_generation() {
        let cache = TokenCache::new(0);
        cache.keep(b"alice".to_vec(), token("first"), 10, 99);
        for other in 0..MAX_ENTRIES {
            cache.keep(other.to_le_bytes().to_vec(), token("other"), 10, 99);
        }
        assert_eq!(get(&cache, b"alice", 10).as_deref(), Some("first"), "it is in the old generation");
        cache.keep(b"alice".to_vec(), token("second"), 11, 99);
        assert_eq!(get(&cache, b"alice", 11).as_deref(), Some("second"));
    }

    #[test]
    fn debug_output_shows_neither_tokens_nor_identities() {
        let cache = TokenCache::new(0);
        cache.keep(b"alice".to_vec(), token("eyJ"), 10, 99);
        assert_eq!(format!("{cache:?}"), "TokenCache(…)");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is kept: the bounds hold, and what comes out is what went in last under that key.
        #[test]
        fn bounded_and_exact(inserts in prop::collection::vec((0_u16..600, 1_usize..9000), 0..3000)) {
            let cache = TokenCache::new(0);
            let mut last = HashMap::new();
            for (key, length) in inserts {
                let value = token(&format!("{key:05}").repeat(length / 5));
                last.insert(key, value.value.to_string());
                cache.keep(key.to_le_bytes().to_vec(), value, 0, 1);
                prop_assert_eq!(get(&cache, &key.to_le_bytes(), 0), last.get(&key).cloned());
            }
            let generations = cache.generations.borrow();
            for generation in [&generations.young, &generations.old] {
                let bytes: usize = generation.tokens.iter().map(|(key, token)| key.len() + token.issued.bytes()).sum();
                prop_assert_eq!(bytes, generation.bytes);
                prop_assert!(bytes <= MAX_BYTES && generation.tokens.len() <= MAX_ENTRIES);
            }
            for (key, value) in last {
                prop_assert!(get(&cache, &key.to_le_bytes(), 0).is_none_or(|found| found == value));
            }
        }
    }
}
