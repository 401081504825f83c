//! Runs the command.

use std::{
    ffi::OsStr,
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{PROOF, SIGNING_SECRET, configurations::TYPED_SECRET};

/// An inline secret that is long enough.
pub const INLINE: &str = "an inline secret, as long as it must be";

/// Nothing that is said may hold one of these.
const SECRETS: &[&str] = &[TYPED_SECRET, INLINE, SIGNING_SECRET, PROOF];

/// What the command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the command, with the demo's secrets in its environment, and looks for secrets in whatever it says.
pub fn otron(args: &[impl AsRef<OsStr>], input: &str) -> Said {
    run(args, input, &[("AUTH_O_TRON_SECRET", SIGNING_SECRET), ("PROXY_SECRET", PROOF)])
}

/// As [`otron`], with this environment and no other.
pub fn run(args: &[impl AsRef<OsStr>], input: &str, environment: &[(&str, &str)]) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_otron"))
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("otron starts");
    // It need not read what it has no use for.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said =
        Said { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) };
    for secret in SECRETS {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "a secret is shown: {said:?}");
    }
    assert!(!said.err.contains("panicked"), "{said:?}");
    said
}

/// A plugin configuration as people write it.
pub const PLAIN: &str = "\
jwt: {iss: a, exp: 3600, secret_env: AUTH_O_TRON_SECRET}
trust:
- shared_secret: {header: x-proof, secret_env: PROXY_SECRET}
";
