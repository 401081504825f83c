//! A real Envoy as a child process.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{LazyLock, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{PROOF, SIGNING_SECRET, TIMEOUT, http::get, module, python, run, top};

/// The Envoy to test with. There is no skipping: without one the tests fail.
pub fn envoy_bin() -> &'static Path {
    static ENVOY: OnceLock<PathBuf> = OnceLock::new();
    ENVOY.get_or_init(|| {
        module();
        PathBuf::from(run(&mut python("tests/support/find_envoy.py")).trim())
    })
}

/// Its version, major and minor.
pub fn version() -> (u32, u32) {
    static VERSION: LazyLock<(u32, u32)> = LazyLock::new(|| {
        // …/envoy  version: 55d4de1d/1.40.0/Clean/RELEASE/BoringSSL
        let text = run(Command::new(envoy_bin()).arg("--version"));
        let mut numbers = text.split('/').find_map(|part| {
            let numbers: Option<Vec<u32>> = part.split('.').map(|number| number.parse().ok()).collect();
            numbers.filter(|numbers| numbers.len() == 3)
        });
        let numbers = numbers.take().unwrap_or_else(|| panic!("no version in {text}"));
        (numbers[0], numbers[1])
    });
    *VERSION
}

/// Envoy ends with the thread that started it (`PR_SET_PDEATHSIG`), not with the process. So one thread starts them all,
/// and lives as long as the tests.
fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<Child>);
    static STARTER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, received) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, started) in received {
                started.send(command.spawn().expect("Envoy starts")).unwrap();
            }
        });
        orders
    });
    let (started, child) = mpsc::channel();
    STARTER.send((command, started)).unwrap();
    child.recv().expect("Envoy starts")
}

/// A running Envoy of one worker, stopped when dropped.
pub struct Envoy {
    child: Child,
    directory: tempfile::TempDir,
    ports: BTreeMap<String, u16>,
    log_read: u64,
}

impl Envoy {
    /// Starts Envoy, which logs at this level, and waits until all listeners are bound.
    pub fn start(level: &str, bootstrap: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("envoy.json");
        let admin_file = directory.path().join("admin");
        fs::write(&config, bootstrap.to_string()).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(envoy_bin());
        command
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
            .stderr(log);
        let mut envoy = Self { child: spawn(command), directory, ports: BTreeMap::new(), log_read: 0 };
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

    /// What the admin interface says at this path.
    pub fn admin(&self, path: &str) -> String {
        let reply = get(self.port("admin"), path).expect("the admin interface answers");
        String::from_utf8(reply.message.body).unwrap()
    }

    /// The value of a counter or gauge. `None` before Envoy has it.
    pub fn stat(&self, name: &str) -> Option<u64> {
        let stats = self.admin("/stats");
        let value = stats.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(|value| value.parse().unwrap())
    }

    /// The whole lines that were logged since this was asked last.
    pub fn new_log(&mut self) -> String {
        let mut log = File::open(self.directory.path().join("log")).unwrap();
        log.seek(SeekFrom::Start(self.log_read)).unwrap();
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes).unwrap();
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1));
        self.log_read += bytes.len() as u64;
        String::from_utf8_lossy(&bytes).into_owned()
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
