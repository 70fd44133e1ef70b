//! A machine that is not in order: full and read-only disks, missing folders and streams, storms of signals, narrow limits, sudden
//! ends. `get` answers when it can, and says why when it cannot.
#![cfg(target_os = "linux")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use simulator::{Endpoint, Fault, FaultAt, FaultKind, Simulator};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{Answer, Home, REGISTRY, ask, helper, run, until, world, wrap};

/// The command, run by a shell after these lines; `$0` and `$@` are the command.
fn after(command: &Command, wrapper: &[&str], lines: &str) -> Command {
    let script = format!("{lines}\nexec \"$0\" \"$@\"");
    wrap(&[wrapper, &["sh", "-ec", &script]].concat(), command)
}

/// `get` after these lines.
fn get_after(lines: &str, edit: impl FnOnce(&Home, &mut Command)) -> Answer {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    edit(&home, &mut command);
    ask(after(&command, &[], lines), "get", REGISTRY)
}

/// Runs lines with mounts of their own, then `get`.
fn get_with_mounts(lines: &str, edit: impl FnOnce(&Home, &mut Command)) -> Answer {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    edit(&home, &mut command);
    ask(
        after(&command, &["unshare", "--map-root-user", "--mount"], lines),
        "get",
        REGISTRY,
    )
}

/// Starts `get` in the background.
fn start(mut command: Command) -> Child {
    command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the helper");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(REGISTRY.as_bytes())
        .expect("a reader");
    child
}

fn delay(simulator: &Simulator, at: FaultAt, ms: u64) {
    simulator.change(|settings| settings.faults = vec![Fault::always(at, FaultKind::Delay { ms })]);
}

/// Waits until the simulator was asked at this place.
fn asked(simulator: &Simulator, endpoint: Endpoint) {
    until("request", || {
        simulator
            .journal()
            .iter()
            .any(|entry| entry.endpoint == endpoint)
            .then_some(())
    });
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("our folder").path());
    entries
        .flat_map(|path| {
            if path.is_dir() && !path.is_symlink() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_full_disk_keeps_nobody_from_an_answer() {
    // Full with the folders to meet in already made, and full before.
    for made in ["home/.local/state run tmp", ""] {
        let lines = format!(
            r#"cd "$PLACE"
            for name in home run tmp; do mkdir -p $name; mount -t tmpfs -o size=64k,mode=700 none $name; done
            for place in {made}; do mkdir -p $place; mkdir -m 700 $place/docker-credential-acrscoped; done
            for name in home run tmp; do dd if=/dev/zero of=$name/full bs=1k 2>/dev/null || true; done"#
        );
        let answer = get_with_mounts(&lines, |home, command| {
            command
                .env("PLACE", home.root())
                .env("TMPDIR", home.path("tmp"));
        });
        answer.succeeds();
    }
}

#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_failure_is_told_on_a_full_disk_too() {
    let lines = r#"cd "$PLACE"; for name in home run tmp; do
            mkdir -p $name; mount -t tmpfs -o size=64k,mode=700 none $name; dd if=/dev/zero of=$name/full bs=1k 2>/dev/null || true
        done"#;
    let answer = get_with_mounts(lines, |home, command| {
        command
            .env("PLACE", home.root())
            .env("TMPDIR", home.path("tmp"))
            .env("AZURE_CLIENT_SECRET", "wrong");
    });
    assert!(answer.stdout.contains("AADSTS7000215"), "{answer:#?}");
    assert_eq!(answer.code(), 1);
}

#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_read_only_home_keeps_nobody_from_an_answer() {
    let lines = r#"mount --bind "$PLACE" "$PLACE"; mount -o remount,bind,ro "$PLACE"; ! touch "$PLACE/home/x" 2>/dev/null"#;
    let answer = get_with_mounts(lines, |home, command| {
        command
            .env("PLACE", home.root())
            .env("TMPDIR", home.path("tmp"));
    });
    answer.succeeds();
}

#[test]
fn without_home_runtime_folder_or_path_get_answers() {
    for removed in [
        &["HOME"][..],
        &["XDG_RUNTIME_DIR"],
        &["PATH"],
        &["HOME", "XDG_RUNTIME_DIR", "PATH", "LC_ALL", "DOCKER_CONFIG"],
    ] {
        let (home, simulator) = world();
        let mut command = helper(&home, &simulator);
        // The home of the user who runs the tests is found without `HOME`: it is not to be written to.
        command
            .env("XDG_STATE_HOME", home.path("state"))
            .env("TMPDIR", home.path("tmp"));
        for name in removed {
            command.env_remove(name);
        }
        ask(command, "get", REGISTRY).succeeds();
    }
}

