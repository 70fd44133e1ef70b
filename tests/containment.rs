//! What must not happen: a foreign host that wakes anything, which is read off the system calls, and a secret that leaves.
#![cfg(target_os = "linux")]

mod support;

use simulator::{ArcAgent, Fault, FaultAt, FaultKind, Simulator};
use std::path::Path;
use std::process::Command;
use support::namespace;
use support::setups::status;
use support::trace::Trace;
use support::{Home, NOT_OURS, REGISTRY, ask, binary, copy, helper, world};

/// Where the config file is, below the root of a home.
const CONFIG: &str = "home/.config/docker-credential-acrscoped/config.toml";

/// Hosts that an attacker would like to be taken for a registry.
const HOSTILE: &[&str] = &[
    "contoso.azurecr.io.evil.example",
    "evil-azurecr.io",
    "azurecr.io",
    "contoso.azurecr.io@evil.example",
    "https://contoso.azurecr.io:443@evil.example/",
    "contoso.azurecr.io%00.evil",
    "contoso.azurecr.io\\.evil.example",
    "evil.example/contoso.azurecr.io",
    "https://evil.example?contoso.azurecr.io",
    "https://evil.example#.azurecr.io",
    "contoso．azurecr．io",
    "contoso。azurecr.io",
    "cоntoso.azurecr.io",
    "xn--cntoso-0nf.azurecr.io",
    "contoso..azurecr.io",
    ".azurecr.io",
    "contoso.azurecr.io..",
    "a234567890123456789012345678901234567890123456789012345678901234.azurecr.io",
    "contoso.data.azurecr.io",
    "contoso.eastus.data.azurecr.io",
    "contoso.privatelink.azurecr.io",
    "contoso.azurecr.io:8443",
    "127.0.0.1",
    "[::1]:443",
    "169.254.169.254",
    "localhost",
    "docker.io",
];

/// Reads no more of the system than `opened`, which are files, for any hostile host.
#[track_caller]
fn wakes_nothing(home: &Home, simulator: &Simulator, hosts: &[&str], config: &Path) {
    let mut command = helper(home, simulator);
    command.env("ACRSCOPED_CACHE", "auto");
    for host in hosts {
        for action in ["get", "erase"] {
            let (answer, trace) = Trace::of(home, &command, action, host);
            assert_eq!(
                (answer.code(), answer.stdout.trim_end()),
                (1, NOT_OURS),
                "{host}"
            );
            let forbidden = [
                "socket",
                "connect",
                "clone",
                "clone3",
                "fork",
                "vfork",
                "keyctl",
                "add_key",
                "request_key",
                "sendto",
            ];
            assert_eq!(trace.calls(&forbidden), [] as [&str; 0], "{host}");
            assert_eq!(trace.calls(&["execve"]).len(), 1, "{host}");
            // What registries there are is the config file's to say, so that it is looked for: once, and to be read.
            let [opened] = &trace.opened()[..] else {
                panic!("{host}: {:#?}", trace.opened())
            };
            let looked_for = format!(
                " openat(AT_FDCWD, \"{}\", O_RDONLY|O_NONBLOCK|O_CLOEXEC) = ",
                config.display()
            );
            assert!(opened.contains(&looked_for), "{host}: {opened}");
        }
    }
    assert!(simulator.journal().is_empty());
}

#[test]
#[ignore = "needs strace: run tests/run"]
fn a_hostile_host_causes_no_lookup_connection_process_or_keyring_read() {
    let (home, simulator) = world();
    wakes_nothing(&home, &simulator, HOSTILE, &home.path(CONFIG));
}

