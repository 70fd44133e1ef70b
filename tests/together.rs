//! One sign-in for many processes: what many callers at once cost, and what becomes of them when their leader fails or dies.
#![cfg(target_os = "linux")]

mod support;

use rustix::process::{Pid, Signal, kill_process};
use simulator::{Endpoint, Fault, FaultAt, FaultKind, Registry, Simulator};
use std::collections::HashSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::namespace::Namespace;
use support::{Home, REGISTRY, helper, until, world};

const CALLERS: usize = 50;

/// Starts `get` as many times, all at once.
fn start(count: usize, command: impl Fn() -> Command) -> Vec<Child> {
    (0..count).map(|_| start_for(REGISTRY, command())).collect()
}

/// Starts `get` for a registry.
fn start_for(host: &str, mut command: Command) -> Child {
    let file = command
        .get_current_dir()
        .expect("a private home")
        .join(host);
    if !file.exists() {
        std::fs::write(&file, host).expect("our folder");
    }
    let stdin = std::fs::File::open(file).expect("our file");
    command
        .arg("get")
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("the binary under test")
}

/// What each said on stdout, and whether it succeeded.
fn finish(children: Vec<Child>) -> Vec<(bool, String)> {
    children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("our child");
            (
                output.status.success(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        })
        .collect()
}

fn count(simulator: &Simulator, endpoint: Endpoint) -> usize {
    simulator
        .journal()
        .iter()
        .filter(|entry| entry.endpoint == endpoint)
        .count()
}

/// Callers who share a cache: processes of one user with an empty user keyring.
mod with_a_cache {
    use super::*;

    #[test]
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    fn fifty_at_once_cost_one_sign_in_and_one_exchange() {
        let (home, simulator) = world();
        let namespace = Namespace::new();
        let answers = finish(start(CALLERS, || {
            namespace.enter(&helper(&home, &simulator))
        }));
        assert!(
            answers.iter().all(|(succeeded, _)| *succeeded),
            "{answers:?}"
        );
        assert_eq!(answers.iter().collect::<HashSet<_>>().len(), 1);
        assert_eq!(
            (
                count(&simulator, Endpoint::EntraToken),
                count(&simulator, Endpoint::Exchange)
            ),
            (1, 1)
        );
        assert!(
            std::fs::read_dir(home.path("run/docker-credential-acrscoped"))
                .expect("a place to meet")
                .next()
                .is_none()
        );
    }

    #[test]
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    fn twenty_registries_cost_one_sign_in_whether_one_after_the_other_or_at_once() {
        let hosts: Vec<String> = (0..20).map(|n| format!("r{n:05}.azurecr.io")).collect();
        for at_once in [false, true] {
            let (home, simulator) = world();
            simulator.change(|settings| {
                settings.registries = hosts.iter().map(|host| Registry::new(host)).collect();
            });
            let namespace = Namespace::new();
            let mut waiting = Vec::new();
            let mut secrets = HashSet::new();
            for host in &hosts {
                waiting.push(start_for(host, namespace.enter(&helper(&home, &simulator))));
                if !at_once {
                    secrets.extend(finish(std::mem::take(&mut waiting)));
                }
            }
            secrets.extend(finish(waiting));
            assert!(
                secrets.iter().all(|(succeeded, _)| *succeeded),
                "{secrets:?}"
            );
            assert_eq!(
                secrets.len(),
                hosts.len(),
                "each registry has a token of its own"
            );
            let counts = (
                count(&simulator, Endpoint::EntraToken),
                count(&simulator, Endpoint::Exchange),
            );
            assert_eq!(counts, (1, hosts.len()), "at once: {at_once}");
        }
    }

