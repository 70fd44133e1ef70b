//! Completions and manual pages where a package puts them, as shells and `man` find them.

use crate::root::Root;
use crate::support::{LIMIT, run};

const PROGRAM: &str = "docker-credential-acrscoped";

/// Fails if a shell does not complete the program's commands, or a manual page cannot be read.
#[track_caller]
pub(crate) fn complete(root: &Root, zsh_folder: &str) {
    let share = root.outside("usr/share").display().to_string();
    let zsh_folder = root.outside(zsh_folder).display().to_string();
    // Each loads the file as it does when somebody presses the tabulator for the first time.
    let asked = [
        (
            "bash",
            "-e",
            format!(
                "source {share}/bash-completion/completions/{PROGRAM} && complete -p {PROGRAM}"
            ),
            PROGRAM,
        ),
        (
            "zsh",
            "-f",
            format!(
                "fpath=({zsh_folder} $fpath); autoload -U compinit; compinit -D; echo $_comps[{PROGRAM}]"
            ),
            PROGRAM,
        ),
        (
            "fish",
            "--no-config",
            format!(
                "source {share}/fish/vendor_completions.d/{PROGRAM}.fish; complete -C '{PROGRAM} stat'"
            ),
            "status",
        ),
    ];
    for (shell, option, script, expected) in asked {
        let mut command = root.home.command(shell);
        command.args([option, "-c", &script]);
        let answer = run(command, "", LIMIT).succeeds();
        assert!(answer.stdout.contains(expected), "{answer:#?}");
    }
    let mut mandoc = root.home.command("mandoc");
    mandoc
        .args(["-T", "utf8"])
        .arg(format!("{share}/man/man1/{PROGRAM}-configure.1.gz"));
    let page = run(mandoc, "", LIMIT).succeeds().stdout;
    assert!(page.contains("Make Docker, Podman"), "{page}");
}
