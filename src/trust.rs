//! Section `trust`: who may assert an identity. Each kind of proof has a file.

use serde::Deserialize;

use crate::{
    config::field::{Environment, ErrorKind, Field, all},
    request::{Facts, Request, names::Names},
};
use signature::{FieldLines, Signature};

/// Declares the kinds of proof. Each is a module whose `Config` compiles to the proof.
macro_rules! proofs {
    ($($kind:ident: $Proof:ident,)+) => {
        $(pub mod $kind;)+

        /// A party that may assert identities, with exactly one kind of proof.
        #[derive(Debug, Deserialize)]
        #[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "cli", schemars(rename = "Trust", extend("oneOf" = crate::config::schema::exactly_one(KINDS))))]
        #[serde(deny_unknown_fields)]
        pub struct Config {
            $(
                #[allow(missing_docs, reason = "documented at its type")]
                pub $kind: Option<$kind::Config>,
            )+
            /// The only realms that this party may assert, compared exactly. If left out, all.
            #[cfg_attr(feature = "cli", schemars(length(min = 1)))]
            pub realms: Option<Vec<String>>,
        }

        /// How a party proves that it asserted the identity of a request.
        #[derive(Debug)]
        enum Proof {
            $($Proof($kind::$Proof),)+
        }

        const KINDS: &[&str] = &[$(stringify!($kind)),+];

        impl Config {
            /// Compiles every proof that is given, each with the name of its kind.
            fn proofs(
                &self,
                field: &Field<'_>,
                names: &mut Names,
                environment: Environment<'_>,
            ) -> Vec<(&'static str, Option<Proof>)> {
                let mut proofs = Vec::new();
                $(
                    if let Some(config) = &self.$kind {
                        let kind = stringify!($kind);
                        let proof = config.compile(&field.name(kind), names, environment);
                        proofs.push((kind, proof.map(Proof::$Proof)));
                    }
                )+
                proofs
            }
        }

        impl Proof {
            fn proves(&self, request: &Request<'_>, facts: &Facts<'_>) -> bool {
                match self {
                    $(Self::$Proof(proof) => proof.proves(request, facts),)+
                }
            }
        }
    };
}

proofs! {
    shared_secret: SharedSecret,
    signature: Signature,
    mtls: Mtls,
    peer: Peer,
    filter_state: FilterState,
}

/// The section, compiled: the parties that may assert identities, in the configured order.
#[derive(Debug)]
pub struct Trust(Vec<Entry>);

/// A party that may assert identities.
#[derive(Debug)]
pub struct Entry {
    /// Its position in `trust`.
    pub position: usize,
    /// The kind of its proof, as the configuration names it.
    pub kind: &'static str,
    proof: Proof,
    /// The only realms that the party may assert; `None` allows all.
    realms: Option<Vec<String>>,
}

// === impl Trust ===

impl Trust {
    /// Compiles the section at `field`, and owns the headers of its proofs.
    pub fn compile(
        entries: &[Config],
        field: &Field<'_>,
        names: &mut Names,
        environment: Environment<'_>,
    ) -> Option<Self> {
        if entries.is_empty() {
            return field.refuse(
                ErrorKind::Missing,
                "empty or missing, expected at least one entry that says who may assert an identity",
            );
        }
        let compile =
            |(position, entry): (usize, &Config)| entry.compile(position, &field.index(position), names, environment);
        all(entries.iter().enumerate().map(compile)).map(Self)
    }

    /// The parties, in the configured order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// The first party that proves where the identity of `request` comes from.
    #[must_use]
    pub fn first_that_proves(&self, request: &Request<'_>, facts: &Facts<'_>) -> Option<&Entry> {
        self.entries().find(|entry| entry.proof.proves(request, facts))
    }

    /// The headers with the signatures of other parties, which go on when ours are removed.
    #[must_use]
    pub fn foreign_signatures(&self, request: &Request<'_>) -> Option<FieldLines> {
        signature::remainder(&self.signatures().collect::<Vec<_>>(), request)
    }

    /// The headers that prove `request` by a signature with the key `keyid`, `created` in epoch seconds: the
    /// authenticator's side. `None` if no entry has that key, or if no signature can prove the request.
    #[must_use]
    pub fn sign(&self, keyid: &str, request: &Request<'_>, created: i64) -> Option<FieldLines> {
        self.signatures().find_map(|signature| signature.sign(keyid, request, created))
    }

    fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.entries().filter_map(|entry| match &entry.proof {
            Proof::Signature(signature) => Some(signature),
            _ => None,
        })
    }
}

impl Entry {
    /// Whether the party may assert an identity of `realm`.
    #[must_use]
    pub fn may_assert(&self, realm: &str) -> bool {
        self.realms.as_ref().is_none_or(|realms| realms.iter().any(|allowed| allowed == realm))
    }
}

// === impl Config ===

impl Config {
    fn compile(
        &self,
        position: usize,
        field: &Field<'_>,
        names: &mut Names,
        environment: Environment<'_>,
    ) -> Option<Entry> {
        let realms = self.realms.as_ref().map_or(Some(()), |realms| {
            field.name("realms").some_texts(realms, "at least one realm (leave it out to allow all)")
        });
        let mut proofs = self.proofs(field, names, environment).into_iter();
        match (proofs.next(), proofs.next()) {
            (Some((kind, proof)), None) => {
                realms.and(proof).map(|proof| Entry { position, kind, proof, realms: self.realms.clone() })
            }
            (Some((first, _)), Some((second, _))) => field
                .refuse(ErrorKind::Choice, format!("found both `{first}` and `{second}`, expected exactly one proof")),
            (None, _) => field.refuse(
                ErrorKind::Choice,
                format!(
                    "found no proof, expected one of {}",
                    KINDS.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ")
                ),
            ),
        }
    }
}
