//! The homes of other users: root with the `HOME` of another user, as `sudo -E` gives it, leaves nothing there and follows no link there.
#![cfg(target_os = "linux")]

mod support;

use simulator::{Endpoint, Fault, FaultAt, FaultKind, Simulator};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{
    Answer, Home, LIMIT, REGISTRY, binary, connect, helper, identify, run, until, world,
};

/// The user whose home it is.
const OWNER: u32 = 54_321;

/// Every command, with what it reads on stdin.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["get"], REGISTRY),
    (
        &["store"],
        r#"{"ServerURL":"contoso.azurecr.io","Username":"u","Secret":"s"}"#,
    ),
    (&["erase"], REGISTRY),
    (&["list"], ""),
    (&["token", REGISTRY], ""),
    (&["login", "--device-code", REGISTRY], ""),
    (&["logout"], ""),
    (&["logout", REGISTRY], ""),
    (&["logout", "--all"], ""),
    (&["configure", REGISTRY], ""),
    (&["configure", "--all"], ""),
    (&["configure", "--remove"], ""),
    (&["configure", "--remove", REGISTRY], ""),
    (&["config", "set", "timeout", "60"], ""),
    (&["status"], ""),
    (&["doctor", REGISTRY], ""),
];

/// Everything below a folder, and the folder: path, inode, owner, mode, and the times at which content and entry changed.
fn listing(folder: &Path) -> Vec<(PathBuf, [i64; 7])> {
    let metadata = fs::symlink_metadata(folder).expect("our folder");
    let facts = [
        metadata.ino().cast_signed(),
        metadata.uid().into(),
        metadata.mode().into(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ];
    let mut list = vec![(folder.to_owned(), facts)];
    if metadata.is_dir() {
        let entries = fs::read_dir(folder)
            .expect("our folder")
            .map(|entry| entry.expect("our folder").path());
        list.extend(entries.flat_map(|entry| listing(&entry)));
    }
    list.sort();
    list
}

/// What is new or changed since this listing was made.
fn changed(before: &[(PathBuf, [i64; 7])], folders: &[&Path]) -> Vec<(PathBuf, [i64; 7])> {
    let now: Vec<_> = folders.iter().flat_map(|folder| listing(folder)).collect();
    let is_gone = |entry: &&(PathBuf, _)| now.iter().all(|(path, _)| *path != entry.0);
    let gone = before.iter().filter(is_gone).cloned();
    now.iter()
        .filter(|entry| !before.contains(entry))
        .cloned()
        .chain(gone)
        .collect()
}

/// Gives everything to the user, with a copy of the program: the build's folder may be closed to them.
fn give(home: &Home, simulator: &Simulator) {
    fs::remove_file(home.path("bin/docker-credential-acrscoped")).expect("our folder");
    home.install(&binary(), "bin/docker-credential-acrscoped");
    fs::copy(simulator.ca_file(), home.path("ca.pem")).expect("our folder");
    let owner = format!("{OWNER}:{OWNER}");
    let given = Command::new("chown")
        .args(["-Rh", &owner])
        .arg(home.root())
        .status();
    assert!(given.expect("coreutils").success());
}

/// The helper as root, whose variables are the user's but for `TMPDIR`.
fn as_root(home: &Home, simulator: &Simulator, words: &[&str], temporary: &Path) -> Command {
    let mut command = helper(home, simulator);
    command.args(words).env("TMPDIR", temporary);
    command
}

/// `get` of the user.
fn get_as_owner(home: &Home, simulator: &Simulator) -> Answer {
    run(as_owner(home, simulator), REGISTRY, LIMIT)
}

fn as_owner(home: &Home, simulator: &Simulator) -> Command {
    let mut command = home.command("setpriv");
    command.args([
        "--reuid",
        &OWNER.to_string(),
        "--regid",
        &OWNER.to_string(),
        "--clear-groups",
    ]);
    command
        .arg(home.path("bin/docker-credential-acrscoped"))
        .arg("get");
    identify(connect(&mut command, simulator), simulator).env("SSL_CERT_FILE", home.path("ca.pem"));
    command
}

/// Runs every command as root, with the session's folders and without them, and sees that nothing has changed below these folders.
fn changes_nothing(home: &Home, simulator: &Simulator, temporary: &Path, folders: &[&Path]) {
    let before: Vec<_> = folders.iter().flat_map(|folder| listing(folder)).collect();
    for (words, stdin) in COMMANDS {
        for unset in [
            &[][..],
            &["XDG_RUNTIME_DIR"],
            &["XDG_RUNTIME_DIR", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE"],
        ] {
            let mut command = as_root(home, simulator, words, temporary);
            for name in unset {
                command.env_remove(name);
            }
            let answer = run(command, stdin, LIMIT);
            assert_eq!(
                changed(&before, folders),
                [],
                "{words:?} without {unset:?}: {}",
                answer.text()
            );
            if matches!(words[0], "configure" | "login") {
                let told = format!("belongs to the user with id {OWNER}");
                let text = answer.text();
                let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let is_refused = answer.code() == 1 && said.contains(&told);
                // Nothing was recorded, and no file had to be read.
                let is_undone = words.contains(&"--remove") && answer.code() == 0;
                assert!(
                    is_refused || is_undone,
                    "{words:?} without {unset:?}: {answer:#?}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs root and setpriv: run tests/run"]
fn root_with_the_home_of_another_user_leaves_nothing_there() {
    let (home, simulator) = world();
    give(&home, &simulator);
    let temporary = tempfile::tempdir().unwrap();
    changes_nothing(&home, &simulator, temporary.path(), &[home.root()]);
    let met = temporary.path().join("docker-credential-acrscoped-0");
    assert!(
        met.is_dir(),
        "root meets other processes in the temporary folder"
    );
    get_as_owner(&home, &simulator).secret();
    // What the user has made by now is left alone as well.
    assert_eq!(
        fs::metadata(home.path("run/docker-credential-acrscoped"))
            .unwrap()
            .uid(),
        OWNER
    );
    changes_nothing(&home, &simulator, temporary.path(), &[home.root()]);
    get_as_owner(&home, &simulator).secret();
}

#[test]
#[ignore = "needs root and setpriv: run tests/run"]
fn root_makes_nothing_in_a_folder_of_its_own_below_the_home_of_another_user() {
    let (home, simulator) = world();
    give(&home, &simulator);
    // As `sudo -E` of another program leaves them.
    for name in ["home/.local", "home/.local/state", "home/.docker"] {
        fs::create_dir(home.path(name)).unwrap();
    }
    let temporary = tempfile::tempdir().unwrap();
    changes_nothing(&home, &simulator, temporary.path(), &[home.root()]);
}

#[test]
#[ignore = "needs root and setpriv: run tests/run"]
fn root_follows_no_link_that_another_user_has_planted() {
    let (home, simulator) = world();
    give(&home, &simulator);
    let (temporary, precious) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of_root = |name: &str, text: &str| {
        let path = precious.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let file = of_root(
        "config.json",
        r#"{"credHelpers":{"fabrikam.azurecr.io":"acrscoped"}}"#,
    );
    fs::create_dir(precious.path().join("state")).unwrap();
    let plant = |target: &Path, name: &str| {
        let path = home.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, &path).unwrap();
        std::os::unix::fs::lchown(&path, Some(OWNER), Some(OWNER)).unwrap();
        chown(path.parent().unwrap(), Some(OWNER), Some(OWNER)).unwrap();
    };
    plant(&precious.path().join("state"), "home/.local/state");
    plant(
        &precious.path().join("state"),
        "run/docker-credential-acrscoped",
    );
    for name in [
        "docker/config.json",
        "home/.docker/config.json",
        "auth.json",
        "home/.config/containers/auth.json",
    ] {
        plant(&file, name);
    }
    chown(home.path("home/.config"), Some(OWNER), Some(OWNER)).unwrap();
    changes_nothing(
        &home,
        &simulator,
        temporary.path(),
        &[home.root(), precious.path()],
    );
    // With a state folder of root's own it is the clients' files alone that lead elsewhere.
    let state = tempfile::tempdir().unwrap();
    let before = listing(precious.path());
    for words in [
        &["configure", REGISTRY][..],
        &["configure", "--all"],
        &["configure", "--remove", "fabrikam.azurecr.io"],
    ] {
        let mut command = as_root(&home, &simulator, words, temporary.path());
        command.env("XDG_STATE_HOME", state.path());
        let answer = run(command, "", LIMIT).fails();
        let words_of = answer
            .text()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            words_of.contains(&format!("belongs to the user with id {OWNER}")),
            "{words:?}: {answer:#?}"
        );
        assert_eq!(
            changed(&before, &[precious.path()]),
            [],
            "{words:?}: {}",
            answer.text()
        );
    }
}

/// As on a shared file system, where a project's folder belongs to its leader.
#[test]
#[ignore = "needs root and setpriv: run tests/run"]
fn a_folder_of_the_user_serves_also_in_a_folder_of_another_user_but_not_behind_a_link_there() {
    let (home, simulator) = world();
    give(&home, &simulator);
    for name in ["project", "project/own", "elsewhere"] {
        fs::create_dir(home.path(name)).unwrap();
    }
    symlink(home.path("elsewhere"), home.path("project/link")).unwrap();
    chown(home.path("project"), Some(OWNER + 1), None).unwrap();
    for name in ["project/own", "elsewhere"] {
        chown(home.path(name), Some(OWNER), Some(OWNER)).unwrap();
    }
    for (name, is_used) in [("project/own", true), ("project/link", false)] {
        let mut command = as_owner(&home, &simulator);
        command.env("XDG_RUNTIME_DIR", home.path(name));
        run(command, REGISTRY, LIMIT).secret();
        assert_eq!(
            home.path(name).join("docker-credential-acrscoped").exists(),
            is_used,
            "{name}"
        );
    }
}

#[test]
#[ignore = "needs root and setpriv: run tests/run"]
fn root_does_not_run_the_azure_cli_on_the_files_of_another_user() {
    let (home, simulator) = world();
    home.script("bin/az", "touch \"$HOME/.azure/commandIndex.json\"; exit 1");
    let profile = home.write(
        "home/.azure/azureProfile.json",
        r#"{"subscriptions":[{"isDefault":true}]}"#,
    );
    give(&home, &simulator);
    let temporary = tempfile::tempdir().unwrap();
    let folder = profile.parent().unwrap();
    let get = || {
        let mut command = as_root(&home, &simulator, &["get"], temporary.path());
        command.env("ACRSCOPED_SOURCE", "azure-cli");
        run(command, REGISTRY, LIMIT).fails()
    };
    let sentence = format!(
        "`{}` is not root's alone, and root does not run `az` on files of others",
        folder.display()
    );
    let is_refused = || {
        let answer = get();
        assert!(answer.stdout.starts_with(&sentence), "{answer:#?}");
    };
    is_refused();
    // A link to a folder of root in which the user can make files.
    let (kept, shared) = (home.path("home/kept"), home.path("home/shared"));
    fs::rename(folder, &kept).unwrap();
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy(
        kept.join("azureProfile.json"),
        shared.join("azureProfile.json"),
    )
    .unwrap();
    symlink(&shared, folder).unwrap();
    is_refused();
    fs::remove_file(folder).unwrap();
    fs::rename(&kept, folder).unwrap();
    assert!(
        !folder.join("commandIndex.json").exists() && !shared.join("commandIndex.json").exists()
    );
    // A container job of GitHub: root signed in there, in the home of another user.
    chown(folder, Some(0), None).unwrap();
    get();
    assert!(folder.join("commandIndex.json").exists());
}

#[test]
#[ignore = "needs root and setpriv: run tests/run"]
fn another_process_of_the_user_cannot_look_into_this_one() {
    let (home, simulator) = world();
    give(&home, &simulator);
    simulator.change(|settings| {
        settings.faults.push(Fault::always(
            FaultAt::Exchange,
            FaultKind::Delay { ms: 60_000 },
        ));
    });
    let mut command = as_owner(&home, &simulator);
    let mut helper = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    helper
        .stdin
        .take()
        .unwrap()
        .write_all(REGISTRY.as_bytes())
        .unwrap();
    until("exchange", || {
        simulator
            .journal()
            .iter()
            .any(|entry| entry.endpoint == Endpoint::Exchange)
            .then_some(())
    });
    let id = helper.id().to_string();
    let mut look = home.command("setpriv");
    look.args([
        "--reuid",
        &OWNER.to_string(),
        "--regid",
        &OWNER.to_string(),
        "--clear-groups",
        "cat",
    ]);
    look.arg(format!("/proc/{id}/environ"));
    let answer = run(look, "", LIMIT).fails();
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    helper.kill().unwrap();
    helper.wait().unwrap();
    assert!(answer.stderr.contains("Permission denied"), "{answer:#?}");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{limits}");
}
