//! What a denied request gets: for each code a status, problem details and a challenge.

use std::fmt;

/// Declares every code once: its status, its words and the body made of them.
///
/// The compiler assembles the bodies, so a denial allocates nothing for them.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $status:literal $code:literal $title:literal $detail:literal;)+) => {
        /// Why a request is denied: one code per row of the table of outcomes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code, in the order of the table of outcomes.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it appears in the body and in log lines.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The HTTP status of the reply.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }

            /// The body: problem details (RFC 9457, section 3) plus `code` and Auth-O-Tron's own `error` member.
            #[must_use]
            pub const fn body(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!(
                        r#"{"type":"urn:auth-o-tron:problem:"#, $code,
                        r#"","title":""#, $title,
                        r#"","status":"#, $status,
                        r#","detail":""#, $detail,
                        r#"","code":""#, $code,
                        r#"","error":""#, $detail, "\"}\n",
                    ),)+
                }
            }
        }
    };
}

codes! {
    /// No identity header at all, and `on_missing` is `deny`.
    IdentityMissing 401 "identity_missing" "Identity missing"
        "The request carries no identity.";
    /// Identity headers that no `trust` entry proves.
    IdentityUntrusted 401 "identity_untrusted" "Identity not trusted"
        "Nothing proves where the identity of this request comes from.";
    /// The user's own `exp` attribute has passed.
    IdentityExpired 401 "identity_expired" "Identity expired"
        "The identity of this request has expired.";
    /// A realm outside `identity.realms`, or outside those of the entry that proved the identity.
    RealmNotAllowed 403 "realm_not_allowed" "Realm not allowed"
        "The realm of this request's identity is not allowed here.";
    /// A rule with the action `deny`.
    DeniedByRule 403 "denied_by_rule" "Denied by rule"
        "A rule of the proxy denies this request.";
    /// Identity headers that cannot be read in exactly one way, or that exceed a limit.
    IdentityMalformed 400 "identity_malformed" "Identity malformed"
        "The identity headers of this request are malformed.";
    /// The proxy behaved unexpectedly; the request is not to blame.
    Internal 500 "internal" "Internal error"
        "The token of this request could not be issued.";
}

impl Code {
    /// The challenge that RFC 9110, section 11.6.1 requires in every 401, as RFC 6750, section 3 words it.
    #[must_use]
    pub const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::IdentityMissing => Some("Bearer"),
            Self::IdentityUntrusted | Self::IdentityExpired => Some(r#"Bearer error="invalid_token""#),
            Self::RealmNotAllowed | Self::DeniedByRule | Self::IdentityMalformed | Self::Internal => None,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a request, or with a part of it. It never holds a value from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// It is not there.
    Missing,
    /// It is empty, or nothing but blanks.
    Empty,
    /// It is not UTF-8.
    NotUtf8,
    /// It holds a control character (C0, DEL or C1).
    ControlCharacter,
    /// It is longer than this many bytes.
    TooLong(usize),
    /// It has more than this many items.
    TooMany(usize),
    /// It comes on more than one line.
    Repeated,
    /// It comes under another spelling, such as `x_auth_roles` for `x-auth-roles`.
    Aliased,
    /// `Connection` nominates it for removal (RFC 9110, section 7.6.1).
    Nominated,
    /// An attribute comes twice.
    AttributeTwice,
    /// It is not base64 (RFC 4648).
    NotBase64,
    /// It is not a JSON list of strings.
    NotList,
    /// It is a JSON object where a list belongs.
    ObjectForList,
    /// It is not a JSON object of strings.
    NotObject,
    /// It is not an integer number of epoch seconds.
    NotEpochSeconds,
    /// It has passed.
    InThePast,
    /// No entry of `trust` proves it.
    Unproven,
    /// The entry that proves it may not assert this realm.
    NotAssertable,
    /// It is not in `identity.realms`.
    NotAllowed,
    /// The first rule that matches denies it.
    Denied,
    /// The host did not do its part.
    Host(&'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::NotUtf8 => "not UTF-8",
            Self::ControlCharacter => "holds a control character",
            Self::TooLong(max) => return write!(f, "longer than {max} bytes"),
            Self::TooMany(max) => return write!(f, "more than {max} items"),
            Self::Repeated => "comes more than once",
            Self::Aliased => "comes under an alias, such as with `_` for `-`",
            Self::Nominated => "nominated for removal by Connection",
            Self::AttributeTwice => "has an attribute twice",
            Self::NotBase64 => "not base64",
            Self::NotList => "not a JSON list of strings",
            Self::ObjectForList => "a JSON object, not a list",
            Self::NotObject => "not a JSON object of strings",
            Self::NotEpochSeconds => "not an integer of epoch seconds",
            Self::InThePast => "in the past",
            Self::Unproven => "not proven by any entry",
            Self::NotAssertable => "not one that the proving entry may assert",
            Self::NotAllowed => "not in identity.realms",
            Self::Denied => "the first matching rule denies it",
            Self::Host(what) => what,
        })
    }
}

/// A denial: the code for the client and, for the operator's log, which part of the request is at fault.
///
/// It holds only names from the configuration and words of this crate, so no value of a request can reach a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection<'p> {
    /// What the client is told.
    pub code: Code,
    /// The part of the request that is at fault, such as `roles`.
    pub part: &'static str,
    /// The header it came in, as the configuration names it.
    pub header: Option<&'p str>,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl Rejection<'_> {
    /// A denial with `code` because `part` has `flaw`.
    #[must_use]
    pub const fn new(code: Code, part: &'static str, flaw: Flaw) -> Self {
        Self { code, part, header: None, flaw }
    }

    /// The reason alone, for readers who already know the code.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.header {
            Some(header) => format!("{} in {header}: {}", self.part, self.flaw),
            None => format!("{}: {}", self.part, self.flaw),
        }
    }
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_a_problem_document_that_agrees_with_its_code() {
        for &code in Code::ALL {
            let body: serde_json::Value = serde_json::from_str(code.body()).unwrap();
            assert_eq!(body["type"], format!("urn:auth-o-tron:problem:{code}"), "{code}");
            assert_eq!(body["code"], code.as_str(), "{code}");
            assert_eq!(body["status"], code.status(), "{code}");
            assert_eq!(body["error"], body["detail"], "{code}");
            assert!(body["title"].is_string(), "{code}");
        }
    }

    #[test]
    fn exactly_the_401s_carry_a_challenge() {
        for &code in Code::ALL {
            assert_eq!(code.challenge().is_some(), code.status() == 401, "{code}");
        }
    }
}
