//! A checkout that brings files along and sets variables, as Docker Compose did for every line of a project's `.env`: no secret reaches
//! a host of the checkout's choice, and no token passes under its certificate authority.

use crate::support::{Answer, Home, REGISTRY, ask, helper, wrap};
use simulator::{Authority, Endpoint, Settings, Simulator};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Where the checkout is, below the root of a home.
const CHECKOUT: &str = "home/src/checkout";

/// The authority that the checkout would like secrets to be sent to.
const EVIL: &str = "login.evil.example";

/// A user, their checkout, the real services, and a proxy of the attacker's that shows certificates of its own.
struct Scene {
    home: Home,
    services: Simulator,
    attacker: Simulator,
}

/// One try of the checkout: variables, the folder in which the client runs, and what the user reads.
#[derive(Clone)]
struct Try {
    name: String,
    variables: Vec<(&'static str, String)>,
    directory: String,
    reads: String,
}

impl Scene {
    fn new() -> Self {
        let mut settings = Settings::default();
        settings.authorities.push(Authority {
            host: EVIL.into(),
            cloud: "AzureCloud".into(),
        });
        let start = |settings: &Settings| Simulator::start(settings.clone()).expect("a simulator");
        let (services, attacker) = (start(&settings), start(&settings));
        // The attacker's services know the same people, so that nothing but trust keeps a token from them.
        let home = Home::new();
        let config = format!("authority = 'https://{EVIL}'\n");
        let certificates = std::fs::read(attacker.ca_file()).expect("a certificate");
        for folder in [CHECKOUT, "home/kept"] {
            home.write(&format!("{folder}/config.toml"), &config);
            home.write(
                &format!("{folder}/.config/docker-credential-acrscoped/config.toml"),
                &config,
            );
            home.write(
                &format!("{folder}/docker-credential-acrscoped/config.toml"),
                &config,
            );
            home.write(&format!("{folder}/ca.pem"), &certificates);
            home.write(&format!("{folder}/certificates/0a1b2c3d.0"), &certificates);
        }
        std::fs::create_dir(home.path(CHECKOUT).join("app")).expect("our folder");
        std::fs::create_dir(home.path(CHECKOUT).join(".git")).expect("our folder");
        symlink(home.path(CHECKOUT), home.path("home/current")).expect("a new link");
        symlink("ca.pem", home.path(CHECKOUT).join("link.pem")).expect("a new link");
        symlink(
            home.path(CHECKOUT).join("config.toml"),
            home.path("home/link.toml"),
        )
        .expect("a new link");
        Self {
            home,
            services,
            attacker,
        }
    }

    fn get(&self, one: &Try) -> Answer {
        let mut command = helper(&self.home, &self.services);
        let uses_own_certificates = one
            .variables
            .iter()
            .any(|(name, _)| name.starts_with("SSL_") || *name == "ACRSCOPED_CA_FILE");
        if uses_own_certificates {
            command
                .env("HTTPS_PROXY", self.attacker.origin())
                .env_remove("SSL_CERT_FILE");
        }
        command
            .current_dir(self.home.path(&one.directory))
            .envs(one.variables.iter().map(|(name, value)| (name, value)));
        ask(command, "get", REGISTRY)
    }

    /// Whether a secret or a token went where the checkout wanted it.
    fn is_robbed(&self) -> bool {
        let at_evil = self
            .services
            .journal()
            .into_iter()
            .any(|entry| entry.host == EVIL);
        at_evil
            || self
                .attacker
                .journal()
                .into_iter()
                .any(|entry| entry.endpoint != Endpoint::Connect)
    }

