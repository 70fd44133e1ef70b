//! A developer's laptop: registries of four tenants in two clouds and one that is not Azure's, from one config file.
//!
//! | registry | who signs in | how the config file says so |
//! | --- | --- | --- |
//! | contoso.azurecr.io | the default account of the Azure CLI | nothing |
//! | fabrikam.azurecr.io | the same person as a guest of another tenant | a subscription |
//! | northwind.azurecr.us | another account of the Azure CLI, in the US Government cloud | a pattern for that cloud |
//! | adventure.azurecr.io | an application, by the assertion of a job of GitHub Actions | source, tenant and client id |
//! | localhost:PORT | a user with a password in gnome-keyring | the helper for other hosts |
//!
//! The last stands for Docker Hub, which cannot be reached from here.

use crate::docker::Docker;
use crate::image;
use crate::keyring::Keyring;
use crate::registry::{Door, FOREIGN_PASSWORD, FOREIGN_USER};
use crate::world::{World, assert_only_registry_token};
use simulator::{
    ACR_AUDIENCE, App, CLIENT, CLIENT_OBJECT, Endpoint, Entry, Role, Settings, Subscription,
    TENANT, Tenant, TokenFacts, USER_OBJECT, User,
};

const FABRIKAM: &str = "2d6f1b04-93ce-4a78-8e15-60b7d9c3f2a1";
const NORTHWIND: &str = "73c1e5a8-0d4b-4f92-b6e7-18f2a90d5c34";
const NORTHWIND_USER: &str = "84b20c1d-5e6f-4a3b-9c7d-e0f1a2b3c4d5";
const ADVENTURE: &str = "98e4d2c1-7a60-4b35-8f1d-c2b3a4958677";
const JOB: &str = "a1f07c39-2b84-4d5e-96c8-70d1e2f3b4a5";
const JOB_OBJECT: &str = "b2e18d4a-3c95-4e6f-87d9-81e2f3a4c5b6";

/// A registry of Azure, and what the journal must show of the sign-in to it.
struct Expected {
    host: &'static str,
    authority: &'static str,
    tenant: &'static str,
    subject: &'static str,
}

const PUBLIC: &str = "login.microsoftonline.com";
const GOVERNMENT: &str = "login.microsoftonline.us";

const AZURE: [Expected; 4] = [
    Expected {
        host: "contoso.azurecr.io",
        authority: PUBLIC,
        tenant: TENANT,
        subject: USER_OBJECT,
    },
    Expected {
        host: "fabrikam.azurecr.io",
        authority: PUBLIC,
        tenant: FABRIKAM,
        subject: USER_OBJECT,
    },
    Expected {
        host: "northwind.azurecr.us",
        authority: GOVERNMENT,
        tenant: NORTHWIND,
        subject: NORTHWIND_USER,
    },
    Expected {
        host: "adventure.azurecr.io",
        authority: PUBLIC,
        tenant: ADVENTURE,
        subject: JOB_OBJECT,
    },
];

/// The laptop, with its person signed in everywhere.
struct Laptop {
    docker: Docker,
    foreign: String,
    _keyring: Keyring,
}

