//! What changes while Envoy runs: the key, the configuration, and how many identities it has seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    Connection, Envoy, PROOF, Reply, SIGNING_SECRET, claims, demo_configuration,
    discovery::{self, Discovery, Update, echo, plugin_of},
    envoy::version,
    gateways,
    trials::plain,
    verify_with,
};

const SECRETS: [&str; 4] = [
    "a second secret of the tests, long enough for HS256",
    "a third secret of the tests, long enough for HS256",
    "a fourth secret of the tests, long enough for HS256",
    "a fifth secret of the tests, long enough for HS256",
];

const REUSED: &str = "wasmcustom.auth_o_tron.reused";

/// The demo with one gateway, which answers with the token instead of passing it on.
fn gateway(change: impl FnOnce(&mut Value)) -> Value {
    let mut configuration = demo_configuration();
    change(&mut configuration);
    let mut bootstrap = gateways(&[("gateway", configuration)], 1);
    echo(&mut bootstrap);
    bootstrap
}

fn request(user: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nhost: test\r\nx-auth-proof: {PROOF}\r\n\
         x-auth-username: {user}\r\nx-auth-realm: internal\r\nx-auth-roles: admin,developer\r\n\
         x-auth-scopes: read write\r\n\
         x-auth-attributes: {{\"department\":\"engineering\",\"email\":\"{user}@example.com\"}}\r\n\r\n"
    )
}

/// The token that the gateway answered with.
fn token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    let token = reply.value("x-token").expect("a token");
    token.strip_prefix("Bearer ").unwrap().to_owned()
}

/// What one request got, and when: by the clock that Envoy has, too.
struct Seen {
    user: &'static str,
    sent: SystemTime,
    received: SystemTime,
    token: String,
}

/// Requests of a few identities, one after the other on each of several connections, until it is stopped.
struct Traffic {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Seen>>>,
}

impl Traffic {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut connection = Connection::open(port);
                let mut seen = Vec::new();
                for user in ["alice", "bob", "carol", "dave", "erin"].into_iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let sent = SystemTime::now();
                    connection.write(request(user).as_bytes());
                    let token = token(&connection.read());
                    seen.push(Seen { user, sent, received: SystemTime::now(), token });
                    thread::sleep(Duration::from_millis(1));
                }
                seen
            })
        };
        let clients = (0..4).map(client).collect();
        Self { stop, clients }
    }

    /// Every request was answered with a token, else this fails.
    fn stop(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.clients.into_iter().flat_map(|client| client.join().expect("every request gets a token"));
        seen.collect()
    }
}

