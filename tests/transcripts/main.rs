//! What people read: every command, when it succeeds and when something is broken, as it is typed and as it looks.
//!
//! The transcripts lie in `golden/`; `ACRSCOPED_UPDATE_DOCS=1 cargo test --test transcripts -- --include-ignored` writes them anew. Those
//! of `doctor` lie in `tests/doctor/golden`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

#[path = "../support/mod.rs"]
mod support;

// Who types: somebody at a browser, and somebody with keyrings.
#[path = "../login/browser.rs"]
#[allow(dead_code, reason = "another target looks at the pages")]
mod browser;
#[path = "../keyring/desktop.rs"]
#[allow(dead_code, reason = "another target locks the keyring")]
mod desktop;
#[path = "../login/person.rs"]
#[allow(dead_code, reason = "another target looks into the keyring")]
mod person;
#[path = "../keyring/user.rs"]
#[allow(dead_code, reason = "another target asks as clients do")]
mod user;

mod config;
mod configure;
mod drawn;
mod login;
mod protocol;
mod shell;
mod status;
mod token;
mod usage;

#[test]
fn no_transcript_is_left_over() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let files = |folder: &str| {
        std::fs::read_dir(folder)
            .expect("our folder")
            .map(|file| file.expect("our folder").path())
    };
    let sources: String = files(folder)
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect();
    let names = files(&format!("{folder}/golden")).map(|file| {
        file.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    });
    let is_kept =
        |name: &String| name.starts_with("help-") || sources.contains(&format!("\"{name}\""));
    let left: Vec<String> = names.filter(|name| !is_kept(name)).collect();
    assert!(left.is_empty(), "nothing is compared with {left:?}");
}
