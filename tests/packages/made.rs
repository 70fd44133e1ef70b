//! The packages of the binary under test, made once for all tests.

use crate::support::{LIMIT, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the packages say that they come from.
pub(crate) const REPOSITORY: &str = "example/acrscoped";

/// What the command `version` says of this version.
pub(crate) const VERSION: &str = concat!(
    "docker-credential-acrscoped (docker-credential-acrscoped) v",
    env!("CARGO_PKG_VERSION")
);

/// The packages.
pub(crate) struct Packages {
    pub(crate) deb: PathBuf,
    pub(crate) rpm: PathBuf,
}

/// The static binary that `tests/run` built.
#[track_caller]
pub(crate) fn static_binary() -> PathBuf {
    let path = std::env::var_os("ACRSCOPED_TEST_BINARY").map(PathBuf::from);
    let path = path.expect(
        "ACRSCOPED_TEST_BINARY is not set: export ACRSCOPED_TEST_BINARY=$(packaging/build-static)",
    );
    assert!(
        path.is_file(),
        "{} is not there: ACRSCOPED_TEST_BINARY names it",
        path.display()
    );
    path
}

/// A file of the checkout.
pub(crate) fn checkout(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A script of `packaging`, for this repository.
pub(crate) fn script(name: &str) -> Command {
    let mut command = Command::new(checkout("packaging").join(name));
    command.env("ACRSCOPED_REPOSITORY", REPOSITORY);
    command
}

/// The packages that all tests look at; tests/release.rs shows that two builds are the same.
pub(crate) fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let mut command = script("build-packages");
        command
            .arg(static_binary())
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages"));
        let answer = run(command, "", 3 * LIMIT).succeeds();
        let named = |ending: &str| {
            let line = answer.stdout.lines().find(|line| line.ends_with(ending));
            PathBuf::from(line.unwrap_or_else(|| panic!("no {ending} in {answer:#?}")))
        };
        Packages {
            deb: named(".deb"),
            rpm: named(".rpm"),
        }
    })
}
