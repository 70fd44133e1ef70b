//! The docker credential-helper protocol as a client sees it: bytes in, bytes out, exit code.

mod support;

use std::io::Read as _;
use std::process::Stdio;
use support::{NOT_OURS, REGISTRY, ZERO_GUID, ask, binary, helper, run, world, wrap};

#[test]
fn the_server_url_comes_back_as_it_was_sent() {
    let (home, simulator) = world();
    for url in [
        REGISTRY,
        "https://contoso.azurecr.io",
        "http://contoso.azurecr.io:443/v2/",
        "CONTOSO.azurecr.io.",
        "contoso.azurecr.io/team/app",
    ] {
        let answer = ask(helper(&home, &simulator), "get", &format!(" {url}\r\n"))
            .succeeds()
            .json();
        assert_eq!(answer["ServerURL"], url);
        assert_eq!(answer["Username"], ZERO_GUID);
        assert!(answer["Secret"].as_str().unwrap().starts_with("eyJ"));
        assert_eq!(answer.as_object().unwrap().len(), 3);
    }
}

#[test]
fn the_user_name_can_be_that_of_an_identity_token() {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    command.env("ACRSCOPED_USERNAME", "token");
    assert_eq!(
        ask(command, "get", REGISTRY).succeeds().json()["Username"],
        "<token>"
    );
}

#[test]
fn a_foreign_host_gets_the_sentence_and_silence_whatever_the_settings() {
    let (home, simulator) = world();
    for action in ["get", "erase"] {
        let mut command = helper(&home, &simulator);
        command
            .env("ACRSCOPED_CACHE", "nonsense")
            .env_remove("AZURE_TENANT_ID");
        let answer = ask(command, action, "https://index.docker.io/v1/").fails();
        assert_eq!(
            (
                answer.code(),
                answer.stdout.as_str(),
                answer.stderr.as_str()
            ),
            (1, "credentials not found in native keychain\n", "")
        );
        assert_eq!(answer.stdout.trim_end(), NOT_OURS);
    }
    assert!(simulator.journal().is_empty());
}

