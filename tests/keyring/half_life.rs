//! The life of a cached token, with the shipped binary: what it costs while fresh, and what happens when it is half spent.

use crate::support::trace::Trace;
use crate::support::{REGISTRY, run};
use crate::user::User;
use simulator::{Endpoint, Fault, FaultAt, FaultKind, MANAGED_IDENTITY};

#[test]
#[ignore = "needs strace, keyutils and root: run tests/run"]
fn a_cached_get_is_a_keyring_read_without_thread_network_runtime_or_ca_file() {
    let user = User::new("auto");
    let first = user.ask("get").secret();
    user.requests();
    let log = user.home.path("run/trace");
    let second = user
        .ask_within(&["strace", "-f", "-o", log.to_str().expect("UTF-8")], "get")
        .secret();
    assert_eq!((second, user.requests()), (first, 0));
    let trace = Trace::read(&log);
    assert!(!trace.calls(&["keyctl"]).is_empty());
    let first = trace.calls(&["keyctl", "prctl"])[0];
    assert!(
        first.contains("PR_SET_DUMPABLE"),
        "a token is read before the memory is closed to others: {first}"
    );
    let forbidden = [
        "socket",
        "connect",
        "clone",
        "clone3",
        "fork",
        "vfork",
        "epoll_create1",
        "eventfd2",
        "socketpair",
        "sendto",
    ];
    assert_eq!(trace.calls(&forbidden), [] as [&str; 0]);
    // The config file, which is not there. strace runs as the user, and cannot read its name from memory that is closed.
    let opened = trace.opened();
    assert!(
        matches!(opened[..], [file] if file.ends_with("O_RDONLY|O_NONBLOCK|O_CLOEXEC) = -1 ENOENT (No such file or directory)"))
    );
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_half_spent_token_is_renewed_and_the_new_one_is_kept() {
    let user = User::new("keyutils");
    let first = user.ask("get").secret();
    spend_half(&user);
    user.requests();
    let second = user.ask("get").secret();
    assert_ne!(first, second);
    assert_ne!(user.requests(), 0);
    assert_eq!(user.ask("get").secret(), second);
    assert_eq!(user.requests(), 0);
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_half_spent_token_is_used_while_entra_or_the_registry_is_down() {
    for at in [FaultAt::Authority, FaultAt::Exchange] {
        let user = User::new("keyutils");
        // With the access token of the first sign-in Entra would not be asked at all.
        user.home.write(
            "home/.config/docker-credential-acrscoped/config.toml",
            "keep_access_token = false\n",
        );
        let first = user.ask("get").secret();
        spend_half(&user);
        user.simulator.change(|settings| {
            settings
                .faults
                .push(Fault::always(at, FaultKind::status(503)));
        });
        user.requests();
        let answer = user.ask("get");
        assert_eq!(answer.secret(), first);
        assert!(
            answer
                .stderr
                .contains("the token in the cache is still valid and was used"),
            "{answer:?}"
        );
        assert_ne!(user.requests(), 0);
        // For the next minute nobody is asked again.
        let answer = user.ask("get");
        assert_eq!(
            (answer.secret(), answer.stderr.as_str(), user.requests()),
            (first, "", 0)
        );
    }
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn another_identity_signs_in_for_itself_and_the_first_ones_token_stays() {
    let user = User::new("keyutils");
    let first = user.ask("get").secret();
    user.requests();
    let mut other = user.command(user.helper().to_str().expect("UTF-8"));
    other
        .env_remove("AZURE_CLIENT_SECRET")
        .env("AZURE_CLIENT_ID", MANAGED_IDENTITY);
    other.env(
        "IDENTITY_ENDPOINT",
        format!("{}/msi/token", user.simulator.origin()),
    );
    other.env(
        "IDENTITY_HEADER",
        &user.simulator.settings().identity_header,
    );
    let second = crate::support::ask(other, "get", REGISTRY).secret();
    assert_ne!(first, second);
    assert!(
        user.simulator
            .journal()
            .iter()
            .any(|entry| entry.endpoint == Endpoint::AppService)
    );
    user.requests();
    assert_eq!(user.ask("get").secret(), first);
    assert_eq!(user.requests(), 0);
}

/// Whatever is in the keyring ends in files and in lines that a shell reads.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn an_entry_without_a_good_token_counts_as_absent_and_is_replaced() {
    let user = User::new("keyutils");
    let token = |exp: u64, signature: &str| {
        let payload = azure_core::base64::encode_url_safe(format!(r#"{{"exp":{exp}}}"#));
        format!("e30.{}.{signature}", payload.trim_end_matches('='))
    };
    let soon = 4_102_444_800;
    let far = soon - 3600;
    for (renew, token) in [
        (far, token(soon, "x';>PWNED;'")),
        (far, token(soon, "$(reboot)")),
        (far, token(soon, "a\nACR_PASSWORD=b")),
        (far, token(253_402_300_800, "c2ln")),
        (far, token(u64::MAX, "c2ln")),
        (253_402_300_800, token(soon, "c2ln")),
        (u64::MAX, token(soon, "c2ln")),
    ] {
        user.ask("get").secret();
        change(&user, |_| format!("{renew} {token}"));
        let helper = user.helper().display().to_string();
        for command in ["status", "status --json"] {
            let shown = user.run(&format!("{helper} {command}"), "").succeeds();
            assert!(!shown.text().contains(REGISTRY), "{token}: {shown:#?}");
        }
        user.requests();
        let answer = user.ask("get").secret();
        assert_ne!(answer, token);
        assert_ne!(user.requests(), 0, "{token}");
        assert_eq!(
            (user.ask("get").secret(), user.requests()),
            (answer, 0),
            "{token}"
        );
        user.run(&format!("{helper} token {REGISTRY}"), "")
            .succeeds();
    }
}

/// Writes into the kernel's keyring that the time of renewal was in 1970, as if half the token's life had gone by.
fn spend_half(user: &User) {
    change(user, |token| format!("0 {token}"));
}

/// The name of our keyring, and the beginning of our keys' names.
const SERVICE: &str = "docker-credential-acrscoped";

/// Changes the entry of the registry in the kernel's keyring, which is the time of renewal, a space and the token.
fn change(user: &User, change: impl Fn(&str) -> String) {
    let keyctl = |words: &[&str], stdin: &str| {
        let mut command = user.command("keyctl");
        command.args(words);
        run(command, stdin, crate::support::LIMIT).succeeds().stdout
    };
    let ring = keyctl(&["search", "@u", "keyring", SERVICE], "");
    let serials = keyctl(&["rlist", ring.trim()], "");
    // /proc/keys would show for a moment keys that were replaced, too.
    let is_of_registry = |serial: &&str| {
        let described = keyctl(&["rdescribe", serial], "");
        described.starts_with("user;") && described.contains(&format!(";{SERVICE} {REGISTRY} "))
    };
    let serial = serials.split_whitespace().find(is_of_registry);
    let serial = serial.expect("a key of ours");
    let payload = keyctl(&["pipe", serial], "");
    let (_, token) = payload.split_once(' ').expect("our entry");
    keyctl(&["pupdate", serial], &change(token));
}
