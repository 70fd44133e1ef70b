//! The Azure CLI: as the helper's source of an identity, and as a client (`az acr login`).

use crate::docker::Docker;
use crate::support::namespace::Namespace;
use crate::support::{
    Answer, Home, LIMIT, REGISTRY, ZERO_GUID, ask, azure_cli, binary, connect, run,
};
use crate::world::{assert_only_registry_token, azure_cli_settings};
use simulator::{
    ACR_AUDIENCE, CLIENT, Endpoint, Registry, SUBSCRIPTION, Settings, Simulator, Subscription,
    TENANT, Tenant, USER_OBJECT,
};
use std::collections::HashSet;
use std::process::Command;

/// The tenant that invited the user of [`Person::invite`], and its subscription.
const FABRIKAM: &str = "2d6f1b04-93ce-4a78-8e15-60b7d9c3f2a1";
const FABRIKAM_SUBSCRIPTION: &str = "b15c83f7-4e60-4d92-a7b8-0d9e62f41c35";

/// That tenant's registry.
const FABRIKAM_REGISTRY: &str = "fabrikam.azurecr.io";

/// A tenant that has not invited the user.
const NORTHWIND: &str = "73c1e5a8-0d4b-4f92-b6e7-18f2a90d5c34";

/// Somebody who has the Azure CLI on the path, and nothing about an identity in the environment.
struct Person {
    home: Home,
    simulator: Simulator,
}

impl Person {
    fn new() -> Self {
        let home = Home::new();
        offer_azure_cli(&home);
        Self {
            home,
            simulator: Simulator::start(Settings::default()).expect("a simulator"),
        }
    }

    /// Runs `az` with these words.
    fn az(&self, words: &[&str]) -> Answer {
        let mut command = self.command("az");
        command.args(words);
        run(command, "", LIMIT)
    }

    /// Signs in as the service principal.
    fn sign_in(&self) {
        let secret = &self.simulator.settings().apps[0].secret;
        self.az(&[
            "login",
            "--service-principal",
            "-u",
            CLIENT,
            "-p",
            secret,
            "--tenant",
            TENANT,
        ])
        .succeeds();
    }

    /// Has a second tenant, with a subscription, invite the user.
    fn invite(&self) {
        self.simulator.change(|settings| {
            let (domain, name) = ("fabrikam.example".into(), "Fabrikam".into());
            settings.tenants.push(Tenant {
                id: FABRIKAM.into(),
                domain,
                name,
                ..Tenant::default()
            });
            settings.users[0].guest_of.push(FABRIKAM.into());
            let (id, name) = (FABRIKAM_SUBSCRIPTION.into(), "Fabrikam".into());
            settings.subscriptions.push(Subscription {
                id,
                name,
                tenant: FABRIKAM.into(),
            });
        });
    }

    /// Has the second tenant have a registry.
    fn open_second_registry(&self) {
        self.simulator
            .change(|settings| settings.registry_mut(FABRIKAM_REGISTRY).tenant = FABRIKAM.into());
    }

    /// Asks the helper for the registry's credential.
    fn get(&self) -> Answer {
        self.get_for(REGISTRY)
    }

    /// Asks the helper for a registry's credential.
    fn get_for(&self, host: &str) -> Answer {
        let mut command = self.command(binary());
        command.env("ACRSCOPED_CACHE", "none");
        ask(command, "get", host)
    }

    /// Writes the helper's config file, and says where it is.
    fn configure(&self, toml: &str) -> String {
        self.home
            .write("home/.config/docker-credential-acrscoped/config.toml", toml)
            .display()
            .to_string()
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.home.command(program);
        configure_azure_cli(
            connect(&mut command, &self.simulator),
            &self.home,
            &self.simulator,
        );
        // Not a virtual machine of Azure: nobody listens there.
        command.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
        command
    }

    /// Proves that what was asked since the journal was cleared was one token for registries, and its exchange.
    #[track_caller]
    fn assert_one_exchange_of_a_registry_token(&self) {
        let journal = self.simulator.journal();
        journal.iter().for_each(assert_only_registry_token);
        let exchanges = journal
            .iter()
            .filter(|entry| entry.endpoint == Endpoint::Exchange)
            .count();
        assert_eq!(exchanges, 1, "{journal:#?}");
    }

