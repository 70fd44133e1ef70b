//! `docs/troubleshooting.md` is in step with what the program says, which `docs/faults.md` records.
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

use std::path::Path;

/// What the program says of no fault that the tests of `docs/faults.md` can make, in sentences that tests elsewhere compare.
const ELSEWHERE: &[&str] = &[
    "the name contoso.azurecr.io was not found",
    "no connection to login.microsoftonline.com: Connection reset by peer",
    "ACRSCOPED_AUDIENCE is \"https://evil.example\", an audience that is not in your config file",
    "/home/alice belongs to the user with id 1000, not to you or root: run it as that user, without sudo, or with sudo -H",
    "/home/alice/.azure is not root's alone, and root does not run az on files of others",
    "logins.json cannot be written: another process holds the lock logins.lock; try again when it has ended",
    "the helper ignores ACRSCOPED_IDENTITY_CLOUD: set identity_cloud in config.toml, the only place that counts",
];

/// What the program is fed to break it; nobody looks these up.
const NOT_FOR_PEOPLE: &str = "## Answers that are broken";

fn page(name: &str) -> String {
    std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs")
            .join(name),
    )
    .expect("a page")
}

/// The headings of the sections about our own words, without backticks.
fn headings() -> Vec<String> {
    let page = page("troubleshooting.md");
    let (_, ours) = page.split_once("\n## Settings\n").expect("our sections");
    let headings: Vec<String> = ours
        .lines()
        .filter_map(|line| Some(line.strip_prefix("### `")?.strip_suffix('`')?.to_owned()))
        .collect();
    assert!(headings.len() > 15, "{headings:?}");
    headings
}

/// What was read for each fault.
fn sentences() -> Vec<String> {
    let page = page("faults.md");
    let (people, _) = page.split_once(NOT_FOR_PEOPLE).expect("the last section");
    let rows = people.lines().filter(|line| {
        line.starts_with("| ") && !line.starts_with("| what") && !line.starts_with("| ---")
    });
    let sentences: Vec<String> = rows
        .map(|row| {
            row.split(" | ")
                .nth(1)
                .expect("three columns")
                .replace('`', "")
        })
        .collect();
    assert!(sentences.len() > 40, "{sentences:?}");
    sentences
}

/// Whether a sentence is one of those that a heading stands for, where `…` is any text.
fn fits(heading: &str, sentence: &str) -> bool {
    let mut parts = heading.split('…');
    let Some(mut rest) = sentence.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        match rest.find(part) {
            Some(_) if parts.peek().is_none() && part.is_empty() => return true,
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn every_heading_is_something_that_the_program_says() {
    let said: Vec<String> = sentences()
        .into_iter()
        .chain(ELSEWHERE.iter().map(|sentence| (*sentence).to_owned()))
        .collect();
    for heading in headings() {
        assert!(
            said.iter().any(|sentence| fits(&heading, sentence)),
            "nothing is said like `{heading}`"
        );
    }
}

#[test]
fn everything_that_the_program_says_has_a_heading() {
    for sentence in sentences() {
        assert!(
            headings().iter().any(|heading| fits(heading, &sentence)),
            "`{sentence}` is under no heading"
        );
    }
}