#[test]
fn a_closed_stderr_changes_nothing() {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    command.env("ACRSCOPED_LOG", "debug");
    ask(after(&command, &[], "exec 2>&-"), "get", REGISTRY).succeeds();
    command.env("AZURE_CLIENT_SECRET", "wrong");
    let answer = ask(after(&command, &[], "exec 2>&-"), "get", REGISTRY).fails();
    assert!(
        answer.stdout.contains("AADSTS7000215") && answer.stderr.is_empty(),
        "{answer:#?}"
    );
}

#[test]
fn a_stderr_that_takes_nothing_changes_nothing() {
    // A device that is full and a pipe that nobody reads.
    for lines in ["exec 2>/dev/full", "mkfifo pipe; exec 3<>pipe 2>pipe 3<&-"] {
        let answer = get_after(&format!("{lines}; rm -f pipe"), |_, command| {
            command
                .env("ACRSCOPED_LOG", "debug")
                .env("ACRSCOPED_MISSPELT", "1");
        });
        answer.succeeds();
    }
}

#[test]
fn a_reason_is_given_though_stderr_takes_nothing() {
    for lines in ["exec 2>/dev/full", "mkfifo pipe; exec 3<>pipe 2>pipe 3<&-"] {
        let answer = get_after(lines, |_, command| {
            command.env("AZURE_CLIENT_SECRET", "wrong");
        });
        assert!(answer.stdout.contains("AADSTS7000215"), "{answer:#?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    for lines in [
        "exec >/dev/full",
        "exec >&-",
        "mkfifo pipe; exec 3<>pipe >pipe 3<&-",
    ] {
        let answer = get_after(lines, |_, _| {});
        assert_eq!(answer.code(), 1, "{lines}: {answer:#?}");
        assert!(
            answer
                .stderr
                .contains("the answer could not be written to stdout"),
            "{lines}: {answer:#?}"
        );
        assert!(!answer.stderr.contains("eyJ"), "{answer:#?}");
    }
}

#[test]
fn a_storm_of_signals_disturbs_nobody() {
    let (home, simulator) = world();
    delay(&simulator, FaultAt::Authority, 300);
    let mut child = start(helper(&home, &simulator));
    let pid = Pid::from_child(&child);
    let mut sent = 0;
    let status = until("end of the helper", || {
        for signal in [Signal::CONT, Signal::WINCH, Signal::URG].repeat(50) {
            let _ = kill_process(pid, signal);
            sent += 1;
        }
        child.try_wait().expect("our child")
    });
    assert!(
        status.success() && sent > 1_000,
        "{status:?} after {sent} signals"
    );
    let output = child.wait_with_output().expect("our child");
    assert!(output.stderr.is_empty() && output.stdout.starts_with(b"{\"ServerURL\""));
}

/// Stopped and continued, as by Ctrl-Z and `fg`.
#[test]
fn a_process_that_is_stopped_for_a_while_goes_on() {
    let (home, simulator) = world();
    delay(&simulator, FaultAt::Authority, 300);
    let mut child = start(helper(&home, &simulator));
    asked(&simulator, Endpoint::EntraToken);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).expect("our child");
    // The answer arrives while nobody reads it.
    until("answer", || {
        simulator
            .journal()
            .iter()
            .any(|entry| entry.endpoint == Endpoint::EntraToken && entry.status == 200)
            .then_some(())
    });
    kill_process(pid, Signal::CONT).expect("our child");
    assert!(child.wait().expect("our child").success());
}

