//! A Secret Service: the real gnome-keyring-daemon on a bus of its own.

use crate::contract;
use crate::desktop::{desktop_user, is_locked, start_keyring, unlocked};
use crate::support::trace::Trace;
use crate::support::{LIMIT, REGISTRY, binary, bus_address, run};
use crate::user::User;
use rustix::process::{Signal, kill_process};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

/// What a keyring that does not answer may cost.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_second_get_is_answered_by_the_keyring() {
    let (user, _bus) = desktop_user("secret-service");
    let _keyring = unlocked(&user);
    contract::a_second_get_asks_nobody(&user);
}

#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_registry_is_listed_until_it_is_erased() {
    let (user, _bus) = desktop_user("secret-service");
    let _keyring = unlocked(&user);
    contract::a_registry_is_listed_until_it_is_erased(&user);
}

#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn without_a_bus_there_is_an_answer() {
    let user = User::new("secret-service");
    let answer = user.ask("get");
    answer.secret();
    assert!(answer.took < PATIENCE, "{answer:#?}");
}

#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn with_a_bus_and_no_keyring_there_is_an_answer() {
    let (user, _bus) = desktop_user("secret-service");
    let answer = user.ask("get");
    answer.secret();
    assert!(answer.took < PATIENCE, "{answer:#?}");
}

#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_locked_keyring_is_neither_waited_for_nor_unlocked() {
    let (user, _bus) = desktop_user("secret-service");
    let keyring = unlocked(&user);
    let first = user.ask("get").secret();
    drop(keyring);
    let _keyring = start_keyring(&user, "");
    let answer = user.ask("get");
    assert_ne!(answer.secret(), first);
    assert!(answer.took < PATIENCE, "{answer:#?}");
    assert!(is_locked(&user));
    // What lies in it is still there: nobody may be told that it is gone.
    let answer = user.ask("erase").succeeds();
    assert!(
        answer
            .stderr
            .contains("warn: Secret Service cannot be searched: "),
        "{answer:?}"
    );
    assert_eq!(user.ask("list").succeeds().json(), serde_json::json!({}));
}

/// A login is asked for again by nobody: it lies where it outlives a restart, and in the kernel's keyring only where it must.
#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_login_is_kept_in_the_keyring_that_lasts() {
    let (user, _bus) = desktop_user("auto");
    let keyring = unlocked(&user);
    let helper = user.helper().display().to_string();
    let nobody = "env -u AZURE_CLIENT_SECRET -u AZURE_CLIENT_ID -u AZURE_TENANT_ID";
    let login = || {
        user.run(
            &format!("{nobody} {helper} login {REGISTRY} --device-code"),
            "",
        )
        .succeeds()
    };
    assert!(
        login()
            .stdout
            .contains("Saved in the Secret Service. It expires")
    );
    assert!(
        !user
            .run("cat /proc/keys", "")
            .succeeds()
            .stdout
            .contains(" login ")
    );
    drop(keyring);
    let _keyring = start_keyring(&user, "");
    assert!(is_locked(&user));
    assert!(
        login()
            .stdout
            .contains("Saved in the kernel keyring until you restart.")
    );
    user.run(&format!("{nobody} {helper} get"), REGISTRY)
        .secret();
}

/// Until a desktop's sign-in makes a default keyring, GNOME Keyring keeps everything in memory.
#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_login_that_ends_with_the_desktop_session_says_so_and_goes_to_the_kernel_keyring_first() {
    for (store, told) in [
        (
            "secret-service",
            "Saved in the Secret Service until the desktop session ends.",
        ),
        ("auto", "Saved in the kernel keyring until you restart."),
    ] {
        let (user, _bus) = desktop_user(store);
        user.home.write("password", "");
        let _keyring = start_keyring(&user, "");
        let nobody = "env -u AZURE_CLIENT_SECRET -u AZURE_CLIENT_ID -u AZURE_TENANT_ID";
        let helper = user.helper().display().to_string();
        let answer = user
            .run(
                &format!("{nobody} {helper} login {REGISTRY} --device-code"),
                "",
            )
            .succeeds();
        assert!(answer.stdout.contains(told), "{answer:#?}");
        user.run(&format!("{nobody} {helper} get"), REGISTRY)
            .secret();
    }
}

