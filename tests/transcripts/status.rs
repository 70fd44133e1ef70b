//! `status` and `logout`: what is kept of somebody, and how it is forgotten.

use crate::desktop::{desktop_user, unlocked};
use crate::shell::{Prepare, hold, nothing};
use crate::support::golden::{Golden, noon, transcript};
use crate::support::{Answer, LIMIT, run};
use crate::user::User;
use std::process::Command;

/// A shell of the user with one line.
pub(crate) fn shell(user: &User, line: &str) -> Command {
    let mut command = user.command("sh");
    command
        .args(["-c", line])
        .env("TZ", noon())
        .env_remove("ACRSCOPED_CACHE");
    command
}

/// Types a line.
pub(crate) fn typed(user: &User, line: &str) -> Answer {
    run(shell(user, line), "", LIMIT)
}

/// Types a line and compares what is said.
fn keep(golden: &mut Golden, user: &User, name: &str, line: &str) {
    let answer = typed(user, line);
    golden.keep(
        name,
        &transcript(line, &answer, &user.home, &user.simulator),
    );
}

/// A user whose config file says this.
fn configured(user: &User, toml: &str) {
    let folder = "mkdir -p ~/.config/docker-credential-acrscoped; cat >~/.config/docker-credential-acrscoped/config.toml";
    run(shell(user, folder), toml, LIMIT).succeeds();
}

const NOBODY: &str = "unset AZURE_CLIENT_SECRET AZURE_CLIENT_ID AZURE_TENANT_ID";

#[test]
#[ignore = "needs gnome-keyring, dbus, keyutils and root: run tests/run"]
fn status_shows_each_registry_and_logout_deletes_its_tokens() {
    let mut golden = Golden::of("transcripts");
    let (user, _bus) = desktop_user("auto");
    let _keyring = unlocked(&user);
    keep(
        &mut golden,
        &user,
        "status-empty",
        "docker-credential-acrscoped status",
    );
    keep(
        &mut golden,
        &user,
        "status-empty-plain",
        "docker-credential-acrscoped status --plain",
    );
    keep(
        &mut golden,
        &user,
        "status-empty-json",
        "docker-credential-acrscoped status --json",
    );
    typed(
        &user,
        "echo contoso.azurecr.io | docker-credential-acrscoped get",
    )
    .succeeds();
    keep(
        &mut golden,
        &user,
        "status",
        "docker-credential-acrscoped status",
    );
    keep(
        &mut golden,
        &user,
        "status-of-another",
        "AZURE_CLIENT_ID=another docker-credential-acrscoped status",
    );
    typed(
        &user,
        "echo contoso.azurecr.io | docker-credential-acrscoped erase",
    )
    .succeeds();

    configured(
        &user,
        "[registry.\"*.azurecr.us\"]\ncache = \"secret-service\"\n\n[registry.\"contoso-abc123.azurecr.io\"]\nsource = \"login\"\n",
    );
    typed(
        &user,
        &format!(
            "{NOBODY}; docker-credential-acrscoped login contoso-abc123.azurecr.io --device-code"
        ),
    )
    .succeeds();
    for host in [
        "contoso.azurecr.io",
        "contoso.azurecr.us",
        "contoso-abc123.azurecr.io",
    ] {
        typed(
            &user,
            &format!("echo {host} | docker-credential-acrscoped get"),
        )
        .succeeds();
    }
    keep(
        &mut golden,
        &user,
        "status-several",
        "docker-credential-acrscoped status",
    );
    keep(
        &mut golden,
        &user,
        "status-several-plain",
        "docker-credential-acrscoped status --plain",
    );
    keep(
        &mut golden,
        &user,
        "status-several-json",
        "docker-credential-acrscoped status --json",
    );
    keep(
        &mut golden,
        &user,
        "list",
        "docker-credential-acrscoped list",
    );

    keep(
        &mut golden,
        &user,
        "logout-registry",
        "docker-credential-acrscoped logout contoso-abc123.azurecr.io",
    );
    keep(
        &mut golden,
        &user,
        "logout-registry-signed-out",
        "docker-credential-acrscoped logout contoso-abc123.azurecr.io",
    );
    keep(
        &mut golden,
        &user,
        "logout-signed-out",
        "docker-credential-acrscoped logout",
    );
    keep(
        &mut golden,
        &user,
        "logout-all-signed-out",
        "docker-credential-acrscoped logout --all",
    );
    for host in ["contoso.azurecr.io", "contoso.azurecr.us"] {
        typed(
            &user,
            &format!("{NOBODY}; docker-credential-acrscoped login {host} --device-code"),
        )
        .succeeds();
    }
    keep(
        &mut golden,
        &user,
        "status-two-clouds",
        &format!("{NOBODY}; docker-credential-acrscoped status"),
    );
    // One of them lies in a keyring that is away.
    let away = "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere";
    keep(
        &mut golden,
        &user,
        "status-no-keyring",
        &format!("{away} docker-credential-acrscoped status"),
    );
    keep(
        &mut golden,
        &user,
        "logout-no-keyring",
        &format!("{away} docker-credential-acrscoped logout contoso.azurecr.us"),
    );
    keep(
        &mut golden,
        &user,
        "logout",
        "docker-credential-acrscoped logout",
    );
    keep(
        &mut golden,
        &user,
        "logout-all",
        "docker-credential-acrscoped logout --all",
    );
    golden.finish();
}

#[test]
fn unreadable_files_and_keyrings_are_reported() {
    let misspelt: Prepare = |shell| {
        shell.home.write(
            "home/.config/docker-credential-acrscoped/config.toml",
            "[registry.\"contoso.azurecr.io\"]\ntimeout = \"30\"\n",
        );
    };
    let profile: Prepare = |shell| {
        shell.home.script("bin/docker", "exit 0");
        shell.home.write(
            "home/.config/docker-credential-acrscoped/config.toml",
            "[registry.\"contoso.azurecr.io\"]\ntimeout = 30\n",
        );
    };
    hold(&[
        (
            "status-signed-out",
            profile,
            "unset AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID; docker-credential-acrscoped configure >/dev/null; \
             docker-credential-acrscoped status",
        ),
        (
            "status-file-broken",
            misspelt,
            "docker-credential-acrscoped status",
        ),
        (
            "logout-not-ours",
            nothing,
            "docker-credential-acrscoped logout ghcr.io",
        ),
        (
            "logout-one-and-all",
            nothing,
            "docker-credential-acrscoped logout contoso.azurecr.io --all",
        ),
    ]);
}
