//! `THIRD-PARTY`: the notices of what is linked into the program.

use crate::made::script;
use crate::support::{LIMIT, run};
use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::process::Command;

/// The crates of whose licences no text is in their package, so that the notice names their authors in its place.
const WITHOUT_TEXT: [&str; 5] = [
    "azure_core",
    "azure_identity",
    "keyutils-raw",
    "typespec",
    "typespec_client_core",
];

#[test]
#[ignore = "needs python3: run tests/run"]
fn the_notices_are_of_what_is_linked_and_each_has_its_licence_and_its_text() {
    let target = format!("{ARCH}-unknown-linux-musl");
    let mut tree = Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--locked",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
    ]);
    tree.args(["--target", &target])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let tree = run(tree, "", LIMIT).succeeds().stdout;
    let linked = tree
        .lines()
        .filter(|line| !line.starts_with(env!("CARGO_PKG_NAME")))
        .map(|line| {
            let (crate_, licence) = line
                .trim_end_matches(" (*)")
                .split_once('|')
                .expect("a licence");
            format!("{}: {licence}", crate_.replacen(" v", " ", 1))
        });
    let linked: BTreeSet<_> = linked.collect();
    let mut notices = script("third-party");
    notices.arg(&target);
    let notices = run(notices, "", LIMIT).succeeds().stdout;
    let (list, texts) = notices.split_once("\n\n====").expect("texts");
    let list: Vec<_> = list.lines().skip(2).collect();
    for besides in [
        "The Rust standard library: MIT OR Apache-2.0, ",
        "musl, in static programs: MIT, ",
    ] {
        assert!(
            list.iter().any(|line| line.starts_with(besides)),
            "{list:?}"
        );
    }
    let crates: Vec<_> = list
        .iter()
        .filter(|line| !line.starts_with("The Rust ") && !line.starts_with("musl, "))
        .collect();
    let named: BTreeSet<_> = crates
        .iter()
        .map(|line| line.split(", ").next().expect("a word").to_owned())
        .collect();
    assert_eq!(named, linked);
    let users: BTreeSet<_> = texts.split(['\n', ',']).map(str::trim).collect();
    for line in crates {
        let (name, _) = line.split_once(':').expect("a licence");
        let has_none = WITHOUT_TEXT
            .iter()
            .any(|without| name.starts_with(&format!("{without} ")));
        assert_eq!(
            line.contains("(no text in its package)"),
            has_none,
            "{line}"
        );
        assert_eq!(users.contains(name), !has_none, "the text of {line}");
    }
}
