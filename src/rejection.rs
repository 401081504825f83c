//! What a denied request gets: code → status, problem details, challenge.

use std::fmt;

/// Declares every code once: its status, its words and the body made of them.
///
/// Bodies are assembled by the compiler, so denying allocates nothing for them.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $status:literal $code:literal $title:literal $detail:literal;)+) => {
        /// Why a request is denied: one code for one row of the outcomes table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)+
        }

        impl Code {
            /// Every code, in the order of the outcomes table.
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
    /// The challenge that RFC 9110, section 11.6.1 asks of every 401, in the words of RFC 6750, section 3.
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

/// A denial: the code that the client gets, and for the operator's log which part of the request is at fault.
///
/// Both words are fixed text of this crate, so no value of a request can reach a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What the client is told.
    pub code: Code,
    /// The part of the request that is at fault, such as `roles`.
    pub part: &'static str,
    /// What is wrong with it, such as `not UTF-8`.
    pub flaw: &'static str,
}

impl Rejection {
    /// A denial with `code` because `part` has `flaw`.
    #[must_use]
    pub const fn new(code: Code, part: &'static str, flaw: &'static str) -> Self {
        Self { code, part, flaw }
    }

    /// The denial of identity headers that are not well formed.
    #[must_use]
    pub const fn malformed(part: &'static str, flaw: &'static str) -> Self {
        Self::new(Code::IdentityMalformed, part, flaw)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}: {})", self.code, self.part, self.flaw)
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
