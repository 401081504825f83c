//! What `make bench` compares the filter with: a token service that Envoy asks by `ext_authz`, over HTTP/1.1.
//!
//! `token-service SECRET PROOF` prints the port that it listens on. One thread, connections kept alive, key prepared.

use std::{collections::BTreeMap, convert::Infallible, io::Write, net::Ipv4Addr, rc::Rc, time::SystemTime};

use http_body_util::Empty;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::HeaderValue,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use subtle::ConstantTimeEq;
use tokio::{net::TcpListener, runtime, task};

const LIFETIME: u64 = 3600;
const PROOF_HEADER: &str = "x-auth-proof";
/// What must not reach the service behind Envoy.
const REMOVED: HeaderValue =
    HeaderValue::from_static("x-auth-username,x-auth-realm,x-auth-roles,x-auth-scopes,x-auth-attributes,x-auth-proof");

struct Signer {
    key: EncodingKey,
    header: Header,
    proof: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: String,
    iss: &'a str,
    exp: u64,
    iat: u64,
    roles: Vec<&'a str>,
    username: &'a str,
    realm: &'a str,
    scopes: Vec<&'a str>,
    attributes: BTreeMap<String, String>,
}

impl Signer {
    /// The value of `authorization`; `None` where the headers do not prove an identity.
    fn authorization(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let header = |name: &str| headers.get(name)?.to_str().ok();
        if !bool::from(header(PROOF_HEADER)?.as_bytes().ct_eq(self.proof.as_bytes())) {
            return None;
        }
        let (username, realm) = (header("x-auth-username")?, header("x-auth-realm")?);
        let iat = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let claims = Claims {
            sub: format!("{realm}-{username}"),
            iss: "auth-o-tron.example.com",
            exp: iat + LIFETIME,
            iat,
            roles: header("x-auth-roles").unwrap_or_default().split(',').map(str::trim).collect(),
            username,
            realm,
            scopes: header("x-auth-scopes").unwrap_or_default().split_whitespace().collect(),
            attributes: serde_json::from_str(header("x-auth-attributes").unwrap_or("{}")).ok()?,
        };
        let token = jsonwebtoken::encode(&self.header, &claims, &self.key).ok()?;
        HeaderValue::try_from(format!("Bearer {token}")).ok()
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Empty<Bytes>> {
        let mut response = Response::new(Empty::new());
        match self.authorization(request.headers()) {
            Some(value) => {
                response.headers_mut().insert("authorization", value);
                response.headers_mut().insert("x-envoy-auth-headers-to-remove", REMOVED);
            }
            None => *response.status_mut() = StatusCode::UNAUTHORIZED,
        }
        response
    }
}

async fn serve(signer: Rc<Signer>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    println!("{}", listener.local_addr().expect("its address").port());
    std::io::stdout().flush().expect("someone reads the port");
    while let Ok((stream, _)) = listener.accept().await {
        let signer = Rc::clone(&signer);
        let _ = stream.set_nodelay(true);
        task::spawn_local(async move {
            let answer = |request| std::future::ready(Ok::<_, Infallible>(signer.answer(&request)));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(secret), Some(proof)) = (arguments.next(), arguments.next()) else {
        panic!("token-service SECRET PROOF")
    };
    let signer =
        Signer { key: EncodingKey::from_secret(secret.as_bytes()), header: Header::new(Algorithm::HS256), proof };
    let runtime = runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    task::LocalSet::new().block_on(&runtime, serve(Rc::new(signer)));
}
