//! The harness: a real Envoy as a child process, an upstream that records, and a client that sends raw bytes.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod cases;
pub mod configurations;
pub mod tls;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use auth_o_tron_envoy::rejection::Code;
use base64::{Engine, engine::general_purpose::STANDARD};
use httpsig::prelude::{
    AlgorithmName, HttpSignatureBase, HttpSignatureParams, SharedKey, SigningKey,
    message_component::HttpMessageComponent,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

/// The secrets of the demo, in the environment of every VM that the tests start.
pub const SIGNING_SECRET: &str = "your-256-bit-secret-key-here-minimum-32-characters";
pub const PROOF: &str = "demo-proof-known-to-everybody";

const TIMEOUT: Duration = Duration::from_secs(10);

/// The top of the project, where Envoy runs: the shipped YAML names the module relative to it.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every YAML file below `envoy/`.
pub fn shipped_yaml() -> Vec<PathBuf> {
    fn files(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    files(&top().join("envoy")).into_iter().filter(is_yaml).collect()
}

/// The built filter, where `make build` leaves it.
pub fn module() -> PathBuf {
    let module = top().join("target/wasm32-wasip1/release/auth_o_tron_envoy.wasm");
    assert!(module.exists(), "the module is not built: run `make build`, or `make test` for everything");
    module
}

/// The Envoy to test with. There is no skipping: without one the tests fail.
pub fn envoy_bin() -> &'static Path {
    static ENVOY: OnceLock<PathBuf> = OnceLock::new();
    ENVOY.get_or_init(|| {
        module();
        let output = Command::new("python3").arg(top().join("tests/support/find_envoy.py")).output();
        let output = output.expect("python3 runs find_envoy.py");
        assert!(output.status.success(), "no Envoy: {}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// The shipped demo as data.
pub fn shipped() -> Value {
    serde_yaml_ng::from_str(&fs::read_to_string(top().join("envoy/envoy.yaml")).unwrap()).unwrap()
}

/// The plugin configuration of the shipped demo.
pub fn shipped_configuration() -> Value {
    let mut shipped = shipped();
    let manager = &mut shipped["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    serde_json::from_str(plugin(manager)["configuration"]["value"].as_str().unwrap()).unwrap()
}

/// The shipped demo with one gateway for each plugin configuration, on free ports, in front of `upstream`.
pub fn gateways(configurations: &[(&str, Value)], upstream: u16) -> Value {
    let mut bootstrap = shipped();
    on_free_ports(&mut bootstrap, upstream);
    let cluster = &mut bootstrap["static_resources"]["clusters"][0];
    cluster["typed_extension_protocol_options"] = json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
    }});
    let template = bootstrap["static_resources"]["listeners"][0].take();
    let listeners = configurations.iter().map(|(name, configuration)| {
        let mut listener = template.clone();
        listener["name"] = json!(name);
        listener["address"]["socket_address"]["port_value"] = json!(0);
        let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        manager["always_set_request_id_in_response"] = json!(true);
        manager["http_protocol_options"] = json!({"enable_trailers": true});
        manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]);
        manager["route_config"]["virtual_hosts"][0]["routes"] = json!([
            {"name": "orders", "match": {"prefix": "/orders"}, "route": {"cluster": "service"}},
            {"match": {"prefix": "/"}, "route": {"cluster": "service"}},
            {"match": {"connect_matcher": {}}, "route": {"cluster": "service"}},
        ]);
        let plugin = plugin(manager);
        plugin["configuration"]["value"] = json!(configuration.to_string());
        // As in production: Envoy shows its whole configuration in its log at debug level.
        plugin["vm_config"]["environment_variables"] = json!({"host_env_keys": ["AUTH_O_TRON_SECRET", "PROXY_SECRET"]});
        listener
    });
    bootstrap["static_resources"]["listeners"] = listeners.collect();
    bootstrap
}

/// Moves a shipped bootstrap to free ports, in front of `upstream`.
pub fn on_free_ports(bootstrap: &mut Value, upstream: u16) {
    bootstrap["admin"]["address"]["socket_address"]["port_value"] = json!(0);
    for listener in bootstrap["static_resources"]["listeners"].as_array_mut().unwrap() {
        listener["address"]["socket_address"]["port_value"] = json!(0);
    }
    let endpoints = &mut bootstrap["static_resources"]["clusters"][0]["load_assignment"]["endpoints"];
    let endpoint = &mut endpoints[0]["lb_endpoints"][0]["endpoint"];
    endpoint["address"]["socket_address"]["port_value"] = json!(upstream);
}

/// The Wasm plugin of an HTTP connection manager.
pub fn plugin(manager: &mut Value) -> &mut Value {
    &mut manager["http_filters"][0]["typed_config"]["config"]
}

/// A running Envoy of one worker, stopped when dropped.
pub struct Envoy {
    child: Child,
    directory: tempfile::TempDir,
    ports: BTreeMap<String, u16>,
}

impl Envoy {
    /// Starts Envoy and waits until all listeners are bound.
    pub fn start(bootstrap: &Value) -> Self {
        Self::start_logging("debug", bootstrap)
    }

    /// As [`Envoy::start`], for more requests than a log at debug level is good for.
    pub fn start_quiet(bootstrap: &Value) -> Self {
        Self::start_logging("warning", bootstrap)
    }

    fn start_logging(level: &str, bootstrap: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("envoy.json");
        let admin_file = directory.path().join("admin");
        fs::write(&config, bootstrap.to_string()).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let child = Command::new(envoy_bin())
            .current_dir(top())
            .envs([("AUTH_O_TRON_SECRET", SIGNING_SECRET), ("PROXY_SECRET", PROOF)])
            .args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", level])
            // Of access logs.
            .args(["--file-flush-interval-msec", "50", "-c"])
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Envoy starts");
        let mut envoy = Self { child, directory, ports: BTreeMap::new() };
        envoy.wait_until_ready(&admin_file);
        envoy
    }

    fn wait_until_ready(&mut self, admin_file: &Path) {
        let deadline = Instant::now() + TIMEOUT;
        let admin = loop {
            let exited = self.child.try_wait().unwrap();
            assert!(exited.is_none() && Instant::now() < deadline, "Envoy did not start:\n{}", self.log());
            let address = fs::read_to_string(admin_file).unwrap_or_default();
            if let Some(port) = address.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok())
                && get(port, "/ready").is_some_and(|reply| reply.status == 200)
            {
                break port;
            }
            thread::sleep(Duration::from_millis(20));
        };
        self.ports.insert("admin".to_owned(), admin);
        let listeners = get(admin, "/listeners?format=json").unwrap();
        let listeners: Value = serde_json::from_slice(&listeners.body).unwrap();
        for listener in listeners["listener_statuses"].as_array().unwrap() {
            let port = listener["local_address"]["socket_address"]["port_value"].as_u64().unwrap();
            self.ports.insert(listener["name"].as_str().unwrap().to_owned(), u16::try_from(port).unwrap());
        }
    }

    /// The port of a listener, or of `admin`.
    pub fn port(&self, listener: &str) -> u16 {
        self.ports[listener]
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The value of a counter or gauge. `None` before Envoy has it.
    pub fn stat(&self, name: &str) -> Option<u64> {
        let reply = get(self.port("admin"), "/stats").expect("the admin interface answers");
        let text = String::from_utf8(reply.message.body).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(|value| value.parse().unwrap())
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.directory.path().join("log")).unwrap()).into_owned()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `envoy --mode validate`, which configures the filter and exits.
pub fn validate(config: &Path) -> Output {
    let mut command = Command::new(envoy_bin());
    command.current_dir(top()).args(["--use-dynamic-base-id", "--mode", "validate", "-c"]).arg(config);
    command.output().expect("Envoy starts")
}

/// The two header fields of one label, as `httpsig` makes them from these lines of the signature base: RFC 9421 by
/// somebody else. The parameters come in the order of that implementation.
pub fn signature_fields(label: &str, lines: &[&str], params: &str, secret: &str) -> Vec<(String, String)> {
    let names: Vec<_> = lines.iter().map(|line| line.split_once(": ").unwrap().0).collect();
    let components: Vec<_> = lines.iter().map(|line| HttpMessageComponent::try_from(*line).unwrap()).collect();
    let params = HttpSignatureParams::try_from(format!("({}){params}", names.join(" ")).as_str()).unwrap();
    let base = HttpSignatureBase::try_new(&components, &params).unwrap();
    let key = SharedKey::from_base64(&AlgorithmName::HmacSha256, &STANDARD.encode(secret)).unwrap();
    let mac = STANDARD.encode(key.sign(&base.as_bytes()).unwrap());
    vec![
        ("signature-input".to_owned(), format!("{label}={params}")),
        ("signature".to_owned(), format!("{label}=:{mac}:")),
    ]
}

/// Header lines, in order, with lower-case names.
pub type Lines = Vec<(String, Vec<u8>)>;

/// An HTTP/1.1 message as it stood on the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub start: String,
    pub headers: Lines,
    pub body: Vec<u8>,
    pub trailers: Lines,
}

