//! `doctor`, in set-ups that work and in set-ups that are broken: what it says, and which check it names as the first cause.
//!
//! The transcripts lie in `golden/`; `ACRSCOPED_UPDATE_DOCS=1 cargo test --test doctor` writes them anew.

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod direct;
mod golden;
mod promises;
mod setups;

use setups::Row;
use support::golden::Golden;
use support::run::in_parallel;

/// Runs every row of a table, a few at a time since most of them wait.
fn hold(rows: &[Row]) {
    compare(rows, in_parallel(rows, golden::examine));
}

/// Runs one row after the other, for those that need the same port.
#[cfg(target_os = "linux")]
fn hold_one_by_one(rows: &[Row]) {
    compare(rows, rows.iter().map(golden::examine).collect());
}

/// Compares all rows before it fails.
fn compare(rows: &[Row], answers: Vec<(String, Option<String>)>) {
    let mut golden = Golden::of("doctor");
    for (row, answer) in rows.iter().zip(answers) {
        golden::compare(&mut golden, row, &answer);
    }
    golden.finish();
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
