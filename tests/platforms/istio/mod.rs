//! The manifests under `envoy/istio` in real Envoy, as istiod gives them to a proxy. `tests/manifests` checks their
//! fields.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::manifest::{documents, host_variables, jwt_authn_and_rbac, of_kind, secret_variables, wasm_filter};
use crate::support::{
    self, Envoy, Message, Reply, SIGNING_SECRET, Upstream, check_denied, request,
    tls::{Authority, Client, uri},
    trials::plain,
    verify,
};
use auth_o_tron_envoy::rejection::Code;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use libtest_mimic::Trial;
use serde_json::{Value, json};

const PLUGINS: [(&str, &str); 2] =
    [("istio/wasm-plugin.yaml", "WasmPlugin"), ("istio/traffic-extension.yaml", "TrafficExtension")];
const SPIFFE: &str = "spiffe://cluster.local/ns/auth/sa/authenticator";
const ALICE: &[(&str, &str)] = &[("x-auth-username", "alice"), ("x-auth-realm", "internal")];

/// A gateway that is as `gateway.yaml` says, and a service that is as `request-authentication.yaml` says.
struct Mesh {
    authority: Authority,
    envoy: Envoy,
    upstream: Upstream,
}

impl Mesh {
    /// With these filters in the gateway.
    fn start(filters: &[Value]) -> Self {
        let (authority, upstream) = (Authority::new(), Upstream::start());
        let yaml = authority.place(&support::top().join("envoy/mtls.yaml"));
        let mut bootstrap: Value = serde_yaml_ng::from_str(&yaml).unwrap();
        support::on_free_ports(&mut bootstrap, upstream.port);

        let listeners = bootstrap["static_resources"]["listeners"].as_array_mut().unwrap();
        let mut service = listeners[0].clone();
        service["name"] = json!("service");
        service["filter_chains"][0].as_object_mut().unwrap().remove("transport_socket").unwrap();
        set_filters(&mut service, &service_filters());

        let server = &of_kind("istio/gateway.yaml", "Gateway")["spec"]["servers"][0];
        let socket = &mut listeners[0]["filter_chains"][0]["transport_socket"]["typed_config"];
        socket["require_client_certificate"] = json!(server["tls"]["mode"] == "ISTIO_MUTUAL");
        set_filters(&mut listeners[0], filters);
        listeners.push(service);
        Self { authority, envoy: Envoy::start(&bootstrap), upstream }
    }

    /// To the gateway, from a workload of this name; as `gateway.yaml` says, with its certificate.
    fn send(&self, workload: &str, headers: &[(&str, &str)]) -> (Reply, Option<Message>) {
        let rule = of_kind("istio/gateway.yaml", "DestinationRule");
        let client: Option<Client> = (rule["spec"]["trafficPolicy"]["tls"]["mode"] == "ISTIO_MUTUAL")
            .then(|| self.authority.client(&[uri(workload)]));
        let reply = self.authority.send(self.envoy.port("gateway"), client.as_ref(), &request(headers));
        (reply.expect("a reply"), self.upstream.take("case"))
    }

    /// To the service, past the gateway.
    fn call(&self, authorization: Option<&str>) -> (u16, Option<Message>) {
        let headers = authorization.map(|value| ("authorization", value));
        let reply = support::send(self.envoy.port("service"), &request(headers.as_slice())).expect("a reply");
        (reply.status, self.upstream.take("case"))
    }
}

/// The filters of a listener, before the router.
fn set_filters(listener: &mut Value, filters: &[Value]) {
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    let router = manager["http_filters"].as_array_mut().unwrap().pop().unwrap();
    manager["http_filters"] = filters.iter().cloned().chain([router]).collect();
}

fn service_filters() -> [Value; 2] {
    let file = "istio/request-authentication.yaml";
    jwt_authn_and_rbac(&of_kind(file, "RequestAuthentication"), &of_kind(file, "AuthorizationPolicy"))
}

