//! The products whose headers are known: one row each.

use serde::Deserialize;

use super::formats::Format;

/// A product whose headers the filter knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "kebab-case")]
pub enum PresetName {
    /// Auth-O-Tron's own headers: `x-auth-username` and so on.
    #[default]
    AuthOTron,
    /// oauth2-proxy as a reverse proxy: `x-forwarded-user` and so on.
    Oauth2Proxy,
    /// oauth2-proxy asked by another proxy, such as Envoy's `ext_authz`: `x-auth-request-user` and so on.
    Oauth2ProxyAuthRequest,
    /// Authelia: `remote-user` and so on.
    Authelia,
    /// authentik: `x-authentik-username` and so on.
    Authentik,
    /// An authenticating proxy for Kubernetes: `x-remote-user` and so on.
    Kubernetes,
}

/// The headers that a product sets.
pub struct Preset {
    /// Default of `identity.username.header`.
    pub username: &'static [&'static str],
    /// Default of `identity.realm.header`; empty if the product knows no realms.
    pub realm: &'static [&'static str],
    /// Default of `identity.roles`.
    pub roles: (&'static [&'static str], Format),
    /// Default of `identity.scopes`.
    pub scopes: (&'static [&'static str], Format),
    /// Default of `identity.attributes.header`.
    pub attributes: &'static [&'static str],
    /// Default of `identity.attributes.from`.
    pub attributes_from: &'static [(&'static str, &'static str)],
    /// Headers that no claim is read from. A `*` at the end stands for any ending.
    pub others: &'static [&'static str],
    /// Whether the product sends an empty header for what a user does not have, such as groups.
    pub sends_empty: bool,
}

/// What the other presets start from: no headers at all.
const PLAIN: Preset = Preset {
    username: &[],
    realm: &[],
    roles: (&[], Format::Csv),
    scopes: (&[], Format::Space),
    attributes: &[],
    attributes_from: &[],
    others: &[],
    sends_empty: false,
};

const AUTH_O_TRON: Preset = Preset {
    username: &["x-auth-username"],
    realm: &["x-auth-realm"],
    roles: (&["x-auth-roles"], Format::Csv),
    scopes: (&["x-auth-scopes"], Format::Space),
    attributes: &["x-auth-attributes"],
    ..PLAIN
};

/// See <https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview#header-options>: `--pass-user-headers`.
const OAUTH2_PROXY: Preset = Preset {
    username: &["x-forwarded-preferred-username", "x-forwarded-user"],
    roles: (&["x-forwarded-groups"], Format::Csv),
    attributes_from: &[("email", "x-forwarded-email")],
    others: &["x-forwarded-access-token"],
    ..PLAIN
};

/// See the page of [`OAUTH2_PROXY`]: `--set-xauthrequest`.
const OAUTH2_PROXY_AUTH_REQUEST: Preset = Preset {
    username: &["x-auth-request-preferred-username", "x-auth-request-user"],
    roles: (&["x-auth-request-groups"], Format::Csv),
    attributes_from: &[("email", "x-auth-request-email")],
    others: &["x-auth-request-access-token"],
    ..PLAIN
};

/// See <https://www.authelia.com/integration/trusted-header-sso/introduction/#response-headers>.
const AUTHELIA: Preset = Preset {
    username: &["remote-user"],
    roles: (&["remote-groups"], Format::Csv),
    attributes_from: &[("name", "remote-name"), ("email", "remote-email")],
    sends_empty: true,
    ..PLAIN
};

/// See <https://docs.goauthentik.io/add-secure-apps/providers/proxy>.
const AUTHENTIK: Preset = Preset {
    username: &["x-authentik-username"],
    roles: (&["x-authentik-groups"], Format::Pipe),
    attributes_from: &[("email", "x-authentik-email"), ("name", "x-authentik-name"), ("uid", "x-authentik-uid")],
    others: &["x-authentik-jwt", "x-authentik-entitlements"],
    sends_empty: true,
    ..PLAIN
};

/// See <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy>.
const KUBERNETES: Preset = Preset {
    username: &["x-remote-user"],
    roles: (&["x-remote-group"], Format::Repeated),
    others: &["x-remote-uid", "x-remote-extra-*"],
    ..PLAIN
};

impl PresetName {
    /// The headers of the product.
    #[must_use]
    pub const fn preset(self) -> &'static Preset {
        match self {
            Self::AuthOTron => &AUTH_O_TRON,
            Self::Oauth2Proxy => &OAUTH2_PROXY,
            Self::Oauth2ProxyAuthRequest => &OAUTH2_PROXY_AUTH_REQUEST,
            Self::Authelia => &AUTHELIA,
            Self::Authentik => &AUTHENTIK,
            Self::Kubernetes => &KUBERNETES,
        }
    }
}

impl Preset {
    /// Every header that the product sets, and whether it may have several lines.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let single = [self.username, self.realm, self.scopes.0, self.attributes].into_iter().flatten().copied();
        let single = single.chain(self.attributes_from.iter().map(|(_, header)| *header));
        let roles = self.roles.0.iter().map(|name| (*name, self.roles.1 == Format::Repeated));
        let others = self.others.iter().map(|name| (*name, name.ends_with('*')));
        single.map(|name| (name, false)).chain(roles).chain(others)
    }
}
