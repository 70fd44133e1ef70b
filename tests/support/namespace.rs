//! Namespaces of a test's own: for a user keyring, and for a folder that the system has elsewhere.

use super::{Home, LIMIT, run, set_variables, until, wrap};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A user namespace that stays while the test runs: the user keyring of whoever enters it is empty and nobody else's.
pub(crate) struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Makes it.
    pub(crate) fn new() -> Self {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--user",
            "--map-root-user",
            "--kill-child",
            "--fork",
            "sleep",
            "infinity",
        ]);
        let holder = command.stdout(Stdio::null()).spawn().expect("util-linux");
        let namespace = Self { holder };
        until("user namespace", || namespace.is_ready().then_some(()));
        namespace
    }

    fn is_ready(&self) -> bool {
        let own = std::fs::read_link("/proc/self/ns/user").expect("proc");
        let maps = std::fs::read_to_string(format!("/proc/{}/uid_map", self.holder.id()))
            .unwrap_or_default();
        let theirs = std::fs::read_link(format!("/proc/{}/ns/user", self.holder.id()));
        theirs.is_ok_and(|theirs| theirs != own) && !maps.trim().is_empty()
    }

    /// Returns a command that runs the program of this one inside, without its arguments and with the kernel's keyring as its cache.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside
            .args(["--user", "--preserve-credentials", "--target"])
            .arg(self.holder.id().to_string())
            .arg(command.get_program())
            .env_clear()
            .current_dir(command.get_current_dir().expect("a private home"))
            .envs(set_variables(command))
            .env("ACRSCOPED_CACHE", "keyutils");
        inside
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The command, run where `folder` is the one in which the agent of Azure Arc writes its keys.
pub(crate) fn with_arc_keys(command: &Command, folder: &Path) -> Command {
    const MOUNT: &str = "mount -t tmpfs none /var/opt; mkdir -p /var/opt/azcmagent/tokens; \
                         mount --bind \"$KEYS\" /var/opt/azcmagent/tokens; exec \"$0\" \"$@\"";
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-ec",
        MOUNT,
    ];
    let mut inside = wrap(&words, command);
    inside.env("KEYS", folder);
    inside
}

/// The network namespace in which the test was started, for the one that runs inside of another.
const OUTSIDE: &str = "ACRSCOPED_TEST_OUTSIDE";

/// Runs the test of this path once more, alone in namespaces whose only interface is loopback and whose mounts are its own; there, does
/// what is to be done, with a folder.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
pub(crate) fn alone(test: &str, body: impl FnOnce(&Path)) {
    let network = std::fs::read_link("/proc/self/ns/net").expect("proc");
    if let Some(outside) = std::env::var_os(OUTSIDE) {
        // Only somebody in namespaces of their own may change interfaces and mounts.
        let is_of_a_namespace = outside.to_string_lossy().starts_with("net:[");
        assert!(
            is_of_a_namespace && network != Path::new(&outside),
            "{OUTSIDE} is set, and this is the network of the machine"
        );
        let home = Home::new();
        sh("ip link set lo up");
        body(home.root());
        return;
    }
    let itself = std::env::current_exe().expect("a test program");
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--net", "--mount"])
        .arg(itself)
        .env(OUTSIDE, network)
        .env("RUST_BACKTRACE", "0");
    command.args(["--exact", test, "--include-ignored", "--nocapture"]);
    let answer = run(command, "", LIMIT).succeeds();
    assert!(answer.stdout.contains("1 passed"), "{answer:#?}");
}

/// Runs a script, which must succeed.
pub(crate) fn sh(script: &str) {
    let mut command = Command::new("sh");
    command.args(["-ec", script]);
    let answer = run(command, "", LIMIT);
    assert!(answer.status.success(), "{answer:#?}");
}

/// Has every one of the hosts at these addresses, and no other host anywhere.
pub(crate) fn resolve(folder: &Path, hosts: &[&str], addresses: &[&str]) {
    let file = folder.join("hosts");
    let lines: Vec<String> = addresses
        .iter()
        .map(|address| format!("{address} {}\n", hosts.join(" ")))
        .collect();
    std::fs::write(&file, lines.concat()).expect("our folder");
    // An earlier one goes first: its file may be gone.
    sh(&format!(
        "umount /etc/hosts 2>/dev/null || true; mount --bind {} /etc/hosts",
        file.display()
    ));
}
