//! Where each part of an identity comes from, and how it is read.

use std::borrow::Cow;

use super::{
    attributes::{self, Attributes},
    formats::{self, Format, MAX_NAME_BYTES, Scopes, ScopesForm},
};
use crate::{
    rejection::Flaw,
    request::{Request, names::NameId},
};

/// How long all identity header values together may be, in bytes.
pub const MAX_IDENTITY_BYTES: usize = 8192;

/// Who the request is from, as asserted by a proven authenticator.
#[derive(Debug)]
pub struct Identity<'a> {
    /// The authenticated username.
    pub username: &'a str,
    /// The realm that authenticated the user.
    pub realm: &'a str,
    /// The roles, in the order of the header.
    pub roles: Vec<Cow<'a, str>>,
    /// The scopes: what the user may do.
    pub scopes: Scopes<'a>,
    /// Further attributes, including `exp`.
    pub attributes: Attributes<'a>,
}

impl Identity<'_> {
    /// The subject: the realm that authenticated the user, a hyphen, and the authenticated username.
    #[must_use]
    pub fn subject(&self) -> String {
        [self.realm, "-", self.username].concat()
    }

    /// The user's own expiry in epoch seconds. Auth-O-Tron keeps it as the attribute `exp`, in decimal digits (`i64`).
    ///
    /// # Errors
    /// When the attribute is there but is not such a number.
    pub fn expiry(&self) -> Result<Option<i64>, Flaw> {
        self.attributes.get("exp").map(|exp| exp.parse().map_err(|_| Flaw::NotEpochSeconds)).transpose()
    }
}

/// A part of an identity that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Which part, such as `roles`.
    pub part: &'static str,
    /// The header it came in, if it came at all.
    pub header: Option<NameId>,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// Where each part of the identity comes from.
#[derive(Debug)]
pub struct Sources {
    /// The header of the username.
    pub username: Headers,
    /// Where the realm comes from.
    pub realm: RealmSource,
    /// The header of the roles, and how it lists them.
    pub roles: (Headers, Format),
    /// The header of the scopes, and how it lists them.
    pub scopes: (Headers, Format),
    /// The header of all attributes together.
    pub attributes: Headers,
    /// Attribute → the header that carries it.
    pub attributes_from: Vec<(String, NameId)>,
    /// Whether an empty header means that the user has none of what it carries.
    pub empty_is_absent: bool,
}

/// Headers of which the first one present counts.
pub type Headers = Vec<NameId>;

/// Where the realm comes from.
#[derive(Debug)]
pub enum RealmSource {
    /// A header.
    Header(Headers),
    /// One value for every request.
    Fixed(String),
}

impl Sources {
    /// Reads the identity of a request.
    ///
    /// # Errors
    /// When a part is missing, malformed or over a limit.
    pub fn read<'a>(&'a self, request: &Request<'a>, form: ScopesForm) -> Result<Identity<'a>, Unreadable> {
        let headers = self.read_texts(request)?;
        Ok(Identity {
            username: headers.name(&self.username).map_err(headers.unreadable("username", &self.username))?,
            realm: match &self.realm {
                RealmSource::Fixed(realm) => realm,
                RealmSource::Header(ids) => headers.name(ids).map_err(headers.unreadable("realm", ids))?,
            },
            roles: self.read_roles(&headers).map_err(headers.unreadable("roles", &self.roles.0))?,
            scopes: self.read_scopes(&headers, form).map_err(headers.unreadable("scopes", &self.scopes.0))?,
            attributes: self.read_attributes(&headers)?,
        })
    }