#[test]
fn whoever_is_ended_midway_leaves_nothing_in_the_way() {
    for signal in [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP] {
        for (at, endpoint) in [
            (FaultAt::Authority, Endpoint::EntraToken),
            (FaultAt::Exchange, Endpoint::Exchange),
        ] {
            let (home, simulator) = world();
            delay(&simulator, at, 20_000);
            let mut child = start(helper(&home, &simulator));
            asked(&simulator, endpoint);
            kill_process(Pid::from_child(&child), signal).expect("our child");
            assert!(!child.wait().expect("our child").success());
            simulator.change(|settings| settings.faults.clear());
            // What it had begun to write, cut in the middle.
            for file in files(&home.path("run")) {
                std::fs::write(&file, r#"{"message":"half a mess"#).expect("our file");
            }
            let answer = ask(helper(&home, &simulator), "get", REGISTRY).succeeds();
            assert!(
                answer.took < Duration::from_secs(10),
                "{signal:?}: {:?}",
                answer.took
            );
            for file in files(&home.path("run"))
                .iter()
                .chain(&files(&home.path("home")))
            {
                let content = std::fs::read(file).expect("our file");
                assert!(
                    !String::from_utf8_lossy(&content).contains("eyJ"),
                    "a token in {}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn a_limit_on_open_files_is_met_with_an_answer_or_a_reason() {
    let mut succeeded = 0;
    for limit in 4..=20 {
        let answer = get_after(&format!("ulimit -n {limit}"), |_, _| {});
        if answer
            .stderr
            .contains("error while loading shared libraries")
        {
            // So few that not even the program starts.
            continue;
        }
        if answer.status.success() {
            succeeded += 1;
            answer.secret();
        } else {
            assert_eq!(answer.status.code(), Some(1), "{limit} files: {answer:#?}");
            assert_eq!(
                answer.stdout.lines().count(),
                1,
                "{limit} files: {answer:#?}"
            );
            assert!(
                !answer.stdout.contains("credentials not found"),
                "{limit} files: {answer:#?}"
            );
            println!("{limit} files: {}", answer.stdout.trim_end());
        }
    }
    assert!(succeeded >= 5, "{succeeded}");
}

#[test]
fn a_limit_on_memory_is_met() {
    get_after("ulimit -d 16384; ulimit -s 1024; ulimit -c 0", |_, _| {}).succeeds();
}

#[test]
fn a_limit_on_the_size_of_files_is_met() {
    // No file may be written at all.
    get_after("ulimit -f 0", |_, _| {}).succeeds();
}

/// Limits on processes do not bind root: the helper runs as a user without rights.
mod limit_on_processes {
    use super::*;

    fn get(edit: impl FnOnce(&Home, &Simulator, &mut Command)) -> Answer {
        let (home, simulator) = world();
        let program = home.install(&support::binary(), "helper");
        let ca = home.write("ca.pem", std::fs::read(simulator.ca_file()).expect("a CA"));
        let mut command = helper(&home, &simulator);
        command.env("SSL_CERT_FILE", ca);
        edit(&home, &simulator, &mut command);
        let user = "prlimit --nproc=1 setpriv --reuid=65534 --regid=65534 --clear-groups";
        let script = format!(r#"chown -R 65534:65534 "$PLACE"; exec {user} "$HELPER" get"#);
        let mut limited = wrap(&["sh", "-ec", &script], &command);
        limited.env("PLACE", home.root()).env("HELPER", program);
        run(limited, REGISTRY, support::LIMIT)
    }

    #[test]
    #[ignore = "needs root: run tests/run"]
    fn without_threads_or_processes_get_answers() {
        get(|_, _, _| {}).succeeds();
    }

    #[test]
    #[ignore = "needs root: run tests/run"]
    fn an_azure_cli_that_cannot_be_started_is_told() {
        let answer = get(|home, _, command| {
            home.script("bin/az", "echo never");
            home.write(
                "home/.azure/azureProfile.json",
                r#"{"subscriptions":[{"isDefault":true}]}"#,
            );
            command.env_remove("AZURE_CLIENT_SECRET");
        });
        assert_eq!(answer.status.code(), Some(1), "{answer:#?}");
        assert!(
            answer
                .stdout
                .starts_with("could not get an access token from the Azure CLI: "),
            "{answer:#?}"
        );
    }

    #[test]
    #[ignore = "needs root: run tests/run"]
    fn a_name_that_cannot_be_looked_up_for_want_of_a_thread_is_told() {
        let answer = get(|_, simulator, command| {
            command.env(
                "HTTPS_PROXY",
                simulator.origin().replace("127.0.0.1", "localhost"),
            );
        });
        assert!(matches!(answer.status.code(), Some(0 | 1)), "{answer:#?}");
        assert_eq!(answer.stdout.lines().count(), 1, "{answer:#?}");
    }
}
