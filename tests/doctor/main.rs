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

/// Runs every row of a table, a few at a time since most of them wait, and compares all before it fails.
fn hold(rows: &[Row]) {
    let mut golden = Golden::of("doctor");
    for (row, answer) in rows.iter().zip(in_parallel(rows, golden::examine)) {
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
