//! `configure`.

use crate::shell::{Prepare, Shell, hold, nothing};
use crate::support::REGISTRY;
use crate::support::golden::Golden;
use simulator::Role;

const DOCKER: &str = "home/.docker/config.json";

/// Writes the file of a user with docker and a login elsewhere.
fn logins(shell: &Shell) {
    shell.home.write(DOCKER, "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {\n\t\t\t\"auth\": \"YWxpY2U6c2VjcmV0\"\n\t\t}\n\t}\n}");
}

fn podman(shell: &Shell) {
    shell.home.script("bin/podman", "exit 1");
}

/// Writes a `credsStore` and its program.
fn store(shell: &Shell, name: &str) {
    shell
        .home
        .write(DOCKER, format!("{{\n\t\"credsStore\": \"{name}\"\n}}"));
    shell
        .home
        .script(&format!("bin/docker-credential-{name}"), "exit 0");
}

#[test]
#[ignore = "needs a machine on which this program is not installed: run tests/run"]
fn the_output_shows_each_change() {
    let secretservice: Prepare = |shell| store(shell, "secretservice");
    let desktop: Prepare = |shell| store(shell, "desktop");
    let both: Prepare = |shell| {
        podman(shell);
        logins(shell);
    };
    hold(&[
        (
            "configure-podman-too",
            both,
            "docker-credential-acrscoped configure contoso.azurecr.io fabrikam.azurecr.us",
        ),
        (
            "configure-plain",
            podman,
            "docker-credential-acrscoped configure contoso.azurecr.io --plain",
        ),
        (
            "configure-json",
            nothing,
            "docker-credential-acrscoped configure contoso.azurecr.io --json",
        ),
        (
            "configure-dry-run",
            both,
            "docker-credential-acrscoped configure contoso.azurecr.io --dry-run",
        ),
        (
            "configure-all",
            secretservice,
            "docker-credential-acrscoped configure --all",
        ),
        (
            "configure-all-dry-run",
            secretservice,
            "docker-credential-acrscoped configure --all --dry-run",
        ),
        (
            "configure-docker-desktop",
            desktop,
            "docker-credential-acrscoped configure contoso.azurecr.io",
        ),
    ]);
}

#[test]
#[ignore = "needs a machine on which this program is not installed: run tests/run"]
fn a_second_run_changes_nothing_and_remove_undoes_the_first() {
    let mut golden = Golden::of("transcripts");
    let shell = Shell::new();
    for (name, words) in [
        ("configure-remove-nothing", "--remove"),
        ("configure", "contoso.azurecr.io"),
        ("configure-again", "contoso.azurecr.io"),
        ("configure-remove", "--remove"),
        ("configure-remove-again", "--remove contoso.azurecr.io"),
    ] {
        shell
            .keep(
                &mut golden,
                name,
                &format!("docker-credential-acrscoped configure {words}"),
            )
            .succeeds();
    }
    golden.finish();
}

#[test]
#[ignore = "needs a machine on which this program is not installed: run tests/run"]
fn problems_are_reported() {
    let broken: Prepare = |shell| {
        shell
            .home
            .write(DOCKER, "{\n\t\"auths\": {},\n\t\"credHelpers\": {\n");
    };
    let broken_and_podman: Prepare = |shell| {
        podman(shell);
        shell.home.write(DOCKER, "{,}");
    };
    let former: Prepare = |shell| {
        shell.home.write(
            DOCKER,
            r#"{"auths":{"contoso.azurecr.io":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOng="}}}"#,
        );
    };
    let wsl: Prepare = |shell| {
        shell
            .home
            .write(DOCKER, "{\n  \"credsStore\": \"desktop.exe\"\n}\n");
    };
    let another: Prepare = |shell| {
        shell.home.write(
            DOCKER,
            r#"{"credHelpers":{"contoso.azurecr.io":"acr-env"}}"#,
        );
    };
    let another_program: Prepare = |shell| {
        shell
            .home
            .script("home/bin/docker-credential-acrscoped", "exit 1");
    };
    let line = "docker-credential-acrscoped configure contoso.azurecr.io";
    hold(&[
        ("configure-file-broken", broken, line),
        ("configure-former-login", former, line),
        (
            "configure-all-with-logins",
            logins,
            "docker-credential-acrscoped configure --all",
        ),
        (
            "configure-all-with-logins-yes",
            logins,
            "docker-credential-acrscoped configure --all --yes",
        ),
        ("configure-broken-and-podman", broken_and_podman, line),
        ("configure-docker-desktop-wsl", wsl, line),
        ("configure-another-helper", another, line),
        (
            "configure-not-on-path",
            nothing,
            "PATH=/nowhere $(command -v docker-credential-acrscoped) configure contoso.azurecr.io",
        ),
        (
            "configure-another-on-path",
            another_program,
            "PATH=~/bin:$PATH $(command -v docker-credential-acrscoped) configure contoso.azurecr.io --plain",
        ),
        (
            "configure-nothing-known",
            nothing,
            "docker-credential-acrscoped configure",
        ),
        (
            "configure-not-ours",
            nothing,
            "docker-credential-acrscoped configure contoso.azurecr.io.example",
        ),
    ]);
}

