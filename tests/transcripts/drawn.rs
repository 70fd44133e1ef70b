//! How it looks in a terminal that has colour and Unicode.

use crate::shell::Shell;
use crate::status;
use crate::support::golden::{Golden, transcript};
use crate::support::{Home, LIMIT, REGISTRY, run, set_variables};
use crate::user::User;
use simulator::Simulator;
use std::process::Command;

/// Types the line of a shell in a terminal, which is script(1)'s, and compares what is shown: escapes are spelt, as in strings of a shell.
fn keep(golden: &mut Golden, name: &str, shell: &Command, home: &Home, simulator: &Simulator) {
    let mut words: Vec<_> = shell
        .get_args()
        .map(|word| word.to_str().expect("UTF-8"))
        .collect();
    let line = words.pop().expect("a line");
    let mut command = Command::new(shell.get_program());
    command
        .args(words)
        .arg("exec /usr/bin/script --quiet --return --echo never --command \"$LINE\" /dev/null");
    command
        .env_clear()
        .current_dir(home.path("work"))
        .envs(set_variables(shell));
    command.envs([
        ("LINE", line),
        ("TERM", "xterm-256color"),
        ("LANG", "C.UTF-8"),
        ("SHELL", "/bin/sh"),
    ]);
    let mut answer = run(command, "", LIMIT);
    answer.stdout = answer.stdout.replace("\r\n", "\n");
    golden.keep(
        name,
        &transcript(line, &answer, home, simulator)
            .replace('\r', "\\r")
            .replace('\x1b', "\\e"),
    );
}

#[test]
#[ignore = "needs script(1), and a machine on which this program is not installed: run tests/run"]
fn a_terminal_has_colour_and_marks() {
    let mut golden = Golden::of("transcripts");
    let shell = Shell::new();
    shell
        .simulator
        .change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let mut keep = |name: &str, line: &str| {
        keep(
            &mut golden,
            name,
            &shell.command(line),
            &shell.home,
            &shell.simulator,
        );
    };
    shell.home.write(
        "home/.docker/config.json",
        "{\n  \"credsStore\": \"acr-env\"\n}\n",
    );
    keep(
        "drawn-doctor",
        "docker-credential-acrscoped doctor contoso.azurecr.io",
    );
    keep(
        "drawn-configure-dry-run",
        "docker-credential-acrscoped configure contoso.azurecr.io --dry-run",
    );
    keep(
        "drawn-refusal",
        "docker-credential-acrscoped token contoso.azurecr.io",
    );
    // Nothing but a person writes to a terminal: the message appears once.
    keep("drawn-misspelt-verb", "docker-credential-acrscoped gett");
    // The terminal's input is at its end.
    keep("drawn-get-without-input", "docker-credential-acrscoped get");
    // The client's line is on stdout, and why on stderr.
    keep(
        "drawn-get-not-ours",
        "echo docker.io | docker-credential-acrscoped get",
    );
    keep(
        "drawn-list-broken-settings",
        "ACRSCOPED_TIMEOUT=x docker-credential-acrscoped list",
    );
    keep(
        "drawn-misspelt-option",
        "docker-credential-acrscoped doctor contoso.azurecr.io --repository app:1",
    );
    golden.finish();
}

#[test]
#[ignore = "needs script(1), keyutils and root: run tests/run"]
fn a_cached_token_is_drawn() {
    let mut golden = Golden::of("transcripts");
    let user = User::new("keyutils");
    status::typed(
        &user,
        "echo contoso.azurecr.io | docker-credential-acrscoped get",
    )
    .succeeds();
    let shell = status::shell(&user, "docker-credential-acrscoped status");
    keep(
        &mut golden,
        "drawn-status",
        &shell,
        &user.home,
        &user.simulator,
    );
    golden.finish();
}