    /// Proves that no registry was sent a token.
    #[track_caller]
    fn assert_nothing_was_exchanged(&self) {
        let journal = self.simulator.journal();
        assert!(
            journal
                .iter()
                .all(|entry| entry.endpoint != Endpoint::Exchange),
            "{journal:#?}"
        );
    }
}

/// Puts the `az` that `tests/setup` installed on the home's path.
fn offer_azure_cli(home: &Home) {
    std::os::unix::fs::symlink(azure_cli(), home.path("bin/az")).expect("a new link");
}

/// Gives `az` a private folder and the simulator's certificates.
fn configure_azure_cli(command: &mut Command, home: &Home, simulator: &Simulator) {
    let ca_file = simulator.ca_file().display().to_string();
    command.envs(azure_cli_settings(
        home.path("home/azure").display().to_string(),
        ca_file,
    ));
}

#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn a_service_principal_of_the_azure_cli_is_used_for_the_registry_only() {
    let person = Person::new();
    person.sign_in();
    person.simulator.clear_journal();
    assert_eq!(person.get().succeeds().json()["Username"], ZERO_GUID);
    person.assert_one_exchange_of_a_registry_token();
}

#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn a_user_of_the_azure_cli_is_used_for_the_registry_only() {
    let person = Person::new();
    person.az(&["login", "--use-device-code"]).succeeds();
    person.simulator.clear_journal();
    person.get().secret();
    person.assert_one_exchange_of_a_registry_token();
    let journal = person.simulator.journal();
    let refreshed = journal
        .iter()
        .any(|entry| entry.grant.as_deref() == Some("refresh_token"));
    assert!(
        refreshed,
        "the user's sign-in for Azure Resource Manager is turned into one for registries: {journal:#?}"
    );
}

#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn a_user_of_two_tenants_has_a_subscription_and_tokens_of_each() {
    let person = Person::new();
    person.invite();
    person.az(&["login", "--use-device-code"]).succeeds();
    let listed = person
        .az(&["account", "list", "-o", "json"])
        .succeeds()
        .json();
    let listed: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| (&entry["id"], &entry["tenantId"]))
        .collect();
    assert_eq!(
        listed,
        [
            (&SUBSCRIPTION.into(), &TENANT.into()),
            (&FABRIKAM_SUBSCRIPTION.into(), &FABRIKAM.into())
        ]
    );

    // The domain name has the CLI ask again, which remembers tokens by the tenant as it was written.
    for (option, value) in [
        ("--subscription", FABRIKAM_SUBSCRIPTION),
        ("--tenant", "fabrikam.example"),
    ] {
        person.simulator.clear_journal();
        let scope = format!("{ACR_AUDIENCE}/.default");
        person
            .az(&[
                "account",
                "get-access-token",
                "--scope",
                &scope,
                option,
                value,
            ])
            .succeeds();
        let journal = person.simulator.journal();
        journal.iter().for_each(assert_only_registry_token);
        let tenants: Vec<_> = journal
            .iter()
            .filter_map(|entry| entry.issued.as_ref()?.tenant.as_deref())
            .collect();
        assert_eq!(tenants, [FABRIKAM], "{option}: {journal:#?}");
    }
}

#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn a_profile_says_by_tenant_or_subscription_who_signs_in_to_its_registries() {
    let person = Person::new();
    person.invite();
    person.open_second_registry();
    person.az(&["login", "--use-device-code"]).succeeds();
    for profile in [
        format!("tenant = \"{FABRIKAM}\""),
        "tenant = \"fabrikam.example\"".into(),
        format!("subscription = \"{FABRIKAM_SUBSCRIPTION}\""),
        "subscription = \"Fabrikam\"".into(),
    ] {
        person.configure(&format!("[registry.\"{FABRIKAM_REGISTRY}\"]\n{profile}\n"));
        for (host, tenant) in [(FABRIKAM_REGISTRY, FABRIKAM), (REGISTRY, TENANT)] {
            person.simulator.clear_journal();
            person.get_for(host).secret();
            person.assert_one_exchange_of_a_registry_token();
            let journal = person.simulator.journal();
            let exchange = journal
                .iter()
                .find(|entry| entry.endpoint == Endpoint::Exchange)
                .expect("counted before");
            let token = exchange.token.as_ref().expect("a token");
            assert_eq!(
                (&*exchange.host, token.tenant.as_deref()),
                (host, Some(tenant)),
                "{profile}: {journal:#?}"
            );
            assert_eq!(token.subject, USER_OBJECT, "{profile}");
        }
    }
}

