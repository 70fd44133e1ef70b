//! Many callers at a time, and what they must not leave behind.

use crate::support::Home;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Returns how many calls a soak makes: a few hundred, unless `ACRSCOPED_SOAK_CALLS`, which `tests/soak/run` sets, is another number.
pub(crate) fn count() -> usize {
    std::env::var("ACRSCOPED_SOAK_CALLS").map_or(600, |number| {
        number.parse().expect("`ACRSCOPED_SOAK_CALLS` is a number")
    })
}

/// So many calls in this time, for people to read.
pub(crate) fn rate(calls: usize, took: Duration) -> String {
    let calls = u32::try_from(calls).expect("a number of calls");
    format!("{:.0} a second", f64::from(calls) / took.as_secs_f64())
}

/// The files below a home. A lock lasts no longer than its process and cannot be found without its file.
pub(crate) fn files(home: &Home) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![home.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("our folder") {
            let entry = entry.expect("our folder");
            if entry.file_type().expect("our file").is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(entry.path());
            }
        }
    }
    files
}

/// The processes that work in a home: helpers, and what they started.
pub(crate) fn processes(home: &Home) -> Vec<String> {
    let is_inside = |process: &Path| {
        std::fs::read_link(process.join("cwd")).is_ok_and(|folder| folder.starts_with(home.root()))
    };
    let processes = std::fs::read_dir("/proc")
        .expect("proc")
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    processes
        .filter(|process| is_inside(process))
        .map(|process| process.display().to_string())
        .collect()
}
