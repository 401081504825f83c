//! Start, send, see: an Envoy with a service behind it, and what client and service saw of a request.

use auth_o_tron_envoy::rejection::Code;
use serde_json::Value;

use super::{
    envoy::Envoy,
    http::{Message, Reply, check_denied, request, send},
    shipped::{on_free_ports, shipped},
    tls::{Authority, Client},
    token::verify,
    upstream::Upstream,
};

pub struct Scene {
    pub envoy: Envoy,
    pub upstream: Upstream,
    pub authority: Authority,
}

impl Scene {
    /// An Envoy that logs at this level, of a bootstrap that may name the service's port and the authority's files.
    pub fn start(level: &str, bootstrap: impl FnOnce(u16, &Authority) -> Value) -> Self {
        let (upstream, authority) = (Upstream::start(), Authority::new());
        let envoy = Envoy::start(level, &bootstrap(upstream.port, &authority));
        Self { envoy, upstream, authority }
    }

    /// A shipped YAML file, with a change.
    pub fn shipped(file: &str, change: impl FnOnce(&mut Value, &Authority)) -> Self {
        Self::start("debug", |upstream, authority| {
            let mut bootstrap = shipped(file);
            authority.place(&mut bootstrap);
            on_free_ports(&mut bootstrap, upstream);
            change(&mut bootstrap, authority);
            bootstrap
        })
    }

    /// `GET /` with these headers, to a listener.
    pub fn send(&self, listener: &str, headers: &[(&str, &str)]) -> Seen {
        let reply = send(self.envoy.port(listener), &request(headers));
        Seen { reply, arrived: self.upstream.take("case") }
    }

    /// As [`Scene::send`], by TLS.
    pub fn send_tls(&self, listener: &str, client: Option<&Client>, headers: &[(&str, &str)]) -> Seen {
        let reply = self.authority.send(self.envoy.port(listener), client, &request(headers));
        Seen { reply, arrived: self.upstream.take("case") }
    }

    /// At the listener `gateway`, who has the proof gets a token, and nobody else does.
    pub fn check_secret(&self, proof: &str) {
        let send = |proof| {
            let alice = [("x-auth-username", "alice"), ("x-auth-realm", "internal"), ("x-auth-proof", proof)];
            self.send("gateway", &alice)
        };
        assert_eq!(send(proof).issued()["sub"], "internal-alice");
        send("forged").denied(Code::IdentityUntrusted);
    }
}

/// What the client got, and what reached the service.
#[derive(Debug)]
pub struct Seen {
    pub reply: Option<Reply>,
    pub arrived: Option<Message>,
}

impl Seen {
    /// The reply's status and the request at the service, which got it if and only if all went well.
    pub fn status(self) -> (u16, Option<Message>) {
        let status = self.reply.as_ref().expect("a reply").status;
        assert_eq!(self.arrived.is_some(), status == 200, "{self:?}");
        (status, self.arrived)
    }

    /// The request at the service, beside which no identity header came.
    pub fn passed(self) -> Message {
        let (status, arrived) = self.status();
        let arrived = arrived.unwrap_or_else(|| panic!("{status}"));
        assert!(!arrived.headers.iter().any(|(name, _)| name.starts_with("x-auth")), "{arrived:?}");
        arrived
    }

    /// The claims of the token at the service.
    pub fn issued(self) -> Value {
        let token = self.passed().value("authorization").expect("a token");
        verify(token.strip_prefix("Bearer ").unwrap())
    }

    pub fn denied(self, code: Code) {
        check_denied(code, self.reply.as_ref().expect("a reply"));
        assert!(self.arrived.is_none(), "it reached the service: {self:?}");
    }

    /// There was not even a reply.
    pub fn refused(self) {
        assert!(self.reply.is_none() && self.arrived.is_none(), "{self:?}");
    }
}
