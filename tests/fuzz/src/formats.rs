//! Arbitrary values of lists, scopes and attributes, and arbitrary pairs: no panic, and nothing over a limit.

use auth_o_tron_envoy::{
    identity::{
        attributes::{self, MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES},
        formats::{self, Format, Scopes},
        sources::MAX_IDENTITY_BYTES,
    },
    pairs,
};
use serde_json::Value;

const FORMATS: [Format; 6] =
    [Format::Csv, Format::Space, Format::Pipe, Format::Json, Format::Base64Json, Format::Repeated];

/// The same bytes in every format: what one refuses may be good in another.
pub fn run(data: &[u8]) {
    for format in FORMATS {
        // Zero bytes end a line where there may be several; elsewhere they are controls like others.
        let lines: Vec<_> = match format {
            Format::Repeated => data.split(|&byte| byte == 0).collect(),
            _ => vec![data],
        };
        let Ok(lines) =
            lines.into_iter().map(|line| formats::text(line, MAX_IDENTITY_BYTES)).collect::<Result<Vec<_>, _>>()
        else {
            continue;
        };
        let list = formats::list(format, lines.iter().copied());
        let scopes = formats::scopes(format, lines.iter().copied());
        match (&list, &scopes) {
            (Ok(list), Ok(Scopes::List(scopes))) => {
                assert_eq!(list, scopes);
                check_names(list.iter().map(|item| &**item));
                check_meaning(format, &lines, list);
            }
            (Err(_), Ok(Scopes::Map(services))) => {
                check_names(services.keys().map(String::as_str));
                check_names(services.values().flatten().map(String::as_str));
            }
            (Err(list), Err(scopes)) => assert_eq!(list, scopes),
            _ => panic!("{format:?}: a list reads {list:?}, scopes read {scopes:?}"),
        }
    }
    check_attributes(data);
    check_pairs(data);
}

/// The limits, in plain numbers.
fn check_names<'a>(names: impl Iterator<Item = &'a str>) {
    let names: Vec<_> = names.collect();
    assert!(names.len() <= 256, "{} items", names.len());
    for name in names {
        assert!(!name.trim().is_empty() && name.len() <= 256 && !name.chars().any(char::is_control), "{name:?}");
    }
}

/// That the items are those that the text says.
fn check_meaning<T: PartialEq<str>>(format: Format, lines: &[&str], items: &[T]) {
    let separator = match format {
        Format::Csv => ',',
        Format::Space => ' ',
        Format::Pipe => '|',
        Format::Repeated => '\0',
        Format::Base64Json => return,
        Format::Json => {
            let value: Value = serde_json::from_str(lines[0]).unwrap();
            let expected = value.as_array().unwrap();
            assert!(
                items.len() == expected.len() && items.iter().zip(expected).all(|(a, b)| *a == *b.as_str().unwrap())
            );
            return;
        }
    };
    let text = lines.join("\0");
    let expected: Vec<_> = text.split(separator).collect();
    let trim = |item| if format == Format::Repeated { item } else { str::trim_matches(item, ' ') };
    assert!(items.len() == expected.len() && items.iter().zip(expected).all(|(a, b)| *a == *trim(b)));
}

fn check_attributes(data: &[u8]) {
    let Ok(json) = formats::text(data, MAX_IDENTITY_BYTES) else { return };
    let Ok(attributes) = attributes::read(json) else { return };
    assert!(attributes.iter().count() <= MAX_ATTRIBUTES);
    let reference: Value = serde_json::from_str(json).unwrap();
    assert_eq!(reference.as_object().unwrap().len(), attributes.iter().count());
    for (key, value) in attributes.iter() {
        assert!(!key.trim().is_empty() && key.len() <= MAX_ATTRIBUTE_KEY_BYTES);
        assert!(value.len() <= MAX_ATTRIBUTE_VALUE_BYTES);
        assert!(!key.chars().chain(value.chars()).any(char::is_control));
        assert_eq!(reference[key], *value);
    }
}

fn check_pairs(data: &[u8]) {
    let Ok(read) = pairs::deserialize(data) else { return };
    let read: Vec<_> = read.collect();
    // A count, two lengths a pair, and a zero byte behind each text are all that there is beside the texts.
    let texts: usize = read.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert_eq!(data.len(), if data.is_empty() { 0 } else { 4 + 10 * read.len() + texts });
    let as_text = |bytes| str::from_utf8(bytes).ok();
    let Some(texts) = read.iter().map(|(n, v)| Some((as_text(n)?, as_text(v)?))).collect::<Option<Vec<_>>>() else {
        return;
    };
    assert!(pairs::deserialize(&pairs::serialize(&texts)).unwrap().eq(read));
}
