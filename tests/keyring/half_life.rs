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
    let second = user.ask_within(&["strace", "-f", "-o", log.to_str().expect("UTF-8")], "get").secret();
    assert_eq!((second, user.requests()), (first, 0));
    let trace = Trace::read(&log);
    assert!(!trace.calls(&["keyctl"]).is_empty());
    let first = trace.calls(&["keyctl", "prctl"])[0];
    assert!(first.contains("PR_SET_DUMPABLE"), "a token is read before the memory is closed to others: {first}");
    let forbidden =
        ["socket", "connect", "clone", "clone3", "fork", "vfork", "epoll_create1", "eventfd2", "socketpair", "sendto"];
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
        user.home.write("home/.config/docker-credential-acrscoped/config.toml", "keep_access_token = false\n");
        let first = user.ask("get").secret();
        spend_half(&user);
        user.simulator.change(|settings| settings.faults.push(Fault::always(at, FaultKind::status(503))));
        user.requests();
        let answer = user.ask("get");
        assert_eq!(answer.secret(), first);
        assert!(answer.stderr.contains("the token in the cache is still valid and was used"), "{answer:?}");
        assert_ne!(user.requests(), 0);
        // For the next minute nobody is asked again.
        let answer = user.ask("get");
        assert_eq!((answer.secret(), answer.stderr.as_str(), user.requests()), (first, "", 0));
    }
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn another_identity_signs_in_for_itself_and_the_first_ones_token_stays() {
    let user = User::new("keyutils");
    let first = user.ask("get").secret();
    user.requests();
    let mut other = user.command(user.helper().to_str().expect("UTF-8"));
    other.env_remove("AZURE_CLIENT_SECRET").env("AZURE_CLIENT_ID", MANAGED_IDENTITY);
    other.env("IDENTITY_ENDPOINT", format!("{}/msi/token", user.simulator.origin()));
    other.env("IDENTITY_HEADER", &user.simulator.settings().identity_header);
    let second = crate::support::ask(other, "get", REGISTRY).secret();
    assert_ne!(first, second);
    assert!(user.simulator.journal().iter().any(|entry| entry.endpoint == Endpoint::AppService));
    user.requests();
    assert_eq!(user.ask("get").secret(), first);
    assert_eq!(user.requests(), 0);
}

/// Writes into the kernel's keyring that the time of renewal was in 1970, as if half the token's life had gone by.
fn spend_half(user: &User) {
    let keyctl = |words: &[&str], stdin: &str| {
        let mut command = user.command("keyctl");
        command.args(words);
        run(command, stdin, crate::support::LIMIT).succeeds().stdout
    };
    let keys = user.run("cat /proc/keys", "").succeeds().stdout;
    let line = keys.lines().find(|line| line.contains(&format!(" user      docker-credential-acrscoped {REGISTRY} ")));
    let serial = line.and_then(|line| line.split_whitespace().next()).unwrap_or_else(|| panic!("no key of ours in {keys}"));
    let serial = format!("0x{serial}");
    let payload = keyctl(&["pipe", &serial], "");
    let mut entry: serde_json::Value = serde_json::from_str(&payload).expect("our JSON");
    entry["renew"] = 0.into();
    keyctl(&["pupdate", &serial], &entry.to_string());
}