/// Azure gives subscriptions of the same offer the same name, in each tenant.
#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn a_name_that_two_subscriptions_have_means_the_one_in_the_tenant_and_none_without_a_tenant() {
    let person = Person::new();
    person.invite();
    person.open_second_registry();
    person.simulator.change(|settings| {
        settings
            .subscriptions
            .iter_mut()
            .for_each(|subscription| subscription.name = "Pay-As-You-Go".into());
    });
    person.az(&["login", "--use-device-code"]).succeeds();
    let profile = format!("[registry.\"{FABRIKAM_REGISTRY}\"]\nsubscription = \"Pay-As-You-Go\"\n");
    let file = person.configure(&profile);
    let asked = person.get_for(FABRIKAM_REGISTRY).fails();
    let sentence = "could not get an access token from the Azure CLI: Multiple subscriptions with the name 'Pay-As-You-Go' found\n";
    assert!(asked.stdout == sentence, "{asked:#?}");
    let hint = format!(
        "hint: set subscription in {file}:2 to an ID of this list\n  az account list --all --output table"
    );
    assert!(asked.stderr.contains(&hint), "{asked:#?}");
    person.configure(&format!("{profile}tenant = \"{FABRIKAM}\"\n"));
    person.get_for(FABRIKAM_REGISTRY).secret();
}

#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn a_wrong_tenant_is_told_with_the_setting_and_the_other_subscription() {
    let person = Person::new();
    person.invite();
    person.open_second_registry();
    person.az(&["login", "--use-device-code"]).succeeds();

    // The registry refuses the token of the default account's tenant.
    let file = person.configure("");
    let refused = person.get_for(FABRIKAM_REGISTRY).fails();
    assert!(
        refused
            .stdout
            .starts_with("fabrikam.azurecr.io refused the access token: 401"),
        "{refused:#?}"
    );
    for line in [
        format!("signed in: the Azure CLI, in tenant {TENANT}"),
        format!("the Azure CLI also knows the subscription `Fabrikam` in tenant {FABRIKAM}"),
        format!(
            "to sign in to another tenant, set `tenant` under `[registry.\"{FABRIKAM_REGISTRY}\"]` in {file}"
        ),
    ] {
        assert!(refused.stderr.contains(&line), "{line}: {refused:#?}");
    }

    // Entra refuses an account that the tenant does not know.
    person.simulator.change(|settings| {
        let (domain, name) = ("northwind.example".into(), "Northwind".into());
        settings.tenants.push(Tenant {
            id: NORTHWIND.into(),
            domain,
            name,
            ..Tenant::default()
        });
    });
    person.simulator.clear_journal();
    person.configure(&format!(
        "[registry.\"{FABRIKAM_REGISTRY}\"]\ntenant = \"{NORTHWIND}\"\n"
    ));
    let stranger = person.get_for(FABRIKAM_REGISTRY).fails();
    assert!(
        stranger
            .stdout
            .starts_with("could not get an access token from the Azure CLI: AADSTS50020"),
        "{stranger:#?}"
    );
    for line in [
        format!(
            "the tenant {NORTHWIND} was set by `[registry.\"{FABRIKAM_REGISTRY}\"]` in {file}:2"
        ),
        format!("the Azure CLI also knows the subscription `Fabrikam` in tenant {FABRIKAM}"),
        format!("hint: set the right `tenant in {file}:2`"),
    ] {
        assert!(stranger.stderr.contains(&line), "{line}: {stranger:#?}");
    }
    person.assert_nothing_was_exchanged();
}