impl Message {
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// The value of a header that came exactly once.
    pub fn value(&self, name: &str) -> Option<String> {
        match self.values(name)[..] {
            [] => None,
            [value] => Some(String::from_utf8(value.to_vec()).unwrap()),
            _ => panic!("{name} came more than once: {self:?}"),
        }
    }

    /// Reads one message. `None` when the connection closes before it.
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let start = read_line(stream)?;
        let mut message = Self {
            start: String::from_utf8_lossy(&start).into_owned(),
            headers: read_lines(stream)?,
            ..Self::default()
        };
        if message.values("transfer-encoding") == [b"chunked"] {
            loop {
                let size = String::from_utf8(read_line(stream)?).unwrap();
                let size = usize::from_str_radix(&size, 16).unwrap();
                if size == 0 {
                    break;
                }
                let mut chunk = vec![0; size];
                stream.read_exact(&mut chunk).ok()?;
                message.body.append(&mut chunk);
                read_line(stream)?;
            }
            message.trailers = read_lines(stream)?;
        } else if let Some(length) = message.value("content-length") {
            message.body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut message.body).ok()?;
        }
        Some(message)
    }
}

fn read_line(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).ok().filter(|&length| length > 0)?;
    Some(line.trim_ascii_end().to_vec())
}

fn read_lines(stream: &mut impl BufRead) -> Option<Lines> {
    let mut lines = Lines::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Some(lines);
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap();
        let name = String::from_utf8_lossy(&line[..colon]).to_lowercase();
        lines.push((name, line[colon + 1..].trim_ascii().to_vec()));
    }
}

