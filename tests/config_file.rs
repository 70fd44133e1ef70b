//! The config file through the shipped binary: where it is found, when it is refused, and what its profiles do.
#![cfg(unix)]

mod support;

use simulator::{
    App, CLIENT, Endpoint, Entry, Fault, FaultAt, FaultKind, Simulator, TENANT, Tenant,
};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use support::{Answer, Home, LIMIT, NOT_OURS, REGISTRY, ask, binary, connect, helper, run, world};

const FILE: &str = "home/.config/docker-credential-acrscoped/config.toml";
const OTHER_TENANT: &str = "11111111-aaaa-bbbb-cccc-222222222222";

fn configured(text: &str) -> (Home, Simulator) {
    let (home, simulator) = world();
    home.write(FILE, text);
    (home, simulator)
}

fn requests(simulator: &Simulator, endpoint: Endpoint) -> Vec<Entry> {
    simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.endpoint == endpoint)
        .collect()
}

/// The helper with nobody to sign in.
fn nobody(home: &Home, simulator: &Simulator) -> Command {
    let mut command = home.command(binary());
    connect(&mut command, simulator)
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
        .env("ACRSCOPED_CACHE", "none");
    command
}

#[test]
fn the_file_is_found_in_the_users_folder_or_where_a_variable_says() {
    let (home, simulator) = configured("username = 'token'\n");
    assert_eq!(
        ask(helper(&home, &simulator), "get", REGISTRY).json()["Username"],
        "<token>"
    );
    let elsewhere = home.write("elsewhere.toml", "username = 'guid'\n");
    let mut command = helper(&home, &simulator);
    command.env("ACRSCOPED_CONFIG", &elsewhere);
    assert_eq!(
        ask(command, "get", REGISTRY).json()["Username"],
        support::ZERO_GUID
    );
    let mut command = helper(&home, &simulator);
    command.env("ACRSCOPED_CONFIG", home.path("missing.toml"));
    let answer = ask(command, "get", REGISTRY).fails();
    assert!(
        answer
            .stdout
            .contains("missing.toml` cannot be used: No such file or directory"),
        "{answer:#?}"
    );
    let mut command = helper(&home, &simulator);
    command.env("ACRSCOPED_CONFIG", "elsewhere.toml");
    let answer = ask(command, "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout,
        "`ACRSCOPED_CONFIG` is \"elsewhere.toml\", expected an absolute path\n"
    );
    let mut command = helper(&home, &simulator);
    command.env("XDG_CONFIG_HOME", home.path("home/.xdg"));
    assert_eq!(
        ask(command, "get", REGISTRY).json()["Username"],
        support::ZERO_GUID
    );
}

#[test]
fn a_file_that_is_wrong_is_told_with_line_and_column_and_nothing_is_asked() {
    let (home, simulator) = configured("# mine\n[registry.\"*.azurecr.io\"]\n  tenent = 'x'\n");
    for host in [REGISTRY, "docker.io"] {
        let answer = ask(helper(&home, &simulator), "get", host).fails();
        assert!(
            answer.stdout.ends_with(
                "config.toml:3:3: `tenent` is not a setting here; did you mean `tenant`?\n"
            ),
            "{answer:#?}"
        );
    }
    assert!(simulator.journal().is_empty());
}

#[test]
fn a_file_that_others_can_change_is_not_used() {
    let (home, simulator) = configured("username = 'token'\n");
    // A group of the user's own is the user: `umask 002` is the default where each user has one.
    for (mode, is_used) in [
        (0o644, true),
        (0o600, true),
        (0o664, true),
        (0o646, false),
        (0o666, false),
    ] {
        std::fs::set_permissions(home.path(FILE), std::fs::Permissions::from_mode(mode)).unwrap();
        let answer = ask(helper(&home, &simulator), "get", REGISTRY);
        if is_used {
            answer.secret();
        } else {
            let answer = answer.fails();
            let path = home.path(FILE);
            let problem = format!(
                "cannot be used: users other than you and root can write to {}\n",
                path.display()
            );
            assert!(answer.stdout.ends_with(&problem), "{answer:#?}");
            assert!(
                answer
                    .stderr
                    .contains(&format!("chmod go-w {}", path.display())),
                "{answer:#?}"
            );
        }
    }
}

