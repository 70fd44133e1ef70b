//! One cold `get`, again and again, with one of its system calls made to fail each time: it answers, or says in one line why not, and ends.
//!
//! `tests/soak/run` does the same with every error of a list, and prints the figures.
#![cfg(target_os = "linux")]

mod support;

use simulator::{Settings, Simulator};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use support::run::in_parallel;
use support::{Answer, Home, NOT_OURS, REGISTRY, ask, helper, wrap};

/// The first system call of `main`. What comes before is the loader's and the runtime's.
const FIRST: &str = "prctl(PR_SET_DUMPABLE";

/// What is not made to fail: calls that cannot, calls that end a process, and memory, without which Rust ends the process.
const LEFT_OUT: &[&str] = &[
    "brk",
    "execve",
    "exit",
    "exit_group",
    "futex",
    "geteuid",
    "getpid",
    "gettid",
    "getuid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "rt_sigreturn",
    "sched_yield",
    "sigaltstack",
];

/// Every error that `tests/soak/run` tries. `EBADF` is none: the descriptors are open, and Rust takes it for a stdout that was closed.
const ERRORS: &[&str] = &[
    "EACCES",
    "EAGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "EINTR",
    "EINVAL",
    "EIO",
    "EMFILE",
    "ENOENT",
    "ENOMEM",
    "ENOSPC",
    "ENOSYS",
    "EPERM",
    "ETIMEDOUT",
];

/// The error that a system call is most likely to have.
fn usual(call: &str) -> &'static str {
    match call {
        "accept4" | "epoll_create1" | "eventfd2" | "fcntl" | "pipe2" | "socket" | "socketpair" => {
            "EMFILE"
        }
        "access" | "add_key" | "keyctl" | "mkdir" | "mkdirat" | "open" | "openat" | "rename"
        | "renameat" | "unlink" | "unlinkat" => "EACCES",
        "bind" | "connect" => "ECONNREFUSED",
        "epoll_ctl" => "ENOMEM",
        "epoll_wait" | "poll" | "ppoll" => "EINTR",
        "flock" => "ENOLCK",
        "getpeername" | "getsockname" | "getsockopt" | "rt_sigaction" | "rt_sigprocmask"
        | "setsockopt" | "shutdown" => "EINVAL",
        "getrandom" => "ENOSYS",
        "prctl" | "prlimit64" | "sched_getaffinity" => "EPERM",
        "recvfrom" | "recvmsg" | "sendmsg" | "sendto" | "writev" => "ECONNRESET",
        _ => "EIO",
    }
}

/// One failure: the so many-th call of this name ends with this error.
#[derive(Clone, Debug)]
struct Injection {
    call: String,
    when: usize,
    error: &'static str,
}

/// A cold `get` under strace, in a user namespace of its own, whose keyring is empty.
fn get(simulator: &Simulator, injection: Option<&Injection>) -> (Answer, String) {
    let home = Home::new();
    let mut command = helper(&home, simulator);
    command
        .env("ACRSCOPED_CACHE", "keyutils")
        .env("ACRSCOPED_TIMEOUT", "5");
    let log = home.path("trace");
    let words = ["--user", "--map-root-user", "strace", "-f", "-qq", "-o"];
    let mut words = [&["unshare"], &words[..]].concat();
    words.push(log.to_str().expect("UTF-8"));
    let fault = injection
        .map(|Injection { call, when, error }| format!("inject={call}:error={error}:when={when}"));
    words.extend(fault.iter().flat_map(|fault| ["-e", fault]));
    words.push("--");
    let answer = ask(wrap(&words, &command), "get", REGISTRY);
    (answer, std::fs::read_to_string(&log).expect("a trace"))
}

/// The name in `12029 openat(AT_FDCWD, …) = 3`.
fn name(line: &str) -> Option<&str> {
    let call = line.split_once(' ')?.1.trim_start();
    let name = call.split_once('(')?.0;
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        .then_some(name)
}