#[test]
#[ignore = "needs a machine on which this program is not installed: run tests/run"]
fn setup_ends_with_a_pull() {
    let docker: Prepare = |shell| {
        shell.home.script("bin/docker", "exit 0");
    };
    let profile: Prepare = |shell| {
        shell.home.write(
            "home/.config/docker-credential-acrscoped/config.toml",
            "[registry.\"contoso.azurecr.io\"]\nsource = \"client-secret\"\n",
        );
    };
    let no_identity = "unset AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_TENANT_ID; \
                  AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1 docker-credential-acrscoped setup contoso.azurecr.io";
    hold(&[
        (
            "setup",
            docker,
            "docker-credential-acrscoped setup contoso.azurecr.io/team/app",
        ),
        (
            "setup-twice",
            docker,
            "docker-credential-acrscoped setup contoso.azurecr.io >/dev/null; docker-credential-acrscoped setup contoso.azurecr.io --plain",
        ),
        (
            "setup-json",
            docker,
            "docker-credential-acrscoped setup contoso.azurecr.io --json",
        ),
        (
            "setup-only-known",
            profile,
            "docker-credential-acrscoped setup",
        ),
        (
            "setup-nothing-known",
            nothing,
            "docker-credential-acrscoped setup",
        ),
        ("setup-no-terminal", docker, no_identity),
    ]);
}

#[test]
#[ignore = "needs a machine on which this program is not installed: run tests/run"]
fn setup_fails_if_the_image_cannot_be_pulled() {
    let no_pull: Prepare = |shell| {
        shell.home.script("bin/docker", "exit 0");
        shell.simulator.change(|settings| {
            let roles = vec![Role::new("*", "*", &["metadata_read"])];
            settings.registry_mut(REGISTRY).roles = roles;
        });
    };
    let no_role: Prepare = |shell| {
        let change = |settings: &mut simulator::Settings| {
            settings.registry_mut(REGISTRY).roles.clear();
        };
        shell.simulator.change(change);
    };
    let buildkit: Prepare = |shell| {
        shell.home.script("bin/docker", "exit 0");
        shell
            .simulator
            .change(|settings| settings.password_grant = Some(400));
    };
    hold(&[
        (
            "setup-no-pull",
            no_pull,
            "docker-credential-acrscoped setup contoso.azurecr.io/team/app:v1",
        ),
        (
            "setup-no-pull-json",
            no_pull,
            "docker-credential-acrscoped setup contoso.azurecr.io/team/app:v1 --json",
        ),
        (
            "setup-no-role-json",
            no_role,
            "docker-credential-acrscoped setup contoso.azurecr.io --json",
        ),
        (
            "setup-buildkit",
            buildkit,
            "docker-credential-acrscoped setup contoso.azurecr.io/team/app:v1",
        ),
        (
            "setup-no-repository",
            nothing,
            "docker-credential-acrscoped setup contoso.azurecr.io/Team/app",
        ),
    ]);
}
