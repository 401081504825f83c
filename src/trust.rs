//! Who may assert an identity. One kind of proof a file, behind one enum.

pub mod filter_state;
pub mod mtls;
pub mod peer;
pub mod shared_secret;
pub mod signature;

use crate::request::Request;
use filter_state::FilterState;
use mtls::Mtls;
use peer::Peer;
use shared_secret::SharedSecret;
use signature::{FieldLines, Signature};

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
    /// By the client certificate of the connection.
    Mtls(Mtls),
    /// By the address that the connection comes from.
    Peer(Peer),
    /// By what an earlier filter of the chain left.
    FilterState(FilterState),
}

/// What the proxy itself knows about a request beside its headers. It is fetched only where a proof asks for it.
pub trait Evidence {
    /// The value of a property, by its path; `None` where there is none, or where it cannot be had.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
}

/// There is none.
impl Evidence for () {
    fn property(&self, _path: &[&str]) -> Option<Vec<u8>> {
        None
    }
}

impl<F: Fn(&[&str]) -> Option<Vec<u8>>> Evidence for F {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self(path)
    }
}

impl Proof {
    fn proves(&self, request: &Request<'_>, evidence: &dyn Evidence, now: i64) -> bool {
        match self {
            Self::SharedSecret(secret) => secret.proves(request),
            Self::Signature(signature) => signature.proves(request, now),
            Self::Mtls(mtls) => mtls.proves(evidence),
            Self::Peer(peer) => peer.proves(evidence),
            Self::FilterState(state) => state.proves(evidence),
        }
    }
}

/// The first entry, in the configured order and with its position, that proves at `now` where the identity of `request` comes from.
#[must_use]
pub fn first_that_proves<'e>(
    entries: &'e [Entry],
    request: &Request<'_>,
    evidence: &dyn Evidence,
    now: i64,
) -> Option<(usize, &'e Entry)> {
    entries.iter().enumerate().find(|(_, entry)| entry.proof.proves(request, evidence, now))
}

/// The headers of signatures by other parties, which go on when ours are removed.
#[must_use]
pub fn foreign_signatures(entries: &[Entry], request: &Request<'_>) -> Option<FieldLines> {
    let signatures = entries.iter().filter_map(|entry| match &entry.proof {
        Proof::Signature(signature) => Some(signature),
        _ => None,
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
