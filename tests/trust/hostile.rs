//! A checkout that brings files along and sets variables, as Docker Compose did for every line of a project's `.env`: no secret reaches
//! a host of the checkout's choice, and no token passes under its certificate authority.

use crate::support::{Answer, Home, REGISTRY, ask, helper};
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
        settings.authorities.push(Authority { host: EVIL.into(), cloud: "AzureCloud".into() });
        let start = |settings: &Settings| Simulator::start(settings.clone()).expect("a simulator");
        let (services, attacker) = (start(&settings), start(&settings));
        // The attacker's services know the same people, so that nothing but trust keeps a token from them.
        let home = Home::new();
        let config = format!("authority = 'https://{EVIL}'\n");
        let certificates = std::fs::read(attacker.ca_file()).expect("a certificate");
        for folder in [CHECKOUT, "home/kept"] {
            home.write(&format!("{folder}/config.toml"), &config);
            home.write(&format!("{folder}/.config/docker-credential-acrscoped/config.toml"), &config);
            home.write(&format!("{folder}/docker-credential-acrscoped/config.toml"), &config);
            home.write(&format!("{folder}/ca.pem"), &certificates);
            home.write(&format!("{folder}/certificates/0a1b2c3d.0"), &certificates);
        }
        std::fs::create_dir(home.path(CHECKOUT).join("app")).expect("our folder");
        symlink(home.path(CHECKOUT), home.path("home/current")).expect("a new link");
        symlink("ca.pem", home.path(CHECKOUT).join("link.pem")).expect("a new link");
        symlink(home.path(CHECKOUT).join("config.toml"), home.path("home/link.toml")).expect("a new link");
        Self { home, services, attacker }
    }

    fn get(&self, one: &Try) -> Answer {
        let mut command = helper(&self.home, &self.services);
        let uses_own_certificates =
            one.variables.iter().any(|(name, _)| name.starts_with("SSL_") || *name == "ACRSCOPED_CA_FILE");
        if uses_own_certificates {
            command.env("HTTPS_PROXY", self.attacker.origin()).env_remove("SSL_CERT_FILE");
        }
        command.current_dir(self.home.path(&one.directory)).envs(one.variables.iter().map(|(name, value)| (name, value)));
        ask(command, "get", REGISTRY)
    }

    /// Whether a secret or a token went where the checkout wanted it.
    fn is_robbed(&self) -> bool {
        let at_evil = self.services.journal().into_iter().any(|entry| entry.host == EVIL);
        at_evil || self.attacker.journal().into_iter().any(|entry| entry.endpoint != Endpoint::Connect)
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
    let mut tries = vec![];
    for (variable, below) in NAMED {
        for (prefix, directory, reads) in [
            (checkout.as_str(), CHECKOUT, "working directory"),
            ("/proc/self/cwd", CHECKOUT, "it leads through /proc"),
            ("/proc/self/cwd/..", &format!("{CHECKOUT}/app"), "it leads through /proc"),
            ("/proc/thread-self/cwd", CHECKOUT, "it leads through /proc"),
            (&scene.path("home/current"), CHECKOUT, "working directory"),
            (&roundabout, CHECKOUT, "working directory"),
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
    let open_link = open.join("link.pem").to_str().expect("UTF-8").to_owned();
    let checkout = scene.path(CHECKOUT);
    let can_write = "users other than you and root can write to";
    vec![
        one("writable", "ACRSCOPED_CONFIG", &config, "work", can_write),
        one("writable", "SSL_CERT_FILE", &ca, "work", can_write),
        one("writable", "ACRSCOPED_CA_FILE", &ca, "work", can_write),
        one("in a writable folder", "ACRSCOPED_CONFIG", &config_below, "work", can_write),
        one("in a writable folder", "SSL_CERT_FILE", &ca_below, "work", can_write),
        one("in a writable folder", "ACRSCOPED_CA_FILE", &ca_below, "work", can_write),
        one("a link in a writable folder", "SSL_CERT_FILE", &open_link, "work", can_write),
        one("a link in a writable folder", "ACRSCOPED_CA_FILE", &open_link, "work", can_write),
        one("a writable folder", "SSL_CERT_DIR", open.to_str().expect("UTF-8"), "work", can_write),
        one("a link into the checkout", "ACRSCOPED_CONFIG", &scene.path("home/link.toml"), CHECKOUT, "working directory"),
        one("a link of the checkout", "SSL_CERT_FILE", &format!("{checkout}/link.pem"), CHECKOUT, "working directory"),
        one("stdin", "ACRSCOPED_CONFIG", "/dev/fd/0", "work", ""),
        one("stdin", "SSL_CERT_FILE", "/dev/stdin", "work", ""),
    ]
}

/// Hosts that would receive the client secret.
fn authorities() -> Vec<Try> {
    let mut tries = vec![];
    for variable in ["AZURE_AUTHORITY_HOST", "ACRSCOPED_AUTHORITY"] {
        for value in [EVIL, "https://login.evil.example", "https://login.evil.example/", "https://LOGIN.evil.example:443"] {
            tries.push(one(value, variable, value, "work", "which is not a known Microsoft Entra authority"));
        }
    }
    tries
}

#[test]
fn a_checkout_chooses_neither_who_receives_secrets_nor_who_is_believed() {
    let scene = Scene::new();
    let tries = [files_of_the_checkout(&scene), files_of_others(&scene), authorities()].concat();
    assert!(tries.len() >= 40, "{}", tries.len());
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
            problems.push(format!("{}: expected {:?} in {answer:#?}", one.name, one.reads));
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
        scene.get(&one("kept", variable, &format!("{kept}{below}"), "work", ""));
        assert!(scene.is_robbed(), "{variable} has no effect");
    }
}

#[test]
fn an_authority_is_trusted_once_the_config_file_names_it() {
    let scene = Scene::new();
    let refused = scene.get(&one("", "AZURE_AUTHORITY_HOST", EVIL, "work", ""));
    let line = refused.stderr.split('`').find(|part| part.starts_with("authority = ")).expect("the line to write").to_owned();
    let file = "home/.config/docker-credential-acrscoped/config.toml";
    assert!(refused.stderr.contains(&scene.path(file)), "{refused:#?}");
    scene.home.write(file, line);
    scene.get(&one("", "AZURE_AUTHORITY_HOST", EVIL, "work", "")).succeeds();
    assert!(scene.is_robbed());
}

#[test]
fn a_warning_says_why_certificates_are_ignored_and_an_error_of_tls_names_them() {
    let scene = Scene::new();
    let answer = scene.get(&one("", "SSL_CERT_FILE", "/proc/self/cwd/ca.pem", CHECKOUT, "")).fails();
    let sentence = "`SSL_CERT_FILE` is ignored, because /proc/self/cwd/ca.pem is not trusted: it leads through /proc";
    let lines: Vec<&str> = answer.stderr.lines().filter(|line| line.contains(sentence)).collect();
    assert!(lines.len() == 2 && lines[0].ends_with("; the certificates of the system are used"), "{answer:#?}");
}

#[test]
fn a_certificate_file_of_the_config_file_must_be_protected_too() {
    let scene = Scene::new();
    let file = scene.home.write("home/ca.pem", std::fs::read(scene.attacker.ca_file()).expect("a certificate"));
    let config = format!("ca_file = '{}'\n", file.display());
    scene.home.write("home/.config/docker-credential-acrscoped/config.toml", config);
    for (mode, is_trusted) in [(0o644, true), (0o646, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("our file");
        scene.attacker.clear_journal();
        let mut command = helper(&scene.home, &scene.services);
        command.env("HTTPS_PROXY", scene.attacker.origin()).env_remove("SSL_CERT_FILE");
        let answer = ask(command, "get", REGISTRY);
        assert_eq!(scene.is_robbed(), is_trusted, "{answer:#?}");
        assert_eq!(answer.stderr.contains(&format!("chmod go-w {}", Path::new(&file).display())), !is_trusted, "{answer:#?}");
    }
}

#[test]
fn the_azure_cli_believes_no_certificates_of_the_checkout() {
    let scene = Scene::new();
    scene.home.script("bin/az", "env >\"$HOME/environment\"; exit 1");
    scene.home.write("home/.azure/azureProfile.json", "{\"subscriptions\":[{\"isDefault\":true}]}");
    let (kept, checkout) = (scene.path("home/kept/ca.pem"), scene.path(&format!("{CHECKOUT}/ca.pem")));
    let named = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];
    for (file, is_passed_on) in [(kept.as_str(), true), (&checkout, false), ("/proc/self/cwd/ca.pem", false), ("ca.pem", false)] {
        let mut command = helper(&scene.home, &scene.services);
        command.current_dir(scene.home.path(CHECKOUT)).env("ACRSCOPED_SOURCE", "azure-cli").envs(named.map(|name| (name, file)));
        command.env("AZURE_CLI_DISABLE_CONNECTION_VERIFICATION", "1").env("AZURE_EXTENSION_DEV_SOURCES", scene.path(CHECKOUT));
        ask(command, "get", REGISTRY).fails();
        let environment = std::fs::read_to_string(scene.home.path("home/environment")).expect("az was run");
        for name in named {
            assert_eq!(environment.contains(&format!("{name}={file}\n")), is_passed_on, "{environment}");
        }
        assert!(!environment.contains("AZURE_CLI_DISABLE") && !environment.contains("AZURE_EXTENSION"), "{environment}");
    }
}
