//! The manifests under `envoy/istio` in real Envoy, as istiod gives them to a proxy. `manifests` beside this folder
//! checks their fields.

use auth_o_tron_envoy::rejection::Code;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    manifest::{host_variables, jwt_authn_and_rbac, of_kind, secret_variables, wasm_filter},
    support::{
        SIGNING_SECRET,
        cases::now,
        scene::{Scene, Seen},
        shipped::{manager_of, shipped_documents},
        tls::uri,
        trials::plain,
    },
};

const PLUGINS: [(&str, &str); 2] =
    [("istio/wasm-plugin.yaml", "WasmPlugin"), ("istio/traffic-extension.yaml", "TrafficExtension")];
const GATEWAY: &str = "istio/gateway.yaml";
const SERVICE: &str = "istio/request-authentication.yaml";
const SPIFFE: &str = "spiffe://cluster.local/ns/auth/sa/authenticator";
const ALICE: &[(&str, &str)] = &[("x-auth-username", "alice"), ("x-auth-realm", "internal")];

/// A gateway that is as `gateway.yaml` says, and a service that is as `request-authentication.yaml` says.
struct Mesh {
    scene: Scene,
    gateway: String,
}

impl Mesh {
    /// With these filters in the gateway.
    fn start(filters: &[Value]) -> Self {
        Self::of(GATEWAY, filters, &service_filters(SERVICE))
    }

    fn of(gateway: &str, filters: &[Value], service_filters: &[Value]) -> Self {
        let scene = Scene::shipped("mtls.yaml", |bootstrap, _| {
            let listeners = bootstrap["static_resources"]["listeners"].as_array_mut().unwrap();
            let mut service = listeners[0].clone();
            service["name"] = json!("service");
            service["filter_chains"][0].as_object_mut().unwrap().remove("transport_socket").unwrap();
            set_filters(&mut service, service_filters);

            let server = &of_kind(gateway, "Gateway")["spec"]["servers"][0];
            let socket = &mut listeners[0]["filter_chains"][0]["transport_socket"]["typed_config"];
            socket["require_client_certificate"] = json!(server["tls"]["mode"] == "ISTIO_MUTUAL");
            set_filters(&mut listeners[0], filters);
            listeners.push(service);
        });
        Self { scene, gateway: gateway.to_owned() }
    }

    /// To the gateway, from a workload of this name; as `gateway.yaml` says, with its certificate.
    fn send(&self, workload: &str, headers: &[(&str, &str)]) -> Seen {
        let rule = of_kind(&self.gateway, "DestinationRule");
        let client = (rule["spec"]["trafficPolicy"]["tls"]["mode"] == "ISTIO_MUTUAL")
            .then(|| self.scene.authority.client(&[uri(workload)]));
        self.scene.send_tls("gateway", client.as_ref(), headers)
    }

    /// To the service, past the gateway.
    fn call(&self, authorization: Option<&str>) -> Seen {
        let headers = authorization.map(|value| ("authorization", value));
        self.scene.send("service", headers.as_slice())
    }
}

/// The filters of a listener, before the router.
fn set_filters(listener: &mut Value, filters: &[Value]) {
    let manager = manager_of(listener);
    let router = manager["http_filters"].as_array_mut().unwrap().pop().unwrap();
    manager["http_filters"] = filters.iter().cloned().chain([router]).collect();
}

fn service_filters(file: &str) -> [Value; 2] {
    jwt_authn_and_rbac(&of_kind(file, "RequestAuthentication"), &of_kind(file, "AuthorizationPolicy"))
}

/// The authenticator gets a token for its users, and no other workload does.
pub fn check_plugin(file: &str, kind: &str) {
    let filter = wasm_filter(&of_kind(file, kind));
    assert_eq!(filter["typed_config"]["config"]["failure_policy"], "FAIL_RELOAD");
    let mesh = Mesh::start(&[filter]);
    assert_eq!(mesh.send(SPIFFE, ALICE).issued()["sub"], "internal-alice");
    mesh.send("spiffe://cluster.local/ns/shop/sa/orders", ALICE).denied(Code::IdentityUntrusted);
}

/// The gateway lets nobody in who is not of the mesh.
pub fn who_shows_no_certificate_is_not_served(file: &str) {
    let (plugin, kind) = PLUGINS[0];
    let mesh = Mesh::of(file, &[wasm_filter(&of_kind(plugin, kind))], &service_filters(SERVICE));
    assert_eq!(mesh.send(SPIFFE, ALICE).status().0, 200);
    mesh.scene.send_tls("gateway", None, ALICE).refused();
    // No TLS at all.
    mesh.scene.send("gateway", ALICE).refused();
}

pub fn the_secret_of_the_proxy_is_the_secret_of_the_filter(file: &str) {
    let patch = &shipped_documents(file)[0];
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
        let [plugin, own] = [vec![wasm_filter(&manifest)], service_filters(SERVICE).to_vec()];
        let (before, after) = ([plugin.clone(), own.clone()].concat(), [own, plugin].concat());
        assert_eq!(manifest["spec"]["phase"], "AUTHN");
        assert_eq!(Mesh::start(&before).send(SPIFFE, ALICE).status().0, 200);
        assert_eq!(Mesh::start(&after).send(SPIFFE, ALICE).status().0, 403, "there is no token yet");
    }
}

pub fn the_service_accepts_tokens_of_the_filter_only(file: &str) {
    let mesh = Mesh::of(GATEWAY, &[], &service_filters(file));
    let token = |issuer: &str, exp: u64, secret: &str| {
        let claims = json!({"iss": issuer, "sub": "internal-alice", "iat": now(), "exp": exp});
        let key = EncodingKey::from_secret(secret.as_bytes());
        format!("Bearer {}", jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap())
    };
    let good = token("auth-o-tron.example.com", now() + 60, SIGNING_SECRET);
    let (status, arrived) = mesh.call(Some(&good)).status();
    assert_eq!((status, arrived.unwrap().value("authorization")), (200, Some(good)));

    let foreign = "a secret of somebody else, long enough for HS256";
    for (authorization, expected) in [
        (None, 403),
        (Some("Basic cm9vdDo=".to_owned()), 403),
        (Some(token("auth-o-tron.example.com", now() + 60, foreign)), 401),
        (Some(token("other.example.com", now() + 60, SIGNING_SECRET)), 401),
        (Some(token("auth-o-tron.example.com", now() - 3600, SIGNING_SECRET)), 401),
    ] {
        assert_eq!(mesh.call(authorization.as_deref()).status().0, expected, "{authorization:?}");
    }
}

pub fn trials() -> Vec<Trial> {
    plain![phase_authn_is_before_the_filters_of_istio]
}