fn the_authenticator_gets_a_token_for_its_users_and_nobody_else_does() {
    for (file, kind) in PLUGINS {
        let filter = wasm_filter(&of_kind(file, kind));
        assert_eq!(filter["typed_config"]["config"]["failure_policy"], "FAIL_RELOAD");
        let mesh = Mesh::start(&[filter]);
        let (reply, arrived) = mesh.send(SPIFFE, ALICE);
        assert_eq!(reply.status, 200, "{kind}: {reply:?}");
        let arrived = arrived.expect("it arrived");
        assert!(!arrived.headers.iter().any(|(name, _)| name.starts_with("x-auth")), "{arrived:?}");
        let authorization = arrived.value("authorization").expect("a token");
        assert_eq!(verify(authorization.strip_prefix("Bearer ").unwrap())["sub"], "internal-alice");

        let (reply, arrived) = mesh.send("spiffe://cluster.local/ns/shop/sa/orders", ALICE);
        check_denied(Code::IdentityUntrusted, &reply);
        assert!(arrived.is_none(), "{kind}: {arrived:?}");
        let port = mesh.envoy.port("gateway");
        let anonymous = mesh.authority.send(port, None, &request(ALICE));
        assert!(anonymous.is_none(), "{kind}: no certificate: {anonymous:?}");
        let plain = support::send(port, &request(ALICE));
        assert!(plain.is_none(), "{kind}: no TLS at all: {plain:?}");
    }
}

fn the_secret_of_the_proxy_is_the_secret_of_the_filter() {
    let patch = &documents("istio/secret-env.yaml")[0];
    let given = secret_variables(&patch["spec"]["template"]["spec"]["containers"][0]);
    for (file, kind) in PLUGINS {
        let spec = &of_kind(file, kind)["spec"];
        assert_eq!(host_variables(spec.get("wasm").unwrap_or(spec)), given, "{kind}");
    }
}

/// What the manifests say of `phase`: with AUTHN, Istio's own filters in the same gateway see the token.
fn phase_authn_is_before_the_filters_of_istio() {
    for (file, kind) in PLUGINS {
        let manifest = of_kind(file, kind);
        let [plugin, own] = [vec![wasm_filter(&manifest)], service_filters().to_vec()];
        let (before, after) = ([plugin.clone(), own.clone()].concat(), [own, plugin].concat());
        assert_eq!(manifest["spec"]["phase"], "AUTHN");
        assert_eq!(Mesh::start(&before).send(SPIFFE, ALICE).0.status, 200);
        assert_eq!(Mesh::start(&after).send(SPIFFE, ALICE).0.status, 403, "there is no token yet");
    }
}

fn the_service_accepts_tokens_of_the_filter_only() {
    let mesh = Mesh::start(&[]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let token = |issuer: &str, exp: u64, secret: &str| {
        let claims = json!({"iss": issuer, "sub": "internal-alice", "iat": now, "exp": exp});
        let key = EncodingKey::from_secret(secret.as_bytes());
        format!("Bearer {}", jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap())
    };
    let good = token("auth-o-tron.example.com", now + 60, SIGNING_SECRET);
    let (status, arrived) = mesh.call(Some(&good));
    assert_eq!((status, arrived.unwrap().value("authorization")), (200, Some(good)));

    let foreign = "a secret of somebody else, long enough for HS256";
    for (authorization, expected) in [
        (None, 403),
        (Some("Basic cm9vdDo=".to_owned()), 403),
        (Some(token("auth-o-tron.example.com", now + 60, foreign)), 401),
        (Some(token("other.example.com", now + 60, SIGNING_SECRET)), 401),
        (Some(token("auth-o-tron.example.com", now - 3600, SIGNING_SECRET)), 401),
    ] {
        let (status, arrived) = mesh.call(authorization.as_deref());
        assert_eq!(status, expected, "{authorization:?}");
        assert!(arrived.is_none(), "{authorization:?}: {arrived:?}");
    }
}

pub fn trials() -> Vec<Trial> {
    plain![
        the_authenticator_gets_a_token_for_its_users_and_nobody_else_does,
        the_secret_of_the_proxy_is_the_secret_of_the_filter,
        phase_authn_is_before_the_filters_of_istio,
        the_service_accepts_tokens_of_the_filter_only,
    ]
}
