//! Who may assert an identity. One kind of proof a file, behind one enum.

pub mod shared_secret;
pub mod signature;

use crate::request::Request;
use shared_secret::SharedSecret;
use signature::Signature;

/// A party that may assert identities.
#[derive(Debug)]
pub struct Entry {
    /// How the party proves that it is the one.
    pub proof: Proof,
    /// The only realms that the party may assert; `None` is all.
    pub realms: Option<Vec<String>>,
}

/// How a party proves that it asserted the identity of a request.
#[derive(Debug)]
pub enum Proof {
    /// By a secret that only it and the filter know.
    SharedSecret(SharedSecret),
    /// By a signature over the identity headers.
    Signature(Signature),
}

impl Proof {
    fn proves(&self, request: &Request<'_>, now: i64) -> bool {
        match self {
            Self::SharedSecret(secret) => secret.proves(request),
            Self::Signature(signature) => signature.proves(request, now),
        }
    }
}

/// The first entry, in the configured order, that proves at `now` where the identity of `request` comes from.
#[must_use]
pub fn first_that_proves<'e>(entries: &'e [Entry], request: &Request<'_>, now: i64) -> Option<&'e Entry> {
    entries.iter().find(|entry| entry.proof.proves(request, now))
}

/// The headers of signatures by other parties, which go on when ours are removed.
#[must_use]
pub fn foreign_signatures(entries: &[Entry], request: &Request<'_>) -> Option<[String; 2]> {
    let signatures = entries.iter().filter_map(|entry| match &entry.proof {
        Proof::Signature(signature) => Some(signature),
        Proof::SharedSecret(_) => None,
    });
    signature::remainder(&signatures.collect::<Vec<_>>(), request)
}

impl Entry {
    /// Whether the party may assert an identity of `realm`.
    #[must_use]
    pub fn may_assert(&self, realm: &str) -> bool {
        self.realms.as_ref().is_none_or(|realms| realms.iter().any(|allowed| allowed == realm))
    }
}
