//! The package of Fedora, openSUSE and their like.

use crate::made::{VERSION, checkout, packages};
use crate::root::Root;
use crate::support::{Answer, LIMIT, run};
use std::process::Command;

/// Where rpm keeps what is installed: Debian's rpm has it elsewhere than Fedora's.
const DATABASE: &str = "var/lib/rpm";

/// The folders that a distribution's own package `filesystem` has.
const FILESYSTEM: [&str; 5] = [
    "usr/bin",
    "usr/share/man/man1",
    "usr/share/doc",
    "usr/share/licenses",
    DATABASE,
];

/// This machine's rpm, at work in the root.
fn rpm(root: &Root, words: &[&str]) -> Answer {
    let mut rpm = root.home.command("rpm");
    rpm.arg("--root")
        .arg(root.folder())
        .arg(format!("--dbpath=/{DATABASE}"))
        .args(words);
    run(rpm, "", LIMIT)
}

#[test]
#[ignore = "needs rpmlint and the static binary: run tests/run"]
fn rpmlint_has_nothing_to_say_of_the_rpm() {
    let mut rpmlint = Command::new("rpmlint");
    rpmlint
        .arg("--config")
        .arg(checkout("packaging/rpm/rpmlint.toml"))
        .arg(&packages().rpm);
    let answer = run(rpmlint, "", LIMIT).succeeds();
    assert!(
        answer.stdout.contains("; 0 errors, 0 warnings, 0 badness;"),
        "{answer:#?}"
    );
}

/// Nothing at all is in the root but what the package brings: the program needs no library and no other program.
#[test]
#[ignore = "needs rpm and the static binary: run tests/run"]
fn rpm_installs_into_an_empty_root_and_removes_without_a_trace() {
    let root = Root::empty();
    for folder in FILESYSTEM {
        std::fs::create_dir_all(root.outside(folder)).expect("our folder");
    }
    rpm(&root, &["--initdb"]).succeeds();
    let before = root.contents(&[DATABASE]);
    let package = packages().rpm.display().to_string();
    rpm(&root, &["--install", &package]).succeeds();
    assert_eq!(
        root.run("docker-credential-acrscoped version")
            .succeeds()
            .stdout
            .trim_end(),
        VERSION
    );
    assert_eq!(
        rpm(&root, &["--verify", "docker-credential-acrscoped"])
            .succeeds()
            .text(),
        ""
    );
    root.signs_in();
    rpm(&root, &["--erase", "docker-credential-acrscoped"]).succeeds();
    assert_eq!(root.contents(&[DATABASE]), before);
}