    /// Every identity header, even one that no claim is read from, such as the second of a list: it may be forwarded.
    fn read_texts<'a>(&self, request: &Request<'a>) -> Result<Texts<'a>, Unreadable> {
        let mut texts = Vec::with_capacity(USUAL_IDENTITY_HEADERS);
        for (id, value) in request.identity() {
            let text = if self.empty_is_absent && value.is_empty() {
                Ok("")
            } else {
                formats::text(value, MAX_IDENTITY_BYTES)
            };
            texts.push((id, text.map_err(|flaw| Unreadable { part: self.part_of(id), header: Some(id), flaw })?));
        }
        Ok(Texts(texts))
    }

    /// Which part of the identity a header is for.
    fn part_of(&self, id: NameId) -> &'static str {
        let realm = match &self.realm {
            RealmSource::Header(ids) => ids.as_slice(),
            RealmSource::Fixed(_) => &[],
        };
        let sources = [
            ("username", self.username.as_slice()),
            ("realm", realm),
            ("roles", &self.roles.0),
            ("scopes", &self.scopes.0),
            ("attributes", &self.attributes),
        ];
        let part = sources.into_iter().find(|(_, ids)| ids.contains(&id)).map(|(part, _)| part);
        let is_attribute = self.attributes_from.iter().any(|(_, own)| *own == id);
        part.unwrap_or(if is_attribute { "attributes" } else { "identity" })
    }

    fn read_roles<'a>(&self, headers: &Texts<'a>) -> Result<Vec<Cow<'a, str>>, Flaw> {
        let (ids, format) = &self.roles;
        formats::list(*format, headers.filled(ids))
    }

    fn read_scopes<'a>(&self, headers: &Texts<'a>, form: ScopesForm) -> Result<Scopes<'a>, Flaw> {
        let (ids, format) = &self.scopes;
        match form {
            ScopesForm::List => formats::list(*format, headers.filled(ids)).map(Scopes::List),
            ScopesForm::Map => formats::scopes(*format, headers.filled(ids)),
        }
    }

    fn read_attributes<'a>(&'a self, headers: &Texts<'a>) -> Result<Attributes<'a>, Unreadable> {
        let part = "attributes";
        let mut attributes = match headers.filled(&self.attributes).next() {
            Some(json) => attributes::read(json).map_err(headers.unreadable(part, &self.attributes))?,
            None => Attributes::default(),
        };
        for (key, id) in &self.attributes_from {
            // An empty `exp` is one that nobody can read; it must not mean the longest lifetime.
            if let Some(value) = headers.of(*id).next().filter(|value| !value.is_empty() || key == "exp") {
                attributes.add(key, value).map_err(|flaw| Unreadable { part, header: Some(*id), flaw })?;
            }
        }
        Ok(attributes)
    }
}

/// The identity headers of a request, as [`formats::text`] read them. An empty one counts as absent.
struct Texts<'a>(Vec<(NameId, &'a str)>);

/// Room for the identity headers of most requests.
const USUAL_IDENTITY_HEADERS: usize = 8;

impl<'a> Texts<'a> {
    /// The values of a header, in the order of the request.
    fn of(&self, id: NameId) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| *own == id).map(|(_, text)| *text)
    }

    /// The first of these headers that is present.
    fn first(&self, ids: &[NameId]) -> Option<NameId> {
        ids.iter().copied().find(|id| self.of(*id).next().is_some())
    }

    /// The values of the first of these headers that is present.
    fn of_first(&self, ids: &[NameId]) -> impl Iterator<Item = &'a str> {
        self.first(ids).into_iter().flat_map(|id| self.of(id))
    }

    /// As [`Texts::of_first`], without the empty ones.
    fn filled(&self, ids: &[NameId]) -> impl Iterator<Item = &'a str> {
        self.of_first(ids).filter(|text| !text.is_empty())
    }

    /// The value of the first of these headers that is present, as a name.
    fn name(&self, ids: &[NameId]) -> Result<&'a str, Flaw> {
        let name = self.of_first(ids).next().ok_or(Flaw::Missing)?;
        formats::check_length(name, MAX_NAME_BYTES)?;
        Ok(name)
    }

    fn unreadable(&self, part: &'static str, ids: &[NameId]) -> impl Fn(Flaw) -> Unreadable {
        move |flaw| Unreadable { part, header: self.first(ids), flaw }
    }
}
