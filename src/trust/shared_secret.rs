//! `shared_secret`: the authenticator sends a secret in a header of its own.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::request::{NameId, Request};

/// A secret, and the header that must carry it.
pub struct SharedSecret {
    header: NameId,
    secret: Zeroizing<String>,
}

impl SharedSecret {
    /// A proof by `secret` in `header`.
    #[must_use]
    pub const fn new(header: NameId, secret: Zeroizing<String>) -> Self {
        Self { header, secret }
    }

    /// Compares in constant time; only the length of the secret, which is no secret, can be measured.
    pub(super) fn proves(&self, request: &Request<'_>) -> bool {
        request.value(self.header).is_some_and(|value| value.ct_eq(self.secret.as_bytes()).into())
    }
}

impl std::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}