    fn path(&self, name: &str) -> String {
        self.home.path(name).to_str().expect("UTF-8").to_owned()
    }
}

fn one(name: &str, variable: &'static str, value: &str, directory: &str, reads: &str) -> Try {
    Try {
        name: format!("{variable}={name} in {directory}"),
        variables: vec![(variable, value.to_owned())],
        directory: directory.to_owned(),
        reads: reads.to_owned(),
    }
}

/// What each variable names within the checkout, and which variable that is.
const NAMED: [(&str, &str); 6] = [
    ("ACRSCOPED_CONFIG", "/config.toml"),
    ("XDG_CONFIG_HOME", ""),
    ("HOME", ""),
    ("SSL_CERT_FILE", "/ca.pem"),
    ("SSL_CERT_DIR", "/certificates"),
    ("ACRSCOPED_CA_FILE", "/ca.pem"),
];

/// The checkout's own files, by every kind of path that leads to them.
fn files_of_the_checkout(scene: &Scene) -> Vec<Try> {
    let checkout = scene.path(CHECKOUT);
    let roundabout = format!("{}/../{CHECKOUT}", scene.path("home"));
    let deep = deep_folder(scene);
    let mut tries = vec![];
    for (variable, below) in NAMED {
        for (prefix, directory, reads) in [
            (checkout.as_str(), CHECKOUT, "folder that you work in"),
            ("/proc/self/cwd", CHECKOUT, "it leads through /proc"),
            (
                "/proc/self/cwd/..",
                &format!("{CHECKOUT}/app"),
                "it leads through /proc",
            ),
            ("/proc/thread-self/cwd", CHECKOUT, "it leads through /proc"),
            (
                &scene.path("home/current"),
                CHECKOUT,
                "folder that you work in",
            ),
            (&roundabout, CHECKOUT, "folder that you work in"),
            (
                &checkout,
                &format!("{CHECKOUT}/app"),
                "folder that you work in",
            ),
            (&deep, CHECKOUT, ""),
            (".", CHECKOUT, ""),
        ] {
            let value = format!("{prefix}{below}");
            // The XDG specification has relative folders ignored.
            let reads = match (prefix, variable) {
                (".", "XDG_CONFIG_HOME") => "IGNORED",
                (".", "ACRSCOPED_CONFIG" | "ACRSCOPED_CA_FILE") => "expected an absolute path",
                (".", _) => "is a relative path",
                _ => reads,
            };
            tries.push(one(&value, variable, &value, directory, reads));
        }
    }
    tries
}

/// The checkout again, by a link to so deep a folder that its path is longer than a system call takes.
fn deep_folder(scene: &Scene) -> String {
    let checkout = scene.home.path(CHECKOUT);
    let mut folder = rustix::fs::open(
        &checkout,
        rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .expect("our folder");
    let mut target = PathBuf::new();
    let names = [200; 20]
        .into_iter()
        .chain([60])
        .map(|length| "d".repeat(length));
    for name in names {
        rustix::fs::mkdirat(&folder, &name, rustix::fs::Mode::RWXU).expect("a new folder");
        folder = rustix::fs::openat(
            &folder,
            &name,
            rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .expect("our folder");
        target.push(&name);
    }
    let inside = |name: &str| {
        rustix::fs::symlinkat(scene.home.path("home/kept").join(name), &folder, name)
            .expect("a new link");
    };
    // What is behind is what the same variables name elsewhere.
    for name in [
        "config.toml",
        ".config",
        "docker-credential-acrscoped",
        "ca.pem",
        "certificates",
    ] {
        inside(name);
    }
    symlink(target, checkout.join("deep")).expect("a new link");
    checkout.join("deep").to_str().expect("UTF-8").to_owned()
}

/// Files that the user does not own alone, and odd paths.
fn files_of_others(scene: &Scene) -> Vec<Try> {
    let (shared, open) = (scene.home.path("home/shared"), scene.home.path("home/open"));
    for folder in [&shared, &open] {
        std::fs::create_dir(folder).expect("our folder");
    }
    let copy = |from: &str, to: PathBuf, mode: u32| {
        std::fs::copy(scene.home.path("home/kept").join(from), &to).expect("our folder");
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(mode)).expect("our file");
        to.to_str().expect("UTF-8").to_owned()
    };
    let config = copy("config.toml", shared.join("config.toml"), 0o666);
    let ca = copy("ca.pem", shared.join("ca.pem"), 0o646);
    let config_below = copy("config.toml", open.join("config.toml"), 0o600);
    let ca_below = copy("ca.pem", open.join("ca.pem"), 0o600);
    symlink(scene.home.path("home/kept/ca.pem"), open.join("link.pem")).expect("a new link");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("our folder");
    let sticky = scene.home.path("home/sticky");
    std::fs::create_dir(&sticky).expect("our folder");
    copy("ca.pem", sticky.join("notes.txt"), 0o644);
    std::fs::set_permissions(&sticky, std::fs::Permissions::from_mode(0o1777)).expect("our folder");
    let sticky = sticky.to_str().expect("UTF-8").to_owned();
    let open_link = open.join("link.pem").to_str().expect("UTF-8").to_owned();
    let checkout = scene.path(CHECKOUT);
    let can_write = "users other than you and root can write to";
    vec![
        one("writable", "ACRSCOPED_CONFIG", &config, "work", can_write),
        one("writable", "SSL_CERT_FILE", &ca, "work", can_write),
        one("writable", "ACRSCOPED_CA_FILE", &ca, "work", can_write),
        one(
            "in a writable folder",
            "ACRSCOPED_CONFIG",
            &config_below,
            "work",
            can_write,
        ),
        one(
            "in a writable folder",
            "SSL_CERT_FILE",
            &ca_below,
            "work",
            can_write,
        ),
        one(
            "in a writable folder",
            "ACRSCOPED_CA_FILE",
            &ca_below,
            "work",
            can_write,
        ),
        one(
            "a link in a writable folder",
            "SSL_CERT_FILE",
            &open_link,
            "work",
            can_write,
        ),
        one(
            "a link in a writable folder",
            "ACRSCOPED_CA_FILE",
            &open_link,
            "work",
            can_write,
        ),
        one(
            "missing",
            "SSL_CERT_FILE",
            &scene.path("home/missing.pem"),
            "work",
            "cannot be read: No such file",
        ),
        one(
            "a folder where others can make files",
            "SSL_CERT_DIR",
            &sticky,
            "work",
            "other users can make files in",
        ),
        one(
            "a writable folder",
            "SSL_CERT_DIR",
            open.to_str().expect("UTF-8"),
            "work",
            can_write,
        ),
        one(
            "a link into the checkout",
            "ACRSCOPED_CONFIG",
            &scene.path("home/link.toml"),
            CHECKOUT,
            "folder that you work in",
        ),
        one(
            "a link of the checkout",
            "SSL_CERT_FILE",
            &format!("{checkout}/link.pem"),
            CHECKOUT,
            "folder that you work in",
        ),
        one("stdin", "ACRSCOPED_CONFIG", "/dev/fd/0", "work", ""),
        one("stdin", "SSL_CERT_FILE", "/dev/stdin", "work", ""),
    ]
}

/// Hosts that would receive the client secret.
fn authorities() -> Vec<Try> {
    let mut tries = vec![];
    for variable in ["AZURE_AUTHORITY_HOST", "ACRSCOPED_AUTHORITY"] {
        for value in [
            EVIL,
            "https://login.evil.example",
            "https://login.evil.example/",
            "https://LOGIN.evil.example:443",
        ] {
            tries.push(one(
                value,
                variable,
                value,
                "work",
                "which is not a known Microsoft Entra authority",
            ));
        }
    }
    tries
}

#[test]
fn a_checkout_chooses_neither_who_receives_secrets_nor_who_is_believed() {
    let scene = Scene::new();
    let tries = [
        files_of_the_checkout(&scene),
        files_of_others(&scene),
        authorities(),
    ]
    .concat();
    let mut problems = vec![];
    for one in &tries {
        scene.services.clear_journal();
        scene.attacker.clear_journal();
        let answer = scene.get(one);
        if scene.is_robbed() {
            problems.push(format!("{}: a secret went to the attacker", one.name));
        }
        let (code, is_explained) = match one.reads.as_str() {
            "IGNORED" => (0, true),
            reads => (1, answer.text().contains(reads)),
        };
        if answer.code() != code || !is_explained {
            problems.push(format!(
                "{}: expected {:?} in {answer:#?}",
                one.name, one.reads
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_same_files_in_the_users_own_folder_have_their_effect() {
    // What the table above is worth: without the checkout, each of its variables does choose.
    let scene = Scene::new();
    let kept = scene.path("home/kept");
    for (variable, below) in NAMED {
        scene.services.clear_journal();
        scene.attacker.clear_journal();
        scene.get(&one(
            "kept",
            variable,
            &format!("{kept}{below}"),
            "work",
            "",
        ));
        assert!(scene.is_robbed(), "{variable} has no effect");
    }
}

#[test]
fn an_authority_is_trusted_once_the_config_file_names_it() {
    let scene = Scene::new();
    let refused = scene.get(&one("", "AZURE_AUTHORITY_HOST", EVIL, "work", ""));
    let line = refused
        .stderr
        .split('`')
        .find(|part| part.starts_with("authority = "))
        .expect("the line to write")
        .to_owned();
    let file = "home/.config/docker-credential-acrscoped/config.toml";
    assert!(refused.stderr.contains(&scene.path(file)), "{refused:#?}");
    scene.home.write(file, line);
    scene
        .get(&one("", "AZURE_AUTHORITY_HOST", EVIL, "work", ""))
        .succeeds();
    assert!(scene.is_robbed());
}

#[test]
fn a_warning_says_why_certificates_are_ignored_and_an_error_of_tls_names_them() {
    let scene = Scene::new();
    let answer = scene
        .get(&one(
            "",
            "SSL_CERT_FILE",
            "/proc/self/cwd/ca.pem",
            CHECKOUT,
            "",
        ))
        .fails();
    let sentence = "the helper ignores `SSL_CERT_FILE`, because /proc/self/cwd/ca.pem is not trusted: it leads through /proc";
    let lines: Vec<&str> = answer
        .stderr
        .lines()
        .filter(|line| line.contains(sentence))
        .collect();
    assert!(
        lines.len() == 2
            && lines[0].ends_with("; the helper uses the system's certificates instead"),
        "{answer:#?}"
    );
}

#[test]
fn a_certificate_file_of_the_config_file_must_be_protected_too() {
    let scene = Scene::new();
    let file = scene.home.write(
        "home/ca.pem",
        std::fs::read(scene.attacker.ca_file()).expect("a certificate"),
    );
    let config = format!("ca_file = '{}'\n", file.display());
    scene.home.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        config,
    );
    for (mode, is_trusted) in [(0o644, true), (0o646, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("our file");
        scene.attacker.clear_journal();
        let mut command = helper(&scene.home, &scene.services);
        command
            .env("HTTPS_PROXY", scene.attacker.origin())
            .env_remove("SSL_CERT_FILE");
        let answer = ask(command, "get", REGISTRY);
        assert_eq!(scene.is_robbed(), is_trusted, "{answer:#?}");
        assert_eq!(
            answer
                .stderr
                .contains(&format!("chmod go-w {}", Path::new(&file).display())),
            !is_trusted,
            "{answer:#?}"
        );
    }
}

#[test]
fn the_azure_cli_believes_no_certificates_of_the_checkout() {
    let scene = Scene::new();
    scene
        .home
        .script("bin/az", "env >\"$HOME/environment\"; exit 1");
    scene.home.write(
        "home/.azure/azureProfile.json",
        "{\"subscriptions\":[{\"isDefault\":true}]}",
    );
    let (kept, checkout) = (
        scene.path("home/kept/ca.pem"),
        scene.path(&format!("{CHECKOUT}/ca.pem")),
    );
    let named = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];
    // One that is not there could be made by others before `az` reads it.
    let missing = scene.path("home/missing.pem");
    let files = [
        (kept.as_str(), true),
        (&checkout, false),
        ("/proc/self/cwd/ca.pem", false),
        ("ca.pem", false),
        (&missing, false),
    ];
    for (file, is_passed_on) in files {
        let mut command = helper(&scene.home, &scene.services);
        command
            .current_dir(scene.home.path(CHECKOUT))
            .env("ACRSCOPED_SOURCE", "azure-cli")
            .envs(named.map(|name| (name, file)));
        command
            .env("AZURE_CLI_DISABLE_CONNECTION_VERIFICATION", "1")
            .env("AZURE_EXTENSION_DEV_SOURCES", scene.path(CHECKOUT));
        command
            .env("ARM_CLOUD_METADATA_URL", "http://127.0.0.1:1")
            .env("SSLKEYLOGFILE", "/tmp/keys")
            .env("PWD", "/");
        ask(command, "get", REGISTRY).fails();
        let environment =
            std::fs::read_to_string(scene.home.path("home/environment")).expect("az was run");
        for name in named {
            assert_eq!(
                environment.contains(&format!("{name}={file}\n")),
                is_passed_on,
                "{environment}"
            );
        }
        assert!(
            !environment.contains("AZURE_CLI_DISABLE") && !environment.contains("KEYLOG"),
            "{environment}"
        );
        assert!(
            !environment.contains("METADATA")
                && environment.contains("AZURE_EXTENSION_DEV_SOURCES=\n"),
            "{environment}"
        );
    }
}

#[test]
#[ignore = "needs root: run tests/run"]
fn a_checkout_under_another_name_is_the_same_checkout() {
    let scene = Scene::new();
    let (checkout, alias) = (scene.path(CHECKOUT), scene.home.path("home/alias"));
    std::fs::create_dir(&alias).expect("our folder");
    let mut inner = helper(&scene.home, &scene.services);
    inner
        .env("HTTPS_PROXY", scene.attacker.origin())
        .env("SSL_CERT_FILE", alias.join("ca.pem"));
    let script = "mount --bind \"$PWD\" \"$ALIAS\"; exec \"$0\" get";
    let mut command = wrap(&["unshare", "--mount", "sh", "-ec", script], &inner);
    command.env("ALIAS", &alias).current_dir(checkout);
    let answer = crate::support::run(command, REGISTRY, crate::support::LIMIT).fails();
    assert!(
        answer.stderr.contains("folder that you work in") && !scene.is_robbed(),
        "{answer:#?}"
    );
}

#[test]
fn a_path_in_a_hint_runs_nothing_when_the_hint_is_pasted() {
    let scene = Scene::new();
    let file = scene
        .home
        .write("home/odd/$(touch pwned);it's/config.toml", "");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).expect("our file");
    let path = file.to_str().expect("UTF-8");
    let refused = scene
        .get(&one("", "ACRSCOPED_CONFIG", path, "work", ""))
        .fails();
    let (_, hint) = refused.stderr.split_once("\nhint: ").expect("a hint");
    let hint = hint.lines().find_map(|line| line.strip_prefix("  "));
    let hint = hint.expect("a command");
    let mut shell = scene.home.command("sh");
    shell.args(["-ec", hint]);
    crate::support::run(shell, "", crate::support::LIMIT).succeeds();
    assert!(!scene.home.path("work/pwned").exists(), "{hint}");
    scene
        .get(&one("", "ACRSCOPED_CONFIG", path, "work", ""))
        .succeeds();
}

/// The log repeats settings, so that a line of it in a start-up file would be code.
#[test]
fn a_variable_names_no_file_that_the_log_is_written_to() {
    let scene = Scene::new();
    let file = scene.home.path("home/.bash_profile");
    let mut command = helper(&scene.home, &scene.services);
    command
        .env("ACRSCOPED_LOG_FILE", &file)
        .env("ACRSCOPED_SOURCE", "managed-identity")
        .env(
            "ACRSCOPED_RESOURCE_ID",
            "/subscriptions/$(touch${IFS}pwned)",
        )
        .env("XDG_STATE_HOME", scene.home.path("home"));
    let answer = ask(command, "get", REGISTRY);
    assert!(!file.exists(), "{answer:#?}");
    let warning = "the helper ignores `ACRSCOPED_LOG_FILE`: set `log_file` in ";
    assert!(answer.stderr.contains(warning), "{answer:#?}");
}

/// A checkout could bring along the failure that another process would have written, as an archive keeps modes and times.
#[test]
fn no_lock_folder_of_the_checkout_is_used() {
    let scene = Scene::new();
    for (variable, folder) in [
        ("XDG_RUNTIME_DIR", "run"),
        ("XDG_STATE_HOME", "state"),
        ("TMPDIR", "tmp"),
    ] {
        let path = scene.home.path(CHECKOUT).join(folder);
        std::fs::create_dir(&path).expect("our folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))
            .expect("our folder");
        let mut command = helper(&scene.home, &scene.services);
        command.current_dir(scene.home.path(CHECKOUT));
        // Only this one is there.
        for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "TMPDIR"] {
            command.env(name, "/proc/nowhere");
        }
        command.env(variable, &path).env("ACRSCOPED_LOG", "debug");
        let answer = ask(command, "get", REGISTRY).succeeds();
        let refused = format!("{}/", path.display());
        let mut lines = answer.stderr.lines().filter(|line| line.contains(&refused));
        let is_refused =
            |line: &str| line.contains(" holds no locks: it is in the folder that you work in");
        assert!(lines.next().is_some_and(is_refused), "{answer:#?}");
    }
}

/// A line of a hint that begins with two spaces is a command to paste.
#[test]
fn no_line_break_in_a_path_begins_a_command() {
    let scene = Scene::new();
    let evil = scene.path("home/kept/a\n  touch pwned\n");
    for (variable, words) in [
        ("DOCKER_CONFIG", "configure contoso.azurecr.io"),
        ("XDG_STATE_HOME", "configure contoso.azurecr.io"),
        ("XDG_STATE_HOME", "status"),
        ("XDG_CONFIG_HOME", "doctor contoso.example"),
        ("XDG_CONFIG_HOME", "status"),
        ("HOME", "doctor contoso.azurecr.io"),
    ] {
        // None of these can be used, and a hint names most of them.
        for file in [
            "config.json",
            ".docker/config.json",
            "docker-credential-acrscoped/configured.json",
            "docker-credential-acrscoped/logins.json",
        ] {
            std::fs::create_dir_all(Path::new(&evil).join(file).parent().expect("a folder"))
                .expect("our folder");
            std::fs::write(Path::new(&evil).join(file), "{,}").expect("our file");
        }
        let mut command = helper(&scene.home, &scene.services);
        command.env(variable, &evil).args(words.split(' '));
        let answer = crate::support::run(command, "", crate::support::LIMIT);
        let text = format!("{}\n{}", answer.stdout, answer.stderr);
        let is_command = |line: &str| line.trim_start().starts_with("touch");
        assert!(
            !text.lines().any(is_command),
            "{variable} {words}: {answer:#?}"
        );
    }
}

/// The record of `configure` says which line `--remove` deletes from the config file, and which helper it restores.
#[test]
fn configure_believes_no_record_of_the_checkout() {
    let scene = Scene::new();
    let file = "home/.config/docker-credential-acrscoped/config.toml";
    let config = scene.home.write(file, "source = \"client-secret\"\n");
    let docker = r#"{"credHelpers":{"contoso.azurecr.io":"acrscoped"}}"#;
    let clients = scene.home.write("home/.docker/config.json", docker);
    let record = |target: &str, previous: &str, path: &Path| {
        let previous = serde_json::json!({ target: previous });
        serde_json::json!({ path.to_str().unwrap(): { "previous": previous } }).to_string()
    };
    let line = "delegate = \"pass\"\n";
    for (folder, record, expected) in [
        (
            "home/kept",
            record("delegate", "source = \"client-secret\"\n", &config),
            "not a valid state file",
        ),
        (
            "home/kept",
            record(REGISTRY, "../../work/evil", &clients),
            "not a valid state file",
        ),
        (
            CHECKOUT,
            record("delegate", line, &config),
            "folder that you work in",
        ),
    ] {
        let state = format!("{folder}/docker-credential-acrscoped/configured.json");
        scene.home.write(&state, record);
        let mut command = helper(&scene.home, &scene.services);
        command
            .current_dir(scene.home.path(CHECKOUT))
            .env_remove("DOCKER_CONFIG")
            .env("XDG_STATE_HOME", scene.home.path(folder))
            .args(["configure", "--remove"]);
        let answer = crate::support::run(command, "", crate::support::LIMIT).fails();
        assert!(answer.text().contains(expected), "{answer:#?}");
        let text = std::fs::read_to_string(&config).expect("the config file");
        assert_eq!(text, "source = \"client-secret\"\n");
        assert_eq!(
            std::fs::read_to_string(&clients).expect("Docker's file"),
            docker
        );
    }
}
