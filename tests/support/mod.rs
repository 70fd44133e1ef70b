//! What the tests that run the shipped binary share: which binary it is, private folders for it, and how it is asked.
#![allow(dead_code, reason = "every test target uses another part")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

pub(crate) mod golden;
#[cfg(target_os = "linux")]
pub(crate) mod namespace;
pub(crate) mod run;
#[cfg(target_os = "linux")]
pub(crate) mod server;
pub(crate) mod setups;
#[cfg(target_os = "linux")]
pub(crate) mod trace;

pub(crate) use run::{Answer, LIMIT, run, until};

use simulator::{CLIENT, Simulator, TENANT};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The sentence after which clients go on without a credential.
pub(crate) const NOT_OURS: &str = "credentials not found in native keychain";

/// The user name under which a registry takes a refresh token as the password.
pub(crate) const ZERO_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// The registry most tests are about.
pub(crate) const REGISTRY: &str = "contoso.azurecr.io";

/// The binary under test: the static one that `tests/run` names, else the one cargo has just built.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("ACRSCOPED_TEST_BINARY").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_docker-credential-acrscoped")),
        PathBuf::from,
    )
}

/// The `az` that `tests/setup` installed.
pub(crate) fn azure_cli() -> PathBuf {
    cache("azure-cli/bin/az")
}

/// What `tests/setup` installed under this name.
pub(crate) fn cache(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .expect("a home folder");
    let path = cache.join("docker-credential-acrscoped-tests").join(name);
    assert!(
        path.exists(),
        "{} is missing: run tests/setup",
        path.display()
    );
    path
}

/// Whether programs under test get the variables of an odd machine: `tests/run` sets `ACRSCOPED_TEST_ENVIRONMENT=odd`.
fn is_odd() -> bool {
    match std::env::var("ACRSCOPED_TEST_ENVIRONMENT").as_deref() {
        Ok("odd") => true,
        Ok(other) => panic!("ACRSCOPED_TEST_ENVIRONMENT is `{other}`: `odd` is the only value"),
        Err(_) => false,
    }
}

/// What shells, CI systems and people leave in the environment. No answer depends on any of it; `tests/environment.rs` sets more, one
/// variable at a time. `LC_ALL` stays: without a locale in UTF-8, conmon and others cannot read the names of our folders.
pub(crate) const ODD: [(&str, &str); 11] = [
    ("RUST_BACKTRACE", "full"),
    ("RUST_LIB_BACKTRACE", "1"),
    ("RUST_LOG", "trace"),
    ("LANG", "tr_TR.UTF-8"),
    ("TZ", "Pacific/Chatham"),
    ("TERM", "no-such-terminal"),
    ("MALLOC_PERTURB_", "165"),
    ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0"),
    ("LD_BIND_NOW", "1"),
    ("RES_OPTIONS", "ndots:15"),
    ("LOCALDOMAIN", "corp.example"),
];

/// A user's folders, made for one test: nothing of the invoking user is read or written.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// Makes the folders, with the binary under test on the private `PATH`.
    pub(crate) fn new() -> Self {
        // As wide, so that messages break their lines at the same places.
        let prefix = if is_odd() {
            "acrscöped-tést-"
        } else {
            "acrscoped-test-"
        };
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .tempdir()
            .expect("a temporary folder");
        let home = Self { folder };
        for name in ["home", "work", "run", "docker", "bin", "tmp of üs"] {
            let path = home.path(name);
            std::fs::create_dir(&path).expect("a new folder");
            #[cfg(unix)]
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .expect("our folder");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(binary(), home.path("bin/docker-credential-acrscoped"))
            .expect("a new link");
        home
    }

    /// The folder of everything.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A place below [`Home::root`]: `home`, `work` (the working directory), `run` (`XDG_RUNTIME_DIR`), `docker` (`DOCKER_CONFIG`), `bin`,
    /// `auth.json`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file below [`Home::root`], with the folders it needs.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a path below the root")).expect("our folder");
        std::fs::write(&path, content).expect("our folder");
        path
    }

    /// Puts a program in place: a copy of a file.
    pub(crate) fn install(&self, file: &Path, name: &str) -> PathBuf {
        let path = self.path(name);
        install(file, &path);
        path
    }

    /// A program that is a shell script.
    pub(crate) fn script(&self, name: &str, lines: &str) -> PathBuf {
        let text = self.write(&format!("{name}.text"), format!("#!/bin/sh\n{lines}\n"));
        self.install(&text, name)
    }

    /// A command that knows this home and nothing of the environment in which the tests run.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = format!(
            "{}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.path("bin").display()
        );
        command
            .env_clear()
            .current_dir(self.path("work"))
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("DOCKER_CONFIG", self.path("docker"))
            .env("REGISTRY_AUTH_FILE", self.path("auth.json"));
        if is_odd() {
            command
                .envs(ODD)
                .env("XDG_RUNTIME_DIR", self.path("run/"))
                .env("TMPDIR", self.path("tmp of üs/"));
        }
        command
    }
}

