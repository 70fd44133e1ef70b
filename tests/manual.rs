//! The manual pages and the completions of shells: they are made from the one command line, as `packaging` ships them.
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

use clap_complete::Shell;
use docker_credential_acrscoped::cli::{PROGRAM, command};
use std::path::PathBuf;
use std::process::Command;

const AGAIN: &str = "ACRSCOPED_UPDATE_DOCS=1 cargo test --test manual";

/// Compares with what is shipped, or writes it anew.
fn keep(name: &str, made: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join(name);
    if std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("our folder");
        std::fs::write(&path, made).expect("our file");
    }
    let shipped = std::fs::read(&path).unwrap_or_default();
    assert!(
        shipped == made,
        "packaging/{name} is not what the command line says: {AGAIN}"
    );
}

/// A page for the program and one for each of its commands.
#[test]
fn the_manual_pages_are_those_of_the_command_line() {
    let page = |command: clap::Command, name: &str| {
        let mut made = Vec::new();
        // The date of a build has no place in it: two builds are to be the same.
        clap_mangen::Man::new(command)
            .date("")
            .source(concat!("v", env!("CARGO_PKG_VERSION")))
            .manual("Registries")
            .render(&mut made)
            .expect("a page");
        // Examples are shown as they are typed.
        let made = String::from_utf8(made).expect("text");
        let made = made
            .replace(".SH EXTRA\n", ".SH NOTES\n.nh\n.nf\n")
            .replace(".SH VERSION\n", ".fi\n.hy\n.SH VERSION\n");
        keep(&format!("man/{name}.1"), made.as_bytes());
    };
    let mut whole = command()
        .disable_help_subcommand(true)
        .version(env!("CARGO_PKG_VERSION"));
    // Gives every command its long name.
    whole.build();
    for sub in whole.get_subcommands() {
        page(
            sub.clone().version(env!("CARGO_PKG_VERSION")),
            sub.get_display_name().unwrap_or_else(|| sub.get_name()),
        );
    }
    page(whole, PROGRAM);
}

/// Each under the name by which its shell finds it.
#[test]
fn the_completions_are_those_of_the_command_line() {
    for (shell, name) in [
        (Shell::Bash, PROGRAM.to_owned()),
        (Shell::Zsh, format!("_{PROGRAM}")),
        (Shell::Fish, format!("{PROGRAM}.fish")),
        (Shell::PowerShell, format!("_{PROGRAM}.ps1")),
    ] {
        let mut made = Vec::new();
        clap_complete::generate(shell, &mut command(), PROGRAM, &mut made);
        // clap_complete writes hyphens of a program's name in one way where it looks for a command and in another where it lists them.
        let made = String::from_utf8(made).expect("text");
        let (listed, looked_for) = (
            "docker__subcmd__credential__subcmd__acrscoped",
            "docker__credential__acrscoped",
        );
        keep(
            &format!("completions/{name}"),
            made.replace(listed, looked_for).as_bytes(),
        );
    }
}

/// What bash offers after these words, when the last one is completed.
fn offered(words: &[&str]) -> Vec<String> {
    let script = format!(
        "source packaging/completions/{PROGRAM}; COMP_WORDS=({PROGRAM} {}); COMP_CWORD={}; \
         _docker__credential__acrscoped {PROGRAM} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
        words.len()
    );
    let output = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("bash");
    String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(offered(&["stat"]), ["status"]);
    assert_eq!(
        offered(&["token", "--format", ""]),
        ["json", "env", "github-actions", "raw"]
    );
    assert_eq!(offered(&["configure", "--dry"]), ["--dry-run"]);
}
