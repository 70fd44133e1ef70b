//! The kernel's keyring.

use crate::contract;
use crate::support::{LIMIT, REGISTRY, run};
use crate::user::User;

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_second_get_is_answered_by_the_kernel() {
    let user = User::new("keyutils");
    contract::a_second_get_asks_nobody(&user);
    // The debug log says where the token was, and how long that took.
    let mut command = user.command(user.helper().to_str().expect("UTF-8"));
    command.env("ACRSCOPED_LOG", "debug").arg("get");
    let answer = run(command, REGISTRY, LIMIT).succeeds();
    let found = "debug: found a cached token store=\"kernel keyring\" took=";
    assert!(answer.stderr.contains(found), "{}", answer.stderr);
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn the_kernel_forgets_every_token_by_itself() {
    let user = User::new("keyutils");
    user.ask("get").secret();
    let keys = keys(&user);
    assert_eq!(keys.len(), 2, "{keys:?}");
    // proc_keys(5): the fourth field is the time until the key expires; `perm` is never.
    for key in keys {
        let fields: Vec<&str> = key.split_whitespace().collect();
        // A refresh token of the simulator lives three hours: the kernel says `2h` or `3h`. A service principal's access token lives 24 hours
        // and is kept until five minutes before.
        let left: &[&str] = if key.contains(" entra ") {
            &["23h"]
        } else {
            &["2h", "3h"]
        };
        assert!(left.contains(&fields[3]), "{key}");
        // The fifth: everything for the possessor and the user, nothing for the group and others (keyctl_setperm(3)).
        assert_eq!(fields[4], "3f3f0000", "{key}");
    }
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_session_keyring_without_the_users_keyring_hides_nothing() {
    let user = User::new("keyutils");
    let sessions: [&[&str]; 4] = [
        &["keyctl", "session", "-"],
        &["keyctl", "session", "-"],
        &[],
        &["keyctl", "session", "x"],
    ];
    let secrets = sessions.map(|session| user.ask_within(session, "get").secret());
    assert!(
        secrets.iter().all(|secret| *secret == secrets[0]),
        "each session signed in anew"
    );
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_user_keyring_without_room_costs_nothing_but_the_cache() {
    let user = User::new("keyutils");
    fill(&user);
    user.ask("get").secret();
    user.requests();
    user.ask("get").secret();
    assert_ne!(user.requests(), 0);
    assert_eq!(user.ask("erase").code(), 0);
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_registry_is_listed_until_it_is_erased() {
    let user = User::new("keyutils");
    contract::a_registry_is_listed_until_it_is_erased(&user);
}

/// Rootless podman and buildah run the helper as root of a user namespace, which has a user keyring of its own.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_user_namespace_has_an_answer_too() {
    let user = User::new("keyutils");
    user.ask_within(&["unshare", "--user", "--map-root-user"], "get")
        .secret();
}

/// The keys of type `user` that this user can see, as lines of `/proc/keys`.
fn keys(user: &User) -> Vec<String> {
    let listed = user.run("cat /proc/keys", "").succeeds();
    let keys = listed
        .stdout
        .lines()
        .filter(|line| line.split_whitespace().nth(7) == Some("user"));
    keys.map(str::to_owned).collect()
}

/// Takes the 20,000 bytes that the kernel gives to a user who is not root, all but less than a token's worth.
pub(crate) fn fill(user: &User) {
    let content = "x".repeat(900);
    let full = (0..40).any(|number| {
        let added = user.run(&format!("keyctl padd user filler-{number} @u"), &content);
        added.stderr.contains("quota")
    });
    assert!(full, "the quota was not reached");
}

/// The same user has another kernel keyring inside podman.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_login_tells_how_rootless_podman_gets_one_too() {
    let user = User::new("keyutils");
    user.home.script("bin/podman", "");
    let helper = user.helper().display().to_string();
    let nobody = "env -u AZURE_CLIENT_SECRET -u AZURE_CLIENT_ID -u AZURE_TENANT_ID";
    let said = user
        .run(
            &format!("{nobody} {helper} login {REGISTRY} --device-code"),
            "",
        )
        .succeeds()
        .stdout;
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!(
        "! without root, podman and buildah have a kernel keyring of their own; sign in there too: podman unshare \
         docker-credential-acrscoped login {REGISTRY} --device-code "
    );
    assert!(words.contains(&line), "{said}");
}

/// Any program of the user can put keys into our keyring, under any name.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn an_odd_key_of_another_program_is_skipped() {
    let user = User::new("keyutils");
    user.ask("get").secret();
    let script = r#"ring=$(keyctl search @u keyring docker-credential-acrscoped) &&
        keyctl add user 'odd;key' x "$ring" && keyctl add user 'docker-credential-acrscoped a;b' x "$ring" &&
        keyctl add user "$(printf 'odd\377')" x "$ring" && keyctl add user "$(printf 'docker-credential-acrscoped \377')" x "$ring" &&
        keyctl newring 'odd;ring' "$ring""#;
    let mut odd = user.command("sh");
    odd.args(["-c", script]);
    crate::support::run(odd, "", crate::support::LIMIT).succeeds();
    let status = user
        .run(&format!("{} status --json", user.helper().display()), "")
        // No client is configured.
        .fails()
        .json();
    assert_eq!(
        status["registries"].as_array().map(Vec::len),
        Some(1),
        "{status}"
    );
    assert!(user.ask("list").stdout.contains(REGISTRY));
    user.run(&format!("{} logout --all", user.helper().display()), "")
        .succeeds();
    assert_eq!(user.ask("list").stdout.trim(), "{}");
    assert_eq!(user.ask("erase").code(), 0);
}