/// The same where somebody has a cloud of their own, and hosts that would like to be in it.
#[test]
#[ignore = "needs strace: run tests/run"]
fn a_hostile_host_causes_no_more_where_there_is_a_config_file() {
    let (home, simulator) = world();
    let cloud = "[cloud.fabrikam]\nsuffix = 'azurecr.fabrikam.example'\nauthority = 'login.fabrikam.example'\n";
    let profiles = "[registry.\"*.azurecr.io\"]\ntenant = 'contoso.example'\n[registry.\"*.azurecr.fabrikam.example\"]\ncache = 'none'\n";
    let config = home.write(CONFIG, format!("{cloud}{profiles}"));
    let hosts = [
        "contoso.azurecr.fabrikam.example.evil.example",
        "contosoazurecr.fabrikam.example",
        "azurecr.fabrikam.example",
        "fabrikam.example",
        "login.fabrikam.example",
        "contoso.azurecr.fabrikam.example@evil.example",
        "contoso.azurecr.fabrikam.example:5000",
        "team.contoso.azurecr.fabrikam.example",
    ];
    wakes_nothing(&home, &simulator, &[HOSTILE, &hosts].concat(), &config);
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .expect("our folder")
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

/// A source with a secret, in a world where things go wrong.
struct Canary {
    /// Sets the source up; returns what must be seen nowhere.
    set_up: fn(&Home, &Simulator, &mut Command) -> Vec<String>,
    /// Where things go wrong.
    places: &'static [FaultAt],
}

const APPLICATION: &[FaultAt] = &[FaultAt::Authority, FaultAt::Exchange];
const JOB: &[FaultAt] = &[FaultAt::Oidc, FaultAt::Authority, FaultAt::Exchange];
const PLATFORM: &[FaultAt] = &[FaultAt::AppService, FaultAt::Exchange];

const CANARIES: &[Canary] = &[
    Canary {
        set_up: |_, simulator, command| {
            let secret = simulator.settings().apps[0].secret.clone();
            command.env("AZURE_CLIENT_SECRET", &secret);
            vec![secret]
        },
        places: APPLICATION,
    },
    Canary {
        set_up: |home, simulator, command| {
            let assertion = simulator.assertion("anybody");
            command.env(
                "AZURE_FEDERATED_TOKEN_FILE",
                home.write("given/token", &assertion),
            );
            vec![assertion]
        },
        places: APPLICATION,
    },
    Canary {
        set_up: |_, simulator, command| {
            simulator
                .change(|settings| settings.oidc_request_token = "CANARY-REQUEST-TOKEN".into());
            command.env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "https://pipelines.actions.githubusercontent.com/job?api-version=2.0",
            );
            command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CANARY-REQUEST-TOKEN");
            vec![]
        },
        places: JOB,
    },
    Canary {
        set_up: |_, simulator, command| {
            simulator.change(|settings| settings.oidc_request_token = "CANARY-SYSTEM-TOKEN".into());
            command
                .env(
                    "SYSTEM_OIDCREQUESTURI",
                    "https://dev.azure.com/contoso/oidctoken",
                )
                .env("ACRSCOPED_SERVICE_CONNECTION", "c");
            command.env("SYSTEM_ACCESSTOKEN", "CANARY-SYSTEM-TOKEN");
            vec![]
        },
        places: JOB,
    },
    Canary {
        set_up: |_, simulator, command| {
            simulator.change(|settings| settings.identity_header = "CANARY-HEADER".into());
            command
                .env(
                    "IDENTITY_ENDPOINT",
                    format!("{}/msi/token", simulator.origin()),
                )
                .env("IDENTITY_HEADER", "CANARY-HEADER");
            command.env_remove("AZURE_CLIENT_ID");
            vec![]
        },
        places: PLATFORM,
    },
    Canary {
        set_up: |_, simulator, command| {
            simulator.change(|settings| settings.identity_header = "CANARY-MSI".into());
            command
                .env("MSI_ENDPOINT", format!("{}/msi/token", simulator.origin()))
                .env("MSI_SECRET", "CANARY-MSI");
            command.env_remove("AZURE_CLIENT_ID");
            vec![]
        },
        places: PLATFORM,
    },
    Canary {
        set_up: |home, _, _| {
            home.script("bin/az", r#"echo '{"accessToken":"CANARY-ACCESS","expires_on":4102444800,"tokenType":"Bearer"}'"#);
            home.write(
                "home/.azure/azureProfile.json",
                "{\"subscriptions\":[{\"isDefault\":true}]}",
            );
            vec![]
        },
        places: &[FaultAt::Exchange],
    },
    Canary {
        set_up: |home, _, _| {
            home.script(
                "bin/azd",
                r#"echo '{"token":"CANARY-ACCESS","expiresOn":"2100-01-01T00:00:00Z"}'"#,
            );
            home.write(
                "home/.azd/auth.json",
                r#"{"auth":{"account":{"currentUser":{"homeAccountId":"alice"}}}}"#,
            );
            vec![]
        },
        places: &[FaultAt::Exchange],
    },
];

/// Everything that goes wrong, among it answers that are tokens, almost, and services that repeat what they were sent.
fn faults(secrets: &[String]) -> Vec<FaultKind> {
    let mut kinds = vec![
        FaultKind::status(500),
        FaultKind::Html,
        FaultKind::Reset,
        FaultKind::CutBody,
        FaultKind::Redirect {
            to: "https://evil.example/".into(),
        },
        status(200, r#"{"refresh_token":"CANARY-REFRESH\n"}"#),
        status(200, r#"{"refresh_token":["CANARY-REFRESH"]}"#),
        status(200, r#"{"access_token":"CANARY-ACCESS"}"#),
        status(
            200,
            r#"{"access_token":{"a":"CANARY-ACCESS"},"expires_in":1,"token_type":"Bearer"}"#,
        ),
        status(200, r#"{"access_token":"CANARY-ACCESS","expires_in":"x"}"#),
        status(200, r#"{"value":["CANARY-ASSERTION"]}"#),
        status(200, r#"{"oidcToken":{"a":"CANARY-ASSERTION"}}"#),
    ];
    kinds.extend(secrets.iter().map(|secret| {
        status(
            400,
            &format!(r#"{{"error":"x","error_description":"not {secret} again"}}"#),
        )
    }));
    kinds
}

impl Canary {
    /// Fails in every way, and sees to it that no secret is said or left behind.
    #[track_caller]
    fn is_never_seen(&self) {
        let (home, simulator) = world();
        let mut base = helper(&home, &simulator);
        base.env_remove("AZURE_CLIENT_SECRET")
            .env("ACRSCOPED_LOG", "debug")
            .env("ACRSCOPED_TIMEOUT", "4");
        base.env("RUST_BACKTRACE", "1")
            .env("RUST_LOG", "trace")
            .env("ALL_PROXY", "http://user:PROXY-PASSWORD@127.0.0.1:1");
        let own = (self.set_up)(&home, &simulator, &mut base);
        let named = ["CANARY-", "eyJ", "PROXY-PASSWORD"].map(str::to_owned);
        let canaries: Vec<String> = own.into_iter().chain(named).collect();
        let is_clean = |text: &str| {
            canaries
                .iter()
                .find(|canary| text.contains(*canary))
                .is_none()
        };
        let given = [home.path("bin"), home.path("given")];
        for at in self.places {
            // A registry is not sent them, and so cannot repeat them.
            let repeated = if *at == FaultAt::Exchange {
                vec![]
            } else {
                variables_of(&base)
            };
            for kind in faults(&repeated) {
                simulator.change(|settings| {
                    settings.faults = vec![Fault::always(at.clone(), kind.clone())];
                });
                let answer = ask(copy(&base), "get", REGISTRY);
                assert_eq!(answer.code(), 1, "{at:?} {kind:?}: {answer:#?}");
                assert!(is_clean(&answer.text()), "{at:?} {kind:?}: {answer:#?}");
                for file in files(home.root())
                    .iter()
                    .filter(|file| !given.iter().any(|given| file.starts_with(given)))
                {
                    let content = std::fs::read(file).expect("our file");
                    assert!(
                        is_clean(&String::from_utf8_lossy(&content)),
                        "a secret in {}",
                        file.display()
                    );
                    assert!(is_clean(&file.to_string_lossy()), "{}", file.display());
                }
            }
        }
    }
}

/// The secrets among a command's variables.
fn variables_of(command: &Command) -> Vec<String> {
    let secrets = [
        "AZURE_CLIENT_SECRET",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "SYSTEM_ACCESSTOKEN",
        "IDENTITY_HEADER",
        "MSI_SECRET",
    ];
    let set = command
        .get_envs()
        .filter(|(name, _)| secrets.iter().any(|secret| name == secret));
    set.filter_map(|(_, value)| Some(value?.to_str()?.to_owned()))
        .collect()
}

#[test]
fn no_secret_is_printed_or_written_by_runs_that_fail() {
    std::thread::scope(|scope| {
        for canary in CANARIES {
            scope.spawn(|| canary.is_never_seen());
        }
    });
}

#[test]
#[ignore = "needs openssl: run tests/run"]
fn no_password_or_key_of_a_certificate_is_printed_or_written_by_runs_that_fail() {
    let set_up = |home: &Home, simulator: &Simulator, command: &mut Command| {
        std::fs::create_dir(home.path("given")).expect("our folder");
        for arguments in [
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout key -out certificate",
            "pkcs12 -export -inkey key -in certificate -out archive -passout pass:CANARY-PASSWORD",
        ] {
            let mut openssl = Command::new("openssl");
            let output = openssl
                .args(arguments.split(' '))
                .current_dir(home.path("given"))
                .output()
                .expect("openssl");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let read = |name: &str| std::fs::read_to_string(home.path(name)).expect("made by openssl");
        let key = read("given/key");
        simulator
            .change(|settings| settings.apps[0].certificates = vec![read("given/certificate")]);
        command.env("AZURE_CLIENT_CERTIFICATE_PATH", home.path("given/archive"));
        command.env("AZURE_CLIENT_CERTIFICATE_PASSWORD", "CANARY-PASSWORD");
        key.lines()
            .filter(|line| !line.starts_with('-'))
            .map(str::to_owned)
            .collect()
    };
    Canary {
        set_up,
        places: APPLICATION,
    }
    .is_never_seen();
    // Nor where the file cannot be opened with it.
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    set_up(&home, &simulator, &mut command);
    command
        .env_remove("AZURE_CLIENT_SECRET")
        .env("AZURE_CLIENT_CERTIFICATE_PASSWORD", "CANARY-WRONG")
        .env("ACRSCOPED_LOG", "debug");
    let answer = ask(command, "get", REGISTRY).fails();
    assert!(
        answer.stdout.contains("does not open it") && !answer.text().contains("CANARY"),
        "{answer:#?}"
    );
}

/// The agent refuses a key that is not its own, and some are none.
#[test]
#[ignore = "needs namespaces: run tests/run"]
fn no_key_of_azure_arc_is_printed_or_written_by_runs_that_fail() {
    for key in [
        "CANARY-KEY",
        "CANARY-KEY\nCANARY-MORE",
        "CANARY-\u{e9}",
        "CANARY-\0",
    ] {
        let (home, simulator) = world();
        let mut agent = ArcAgent::new(home.path("given"));
        agent.challenge = "Basic realm=/var/opt/azcmagent/tokens/canary.key".into();
        home.write("given/canary.key", key);
        simulator.change(|settings| settings.arc = Some(agent));
        let mut command = helper(&home, &simulator);
        command
            .env_remove("AZURE_CLIENT_SECRET")
            .env_remove("AZURE_CLIENT_ID")
            .env("ACRSCOPED_LOG", "debug");
        command.env(
            "IDENTITY_ENDPOINT",
            format!("{}/arc/metadata/identity/oauth2/token", simulator.origin()),
        );
        command.env("IMDS_ENDPOINT", simulator.origin());
        let answer = ask(
            namespace::with_arc_keys(&command, &home.path("given")),
            "get",
            REGISTRY,
        )
        .fails();
        assert!(
            answer.stdout.starts_with(
                "could not get an access token from the system-assigned managed identity: "
            ),
            "{answer:#?}"
        );
        assert!(!answer.text().contains("CANARY-"), "{answer:#?}");
        for file in files(home.root())
            .iter()
            .filter(|file| !file.starts_with(home.path("given")))
        {
            let content = std::fs::read(file).expect("our file");
            assert!(
                !String::from_utf8_lossy(&content).contains("CANARY-"),
                "a key in {}",
                file.display()
            );
        }
    }
}

/// Variables that have a program run other code than its own.
const LOADERS: &[&str] = &[
    "LD_LIBRARY_PATH",
    "LD_CANARY",
    "DYLD_INSERT_LIBRARIES",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "PERL5LIB",
    "NODE_OPTIONS",
    "BASH_ENV",
    "ENV",
    "PS4",
    "SHELLOPTS",
    "BASHOPTS",
    "BASH_FUNC_env%%",
];

/// Sets every one of them for a command, and the one of the same family that a child keeps.
fn with_loaders(command: &mut Command) {
    command
        .envs(LOADERS.iter().map(|name| (name, "CANARY")))
        .env("PYTHONIOENCODING", "utf-8");
}

/// What a child wrote down of its environment.
#[track_caller]
fn has_no_loaders(home: &Home) {
    let environment =
        std::fs::read_to_string(home.path("home/environment")).expect("the child ran");
    assert!(!environment.contains("CANARY"), "{environment}");
    assert!(
        environment.contains("PYTHONIOENCODING=utf-8") && environment.contains("HOME="),
        "{environment}"
    );
}

/// Returns a home with accounts of `az` and `azd`, in which `program` writes down its environment.
fn with_accounts(program: &str) -> (Home, Simulator) {
    let (home, simulator) = world();
    home.script(
        &format!("bin/{program}"),
        r#"env > "$HOME/environment"; exit 1"#,
    );
    home.write(
        "home/.azure/azureProfile.json",
        "{\"subscriptions\":[{\"isDefault\":true}]}",
    );
    home.write(
        "home/.azd/auth.json",
        r#"{"auth":{"account":{"currentUser":{"homeAccountId":"alice"}}}}"#,
    );
    (home, simulator)
}

#[test]
fn no_child_gets_variables_that_have_it_run_other_code() {
    for (source, program) in [("azure-cli", "az"), ("azure-developer-cli", "azd")] {
        let (home, simulator) = with_accounts(program);
        let mut command = helper(&home, &simulator);
        command.env("ACRSCOPED_SOURCE", source);
        with_loaders(&mut command);
        ask(command, "get", REGISTRY).fails();
        has_no_loaders(&home);
    }
    let (home, simulator) = world();
    home.script(
        "bin/docker-credential-other",
        r#"env > "$HOME/environment"; exit 1"#,
    );
    home.write(CONFIG, "delegate = 'other'\n");
    let mut command = helper(&home, &simulator);
    with_loaders(&mut command);
    ask(command, "get", "docker.io").fails();
    has_no_loaders(&home);
    let environment = std::fs::read_to_string(home.path("home/environment")).unwrap();
    assert!(
        environment.contains("AZURE_CLIENT_SECRET="),
        "docker gives it the rest: {environment}"
    );
}

#[test]
fn the_key_of_azure_arcs_agent_is_asked_of_this_machine_only() {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    command
        .env_remove("AZURE_CLIENT_SECRET")
        .env("IMDS_ENDPOINT", simulator.origin());
    command.env(
        "IDENTITY_ENDPOINT",
        "http://evil.example/metadata/identity/oauth2/token",
    );
    let answer = ask(command, "get", REGISTRY).fails();
    assert!(
        answer
            .stdout
            .starts_with("`IDENTITY_ENDPOINT` must point to this machine, for example"),
        "{answer:#?}"
    );
    assert!(simulator.journal().is_empty());
}

#[test]
fn the_token_of_a_job_is_not_sent_where_the_environment_says() {
    for text in ["", "oidc_host = 'github.fabrikam.example'\n"] {
        let (home, simulator) = world();
        let config = home.write(CONFIG, text);
        let mut command = helper(&home, &simulator);
        command
            .env_remove("AZURE_CLIENT_SECRET")
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CANARY");
        command.env("ACTIONS_ID_TOKEN_REQUEST_URL", "https://evil.example/job");
        let answer = ask(command, "get", REGISTRY).fails();
        let sentence = "`ACTIONS_ID_TOKEN_REQUEST_URL` names `evil.example`, which is not known to issue tokens to jobs\n";
        assert_eq!(answer.stdout, sentence);
        let hint = format!(
            "hint: if you trust it, make this the first line of {}: `oidc_host = \"evil.example\"`\n",
            config.display()
        );
        assert!(answer.stderr.ends_with(&hint), "{answer:#?}");
        assert!(simulator.journal().is_empty());
    }
}

#[test]
fn the_command_lines_get_no_secrets_of_other_sources() {
    for (source, program) in [("azure-cli", "az"), ("azure-developer-cli", "azd")] {
        let (home, simulator) = with_accounts(program);
        let mut command = helper(&home, &simulator);
        // All of them are set up, and this one is chosen.
        command.env("ACRSCOPED_SOURCE", source);
        command
            .env("AZURE_FEDERATED_TOKEN_FILE", "/token")
            .env("AZURE_CLIENT_CERTIFICATE_PATH", "/certificate");
        command.env(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://pipelines.actions.githubusercontent.com/job",
        );
        command.env(
            "SYSTEM_OIDCREQUESTURI",
            "https://dev.azure.com/contoso/oidctoken",
        );
        command
            .env("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi")
            .env("MSI_ENDPOINT", "http://127.0.0.1:1/msi");
        for secret in [
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "AZURE_CLIENT_CERTIFICATE_PASSWORD",
            "AZURE_CLIENT_SECRET",
            "AZURE_PASSWORD",
            "IDENTITY_HEADER",
            "MSI_SECRET",
            "SYSTEM_ACCESSTOKEN",
        ] {
            command.env(secret, "CANARY");
        }
        ask(command, "get", REGISTRY).fails();
        let environment = std::fs::read_to_string(home.path("home/environment")).unwrap();
        assert!(
            environment.contains("HTTPS_PROXY=") && !environment.contains("CANARY"),
            "{environment}"
        );
    }
}

#[test]
fn the_command_line_of_no_child_holds_a_secret() {
    let (home, simulator) = world();
    home.script(
        "bin/az",
        r#"echo "$0 $*" > "$HOME/argv"; cat /proc/$PPID/cmdline >> "$HOME/argv"; exit 1"#,
    );
    home.write(
        "home/.azure/azureProfile.json",
        "{\"subscriptions\":[{\"isDefault\":true}]}",
    );
    let mut command = helper(&home, &simulator);
    command.env_remove("AZURE_CLIENT_SECRET");
    ask(command, "get", REGISTRY).fails();
    let argv = std::fs::read_to_string(home.path("home/argv")).unwrap();
    assert!(
        argv.contains("--scope https://containerregistry.azure.net/.default"),
        "{argv}"
    );
    assert!(
        !argv.contains("eyJ") && !argv.contains(binary().file_name().unwrap().to_str().unwrap()),
        "{argv}"
    );
}
