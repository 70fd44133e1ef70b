//! The Debian package.

use crate::made::{VERSION, packages};
use crate::root::Root;
use crate::shells;
use crate::support::{LIMIT, run};
use std::process::Command;

/// What apt and dpkg keep of their own doing.
const BOOKKEEPING: [&str; 4] = ["var/lib/dpkg", "var/lib/apt", "var/cache", "var/log"];

#[test]
#[ignore = "needs lintian and the static binary: run tests/run"]
fn lintian_has_nothing_to_say_of_the_deb() {
    let mut lintian = Command::new("lintian");
    lintian.args([
        "--allow-root",
        "--pedantic",
        "--display-info",
        "--fail-on",
        "error,warning,info,pedantic",
    ]);
    lintian.arg(&packages().deb);
    run(lintian, "", LIMIT).succeeds();
}

#[test]
#[ignore = "needs a Debian root, shells and the static binary: run tests/run"]
fn apt_installs_the_deb_on_a_clean_debian_and_removes_it_without_a_trace() {
    let root = Root::debian();
    root.bring(&packages().deb, "package.deb");
    let before = root.contents(&BOOKKEEPING);
    root.run("apt-get install --yes /package.deb").succeeds();
    assert_eq!(
        root.run("docker-credential-acrscoped version")
            .succeeds()
            .stdout
            .trim_end(),
        VERSION
    );
    assert_eq!(
        root.run("dpkg --verify docker-credential-acrscoped")
            .succeeds()
            .text(),
        ""
    );
    root.signs_in();
    shells::complete(&root, "usr/share/zsh/vendor-completions");
    root.run("apt-get purge --yes docker-credential-acrscoped")
        .succeeds();
    assert_eq!(root.contents(&BOOKKEEPING), before);
}