#[test]
fn each_registry_gets_the_identity_of_its_profile() {
    let (home, simulator) = configured(&format!(
        "[registry.\"*.azurecr.io\"]\ntenant = '{OTHER_TENANT}'\nclient_id = 'app-of-others'\n\n\
         [registry.\"contoso.azurecr.io\"]\ntenant = '{TENANT}'\nclient_id = '{CLIENT}'\n"
    ));
    simulator.change(|settings| {
        let own = settings.apps[0].clone();
        settings.tenants.push(Tenant {
            id: OTHER_TENANT.into(),
            domain: "others.example".into(),
            ..Tenant::default()
        });
        settings.apps.push(App {
            client_id: "app-of-others".into(),
            tenant: OTHER_TENANT.into(),
            ..own
        });
        settings.registry_mut("fabrikam.azurecr.io").tenant = OTHER_TENANT.into();
    });
    for (host, tenant, client) in [
        ("contoso.azurecr.io", TENANT, CLIENT),
        ("fabrikam.azurecr.io", OTHER_TENANT, "app-of-others"),
        ("contoso.azurecr.us", TENANT, CLIENT),
    ] {
        simulator.clear_journal();
        ask(helper(&home, &simulator), "get", host).secret();
        let sign_in = requests(&simulator, Endpoint::EntraToken).pop().unwrap();
        assert_eq!(
            (sign_in.tenant.as_deref(), sign_in.client_id.as_deref()),
            (Some(tenant), Some(client)),
            "{host}"
        );
    }
    let mut command = helper(&home, &simulator);
    command.env("ACRSCOPED_LOG", "debug");
    let answer = ask(command, "get", "fabrikam.azurecr.io").succeeds();
    let line = format!(
        "`tenant` is {OTHER_TENANT} by `[registry.\"*.azurecr.io\"]` in {}:2\n",
        home.path(FILE).display()
    );
    assert!(answer.stderr.contains(&line), "{answer:#?}");
}

#[test]
fn a_private_cloud_has_an_authority_and_an_audience_of_its_own() {
    let (home, simulator) = configured(
        "[cloud.Fabrikam]\nsuffix = 'azurecr.fabrikam.example'\nauthority = 'https://login.fabrikam.example'\n\
         audience = 'https://containerregistry.fabrikam.example'\n",
    );
    let host = "contoso.azurecr.fabrikam.example";
    let mut told = helper(&home, &simulator);
    told.env("ACRSCOPED_LOG", "info");
    let answer = ask(told, "get", host);
    assert!(
        answer.stderr.contains(&format!(
            "{host} is trusted as a registry of `[cloud.Fabrikam]` in "
        )),
        "{answer:#?}"
    );
    simulator.change(|settings| {
        settings.authorities.push(simulator::Authority {
            host: "login.fabrikam.example".into(),
            cloud: "Fabrikam".into(),
        });
        let registry = settings.registry_mut(host);
        registry.cloud = "Fabrikam".into();
        registry.audiences = vec!["https://containerregistry.fabrikam.example".into()];
    });
    ask(helper(&home, &simulator), "get", host).secret();
    let sign_in = requests(&simulator, Endpoint::EntraToken).pop().unwrap();
    assert_eq!(sign_in.host, "login.fabrikam.example");
    assert_eq!(
        sign_in.audience_requested.as_deref(),
        Some("https://containerregistry.fabrikam.example/.default")
    );
    std::fs::remove_file(home.path(FILE)).unwrap();
    let answer = ask(helper(&home, &simulator), "get", host).fails();
    assert_eq!(
        answer.stdout,
        format!("{NOT_OURS}\n"),
        "without the file it is nobody's"
    );
}

#[test]
fn azure_resource_manager_cannot_be_made_an_audience() {
    for audience in [
        "https://management.azure.com",
        "https://management.core.windows.net//",
        "https://MANAGEMENT.usgovcloudapi.net/.default",
    ] {
        let (home, simulator) = configured(&format!("audience = '{audience}'\n"));
        let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
        assert!(
            answer
                .stdout
                .contains("a service of Microsoft other than Azure Container Registry"),
            "{answer:#?}"
        );
        let (home, simulator) = world();
        let mut command = helper(&home, &simulator);
        command.env("ACRSCOPED_AUDIENCE", audience);
        let answer = ask(command, "get", REGISTRY).fails();
        assert!(
            answer.stdout.starts_with("`ACRSCOPED_AUDIENCE` is "),
            "{answer:#?}"
        );
        assert!(simulator.journal().is_empty());
    }
}