#[test]
#[ignore = "needs the Azure CLI and user namespaces: run tests/run"]
fn twenty_registries_of_one_account_cost_one_question_to_the_azure_cli() {
    let hosts: Vec<String> = (0..20).map(|n| format!("r{n:05}.azurecr.io")).collect();
    for at_once in [false, true] {
        let person = Person::new();
        person.simulator.change(|settings| {
            settings.registries = hosts.iter().map(|host| Registry::new(host)).collect();
        });
        person.az(&["login", "--use-device-code"]).succeeds();
        person.simulator.clear_journal();
        // The Azure CLI remembers tokens itself, so that Entra does not see how often it is asked.
        let questions = person.home.path("questions");
        std::fs::remove_file(person.home.path("bin/az")).expect("a link of ours");
        let line = format!(
            "echo \"$@\" >>{}; exec {} \"$@\"",
            questions.display(),
            azure_cli().display()
        );
        person.home.script("bin/az", &line);

        let namespace = Namespace::new();
        let get =
            &|host: &String| ask(namespace.enter(&person.command(binary())), "get", host).secret();
        let secrets: HashSet<String> = if at_once {
            std::thread::scope(|scope| {
                let asked: Vec<_> = hosts
                    .iter()
                    .map(|host| scope.spawn(move || get(host)))
                    .collect();
                asked
                    .into_iter()
                    .map(|asked| asked.join().expect("an answer"))
                    .collect()
            })
        } else {
            hosts.iter().map(get).collect()
        };
        assert_eq!(
            secrets.len(),
            hosts.len(),
            "each registry has a token of its own"
        );
        let questions = std::fs::read_to_string(questions).expect("a question");
        assert_eq!(
            questions.lines().count(),
            1,
            "at once: {at_once}: {questions}"
        );
        let journal = person.simulator.journal();
        journal.iter().for_each(assert_only_registry_token);
        let count = |endpoint| {
            journal
                .iter()
                .filter(|entry| entry.endpoint == endpoint)
                .count()
        };
        assert_eq!(
            (count(Endpoint::EntraToken), count(Endpoint::Exchange)),
            (1, hosts.len()),
            "at once: {at_once}"
        );
    }
}

#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn an_azure_cli_that_is_signed_out_is_said_with_the_command_to_sign_in() {
    let person = Person::new();
    person.sign_in();
    person.az(&["logout"]).succeeds();
    let answer = person.get().fails();
    assert_eq!(answer.stdout, "no Azure identity to sign in with\n");
    assert!(
        answer.stderr.contains("azure-cli: no account is signed in"),
        "{answer:#?}"
    );
    assert!(
        answer
            .stderr
            .contains("\n  docker-credential-acrscoped login contoso.azurecr.io\n  az login"),
        "{answer:#?}"
    );
    person.assert_nothing_was_exchanged();
}

#[test]
#[ignore = "needs the Azure CLI: run tests/run"]
fn an_azure_cli_whose_sign_in_is_no_longer_good_says_why() {
    let person = Person::new();
    person.sign_in();
    person
        .simulator
        .change(|settings| settings.apps[0].secret = "another one".into());
    let answer = person.get().fails();
    assert!(
        answer
            .stdout
            .starts_with("could not get an access token from the Azure CLI: AADSTS7000215"),
        "{answer:#?}"
    );
    assert!(answer.stderr.contains("\n  az login"), "{answer:#?}");
    person.assert_nothing_was_exchanged();
}

#[test]
#[ignore = "needs the Azure CLI, docker.io, docker-registry and root: run tests/run"]
fn az_acr_login_works_while_the_helper_is_configured() {
    let docker = Docker::new();
    let home = &docker.world.home;
    let simulator = &docker.world.simulator;
    offer_azure_cli(home);
    let secret = simulator.settings().apps[0].secret.clone();
    let az = |words: &[&str]| {
        let mut command = docker.world.client("az");
        configure_azure_cli(&mut command, home, simulator);
        command.args(words);
        run(command, "", LIMIT).succeeds()
    };
    az(&[
        "login",
        "--service-principal",
        "-u",
        CLIENT,
        "-p",
        &secret,
        "--tenant",
        TENANT,
    ]);
    let login = az(&["acr", "login", "--name", "contoso"]);
    assert!(login.text().contains("Login Succeeded"), "{login:#?}");
    docker.publish("contoso.azurecr.io/app:1");
    docker.run("pull contoso.azurecr.io/app:1").succeeds();
    docker.world.assert_only_registry_tokens();
}