/// A reply as the client saw it.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub message: Message,
}

impl std::ops::Deref for Reply {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// Sends raw bytes on a new connection and reads one reply. `None` when there is none.
pub fn send(port: u16, request: &[u8]) -> Option<Reply> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    exchange(stream, request)
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Option<Reply> {
    stream.write_all(request).ok()?;
    read_reply(&mut BufReader::new(stream))
}

fn read_reply(stream: &mut impl BufRead) -> Option<Reply> {
    let message = Message::read(stream)?;
    let status = message.start.split(' ').nth(1)?.parse().ok()?;
    Some(Reply { status, message })
}

/// A connection that is kept open for one request after the other.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends raw bytes, of one request or of several.
    pub fn write(&mut self, requests: &[u8]) {
        self.0.get_mut().write_all(requests).unwrap();
    }

    /// Reads the next reply.
    pub fn read(&mut self) -> Reply {
        read_reply(&mut self.0).expect("a reply")
    }
}

/// A request that the upstream keeps as `case`, with these headers.
pub fn request(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = "GET / HTTP/1.1\r\nhost: test\r\nx-case: case\r\n".to_owned();
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.into_bytes()
}

pub fn get(port: u16, path: &str) -> Option<Reply> {
    send(port, format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes())
}

/// The client got the whole reply of this code.
pub fn check_denied(code: Code, reply: &Reply) {
    assert_eq!(reply.status, code.status(), "{reply:?}");
    assert_eq!(String::from_utf8_lossy(&reply.body), code.body());
    assert_eq!(reply.value("content-type").unwrap(), "application/problem+json");
    assert_eq!(reply.value("cache-control").unwrap(), "no-store");
    assert_eq!(reply.value("www-authenticate").as_deref(), code.challenge());
}

/// The claims, once `jsonwebtoken` has verified signature and times.
pub fn verify(token: &str) -> Value {
    verify_from("auth-o-tron.example.com", token)
}

/// As [`verify`], of a token of another issuer.
pub fn verify_from(issuer: &str, token: &str) -> Value {
    read_token(issuer, SIGNING_SECRET, token).expect("a valid token")
}

/// As [`verify`], with another secret. `None` where the token is not valid under it.
pub fn verify_with(secret: &str, token: &str) -> Option<Value> {
    read_token("auth-o-tron.example.com", secret, token)
}

fn read_token(issuer: &str, secret: &str, token: &str) -> Option<Value> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iat", "iss", "sub"]);
    validation.validate_aud = false;
    let decoded = jsonwebtoken::decode(token, &DecodingKey::from_secret(secret.as_bytes()), &validation);
    decoded.ok().map(|token| token.claims)
}

/// A service that records what reaches it, by the request's `x-case` header.
pub struct Upstream {
    pub port: u16,
    seen: Arc<Mutex<BTreeMap<String, Message>>>,
}

impl Upstream {
    /// Listens until the test process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let recorder = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let recorder = Arc::clone(&recorder);
                thread::spawn(move || serve(stream, &recorder));
            }
        });
        Self { port, seen }
    }

    /// What arrived of a case. It is taken out, so that a case can be sent again.
    pub fn take(&self, case: &str) -> Option<Message> {
        self.seen.lock().unwrap().remove(case)
    }

    /// All that arrived and was not taken yet, by case.
    pub fn take_all(&self) -> BTreeMap<String, Message> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn serve(stream: TcpStream, seen: &Mutex<BTreeMap<String, Message>>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = Message::read(&mut reader) {
        let reply: &[u8] = if request.start.starts_with("CONNECT") {
            b"HTTP/1.1 200 OK\r\n\r\n"
        } else if request.value("upgrade").is_some() {
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        } else {
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        };
        seen.lock().unwrap().insert(request.value("x-case").unwrap_or_default(), request);
        if writer.write_all(reply).is_err() {
            break;
        }
    }
}