impl Laptop {
    /// Sets everything up.
    fn new(mut world: World) -> Self {
        world.simulator.change(found_companies);
        for registry in &AZURE {
            world.serve(registry.host);
        }
        world.simulator.change(give_roles);
        let foreign = world.serve_foreign(Door::Password);
        let hosts: Vec<&str> = AZURE
            .iter()
            .map(|registry| registry.host)
            .chain([foreign.as_str()])
            .collect();
        world.name_helpers(&hosts);
        // docker needs no list of hosts.
        world
            .home
            .write("docker/config.json", r#"{"credsStore":"acrscoped"}"#);
        world.configure(&config());
        world.offer_azure_cli();
        let keyring = Keyring::unlocked(&mut world);
        world.set(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://pipelines.actions.githubusercontent.com/contoso?api-version=2.0",
        );
        world.set(
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            world.simulator.settings().oidc_request_token,
        );
        let docker = Docker::within(world);
        let laptop = Self {
            docker,
            foreign,
            _keyring: keyring,
        };
        laptop.sign_in();
        laptop
    }

    /// Signs in to both clouds, and to the registry that is not Azure's.
    fn sign_in(&self) {
        let government = [("AZURE_CLOUD_NAME", "AzureUSGovernment")];
        self.world()
            .run_with("az login --use-device-code", &government)
            .succeeds();
        self.world().run("az login --use-device-code").succeeds();
        let line = format!(
            "login --username {FOREIGN_USER} --password-stdin {}",
            self.foreign
        );
        self.docker.tell(&line, FOREIGN_PASSWORD).succeeds();
        self.world().simulator.clear_journal();
    }

    fn world(&self) -> &World {
        &self.docker.world
    }

    /// All registries' hosts.
    fn hosts(&self) -> impl Iterator<Item = &str> {
        AZURE
            .iter()
            .map(|registry| registry.host)
            .chain([self.foreign.as_str()])
    }

    /// Has docker, podman and skopeo push to all registries and pull from them, and proves who signed in.
    fn use_every_client(&self) {
        self.push_and_pull_with("docker");
        self.push_and_pull_with("podman");
        self.copy_with_skopeo();
        self.assert_everybody_signed_in_as_configured();
    }

    /// Has docker, or podman, push an image to each registry and pull it from there.
    fn push_and_pull_with(&self, client: &str) {
        let archive = image::archive(&self.world().home);
        let mut lines = vec![format!("{client} import {} seed:1", archive.display())];
        for host in self.hosts() {
            let image = format!("{host}/{client}:1");
            lines.push(format!("{client} tag seed:1 {image}"));
            lines
                .extend(["push", "rmi", "pull"].map(|action| format!("{client} {action} {image}")));
        }
        self.world().script(&lines).succeeds();
    }

    /// Has skopeo copy an image to each registry and back.
    fn copy_with_skopeo(&self) {
        let (layout, out) = (
            image::layout(&self.world().home),
            self.world().home.path("out"),
        );
        // It does not read the variable.
        let skopeo = format!(
            "skopeo --registries-conf {}",
            self.world().home.path("registries.conf").display()
        );
        let mut lines = Vec::new();
        for host in self.hosts() {
            lines.push(format!(
                "{skopeo} copy oci:{} docker://{host}/skopeo:1",
                layout.display()
            ));
            lines.push(format!(
                "{skopeo} copy docker://{host}/skopeo:1 oci:{}:{}",
                out.display(),
                host.replace(':', "-")
            ));
        }
        self.world().script(&lines).succeeds();
    }

    /// The proof: at each registry, the identity that the config file means, signed in at its own cloud and tenant, with a token for
    /// registries and nothing else.
    #[track_caller]
    fn assert_everybody_signed_in_as_configured(&self) {
        let journal = self.world().simulator.journal();
        journal.iter().for_each(assert_only_registry_token);
        let of = |endpoint| {
            journal
                .iter()
                .filter(move |entry| entry.endpoint == endpoint)
        };
        for expected in &AZURE {
            let exchanges: Vec<&Entry> = of(Endpoint::Exchange)
                .filter(|entry| entry.host == expected.host)
                .collect();
            let is_right =
                |entry: &&Entry| entry.status == 200 && expected.is_whose(entry.token.as_ref());
            assert!(
                !exchanges.is_empty() && exchanges.iter().all(is_right),
                "{}: {exchanges:#?}",
                expected.host
            );
            let is_own = |entry: &&Entry| expected.is_whose(entry.issued.as_ref());
            let sign_ins: Vec<&Entry> = of(Endpoint::EntraToken).filter(is_own).collect();
            let is_right = |entry: &&Entry| entry.host == expected.authority;
            assert!(
                !sign_ins.is_empty() && sign_ins.iter().all(is_right),
                "{}: {sign_ins:#?}",
                expected.host
            );
            assert!(
                of(Endpoint::RegistryToken)
                    .any(|entry| entry.host == expected.host && entry.token.is_some())
            );
        }
        let strangers = of(Endpoint::EntraToken).filter(|entry| entry.issued.is_some());
        let mut strangers = strangers.filter(|entry| {
            !AZURE
                .iter()
                .any(|expected| expected.is_whose(entry.issued.as_ref()))
        });
        assert_eq!(strangers.next(), None, "somebody else signed in");
    }
}

impl Expected {
    /// Whether the token is for registries, and of the identity and tenant that are expected here.
    fn is_whose(&self, token: Option<&TokenFacts>) -> bool {
        token.is_some_and(|token| {
            let who = (token.tenant.as_deref(), &*token.subject, &*token.audience);
            who == (Some(self.tenant), self.subject, ACR_AUDIENCE)
        })
    }
}

/// Four tenants in two clouds, three of them with a subscription; a person who is a guest of the second, and has another account in the
/// third; an application in the fourth.
fn found_companies(settings: &mut Settings) {
    let tenant = |id: &str, name: &str, cloud: &str| Tenant {
        id: id.into(),
        domain: format!("{}.example", name.to_lowercase()),
        name: name.into(),
        clouds: vec![cloud.into()],
    };
    settings.tenants = vec![
        tenant(TENANT, "Contoso", "AzureCloud"),
        tenant(FABRIKAM, "Fabrikam", "AzureCloud"),
        tenant(NORTHWIND, "Northwind", "AzureUSGovernment"),
        tenant(ADVENTURE, "Adventure", "AzureCloud"),
    ];
    for (id, name, tenant) in [
        ("b15c83f7-4e60-4d92-a7b8-0d9e62f41c35", "Fabrikam", FABRIKAM),
        (
            "c26d94e8-5f71-4ea3-b8c9-1eaf73e52d46",
            "Northwind",
            NORTHWIND,
        ),
    ] {
        settings.subscriptions.push(Subscription {
            id: id.into(),
            name: name.into(),
            tenant: tenant.into(),
        });
    }
    settings.users[0].guest_of.push(FABRIKAM.into());
    let (upn, object_id, tenant) = (
        "alice@northwind.example".into(),
        NORTHWIND_USER.into(),
        NORTHWIND.into(),
    );
    settings.users.push(User {
        upn,
        object_id,
        tenant,
        ..User::default()
    });
    let (client_id, object_id, tenant) = (JOB.into(), JOB_OBJECT.into(), ADVENTURE.into());
    settings.apps.push(App {
        client_id,
        object_id,
        tenant,
        ..App::default()
    });
}

/// Lets each registry in who is expected there, and nobody else.
fn give_roles(settings: &mut Settings) {
    for Expected {
        host,
        tenant,
        subject,
        ..
    } in &AZURE
    {
        let registry = settings.registry_mut(host);
        registry.tenant = (*tenant).into();
        registry.roles = vec![Role::new(subject, "*", &["pull", "push"])];
    }
}

fn config() -> String {
    format!(
        r#"delegate = "secretservice"
source = "github-actions"

[registry."*.azurecr.io"]
source = "azure-cli"

[registry."fabrikam.azurecr.io"]
subscription = "Fabrikam"

[registry."*.azurecr.us"]
source = "azure-cli"

[registry."adventure.azurecr.io"]
source = "github-actions"
tenant = "{ADVENTURE}"
client_id = "{JOB}"
"#
    )
}

#[test]
#[ignore = "needs the Azure CLI, docker.io, podman, skopeo, docker-registry, gnome-keyring and root: run tests/run"]
fn roots_clients_sign_in_to_each_registry_as_one_config_file_says() {
    let mut world = World::bare();
    world.set("ACRSCOPED_CACHE", "secret-service");
    let laptop = Laptop::new(world);
    laptop.use_every_client();
}

#[test]
#[ignore = "needs the Azure CLI, docker.io, podman, skopeo, docker-registry, gnome-keyring and root: run tests/run"]
fn a_users_clients_sign_in_to_each_registry_as_one_config_file_says() {
    let laptop = Laptop::new(World::of_somebody());
    laptop.use_every_client();
}

#[test]
#[ignore = "needs the Azure CLI, docker.io, docker-registry, gnome-keyring and root: run tests/run"]
fn an_account_that_was_switched_away_from_leaves_no_token_behind() {
    let laptop = Laptop::new(World::of_somebody());
    let (world, docker) = (laptop.world(), &laptop.docker);
    let (host, image) = ("contoso.azurecr.io", "contoso.azurecr.io/app:1");
    docker.publish(image);
    let pull = || docker.run(&format!("pull {image}"));
    let first = world.ask("get", host).secret();
    pull().succeeds();
    assert_eq!(world.exchanges(), 0, "the push has filled the cache");

    world.simulator.clear_journal();
    // The default account is now that of another tenant, whose tokens this registry does not take.
    world
        .run("az account set --subscription Fabrikam")
        .succeeds();
    let refused = pull().fails();
    assert!(
        refused
            .stderr
            .contains("contoso.azurecr.io refused the access token: 401"),
        "{refused:#?}"
    );
    assert!(
        refused
            .stderr
            .contains("the Azure CLI also knows the subscription `Contoso` in tenant"),
        "{refused:#?}"
    );
    assert_eq!(
        world
            .ask("list", "unused")
            .succeeds()
            .json()
            .as_object()
            .map(|hosts| hosts.contains_key(host)),
        Some(false)
    );
    let journal = world.simulator.journal();
    let mut exchanges = journal
        .iter()
        .filter(|entry| entry.endpoint == Endpoint::Exchange);
    assert!(
        exchanges.all(|entry| entry.tenant.as_deref() == Some(FABRIKAM)),
        "{journal:#?}"
    );
    let mut at_registry = journal
        .iter()
        .filter(|entry| [Endpoint::RegistryToken, Endpoint::Api].contains(&entry.endpoint));
    assert!(
        at_registry.all(|entry| entry.token.is_none()),
        "the former account's token was used: {journal:#?}"
    );

    // Back again, what was cached before is good again.
    world
        .run("az account set --subscription Contoso")
        .succeeds();
    world.simulator.clear_journal();
    assert_eq!(world.ask("get", host).secret(), first);
    assert!(world.simulator.journal().is_empty());

    // Somebody else signs in, to the same tenant and subscription.
    world.simulator.change(|settings| {
        let role = Role::new(CLIENT, "*", &["pull"]);
        settings.registry_mut(host).roles = vec![role];
    });
    let secret = &world.simulator.settings().apps[0].secret;
    world
        .run(&format!(
            "az login --service-principal -u {CLIENT} -p {secret} --tenant {TENANT}"
        ))
        .succeeds();
    world.simulator.clear_journal();
    pull().succeeds();
    let journal = world.simulator.journal();
    let presented: Vec<_> = journal
        .iter()
        .filter_map(|entry| entry.token.as_ref())
        .collect();
    assert!(
        presented.iter().all(|token| token.subject == CLIENT_OBJECT),
        "{journal:#?}"
    );

    // Nobody is signed in any more: what is cached is nobody's.
    world.run("az account clear").succeeds();
    world.simulator.clear_journal();
    let nobody = world.ask("get", host).fails();
    assert_eq!(nobody.stdout, "no Azure identity to sign in with\n");
    let journal = world.simulator.journal();
    assert!(
        journal
            .iter()
            .all(|entry| entry.endpoint == Endpoint::Connect),
        "{journal:#?}"
    );
}

/// The Azure CLI has one default account for all clouds: a sign-in to another cloud takes it away from the first.
#[test]
#[ignore = "needs the Azure CLI, docker-registry, gnome-keyring and root: run tests/run"]
fn after_a_sign_in_to_another_cloud_only_registries_that_need_the_default_account_ask_for_it() {
    let mut laptop = Laptop::new(World::of_somebody());
    // A managed identity is at hand, and must not sign in instead.
    let machine = laptop.docker.world.simulator.origin();
    laptop
        .docker
        .world
        .set("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine);
    let world = laptop.world();
    world
        .run_with(
            "az login --use-device-code",
            &[("AZURE_CLOUD_NAME", "AzureUSGovernment")],
        )
        .succeeds();
    world.simulator.clear_journal();
    for host in [
        "fabrikam.azurecr.io",
        "northwind.azurecr.us",
        "adventure.azurecr.io",
    ] {
        world.ask("get", host).secret();
    }
    let asked = world.ask("get", "contoso.azurecr.io").fails();
    let reason = "azureProfile.json` has no default account in Azure public\n";
    assert!(asked.stdout.ends_with(reason), "{asked:#?}");
    let hint = "hint: choose one, or set `subscription`\n  az cloud set --name AzureCloud && az account set --subscription NAME";
    assert!(asked.stderr.contains(hint), "{asked:#?}");
    let journal = world.simulator.journal();
    assert!(journal.iter().all(|entry| entry.endpoint != Endpoint::Exchange || entry.host != "contoso.azurecr.io"));
    world
        .run("az account set --subscription Contoso")
        .succeeds();
    world.ask("get", "contoso.azurecr.io").secret();
}