/// Copies a program. Another process does so, because a test that starts a program at that moment would hand our open file on to it,
/// and a program that is open for writing cannot be started.
pub(crate) fn install(file: &Path, path: &Path) {
    let installed = Command::new("install")
        .args(["-m", "755"])
        .arg(file)
        .arg(path)
        .status();
    assert!(
        installed.expect("coreutils").success(),
        "{} could not be installed",
        path.display()
    );
}

/// A socket as the address of a bus, in which other letters than these are escaped (D-Bus specification, "Server Addresses").
pub(crate) fn bus_address(socket: &Path) -> String {
    let bytes = socket.to_str().expect("UTF-8").bytes();
    bytes.fold("unix:path=".to_owned(), |address, byte| match byte {
        b'-' | b'/' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
            address + char::from(byte).encode_utf8(&mut [0])
        }
        _ => format!("{address}%{byte:02x}"),
    })
}

/// A home, and a simulator as it is by default.
pub(crate) fn world() -> (Home, Simulator) {
    (
        Home::new(),
        Simulator::start(simulator::Settings::default()).expect("a simulator"),
    )
}

/// Sends the command's traffic to the simulator, which is its metadata service too, and has it trust the simulator's
/// certificates: nothing real is asked, also where the tests run in Azure.
pub(crate) fn connect<'a>(command: &'a mut Command, simulator: &Simulator) -> &'a mut Command {
    command
        .env("HTTPS_PROXY", simulator.origin())
        .env("SSL_CERT_FILE", simulator.ca_file())
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", simulator.origin())
}

/// Gives the command the simulator's service principal as its identity, and no cache.
pub(crate) fn identify<'a>(command: &'a mut Command, simulator: &Simulator) -> &'a mut Command {
    command
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", CLIENT)
        .env("AZURE_CLIENT_SECRET", &simulator.settings().apps[0].secret)
        .env("ACRSCOPED_CACHE", "none")
}

/// The helper as a service principal of the simulator, without a cache; the test adds the action and what it changes.
pub(crate) fn helper(home: &Home, simulator: &Simulator) -> Command {
    let mut command = home.command(binary());
    identify(connect(&mut command, simulator), simulator);
    command
}

/// Returns a command by which another program, with these words before it, runs this one where and as it would be run.
pub(crate) fn wrap<W: AsRef<std::ffi::OsStr>>(words: &[W], command: &Command) -> Command {
    let mut outer = Command::new(&words[0]);
    outer
        .args(&words[1..])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(set_variables(command));
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

/// Returns a command that runs once more what this one runs.
pub(crate) fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args())
        .env_clear()
        .envs(set_variables(command));
    if let Some(folder) = command.get_current_dir() {
        copy.current_dir(folder);
    }
    copy
}

/// Returns the variables that a command sets.
pub(crate) fn set_variables(
    command: &Command,
) -> impl Iterator<Item = (&std::ffi::OsStr, &std::ffi::OsStr)> {
    command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
}

/// `get` for a host, as clients ask it: the bare host, without a newline.
pub(crate) fn get(home: &Home, simulator: &Simulator, host: &str) -> Answer {
    ask(helper(home, simulator), "get", host)
}

/// One action of the docker protocol.
pub(crate) fn ask(mut command: Command, action: &str, stdin: &str) -> Answer {
    command.arg(action);
    run(command, stdin, LIMIT)
}