/// Nobody must believe that a login is forgotten while its token lies where it was not looked for.
#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_login_in_a_keyring_that_is_away_or_locked_is_not_said_to_be_forgotten() {
    let (user, _bus) = desktop_user("auto");
    let keyring = unlocked(&user);
    let helper = user.helper().display().to_string();
    let nobody = "env -u AZURE_CLIENT_SECRET -u AZURE_CLIENT_ID -u AZURE_TENANT_ID";
    let login = || {
        user.run(
            &format!("{nobody} {helper} login {REGISTRY} --device-code"),
            "",
        )
        .succeeds()
    };
    let file = user
        .home
        .path("home/.local/state/docker-credential-acrscoped/logins.json");
    assert!(login().stdout.contains("Saved in the Secret Service."));
    let stays = |line: &str| {
        let answer = user.run(&format!("{nobody} {line}"), "").fails();
        assert!(
            answer
                .stderr
                .contains("could not delete a saved token: Secret Service: "),
            "{line}: {answer:#?}"
        );
        assert!(
            answer.stdout.is_empty() && file.exists(),
            "{line}: {answer:#?}"
        );
    };
    for words in ["logout", &format!("logout {REGISTRY}"), "logout --all"] {
        stays(&format!(
            "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere {helper} {words}"
        ));
    }
    drop(keyring);
    let keyring = start_keyring(&user, "");
    assert!(is_locked(&user));
    stays(&format!("{helper} logout"));
    stays(&format!("{helper} logout --all"));
    drop(keyring);
    let _keyring = unlocked(&user);
    let answer = user
        .run(&format!("{nobody} {helper} logout"), "")
        .succeeds();
    assert!(
        answer
            .stdout
            .starts_with("Signed out alice@contoso.example from all registries in Azure public "),
        "{answer:#?}"
    );
    assert!(!file.exists());
    // Whatever is set now, it is looked for everywhere.
    for words in ["logout", "logout --all"] {
        login();
        let known = std::fs::read_to_string(&file).expect("a file");
        user.run(
            &format!("{nobody} ACRSCOPED_CACHE=none {helper} {words}"),
            "",
        )
        .succeeds();
        assert!(!file.exists());
        // Written down again, it would be found if it were there.
        user.run(&format!("tee {}", file.display()), &known)
            .succeeds();
        let answer = user
            .run(&format!("{nobody} {helper} get"), REGISTRY)
            .fails();
        assert!(
            answer
                .stdout
                .contains("its token is no longer in the keyring"),
            "{answer:#?}"
        );
        std::fs::remove_file(&file).expect("our folder");
    }
}

/// What `doctor` says of the keyring: status, sentence and details in one text; and the check on top.
fn doctor(user: &User) -> (String, serde_json::Value) {
    let mut command = user.command(
        &user
            .home
            .path("own/docker-credential-acrscoped")
            .display()
            .to_string(),
    );
    command.args(["doctor", REGISTRY, "--json"]).env(
        "PATH",
        format!("{}:/usr/bin:/bin", user.home.path("own").display()),
    );
    let json = run(command, "", LIMIT).json();
    let checks = json["checks"].as_array().expect("a list");
    let check = checks
        .iter()
        .find(|check| check["name"] == "keyring")
        .expect("a check of the keyring");
    (
        format!(
            "{}: {} {}",
            check["status"], check["summary"], check["details"]
        ),
        json["cause"].clone(),
    )
}

#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn the_doctor_tells_a_keyring_that_works_from_one_that_is_stuck_or_locked() {
    let (user, _bus) = desktop_user("secret-service");
    // The build's folder may be closed to this user.
    std::fs::create_dir(user.home.path("own")).expect("our folder");
    user.home
        .install(&binary(), "own/docker-credential-acrscoped");
    for file in ["docker/config.json", "auth.json"] {
        // Written by the user, since it is theirs.
        let text = format!(r#"{{"credHelpers":{{"{REGISTRY}":"acrscoped"}}}}"#);
        user.run(&format!("tee {}", user.home.path(file).display()), &text)
            .succeeds();
    }
    let no_keyring = r#""warning": "no keyring stores a token: each call signs in""#;
    let keyring = unlocked(&user);
    let (said, _) = doctor(&user);
    assert!(
        said.starts_with(
            r#""ok": "Secret Service: stored, read and deleted a test token of 2 KiB""#
        ),
        "{said}"
    );
    assert_eq!(user.ask("list").succeeds().json(), serde_json::json!({}));
    kill_process(keyring.id(), Signal::STOP).expect("our child");
    let (said, cause) = doctor(&user);
    assert!(
        said.starts_with(no_keyring) && cause == "keyring",
        "{cause}: {said}"
    );
    kill_process(keyring.id(), Signal::CONT).expect("our child");
    drop(keyring);
    let _keyring = start_keyring(&user, "");
    let (said, cause) = doctor(&user);
    assert!(
        said.starts_with(no_keyring) && said.contains("locked") && cause == "keyring",
        "{cause}: {said}"
    );
}

#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_keyring_that_is_stuck_costs_two_seconds() {
    let (user, _bus) = desktop_user("secret-service");
    let keyring = unlocked(&user);
    user.ask("get").secret();
    kill_process(keyring.id(), Signal::STOP).expect("our child");
    let answer = user.ask("get");
    answer.secret();
    assert!(answer.took < PATIENCE, "{answer:#?}");
    kill_process(keyring.id(), Signal::CONT).expect("our child");
}

