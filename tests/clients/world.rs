//! The world of one test: a user with a configured client, the simulator, and a docker-registry behind it.

use crate::support::server::{CONTAINED, Server};
use crate::support::{Answer, Home, LIMIT, REGISTRY, connect, identify, run};
use simulator::{ACR_AUDIENCE, Endpoint, Entry, Settings, Simulator};
use std::path::Path;
use std::process::Command;

/// What the helper says of a registry that gave the identity no role.
pub(crate) const REFUSED: &str = "contoso.azurecr.io refused the access token: 401";

/// A user with a configured client, and all the servers that client can reach.
pub(crate) struct World {
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
    _registry: Server,
}

impl World {
    /// Starts the servers and configures the helper for the registry.
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let simulator = Simulator::start(Settings::default()).expect("a simulator");
        let (registry, url) = start_registry(&home, &simulator);
        simulator.change(|settings| settings.registry_mut(REGISTRY).backend = Some(url));
        let helpers = format!(r#"{{"credHelpers":{{"{REGISTRY}":"acrscoped"}}}}"#);
        home.write("docker/config.json", &helpers);
        home.write("auth.json", &helpers);
        let root = home.root().display();
        let storage = format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{root}/images\"\nrunroot = \"{root}/run/images\"\n");
        home.write("storage.conf", storage);
        Self { home, simulator, _registry: registry }
    }

    /// A client, whose traffic and whose helper's goes to the simulator, with mounts and processes of its own.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = contained(&self.home, program);
        identify(connect(&mut command, &self.simulator), &self.simulator);
        command.env("CONTAINERS_STORAGE_CONF", self.home.path("storage.conf"));
        command
    }

    /// Runs a client; words are divided at spaces.
    pub(crate) fn run(&self, line: &str) -> Answer {
        self.run_with(line, &[])
    }

    /// Runs a client with further environment variables.
    pub(crate) fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Answer {
        let mut words = line.split_whitespace();
        let mut command = self.client(words.next().expect("a program"));
        command.args(words).envs(variables.iter().copied());
        run(command, "", LIMIT)
    }

    /// Takes away whatever the identities may do at the registry.
    pub(crate) fn take_roles_away(&self) {
        self.simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    }

    /// The proof of the whole: an access token of the registry audience was exchanged, and no other was asked of Entra
    /// or sent to a registry.
    #[track_caller]
    pub(crate) fn assert_only_registry_tokens(&self) {
        let journal = self.simulator.journal();
        let exchanged = journal.iter().any(|entry| entry.endpoint == Endpoint::Exchange && entry.status == 200);
        assert!(exchanged, "no exchange: {journal:#?}");
        for entry in &journal {
            assert_only_registry_token(entry);
        }
    }

    /// How many exchanges succeeded.
    pub(crate) fn exchanges(&self) -> usize {
        let journal = self.simulator.journal();
        journal.iter().filter(|entry| entry.endpoint == Endpoint::Exchange && entry.status == 200).count()
    }
}

/// Fails if the request asked for, or presented, an access token for anything but registries.
#[track_caller]
pub(crate) fn assert_only_registry_token(entry: &Entry) {
    let presented = entry.token.as_ref().map(|token| token.audience.as_str());
    match entry.endpoint {
        Endpoint::EntraToken => {
            let scope = entry.audience_requested.as_deref().unwrap_or_default();
            let asked = scope.split(' ').filter(|scope| scope.contains("//")).collect::<Vec<_>>();
            assert_eq!(asked, [format!("{ACR_AUDIENCE}/.default")], "{entry:#?}");
        }
        Endpoint::Exchange => assert_eq!(presented, Some(ACR_AUDIENCE), "{entry:#?}"),
        Endpoint::RegistryToken | Endpoint::Api => {
            assert!(presented.is_none_or(|audience| audience == REGISTRY), "{entry:#?}");
        }
        Endpoint::Arm => panic!("asked of Azure Resource Manager: {entry:#?}"),
        _ => {}
    }
}

/// A command with mounts and processes of its own.
pub(crate) fn contained(home: &Home, program: &str) -> Command {
    let mut command = home.command(CONTAINED[0]);
    command.args(&CONTAINED[1..]).arg(program);
    command
}

/// Starts Debian's docker-registry, which takes the tokens that the simulator signs.
fn start_registry(home: &Home, simulator: &Simulator) -> (Server, String) {
    let config = home.write("registry.yml", registry_config(&simulator.folder().join("token-signing.pem")));
    let mut command = contained(home, "docker-registry");
    // The registry would take the clients' variable for its own setting `auth.file`.
    command.arg("serve").arg(config).env_remove("REGISTRY_AUTH_FILE");
    let mut server = Server::start(&mut command, home.path("registry.log"));
    let address = server.when("registry", |log| {
        let (_, rest) = log.split_once("listening on ")?;
        let (address, _) = rest.split_once('"')?;
        Some(address.to_owned())
    });
    (server, format!("http://{address}"))
}

fn registry_config(signers: &Path) -> String {
    format!(
        "version: 0.1
storage: {{inmemory: {{}}}}
http: {{addr: '127.0.0.1:0', relativeurls: true, secret: of-one-test}}
auth:
  token:
    realm: https://{REGISTRY}/oauth2/token
    service: {REGISTRY}
    issuer: Azure Container Registry
    rootcertbundle: {}
",
        signers.display()
    )
}