/// How often each call of the program is made before and after its `main` begins.
fn counted(trace: &str) -> BTreeMap<String, (usize, usize)> {
    assert!(trace.contains(FIRST), "{trace}");
    let mut calls = BTreeMap::<String, (usize, usize)>::new();
    let mut is_ours = false;
    for line in trace.lines() {
        is_ours |= line.contains(FIRST);
        if let Some(name) = name(line) {
            let (before, all) = calls.entry(name.to_owned()).or_default();
            *all += 1;
            *before += usize::from(!is_ours);
        }
    }
    calls
}

/// What is wrong with an answer, if anything.
fn problem(answer: &Answer, injection: &Injection) -> Option<String> {
    let is_line =
        |text: &str| !text.trim().is_empty() && text.ends_with('\n') && text.lines().count() == 1;
    let is_token = || {
        let answer: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
        answer["Secret"]
            .as_str()
            .is_some_and(|token| token.starts_with("eyJ"))
    };
    match answer.status.code() {
        _ if answer.text().contains(NOT_OURS) => {
            Some("the client would go on without a credential".into())
        }
        Some(0) if is_token() => None,
        Some(1) if is_line(&answer.stdout) => None,
        // Where stdout itself fails, the line is on stderr alone.
        Some(1)
            if injection.call == "write"
                && answer.stdout.is_empty()
                && !answer.stderr.is_empty() =>
        {
            None
        }
        code => Some(format!("it ended with {code:?}")),
    }
}

/// Makes all these calls fail, a few at a time, and returns what was wrong and the figures.
fn inject(simulator: &Simulator, injections: &[Injection]) -> (Vec<String>, String) {
    let answers = in_parallel(injections, |injection| get(simulator, Some(injection)).0);
    let longest = answers.iter().map(|answer| answer.took).max();
    let longest = longest.unwrap_or_default();
    let failed = answers
        .iter()
        .filter(|answer| answer.status.code() == Some(1));
    let failed = failed.count();
    let answered = answers.len() - failed;
    let wrong = injections
        .iter()
        .zip(&answers)
        .filter_map(|(injection, answer)| {
            let problem = problem(answer, injection)?;
            Some(format!(
                "{injection:?}: {problem}: {:?} {:?}\n",
                answer.stdout, answer.stderr
            ))
        });
    let wrong: Vec<String> = wrong.collect();
    let mut figures = String::new();
    let all = injections.len();
    write!(
        figures,
        "{all} failures of system calls: {answered} answers, {failed} lines with exit 1, {} wrong",
        wrong.len()
    )
    .expect("a string");
    write!(figures, "; the longest took {longest:.1?}").expect("a string");
    (wrong, figures)
}

#[test]
#[ignore = "needs strace and user namespaces: run tests/run"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
fn a_cold_get_answers_or_says_why_not_whichever_of_its_system_calls_fails() {
    let simulator = Simulator::start(Settings::default()).expect("a simulator");
    let (answer, trace) = get(&simulator, None);
    answer.secret();
    let calls = counted(&trace);
    let is_all = std::env::var_os("ACRSCOPED_INJECT").is_some_and(|which| which == "all");
    let mut injections = Vec::new();
    for (call, (before, all)) in calls
        .iter()
        .filter(|(call, _)| !LEFT_OUT.contains(&call.as_str()))
    {
        for when in before + 1..=*all {
            let errors = if is_all {
                ERRORS.to_vec()
            } else {
                vec![usual(call)]
            };
            injections.extend(errors.into_iter().map(|error| Injection {
                call: call.clone(),
                when,
                error,
            }));
        }
    }
    assert!(injections.len() > 150, "too few system calls: {calls:?}");
    let (wrong, figures) = inject(&simulator, &injections);
    println!("{figures}");
    assert!(wrong.is_empty(), "{figures}\n{}", wrong.concat());
}