/// Rootless podman and buildah run the helper as root of a user namespace; the bus knows the user by the uid outside.
#[test]
#[ignore = "needs gnome-keyring, dbus and root: run tests/run"]
fn a_user_namespace_shares_the_users_keyring() {
    for inside in [
        &["unshare", "--user", "--map-root-user"][..],
        &["unshare", "--user", "--map-user=1234"],
    ] {
        let (user, _bus) = desktop_user("secret-service");
        let _keyring = unlocked(&user);
        let outside = user.ask("get").secret();
        user.requests();
        assert_eq!(
            user.ask_within(inside, "get").secret(),
            outside,
            "{inside:?}"
        );
        assert_eq!(user.requests(), 0, "{inside:?}");
        let listed = user.ask_within(inside, "list").succeeds().json();
        assert!(listed.get(REGISTRY).is_some(), "{inside:?}: {listed}");
        user.ask_within(inside, "erase").succeeds();
        assert_eq!(
            user.ask("list").succeeds().json(),
            serde_json::json!({}),
            "{inside:?}"
        );
        let inner = user.ask_within(inside, "get").secret();
        assert_ne!(inner, outside);
        user.requests();
        assert_eq!(user.ask("get").secret(), inner, "{inside:?}");
        assert_eq!(user.requests(), 0, "{inside:?}");
    }
}

/// Sign-in with greeting, session and search together, secret.
#[test]
#[ignore = "needs gnome-keyring, dbus, strace and root: run tests/run"]
fn a_cached_get_is_three_round_trips_on_one_thread() {
    let (user, _bus) = desktop_user("secret-service");
    let _keyring = unlocked(&user);
    let first = user.ask("get").secret();
    let log = user.home.path("run/trace");
    assert_eq!(
        user.ask_within(&["strace", "-f", "-o", log.to_str().expect("UTF-8")], "get")
            .secret(),
        first
    );
    let trace = Trace::read(&log);
    let sent = trace.calls(&["sendto", "sendmsg"]);
    assert_eq!(sent.len(), 4, "{sent:#?}");
    let started = trace.calls(&["clone", "clone3", "fork", "vfork"]);
    assert_eq!(started.len(), 1, "{started:#?}");
    let connected = trace.calls(&["connect"]);
    assert_eq!(connected.len(), 1, "{connected:#?}");
    // The config file, which is not there, and the map of users. strace runs as the user, and cannot read names from memory that is closed.
    let opened = trace.opened();
    assert_eq!(opened.len(), 2, "{opened:#?}");
}

/// Each client that comes and goes costs the daemon something, and GNOME Keyring 42 now and then its life.
#[test]
#[ignore = "needs gnome-keyring, dbus, strace and root: run tests/run"]
fn a_process_is_one_client_of_the_bus() {
    let (user, _bus) = desktop_user("secret-service");
    let _keyring = unlocked(&user);
    let log = user.home.path("run/trace");
    for action in ["get", "list", "erase"] {
        user.ask_within(
            &["strace", "-f", "-o", log.to_str().expect("UTF-8")],
            action,
        )
        .succeeds();
        let trace = Trace::read(&log);
        let sockets = trace.calls(&["socket"]);
        assert_eq!(
            sockets
                .iter()
                .filter(|call| call.contains("AF_UNIX"))
                .count(),
            1,
            "{action}: {sockets:#?}"
        );
    }
}

#[test]
#[ignore = "needs gnome-keyring, dbus, secret-tool and root: run tests/run"]
fn people_see_what_an_entry_is() {
    let (user, _bus) = desktop_user("secret-service");
    let _keyring = unlocked(&user);
    user.ask("get").secret();
    // secret-tool tells the attributes on stderr.
    let seen = user
        .run(
            "secret-tool search --all service docker-credential-acrscoped",
            "",
        )
        .succeeds()
        .text();
    assert!(
        seen.contains(&format!("label = ACR refresh token for {REGISTRY}\n")),
        "{seen}"
    );
    assert!(
        seen.contains(&format!("attribute.username = {REGISTRY} ")),
        "{seen}"
    );
    assert!(
        seen.contains("label = Entra access token\n")
            && seen.contains("attribute.username = entra "),
        "{seen}"
    );
}

#[test]
#[ignore = "needs root: run tests/run"]
fn a_bus_that_is_broken_costs_the_cache_and_not_the_answer() {
    type Serve = fn(UnixStream);
    let buses: [(&str, Serve); 4] = [
        // Until the client hangs up.
        ("never answers", |mut client| {
            drop(std::io::copy(&mut client, &mut std::io::sink()));
        }),
        ("answers garbage", |client| {
            drop((&client).write_all(&vec![0xa5; 1 << 16]));
        }),
        ("closes", drop),
        ("rejects us", |client| {
            let _ = (&client).read(&mut [0; 4096]);
            let _ = (&client).write_all(b"REJECTED EXTERNAL\r\n");
        }),
    ];
    for (what, serve) in buses {
        let mut user = User::new("secret-service");
        let socket = user.home.path("run/broken");
        let listener = UnixListener::bind(&socket).expect("our folder");
        std::fs::set_permissions(&socket, Permissions::from_mode(0o777)).expect("our socket");
        std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
        user.join_bus(bus_address(&socket));
        for _ in 0..2 {
            let answer = user.ask("get");
            answer.secret();
            assert!(answer.took < PATIENCE, "a bus that {what}: {answer:#?}");
        }
        for action in ["list", "erase"] {
            let answer = user.ask(action).succeeds();
            assert!(answer.took < PATIENCE, "a bus that {what}: {answer:#?}");
        }
    }
}
