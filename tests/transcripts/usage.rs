//! The help, and what is typed wrongly.

use crate::shell::{Shell, hold, nothing};
use crate::support::golden::Golden;
use crate::support::{LIMIT, run};

const PROGRAM: &str = env!("CARGO_PKG_NAME");

#[test]
fn the_program_and_each_of_its_commands_have_a_help() {
    let mut golden = Golden::of("transcripts");
    let shell = Shell::new();
    let keep = |golden: &mut Golden, name: &str, words: &str| {
        let answer = shell
            .keep(golden, name, &format!("{PROGRAM}{words}"))
            .succeeds();
        let long: Vec<&str> = answer
            .stdout
            .lines()
            .filter(|line| line.chars().count() > 80)
            .collect();
        assert!(
            long.is_empty() && answer.stderr.is_empty(),
            "{name}: {long:#?}"
        );
    };
    keep(&mut golden, "no-arguments", "");
    keep(&mut golden, "help", " --help");
    for topic in [
        "identities",
        "settings",
        "environment",
        "files",
        "exit-codes",
    ] {
        keep(
            &mut golden,
            &format!("help-on-{topic}"),
            &format!(" help {topic}"),
        );
    }
    keep(&mut golden, "help-config-set", " config set --help");
    // Each command has a man page, and so is in this list.
    for name in commands(&shell) {
        keep(
            &mut golden,
            &format!("help-{name}"),
            &format!(" {name} --help"),
        );
    }
    golden.finish();
}

/// Returns the names of the commands, from the names of their man pages.
fn commands(shell: &Shell) -> Vec<String> {
    let line = format!("{PROGRAM} generate \"$HOME/generated\"");
    run(shell.command(&line), "", LIMIT).succeeds();
    let pages = shell.home.path("home/generated/man");
    let names = std::fs::read_dir(pages).expect("man pages").map(|page| {
        let name = page
            .expect("a page")
            .file_name()
            .into_string()
            .expect("UTF-8");
        name.strip_suffix(".1").expect("a man page").to_owned()
    });
    let mut names: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix(&format!("{PROGRAM}-"))?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

#[test]
fn what_is_typed_wrongly_is_answered_with_what_was_meant() {
    hold(&[
        ("misspelt-verb", nothing, "docker-credential-acrscoped gett"),
        (
            "misspelt-command",
            nothing,
            "docker-credential-acrscoped stats",
        ),
        (
            "misspelt-option",
            nothing,
            "docker-credential-acrscoped status --jsn",
        ),
        (
            "misspelt-topic",
            nothing,
            "docker-credential-acrscoped help setings",
        ),
        (
            "misspelt-action",
            nothing,
            "docker-credential-acrscoped config gett",
        ),
        (
            "erase-with-an-option",
            nothing,
            "docker-credential-acrscoped erase --json",
        ),
        (
            "version-plain",
            nothing,
            "docker-credential-acrscoped version --plain",
        ),
        (
            "misspelt-version",
            nothing,
            "docker-credential-acrscoped --verison",
        ),
        (
            "get-with-a-registry",
            nothing,
            "docker-credential-acrscoped get contoso.azurecr.io",
        ),
        (
            "list-with-an-option",
            nothing,
            "docker-credential-acrscoped list --json",
        ),
        (
            "configure-two-options",
            nothing,
            "docker-credential-acrscoped configure --docker --containers",
        ),
        (
            "doctor-no-repository",
            nothing,
            "docker-credential-acrscoped doctor contoso.azurecr.io --repository app:1",
        ),
        (
            "login-no-seconds",
            nothing,
            "docker-credential-acrscoped login --timeout 0",
        ),
        (
            "token-no-registry",
            nothing,
            "docker-credential-acrscoped token",
        ),
        (
            "token-no-format",
            nothing,
            "docker-credential-acrscoped token contoso.azurecr.io --format yaml",
        ),
    ]);
}