/// Whether a token was handed out again in a later second than that of its first time.
fn is_any_repeated_later<'a>(seen: impl Iterator<Item = &'a Seen> + Clone) -> bool {
    let mut first = BTreeMap::<&str, u64>::new();
    for one in seen.clone() {
        let second = first.entry(&one.token).or_insert(u64::MAX);
        *second = (*second).min(seconds(one.received));
    }
    seen.into_iter().any(|one| seconds(one.sent) > first[one.token.as_str()])
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

// === the key ===

fn the_scheduled_key_takes_over_at_its_second() {
    // Long enough for Envoy to start, also on a busy machine.
    let not_before = UNIX_EPOCH + Duration::from_secs(seconds(SystemTime::now()) + 8);
    let time = OffsetDateTime::from(not_before).format(&Rfc3339).unwrap();
    let envoy = Envoy::start(
        "warning",
        &gateway(|configuration| {
            configuration["token"] = json!({"reuse": 30});
            configuration["jwt"]["kid"] = json!("first");
            configuration["jwt"]["rotation"] = json!([{"kid": "second", "secret": SECRETS[0], "not_before": time}]);
        }),
    );
    let traffic = Traffic::start(envoy.port("gateway"));
    let after = not_before + Duration::from_secs(3);
    thread::sleep(after.duration_since(SystemTime::now()).expect("it is not over yet"));
    let seen = traffic.stop();

    let mut kids = BTreeMap::<&str, String>::new();
    for one in &seen {
        let kid = kids.entry(&one.token).or_insert_with(|| {
            let kid = jsonwebtoken::decode_header(&one.token).unwrap().kid.unwrap();
            let secret = if kid == "first" { SIGNING_SECRET } else { SECRETS[0] };
            let claims = verify_with(secret, &one.token).expect("signed with the key that it names");
            assert_eq!(claims["sub"], format!("internal-{}", one.user));
            let is_issued_in_time = claims["iat"].as_u64().unwrap() >= seconds(not_before);
            assert_eq!(is_issued_in_time, kid == "second", "{claims}");
            kid
        });
        if one.received < not_before {
            assert_eq!(kid, "first", "before its time");
        }
        if one.sent >= not_before {
            assert_eq!(kid, "second", "{:?} late", one.sent.duration_since(not_before));
        }
    }
    assert_eq!(kids.values().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(["first", "second"]));
    assert!(envoy.stat(REUSED).unwrap() > 0);
    assert!(is_any_repeated_later(seen.iter()));
}

// === the configuration ===

/// Before 1.39, Envoy counts a new environment as taken over and keeps the VM that has the old one. Only a new `vm_id`
/// beside it makes a new VM.
fn environment_makes_a_vm() -> bool {
    version() >= (1, 39)
}

/// Where the signing secret stands. A new environment makes a new VM; a new configuration goes to the VM that serves.
#[derive(Clone, Copy)]
enum Place {
    Environment,
    Configuration,
}

/// The shipped resource, with this signing secret.
fn resource(place: Place, secret: &str) -> Value {
    let mut resource = discovery::resource();
    let plugin = plugin_of(&mut resource);
    let text = plugin["configuration"]["value"].as_str().unwrap();
    let mut configuration: Value = serde_json::from_str(text).unwrap();
    configuration["token"] = json!({"reuse": 30});
    match place {
        Place::Environment => {
            plugin["vm_config"]["environment_variables"]["key_values"]["AUTH_O_TRON_SECRET"] = json!(secret);
            if !environment_makes_a_vm() {
                plugin["vm_config"]["vm_id"] = json!(format!("with {secret}"));
            }
        }
        Place::Configuration => {
            configuration["jwt"].as_object_mut().unwrap().remove("secret_env");
            configuration["jwt"]["secret"] = json!(secret);
        }
    }
    plugin["configuration"]["value"] = json!(configuration.to_string());
    resource
}

/// A secret, and the time within which a request may get a token of it.
struct Reign {
    secret: &'static str,
    offered: SystemTime,
    /// When Envoy has counted that it took over.
    active: SystemTime,
    /// When the next one is active.
    end: Option<SystemTime>,
}

/// Long enough for tokens to be handed out again in a later second.
fn let_pass() {
    thread::sleep(Duration::from_millis(1200));
}

fn a_new_configuration_under_load() {
    use Place::{Configuration, Environment};

    let discovery = Discovery::start(&resource(Environment, SIGNING_SECRET));
    let envoy = &discovery.envoy;
    let refuse = |place| {
        assert_eq!(discovery.update(&resource(place, "too short")), Update::Rejected);
        thread::sleep(Duration::from_millis(100));
    };
    let start = SystemTime::now();
    let mut reigns = vec![Reign { secret: SIGNING_SECRET, offered: start, active: start, end: None }];
    let traffic = Traffic::start(envoy.port("gateway"));
    for (place, secret) in [Environment, Configuration, Configuration, Environment].into_iter().zip(SECRETS) {
        refuse(Environment);
        refuse(Configuration);
        let_pass();
        let offered = SystemTime::now();
        assert_eq!(discovery.update(&resource(place, secret)), Update::Success);
        let active = SystemTime::now();
        reigns.last_mut().unwrap().end = Some(active);
        reigns.push(Reign { secret, offered, active, end: None });
    }
    refuse(Environment);
    refuse(Configuration);
    let_pass();
    let seen = traffic.stop();

    let mut secrets = BTreeMap::<&str, &str>::new();
    for one in &seen {
        let secret = secrets.entry(&one.token).or_insert_with(|| {
            let reign = reigns.iter().find(|reign| {
                let claims = verify_with(reign.secret, &one.token);
                claims.is_some_and(|claims| claims["sub"] == format!("internal-{}", one.user))
            });
            reign.expect("signed under one of the secrets").secret
        });
        let reign = reigns.iter().find(|reign| reign.secret == *secret).unwrap();
        assert!(one.received >= reign.offered, "{secret}: before it was there");
        assert!(reign.end.is_none_or(|end| one.sent <= end), "{secret}: after the next one was active");
    }
    for reign in &reigns {
        let is_of_it = |one: &&Seen| one.sent >= reign.active && secrets[one.token.as_str()] == reign.secret;
        assert!(is_any_repeated_later(seen.iter().filter(is_of_it)), "{}: nothing is handed out again", reign.secret);
    }
    assert!(envoy.stat(REUSED).unwrap() > 0);
}

fn a_new_environment_makes_a_new_vm_since_1_39() {
    let discovery = Discovery::start(&resource(Place::Environment, SIGNING_SECRET));
    let mut resource = resource(Place::Environment, SECRETS[0]);
    if !environment_makes_a_vm() {
        // That of the VM which serves.
        plugin_of(&mut resource)["vm_config"]["vm_id"] = json!(format!("with {SIGNING_SECRET}"));
    }
    assert_eq!(discovery.update(&resource), Update::Success);
    let expected = if environment_makes_a_vm() { SECRETS[0] } else { SIGNING_SECRET };
    // Longer than a worker takes to have it.
    let_pass();
    let mut connection = Connection::open(discovery.envoy.port("gateway"));
    connection.write(request("alice").as_bytes());
    assert!(verify_with(expected, &token(&connection.read())).is_some());
}

// === many identities ===

/// What the process may grow by once both generations of the cache have been full. Nothing is the aim, and 0.1 MiB is
/// usual; the rest is for allocators and V8, which give memory back when they please. Without bounds it is over 100 MiB.
const MAX_GROWTH_BYTES: u64 = 8 * 1024 * 1024;

const IDENTITIES: u32 = 200_000;
const WARM_UP: u32 = 20_000;
const BATCH: u32 = 50;

fn two_hundred_thousand_identities_stay_within_the_bound() {
    let envoy = Envoy::start("warning", &gateway(|configuration| configuration["token"] = json!({"reuse": 300})));
    // Envoy closes a connection on which requests come before the replies to earlier ones have left.
    let mut connections: Vec<_> = (0..BATCH).map(|_| Connection::open(envoy.port("gateway"))).collect();
    let mut send = |identities: Range<u32>| {
        for first in identities.step_by(BATCH as usize) {
            let users: Vec<_> = (first..first + BATCH).map(|number| format!("user-{number:06}")).collect();
            for (connection, user) in connections.iter_mut().zip(&users) {
                connection.write(request(user).as_bytes());
            }
            let replies = connections.iter_mut().zip(&users);
            let tokens: Vec<_> = replies.map(|(connection, user)| token_of(user, &connection.read())).collect();
            // Among all the others, a token is still handed out again.
            connections[0].write(request(&users[0]).as_bytes());
            assert_eq!(token_of(&users[0], &connections[0].read()), tokens[0]);
        }
    };
    send(0..WARM_UP);
    let before = resident_bytes(&envoy);
    send(WARM_UP..IDENTITIES);
    let after = resident_bytes(&envoy);

    println!("resident: {before} bytes after {WARM_UP} identities, {after} after {IDENTITIES}");
    let growth = after.saturating_sub(before);
    assert!(growth <= MAX_GROWTH_BYTES, "grown by {growth} bytes, from {before} to {after}");
    assert_eq!(envoy.stat("wasmcustom.auth_o_tron.issued"), Some(u64::from(IDENTITIES)));
    assert_eq!(envoy.stat(REUSED), Some(u64::from(IDENTITIES / BATCH)));
}

/// The token in a reply, which must be this user's.
fn token_of(user: &str, reply: &Reply) -> String {
    let token = token(reply);
    assert_eq!(claims(&token)["sub"], format!("internal-{user}"));
    token
}

fn resident_bytes(envoy: &Envoy) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", envoy.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

pub fn trials() -> Vec<Trial> {
    plain![
        the_scheduled_key_takes_over_at_its_second,
        a_new_configuration_under_load,
        a_new_environment_makes_a_new_vm_since_1_39,
        two_hundred_thousand_identities_stay_within_the_bound,
    ]
}