#[test]
fn what_cannot_be_done_is_one_line_on_stdout_and_more_on_stderr() {
    let (home, simulator) = world();
    let line = "no credentials server URL";
    for (action, stdin) in [("get", " \n"), ("erase", ""), ("store", "{}")] {
        let answer = ask(helper(&home, &simulator), action, stdin).fails();
        assert_eq!(
            (answer.code(), answer.stdout.as_str()),
            (1, format!("{line}\n").as_str()),
            "{action}"
        );
        assert!(
            answer
                .stderr
                .starts_with(&format!("docker-credential-acrscoped: {line}\n")),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn junk_and_floods_on_stdin_are_answered_not_crashed_on() {
    let (home, simulator) = world();
    for (action, limit) in [("get", 8_192), ("erase", 8_192), ("store", 65_536)] {
        let mut command = helper(&home, &simulator);
        command
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || {
            // The helper stops reading long before the end: the pipe breaks.
            let _ = std::io::copy(&mut std::io::repeat(0xff).take(4 << 20), &mut stdin);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!("stdin holds more than {limit} bytes\n")
        );
    }
}

#[test]
fn docker_logins_store_and_logouts_erase_succeed_and_say_nothing() {
    let (home, simulator) = world();
    for username in [ZERO_GUID, "<token>"] {
        let message =
            format!(r#"{{"ServerURL":"{REGISTRY}","Username":"{username}","Secret":"s"}}"#);
        let answer = ask(helper(&home, &simulator), "store", &message).succeeds();
        assert_eq!(answer.text(), "");
    }
    for url in [
        REGISTRY,
        "http://contoso.azurecr.io",
        "https://contoso.azurecr.io",
    ] {
        assert_eq!(
            ask(helper(&home, &simulator), "erase", url)
                .succeeds()
                .text(),
            ""
        );
    }
    assert!(simulator.journal().is_empty());
}

#[test]
fn the_version_has_the_form_of_the_other_helpers() {
    let (home, simulator) = world();
    let line = |words: &[&str]| {
        let mut command = helper(&home, &simulator);
        command.args(words);
        run(command, "", support::LIMIT).succeeds().stdout
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        line(&["version"]),
        format!("docker-credential-acrscoped (docker-credential-acrscoped) v{version}\n")
    );
    // For people.
    for word in ["--version", "-V"] {
        assert_eq!(
            line(&[word]),
            format!("docker-credential-acrscoped {version}\n")
        );
    }
    let json: serde_json::Value = serde_json::from_str(&line(&["version", "--json"])).unwrap();
    assert_eq!(
        (&json["name"], &json["version"]),
        (&env!("CARGO_PKG_NAME").into(), &version.into())
    );
    let target = json["target"].as_str().expect("a triple");
    let parts: Vec<&str> = target.split('-').collect();
    assert_eq!(parts[0], std::env::consts::ARCH, "{target}");
    if cfg!(target_os = "linux") {
        assert_eq!(parts[1..3], ["unknown", "linux"], "{target}");
        assert_eq!(parts.len(), 4, "{target}");
    }
    assert!(json["commit"].is_null() || json["commit"].as_str().is_some_and(|it| it.len() == 40));
}

#[test]
#[cfg(unix)]
fn closed_streams_end_in_an_error_not_in_a_panic() {
    let (home, simulator) = world();
    let shell = |script: &str| {
        let words = ["/bin/sh", "-c", script, "sh"];
        let command = wrap(&words, &helper(&home, &simulator));
        run(command, REGISTRY, support::LIMIT)
    };
    let answer = shell(r#""$1" get <&-"#).fails();
    assert_eq!(
        (answer.code(), answer.stdout.as_str()),
        (1, "no credentials server URL\n")
    );
    for script in [r#""$1" get >&-"#, r#""$1" get > /dev/full"#] {
        let answer = shell(script).fails();
        assert_eq!(answer.code(), 1, "{script}");
        assert!(
            answer.stderr.starts_with(
                "docker-credential-acrscoped: the answer could not be written to stdout\n"
            ),
            "{answer:?}"
        );
    }
    assert_eq!(
        shell(r#""$1" get 2>&-"#).succeeds().json()["ServerURL"],
        REGISTRY
    );
    let answer = shell(r#"( "$1" get; echo $? >&2 ) | true"#);
    assert!(!answer.stderr.contains("panic"), "{answer:?}");
}

/// `| head` has read enough: nobody wants to read of that. A client that goes away is told, since its credential is lost.
#[test]
fn a_person_who_reads_no_further_is_not_told_so() {
    let (home, _simulator) = world();
    let run = |words: &str| {
        let mut command = home.command("sh");
        command
            .arg("-c")
            .arg(format!("{{ {} {words}; }} | true", binary().display()));
        run(command, "", support::LIMIT).stderr
    };
    assert_eq!(run("--help"), "");
    assert_eq!(run("status --json"), "");
}

/// For clients that hide stderr. Without the setting, `get` says nothing on stderr.
#[test]
fn the_log_goes_to_a_file_of_its_own_and_never_stops_a_get() {
    let (home, simulator) = world();
    let log = home.path("home/helper.log");
    let get = |file: &std::path::Path| {
        let config = "home/.config/docker-credential-acrscoped/config.toml";
        home.write(config, format!("log_file = '{}'", file.display()));
        ask(helper(&home, &simulator), "get", REGISTRY).succeeds()
    };
    for _ in 0..2 {
        assert_eq!(get(&log).stderr, "");
    }
    let text = std::fs::read_to_string(&log).expect("the log");
    assert!(
        text.starts_with("# Log of docker-credential-acrscoped\n"),
        "{text}"
    );
    let lines = text.lines().filter(|line| line.contains("info: ")).count();
    assert!(lines >= 2 && text.contains(REGISTRY), "{text}");
    assert!(!text.contains("eyJ"), "{text}");
    home.write("home/.profile", "export PATH\n");
    for file in [
        home.path("home/.profile"),
        home.path("home/missing/helper.log"),
        home.path("work/helper.log"),
    ] {
        let answer = get(&file);
        let warning = format!("warn: the helper writes no log to {}: ", file.display());
        assert!(answer.stderr.contains(&warning), "{}", answer.stderr);
    }
    assert_eq!(
        std::fs::read_to_string(home.path("home/.profile")).unwrap(),
        "export PATH\n"
    );
}

#[test]
fn quiet_hides_a_report_without_failures_and_no_failure() {
    let (home, simulator) = world();
    let run_with = |words: &[&str]| {
        let mut command = helper(&home, &simulator);
        command.args(words);
        run(command, "", support::LIMIT)
    };
    assert_ne!(run_with(&["status"]).succeeds().text(), "");
    assert_eq!(run_with(&["status", "--quiet"]).succeeds().text(), "");
    let token = run_with(&["token", REGISTRY, "--format", "raw", "--quiet"]).succeeds();
    assert!(token.stdout.starts_with("eyJ"));
    let json = run_with(&["--quiet", "status", "--json"]).succeeds().json();
    assert!(json["registries"].is_array());
    let failed = run_with(&["doctor", "contoso.example", "--quiet"]).fails();
    assert!(failed.text().contains("contoso.example"), "{failed:#?}");
    for words in [&["-q"][..], &["-q", "--verbose"]] {
        let failed = run_with(&[&["--plain", "doctor", "contoso.example"], words].concat()).fails();
        let text = failed.stdout;
        assert!(text.contains("failed: "), "{text}");
        assert!(
            !text.contains("ok: ") && !text.contains("skipped: "),
            "{text}"
        );
        assert!(!text.contains("Checking"), "{text}");
    }
    // What was asked for is printed, and nothing else.
    let yaml = run_with(&["configure", "--kubelet", "contoso", "-q"]).succeeds();
    assert!(yaml.text().contains("CredentialProviderConfig"), "{yaml:?}");
    assert_eq!(yaml.stderr, "");
    let set = run_with(&["config", "-q", "set", "timeout", "40"]).succeeds();
    assert_eq!((&*set.stdout, &*set.stderr), ("", ""));
    let timeout = run_with(&["config", "get", "timeout", "-q"]).succeeds();
    assert_eq!(timeout.stdout, "40\n");
}

/// One case of each code of `help exit-codes`, and which commands return it, as that page says.
#[test]
fn each_exit_code_has_its_reason() {
    let code = |words: &[&str], variables: &[(&str, &str)], prepare: fn(&simulator::Simulator)| {
        let (home, simulator) = world();
        prepare(&simulator);
        let mut command = helper(&home, &simulator);
        command.args(words).envs(variables.iter().copied());
        run(command, REGISTRY, support::LIMIT).code()
    };
    let no_role = |simulator: &simulator::Simulator| {
        simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    };
    let no_identity = [
        ("AZURE_CLIENT_SECRET", ""),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1"),
    ];
    let nothing = |_: &simulator::Simulator| ();
    for (expected, words) in [
        (0, &["token", REGISTRY][..]),
        (0, &["get"]),
        (0, &["status"]),
        (1, &["config", "get", "subscription"]),
        (1, &["doctor", "contoso.example"]),
        (2, &["status", "--jsn"]),
        (2, &["token", "contoso.example"]),
        (2, &["configure", "contoso.example"]),
        (2, &["logout", "contoso.example"]),
        (1, &["get", "--jsn"]),
        (1, &["kubelet"]),
    ] {
        assert_eq!(code(words, &[], nothing), expected, "{words:?}");
    }
    for (expected, words) in [
        (3, &["token", REGISTRY][..]),
        (3, &["setup", REGISTRY]),
        (1, &["doctor", REGISTRY]),
        (1, &["get"]),
        (0, &["status"]),
    ] {
        assert_eq!(code(words, &no_identity, nothing), expected, "{words:?}");
    }
    for (expected, words) in [
        (4, &["token", REGISTRY][..]),
        (4, &["setup", REGISTRY]),
        (1, &["doctor", REGISTRY]),
        (1, &["get"]),
    ] {
        assert_eq!(code(words, &[], no_role), expected, "{words:?}");
    }
}

/// What `--help` says agrees with `help exit-codes`.
#[test]
fn the_page_of_exit_codes_names_the_commands_that_sign_in() {
    let (home, simulator) = world();
    let help = |words: &[&str]| {
        let mut command = helper(&home, &simulator);
        command.args(words);
        run(command, "", support::LIMIT).succeeds().stdout
    };
    let page = help(&["help", "exit-codes"]);
    assert!(
        page.contains("Only `setup`, `login` and `token` return 3 or 4."),
        "{page}"
    );
    for name in [
        "setup",
        "login",
        "token",
        "doctor",
        "configure",
        "status",
        "config",
    ] {
        let signs_in = ["setup", "login", "token"].contains(&name);
        let text = help(&[name, "--help"]);
        assert_eq!(text.contains("3 not signed in"), signs_in, "{name}");
    }
}
