//! `token`.

use crate::shell::{Shell, hold, nothing};
use crate::support::{Answer, LIMIT, REGISTRY, ZERO_GUID, run};
use std::path::Path;

#[test]
fn the_credential_is_printed_in_every_form() {
    hold(&[
        (
            "token",
            nothing,
            "docker-credential-acrscoped token contoso.azurecr.io",
        ),
        (
            "token-short-name",
            nothing,
            "docker-credential-acrscoped token contoso --format raw",
        ),
        (
            "token-file-exists",
            |shell| drop(shell.home.write("work/token.json", "")),
            "docker-credential-acrscoped token contoso.azurecr.io --output token.json",
        ),
        (
            "token-env",
            nothing,
            "docker-credential-acrscoped token contoso.azurecr.io --format env",
        ),
        (
            "token-github-actions",
            |shell| drop(shell.home.write("work/set_env", "")),
            "GITHUB_ENV=$PWD/set_env docker-credential-acrscoped token contoso.azurecr.io --format github-actions",
        ),
        (
            "token-github-actions-elsewhere",
            nothing,
            "docker-credential-acrscoped token contoso.azurecr.io --format github-actions",
        ),
        (
            "token-raw",
            nothing,
            "docker-credential-acrscoped token contoso.azurecr.io --format raw",
        ),
        (
            "token-other-name",
            nothing,
            "ACRSCOPED_USERNAME=token docker-credential-acrscoped token contoso.azurecr.io --format env",
        ),
    ]);
}

#[test]
fn a_missing_credential_is_explained() {
    let no_role = |shell: &Shell| {
        shell
            .simulator
            .change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    };
    hold(&[
        (
            "token-no-registry-of-ours",
            nothing,
            "docker-credential-acrscoped token ghcr.io",
        ),
        (
            "token-misspelt-registry",
            nothing,
            "docker-credential-acrscoped token contoso.azurcr.io",
        ),
        (
            "token-no-role",
            no_role,
            "docker-credential-acrscoped token contoso.azurecr.io",
        ),
        (
            "token-wrong-secret",
            nothing,
            "AZURE_CLIENT_SECRET=wrong docker-credential-acrscoped token contoso.azurecr.io",
        ),
    ]);
}

fn typed(shell: &Shell, line: &str) -> Answer {
    run(shell.command(line), "", LIMIT)
}

/// `<` and `>` of the user name `<token>` redirect where they stand without quotes.
#[test]
fn a_shell_reads_what_is_printed_for_it() {
    for (name, expected) in [("guid", ZERO_GUID), ("token", "<token>")] {
        let shell = Shell::new();
        let helper = format!(
            "ACRSCOPED_USERNAME={name} docker-credential-acrscoped token {REGISTRY} --format"
        );
        let shown = r#"echo "$ACR_LOGIN_SERVER $ACR_USERNAME $ACR_PASSWORD""#;
        let read = typed(
            &shell,
            &format!("{helper} env >variables && . ./variables && {shown}"),
        )
        .succeeds();
        assert!(
            read.stdout
                .starts_with(&format!("{REGISTRY} {expected} eyJ")),
            "{read:#?}"
        );
    }
}

/// The runner shows the variables of a job in the log of every step, and hides only what a mask named before.
#[test]
fn a_job_of_github_masks_the_token_before_it_becomes_a_variable() {
    for (name, username) in [("guid", ZERO_GUID), ("token", "<token>")] {
        let shell = Shell::new();
        let file = shell.home.write("work/set_env", "A=b\n");
        let line = format!(
            "ACRSCOPED_USERNAME={name} GITHUB_ENV={} docker-credential-acrscoped token {REGISTRY} --format github-actions",
            file.display()
        );
        let answer = typed(&shell, &line).succeeds();
        let token = answer
            .stdout
            .strip_prefix("::add-mask::eyJ")
            .and_then(|rest| rest.strip_suffix('\n'))
            .expect("a mask");
        assert!(
            !token.contains('\n') && answer.stderr.is_empty(),
            "{answer:#?}"
        );
        let expected = format!(
            "A=b\nACR_LOGIN_SERVER={REGISTRY}\nACR_USERNAME={username}\nACR_PASSWORD=eyJ{token}\n"
        );
        assert_eq!(std::fs::read_to_string(&file).expect("our file"), expected);
    }
}

#[test]
fn without_a_usable_github_env_no_token_is_printed() {
    let shell = Shell::new();
    let path = |name: &str| shell.home.path(name).display().to_string();
    let target = shell.home.write("target", "");
    shell.home.write("relative", "");
    std::os::unix::fs::symlink(&target, path("link")).expect("our folder");
    for file in [
        "",
        "relative",
        &path("absent"),
        &path("home"),
        &path("link"),
        "/dev/null",
    ] {
        let line = format!(
            "GITHUB_ENV={file} docker-credential-acrscoped token {REGISTRY} --format github-actions"
        );
        let answer = typed(&shell, &line).fails();
        assert_eq!(answer.stdout, "", "{file}: {answer:#?}");
        assert!(
            answer
                .stderr
                .starts_with("docker-credential-acrscoped: `GITHUB_ENV` "),
            "{file}: {answer:#?}"
        );
    }
    assert!(!Path::new(&path("absent")).exists());
    assert_eq!(std::fs::read_to_string(target).expect("our file"), "");
}

#[test]
fn a_token_is_written_to_a_new_file_that_only_its_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let shell = Shell::new();
    let write = |name: &str, format: &str| {
        let line = format!(
            "umask 0; docker-credential-acrscoped token {REGISTRY} --format {format} --output {name}"
        );
        typed(&shell, &line)
    };
    let answer = write("token", "raw").succeeds();
    assert_eq!((&*answer.stdout, &*answer.stderr), ("", ""));
    let file = shell.home.path("work/token");
    let mode = std::fs::metadata(&file)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let token = std::fs::read_to_string(&file).expect("our file");
    assert!(token.starts_with("eyJ") && token.ends_with('\n'), "{token}");
    // Neither another's file nor a link is written to.
    let target = shell.home.write("target", "");
    std::os::unix::fs::symlink(&target, shell.home.path("work/link")).expect("our folder");
    for name in ["token", "link", ".", "absent/token"] {
        let answer = write(name, "json").fails();
        assert!(
            answer.stderr.contains(&format!("{name} exists already"))
                || answer.stderr.contains("could not create absent/token"),
            "{name}: {answer:#?}"
        );
        assert_eq!(answer.stdout, "", "{name}");
    }
    assert_eq!(std::fs::read_to_string(target).expect("our file"), "");
    assert_eq!(std::fs::read_to_string(&file).expect("our file"), token);
    let answer = write("new", "github-actions").fails();
    assert!(!shell.home.path("work/new").exists(), "{answer:#?}");
}