    #[test]
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    fn when_entra_refuses_all_fail_as_one_and_nearly_as_fast() {
        let (home, simulator) = world();
        let refusal = FaultKind::Status {
        code: 401,
        retry_after: None,
        body: r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}"#
            .into(),
        content_type: None,
    };
        simulator.change(|settings| {
            let slow = FaultKind::Delay { ms: 1_000 };
            settings.faults = vec![
                Fault::always(FaultAt::Authority, slow),
                Fault::always(FaultAt::Authority, refusal),
            ];
        });
        let started = Instant::now();
        finish(start(1, || helper(&home, &simulator)));
        let alone = started.elapsed();
        simulator.clear_journal();
        let namespace = Namespace::new();
        let started = Instant::now();
        let answers = finish(start(CALLERS, || {
            namespace.enter(&helper(&home, &simulator))
        }));
        let together = started.elapsed();
        let line = "could not get an access token from service principal 5b8d3e17-64c2-4f0a-9d15-7a2e8c40b6f1: AADSTS7000215: Invalid client secret provided.\n";
        assert!(
            answers.iter().all(|answer| *answer == (false, line.into())),
            "{answers:?}"
        );
        // Those that start when the first flight has landed begin another: on a slow machine there can be a few.
        assert!(
            count(&simulator, Endpoint::EntraToken) <= 3,
            "{}",
            count(&simulator, Endpoint::EntraToken)
        );
        println!("one alone {alone:?}, {CALLERS} together {together:?}");
    }

    #[test]
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    fn a_leader_that_is_killed_is_followed_by_another() {
        for delay in [0, 20, 40, 60, 80, 100, 120, 150, 200, 300] {
            let (home, simulator) = world();
            let slow = FaultKind::Delay { ms: 80 };
            simulator.change(|settings| {
                settings.faults = vec![
                    Fault::always(FaultAt::Authority, slow.clone()),
                    Fault::always(FaultAt::Exchange, slow.clone()),
                ];
            });
            let namespace = Namespace::new();
            let mut leader = start(1, || namespace.enter(&helper(&home, &simulator)));
            let waiters = start(CALLERS, || namespace.enter(&helper(&home, &simulator)));
            let killed_at = Instant::now() + Duration::from_millis(delay);
            until("moment to kill", || {
                (Instant::now() >= killed_at).then_some(())
            });
            // Killed, or asked to end: either way the others have not failed.
            let signal = if delay % 40 == 0 {
                Signal::KILL
            } else {
                Signal::TERM
            };
            let _ = kill_process(Pid::from_child(&leader[0]), signal);
            let answers = finish(waiters);
            assert!(
                answers.iter().all(|(succeeded, _)| *succeeded),
                "killed after {delay} ms: {answers:?}"
            );
            assert!(
                count(&simulator, Endpoint::EntraToken) <= 2,
                "killed after {delay} ms"
            );
            let _ = leader.remove(0).wait();
        }
    }

    #[test]
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    fn a_sign_in_that_takes_most_of_the_time_is_enough_for_all() {
        let (home, simulator) = world();
        simulator.change(|settings| {
            settings.faults = vec![Fault::always(
                FaultAt::Exchange,
                FaultKind::Delay { ms: 3_000 },
            )];
        });
        let namespace = Namespace::new();
        let answers = finish(start(4, || {
            let mut command = namespace.enter(&helper(&home, &simulator));
            command.env("ACRSCOPED_TIMEOUT", "5");
            command
        }));
        assert!(
            answers.iter().all(|(succeeded, _)| *succeeded),
            "{answers:?}"
        );
    }

    #[test]
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    fn a_leader_with_less_time_does_not_fail_for_the_others() {
        let (home, simulator) = world();
        simulator.change(|settings| {
            settings.faults = vec![Fault::always(
                FaultAt::Exchange,
                FaultKind::Delay { ms: 1_500 },
            )];
        });
        let namespace = Namespace::new();
        let mut hasty = start(1, || {
            let mut command = namespace.enter(&helper(&home, &simulator));
            command.env("ACRSCOPED_TIMEOUT", "1");
            command
        });
        until("leader at work", || {
            (count(&simulator, Endpoint::Connect) > 0).then_some(())
        });
        let answers = finish(start(1, || namespace.enter(&helper(&home, &simulator))));
        assert!(answers[0].0, "{answers:?}");
        assert!(!hasty[0].wait().expect("our child").success());
    }

    #[test]
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    fn a_leader_that_is_stopped_is_waited_for_no_longer_than_half_the_time() {
        let (home, simulator) = world();
        simulator.change(|settings| {
            settings.faults = vec![Fault::always(
                FaultAt::Authority,
                FaultKind::Delay { ms: 100 },
            )];
        });
        let namespace = Namespace::new();
        let impatient = || {
            let mut command = namespace.enter(&helper(&home, &simulator));
            command.env("ACRSCOPED_TIMEOUT", "8");
            command
        };
        let mut leader = start(1, impatient);
        until("leader at work", || {
            (count(&simulator, Endpoint::Connect) > 0).then_some(())
        });
        let pid = Pid::from_child(&leader[0]);
        kill_process(pid, Signal::STOP).expect("our child");
        // Who waits for all of the time has none left to answer in.
        let answers = finish(start(5, impatient));
        assert!(
            answers.iter().all(|(succeeded, _)| *succeeded),
            "{answers:?}"
        );
        kill_process(pid, Signal::CONT).expect("our child");
        let _ = leader.remove(0).wait();
    }
}

#[test]
fn without_a_cache_each_asks_but_only_a_few_at_a_time() {
    let (home, simulator) = world();
    simulator.change(|settings| {
        settings.faults = vec![Fault::always(
            FaultAt::Authority,
            FaultKind::Delay { ms: 100 },
        )];
    });
    let answers = finish(start(20, || helper(&home, &simulator)));
    assert!(
        answers.iter().all(|(succeeded, _)| *succeeded),
        "{answers:?}"
    );
    let mut arrivals: Vec<u64> = simulator
        .journal()
        .iter()
        .filter(|entry| entry.endpoint == Endpoint::EntraToken)
        .map(|entry| entry.unix_ms)
        .collect();
    arrivals.sort_unstable();
    assert_eq!(arrivals.len(), 20);
    // The fifth that arrives after another does so at least the hundred milliseconds later that one sign-in takes.
    assert!(
        arrivals.windows(5).all(|few| few[4] - few[0] >= 90),
        "{arrivals:?}"
    );
}

/// Nowhere to meet: read-only, full or missing folders must not keep anybody from an answer.
#[test]
fn without_a_place_to_meet_everybody_gets_an_answer() {
    let (home, simulator) = world();
    let nowhere = |home: &Home| {
        let mut command = helper(home, &simulator);
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR"] {
            command.env(name, "/proc/nowhere");
        }
        command
    };
    let answers = finish(start(10, || nowhere(&home)));
    assert!(
        answers.iter().all(|(succeeded, _)| *succeeded),
        "{answers:?}"
    );
    let answers = finish(start(1, || {
        let mut command = nowhere(&home);
        for name in ["HOME", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        command
    }));
    assert!(answers[0].0, "{answers:?}");
}