/// What a checkout may bring along: an account of the Azure CLI would be asked for a token of Microsoft Graph.
#[test]
fn a_cloud_of_azure_cannot_be_declared_anew() {
    let cloud = "suffix = 'azurecr.evil.example'\nauthority = 'login.evil.example'\n";
    for (text, place, problem) in [
        (
            format!("[cloud.AzureCloud]\n{cloud}"),
            "1:8",
            "`AzureCloud` is an Azure cloud: choose another name for your private cloud",
        ),
        (
            format!("[cloud.evil]\n{cloud}audience = 'https://graph.microsoft.com'\n"),
            "4:12",
            "`audience` is \"https://graph.microsoft.com\", a service of Microsoft other than Azure Container Registry: the \
             helper never requests or sends its tokens",
        ),
    ] {
        let (home, simulator) = configured(&text);
        home.script("bin/az", r#"touch "$HOME/called"; exit 1"#);
        home.write(
            "home/.azure/azureProfile.json",
            "{\"subscriptions\":[{\"isDefault\":true,\"environmentName\":\"AzureCloud\"}]}",
        );
        for host in ["contoso.azurecr.evil.example", REGISTRY] {
            let mut command = nobody(&home, &simulator);
            command.env("ACRSCOPED_SOURCE", "azure-cli");
            let answer = ask(command, "get", host).fails();
            assert_eq!(
                answer.stdout,
                format!("{}:{place}: {problem}\n", home.path(FILE).display())
            );
        }
        assert!(simulator.journal().is_empty() && !home.path("home/called").exists());
    }
}

fn goes_on_anonymously(answer: Answer, reason: &str) {
    let answer = answer.fails();
    assert_eq!(answer.stdout, format!("{NOT_OURS}\n"), "{answer:#?}");
    let warning = "; the client goes on without a credential, as `on_error` says\n";
    assert!(
        answer.stderr.contains(reason) && answer.stderr.ends_with(warning),
        "{answer:#?}"
    );
    assert_eq!(answer.stderr.lines().count(), 1, "{answer:#?}");
}

#[test]
fn a_failed_sign_in_can_mean_to_go_on_anonymously() {
    let (home, simulator) =
        configured("[registry.\"contoso.azurecr.io\"]\non_error = 'anonymous'\n");
    goes_on_anonymously(
        ask(nobody(&home, &simulator), "get", REGISTRY),
        "no Azure identity to sign in with",
    );
    let mut wrong = helper(&home, &simulator);
    wrong.env("AZURE_CLIENT_SECRET", "wrong");
    goes_on_anonymously(ask(wrong, "get", REGISTRY), "AADSTS7000215");
    simulator.change(|settings| {
        settings.faults = vec![Fault::always(
            FaultAt::Connect("login.microsoftonline.com".into()),
            FaultKind::Reset,
        )];
    });
    goes_on_anonymously(
        ask(helper(&home, &simulator), "get", REGISTRY),
        "login.microsoftonline.com",
    );
    let other = ask(nobody(&home, &simulator), "get", "contoso.azurecr.us").fails();
    assert_eq!(
        other.stdout, "no Azure identity to sign in with\n",
        "the profile is for one registry"
    );
}

#[test]
fn who_is_signed_in_and_refused_never_goes_on_anonymously() {
    let (home, simulator) = configured("on_error = 'anonymous'\n");
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
    assert!(
        answer
            .stdout
            .starts_with("contoso.azurecr.io refused the access token: 401"),
        "{answer:#?}"
    );
    let mut half = helper(&home, &simulator);
    half.env_remove("AZURE_TENANT_ID");
    let answer = ask(half, "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout, "`AZURE_CLIENT_SECRET` is set, but `AZURE_TENANT_ID` is not\n",
        "a mistake in settings is no failed sign-in"
    );
    let mut damaged = helper(&home, &simulator);
    damaged.env_remove("AZURE_CLIENT_SECRET").env(
        "AZURE_CLIENT_CERTIFICATE_PATH",
        home.write("damaged.pem", "damaged"),
    );
    let answer = ask(damaged, "get", REGISTRY).fails();
    assert!(
        answer
            .stdout
            .contains("damaged.pem: it is neither PEM nor PKCS#12"),
        "{answer:#?}"
    );
    simulator.change(|settings| {
        settings.faults = vec![Fault::always(FaultAt::Exchange, FaultKind::status(500))];
    });
    let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
    assert!(
        answer.stdout.contains("answered the exchange with 500"),
        "{answer:#?}"
    );
}

/// Runs `config` with these words.
fn config(home: &Home, words: &[&str]) -> Answer {
    let mut command = home.command(binary());
    command.arg("config").args(words);
    run(command, "", LIMIT)
}

#[test]
fn a_setting_that_is_set_takes_effect_and_the_rest_of_the_file_stays() {
    let text =
        "# ours\ncache = 'none' # no keyring here\n\n[registry.\"*.azurecr.us\"]\n# theirs\n";
    let (home, simulator) = configured(text);
    let path = home.path(FILE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let set = ["set", "username", "token", "--registry", REGISTRY];
    let answer = config(&home, &set).succeeds();
    assert_eq!(
        answer.stdout,
        format!("username = token in {}:8\n", path.display())
    );
    let after = std::fs::read_to_string(&path).unwrap();
    let added = "\n[registry.\"contoso.azurecr.io\"]\nusername = \"token\"\n";
    assert_eq!(after, format!("{text}{added}"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    for (host, username) in [
        (REGISTRY, "<token>"),
        ("contoso.azurecr.us", support::ZERO_GUID),
    ] {
        let answer = ask(helper(&home, &simulator), "get", host);
        assert_eq!(answer.json()["Username"], username, "{host}");
    }
    config(&home, &["unset", "username", "--registry", REGISTRY]).succeeds();
    let answer = ask(helper(&home, &simulator), "get", REGISTRY);
    assert_eq!(answer.json()["Username"], support::ZERO_GUID);
}

#[test]
fn a_link_to_the_file_stays_when_a_setting_is_set() {
    let (home, _simulator) = world();
    let elsewhere = home.write("home/dotfiles/acrscoped.toml", "timeout = 9\n");
    let link = home.path(FILE);
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    config(&home, &["set", "timeout", "60"]).succeeds();
    assert!(link.is_symlink());
    assert_eq!(
        std::fs::read_to_string(elsewhere).unwrap(),
        "timeout = 60\n"
    );
}

#[test]
fn nothing_is_written_that_would_be_wrong_or_that_others_can_change() {
    let text = "timeout = 9\n";
    let (home, _simulator) = configured(text);
    for words in [
        &["set", "identity_cloud", "Fabrikam"][..],
        &["set", "timeout", "0"],
        &["set", "timeout", "1\ncache = 'none'"],
        &["set", "tenent", "contoso"],
        &["set", "delegate", "pass", "--registry", REGISTRY],
        &["set", "audience", "https://graph.microsoft.com"],
        &["set", "tenant", "contoso", "--registry", "docker.io"],
        &["unset", "cache"],
    ] {
        config(&home, words).fails();
        assert_eq!(std::fs::read_to_string(home.path(FILE)).unwrap(), text);
    }
    std::fs::set_permissions(home.path(FILE), std::fs::Permissions::from_mode(0o666)).unwrap();
    let answer = config(&home, &["set", "timeout", "60"]).fails();
    assert!(answer.stderr.contains("chmod go-w"), "{answer:#?}");
    assert_eq!(std::fs::read_to_string(home.path(FILE)).unwrap(), text);
}

#[test]
fn a_broken_file_can_be_found_and_fixed() {
    let (home, simulator) = configured("# mine\ntimeout = 0\n");
    let path = home.path(FILE);
    let answer = config(&home, &["path"]).succeeds();
    assert_eq!(answer.stdout, format!("{}\n", path.display()));
    let answer = config(&home, &["list"]).fails();
    assert!(
        answer.stderr.contains("config.toml:2:11: `timeout` is"),
        "{answer:#?}"
    );
    config(&home, &["set", "timeout", "20"]).succeeds();
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "# mine\ntimeout = 20\n"
    );
    assert_eq!(config(&home, &["get", "timeout"]).succeeds().stdout, "20\n");
    ask(helper(&home, &simulator), "get", REGISTRY).secret();
}

#[test]
fn settings_that_are_set_at_once_are_all_set() {
    let (home, _simulator) = configured("# ours\n");
    let names = ["timeout", "username", "on_error", "cache", "log", "tenant"];
    let values = ["60", "token", "fail", "none", "info", "contoso.example"];
    std::thread::scope(|scope| {
        for (name, value) in names.into_iter().zip(values) {
            let home = &home;
            scope.spawn(move || config(home, &["set", name, value]).succeeds());
        }
    });
    let text = std::fs::read_to_string(home.path(FILE)).unwrap();
    for name in names {
        assert!(text.contains(&format!("{name} = ")), "{name}: {text}");
    }
    assert!(text.starts_with("# ours\n") || text.ends_with("# ours\n"));
}

#[test]
fn a_file_is_created_only_where_it_is_read() {
    let (home, _simulator) = world();
    let checkout = home.path("checkout");
    std::fs::create_dir_all(checkout.join(".git")).unwrap();
    let set = |file: &std::path::Path| {
        let mut command = home.command(binary());
        command
            .args(["config", "set", "timeout", "60"])
            .env("ACRSCOPED_CONFIG", file)
            .current_dir(&checkout);
        run(command, "", LIMIT)
    };
    for (file, problem) in [
        (
            checkout.join("config.toml"),
            "it is in the folder that you work in",
        ),
        (checkout.join("new/config.toml"), "it is in the folder"),
        (home.path("home/.bash_profile"), "must end in `.toml`"),
    ] {
        let answer = set(&file).fails();
        assert!(answer.stderr.contains(problem), "{answer:#?}");
        assert!(!file.exists());
    }
    assert_eq!(std::fs::read_dir(&checkout).unwrap().count(), 1);
    let link = home.path("home/link.toml");
    std::os::unix::fs::symlink(home.path("home/dotfiles.toml"), &link).unwrap();
    let answer = set(&link).fails();
    assert!(
        answer.stderr.contains("is a link to a missing file"),
        "{answer:#?}"
    );
    assert!(link.is_symlink() && !home.path("home/dotfiles.toml").exists());
    set(&home.path("home/new/mine.toml")).succeeds();
}

#[test]
fn the_hint_about_a_broken_file_fixes_it() {
    let broken = "timeuot = 5\n[registry.\"contoso.azurecr.io\"]\ntimeout = 0\n";
    let (home, simulator) = configured(broken);
    for _ in 0..2 {
        let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
        let (_, hint) = answer
            .stderr
            .split_once("hint: correct line ")
            .expect("a hint");
        let command = hint.lines().nth(1).expect("a command");
        let words = command
            .strip_prefix("  docker-credential-acrscoped config ")
            .expect("a command of ours");
        config(&home, &words.split(' ').collect::<Vec<_>>()).succeeds();
    }
    ask(helper(&home, &simulator), "get", REGISTRY).secret();
    home.write(FILE, "timeout = 9\nusername = token\n");
    let answer = config(&home, &["set", "timeout", "60"]).fails();
    let path = home.path(FILE);
    let path = path.display();
    assert!(answer.stderr.contains(&format!(
        "{path}:2:12: `username` must be a text in quotes, a whole number, true or false\nhint: correct line 2 of {path}\n"
    )), "{answer:#?}");
}

#[test]
fn a_file_that_a_setting_names_must_be_one_that_get_takes() {
    let (home, simulator) = configured("timeout = 9\n");
    let empty = home.write("home/empty.pem", "nothing\n");
    let log = home.path("home/acr.log");
    let ca_file = simulator.ca_file();
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    for (name, file, problem) in [
        ("ca_file", "/nowhere/ca.pem".to_owned(), "No such file"),
        ("ca_file", text(&empty), "which holds no PEM certificate"),
        (
            "log_file",
            "/nowhere/acr.log".to_owned(),
            "whose folder does not exist",
        ),
    ] {
        let answer = config(&home, &["set", name, &file]).fails();
        assert!(answer.stderr.contains(problem), "{answer:#?}");
        let after = std::fs::read_to_string(home.path(FILE)).unwrap();
        assert_eq!(after, "timeout = 9\n");
    }
    let ca_file = home.write("home/ca.pem", std::fs::read_to_string(ca_file).unwrap());
    config(&home, &["set", "ca_file", &text(&ca_file)]).succeeds();
    config(&home, &["set", "log_file", &text(&log)]).succeeds();
}
