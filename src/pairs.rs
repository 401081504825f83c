//! Header pairs as the proxy-wasm ABI lays them out in memory, read in place.
//!
//! A count, then the two lengths of each pair, then each name and value, followed by a zero byte. Numbers are 32
//! bits, little-endian. See <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1#serialization>.

/// A name and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The bytes are not laid out as the ABI says.
#[derive(Debug, PartialEq, Eq)]
pub struct BadLayout;

/// The size of a number, in bytes.
const WORD: usize = size_of::<u32>();

/// Checks the layout once, so that reading the pairs cannot fail. No bytes mean no pairs.
///
/// # Errors
/// When the lengths do not add up to the bytes.
pub fn deserialize(bytes: &[u8]) -> Result<impl Iterator<Item = Pair<'_>> + Clone, BadLayout> {
    let (sizes, texts) = if bytes.is_empty() { (bytes, bytes) } else { split(bytes).ok_or(BadLayout)? };
    let end = sizes.chunks_exact(WORD).try_fold(0, |end: usize, size| end.checked_add(word(size))?.checked_add(1));
    if end != Some(texts.len()) {
        return Err(BadLayout);
    }
    let mut rest = texts;
    let mut take = move |size: &[u8]| {
        let (text, tail) = rest.split_at_checked(word(size)).unwrap_or_default();
        rest = tail.get(1..).unwrap_or_default();
        text
    };
    Ok(sizes.chunks_exact(2 * WORD).map(move |lengths| {
        let (name, value) = lengths.split_at(WORD);
        (take(name), take(value))
    }))
}

/// The table of lengths, and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = bytes.split_at_checked(WORD)?;
    rest.split_at_checked(word(count).checked_mul(2 * WORD)?)
}

/// Four bytes as a number. (In the module a `usize` has 32 bits.)
fn word(bytes: &[u8]) -> usize {
    let bytes = bytes.try_into().unwrap_or_default();
    usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

/// Lays out a few pairs of our own.
#[must_use]
pub fn serialize(pairs: &[(&str, &str)]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let texts = || pairs.iter().flat_map(|(name, value)| [*name, *value]);
    let bytes = texts().map(|text| text.len().saturating_add(WORD).saturating_add(1)).fold(WORD, usize::saturating_add);
    // Allocated at once: growing step by step costs more than everything else here.
    let mut map = Vec::with_capacity(bytes);
    map.extend_from_slice(&number(pairs.len()));
    for text in texts() {
        map.extend_from_slice(&number(text.len()));
    }
    for text in texts() {
        map.extend_from_slice(text.as_bytes());
        map.push(0);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_pairs_lie_in_memory_as_the_abi_says() {
        let bytes = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\0\0\0\0a\0bc\0def\0\0";
        assert_eq!(serialize(&[("a", "bc"), ("def", "")]), bytes);
        let pairs: Vec<_> = deserialize(bytes).unwrap().collect();
        assert_eq!(pairs, [(&b"a"[..], &b"bc"[..]), (b"def", b"")]);
        assert_eq!(deserialize(b"").unwrap().count(), 0);
    }

    #[test]
    fn every_cut_and_every_wrong_length_is_noticed() {
        let bytes = serialize(&[("a", "bc"), ("def", "")]);
        for length in 1..bytes.len() {
            assert!(deserialize(&bytes[..length]).is_err(), "{length}");
        }
        for position in 0..5 * WORD {
            let mut bytes = bytes.clone();
            bytes[position] ^= 0x81;
            assert!(deserialize(&bytes).is_err(), "{position}");
        }
    }

    proptest! {
        #[test]
        fn what_is_laid_out_is_read_back(pairs in prop::collection::vec((".{0,9}", ".{0,9}"), 0..9)) {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
            let bytes = serialize(&pairs);
            let expected: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            prop_assert_eq!(deserialize(&bytes).unwrap().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn no_bytes_at_all_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..60)) {
            if let Ok(pairs) = deserialize(&bytes) {
                pairs.for_each(drop);
            }
        }
    }
}
