//! `doctor`, in set-ups that work and in set-ups that are broken: what it says, and which check it names as the first cause.
//!
//! The transcripts lie in `golden/`; `ACRSCOPED_UPDATE_DOCS=1 cargo test --test doctor` writes them anew.

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod direct;
mod fixes;
mod golden;
mod promises;
mod setups;

use setups::Row;
use support::golden::Golden;
use support::run::in_parallel;

/// Runs every row of a table, a few at a time since most of them wait, and compares all before it fails.
fn hold(rows: &[Row]) {
    compare(rows, in_parallel(rows, golden::examine));
}

/// Compares the answers of rows.
fn compare(rows: &[Row], answers: impl IntoIterator<Item = (String, Option<String>)>) {
    let mut golden = Golden::of("doctor");
    for (row, answer) in rows.iter().zip(answers) {
        golden::compare(&mut golden, row, &answer);
    }
    golden.finish();
}

/// The transcripts are of a file, which is as wide as a terminal of 80 columns whose width is not known.
#[test]
fn what_is_wrong_fits_a_screen_and_names_the_first_cause() {
    let tables = [
        setups::sign_in(),
        setups::registry(),
        setups::wiring(),
        setups::network(),
    ];
    let names: Vec<&str> = tables.iter().flatten().map(|row| row.name).collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/golden");
    let mut long = Vec::new();
    for name in &names {
        let file = folder.join(format!("{name}.txt"));
        let text = std::fs::read_to_string(&file).expect("a transcript");
        // The line that was typed scrolls away, and the exit code is not shown.
        let shown: Vec<&str> = text.lines().skip(1).collect();
        let shown = &shown[..shown.len() - 1];
        let rows: usize = shown.iter().copied().map(rows).sum();
        if rows > 24 {
            long.push((*name, rows));
        }
        let verdict = shown.iter().rev().find(|line| {
            line.starts_with(|c: char| c.is_ascii_digit())
                && (line.contains(". To fix ") || line.contains(". Fix "))
        });
        assert!(verdict.is_some(), "{name}:\n{text}");
    }
    let (fit, count) = (names.len() - long.len(), names.len());
    println!("{fit} of {count} fit 24 rows; longer: {long:?}");
    // 20 of 25.
    assert!(fit * 5 >= count * 4, "{fit} of {count}: {long:?}");
}

/// The rows of a line on a terminal of 80 columns. The transcripts have `ID` for a GUID.
fn rows(line: &str) -> usize {
    let guids = line.split(|c: char| !c.is_alphanumeric());
    let guids = guids.filter(|word| *word == "ID").count();
    (line.chars().count() + guids * (36 - "ID".len()))
        .div_ceil(80)
        .max(1)
}

/// The programs of commands that hints have.
const PROGRAMS: [&str; 8] = [
    "az",
    "azd",
    "sudo",
    "chmod",
    "mv",
    "docker",
    "podman",
    "docker-credential-acrscoped",
];

/// A command in a sentence would be broken by the end of the line. So it is a line of its own, which begins with two spaces.
#[test]
fn no_sentence_of_a_hint_begins_with_a_command() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (mut folders, mut hints) = (vec![tests], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "txt") {
                let text = std::fs::read(&path).expect("a file");
                for line in String::from_utf8_lossy(&text).lines() {
                    let hint = line.split_once("hint: ").or_else(|| {
                        let (_, verdict) = line.split_once(". To fix ")?;
                        verdict.split_once(": ")
                    });
                    let Some((_, hint)) = hint else { continue };
                    let first = hint.split(' ').next().unwrap_or_default();
                    assert!(!PROGRAMS.contains(&first), "{}: {line}", path.display());
                    hints += 1;
                }
            }
        }
    }
    assert!(hints > 100, "{hints}");
}

#[test]
fn set_ups_that_work_have_no_cause() {
    hold(&setups::working());
}

#[test]
fn a_broken_setting_or_sign_in_is_named_as_the_first_cause() {
    hold(&setups::sign_in());
}

#[test]
fn what_the_registry_refuses_is_named_as_the_first_cause() {
    hold(&setups::registry());
}

#[test]
fn a_client_that_does_not_ask_us_is_named_as_the_first_cause() {
    hold(&setups::wiring());
}

#[test]
fn what_is_wrong_on_the_way_is_named_as_the_first_cause() {
    hold(&setups::network());
}
