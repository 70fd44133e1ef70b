//! The world of one test: a user with configured clients, the simulator, and real registries behind it.

use crate::person::Person;
use crate::registry::{self, Door};
use crate::support::server::{CONTAINED, Server};
use crate::support::{Answer, Home, LIMIT, REGISTRY, connect, identify, run};
use simulator::{ACR_AUDIENCE, Endpoint, Entry, Settings, Simulator};
use std::process::Command;

/// What the helper says of a registry that gave the identity no role.
pub(crate) const REFUSED: &str = "contoso.azurecr.io refused the access token: 401";

/// A user with configured clients, and all the servers that those can reach.
pub(crate) struct World {
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
    pub(crate) person: Person,
    pub(crate) is_service_principal: bool,
    variables: Vec<(&'static str, String)>,
    registries: Vec<Server>,
}

impl World {
    /// Starts the servers and configures the helper for the registry. The clients are root's, and sign in as the service principal.
    pub(crate) fn new() -> Self {
        let mut world = Self::bare();
        world.serve(REGISTRY);
        world.name_helpers(&[REGISTRY]);
        world.is_service_principal = true;
        world
    }

    /// A world without registries, in which root has configured nothing and is nobody in Azure.
    pub(crate) fn bare() -> Self {
        Self::of(Home::new(), Person::root())
    }

    /// The same for a user made for the test.
    pub(crate) fn of_somebody() -> Self {
        let home = Home::new();
        let person = Person::somebody(&home);
        Self::of(home, person)
    }

    fn of(home: Home, person: Person) -> Self {
        let simulator = Simulator::start(Settings::default()).expect("a simulator");
        // The kernel's keyring of root is that of whoever runs the tests.
        let variables = if person.id() == 0 {
            vec![("ACRSCOPED_CACHE", "none".to_owned())]
        } else {
            vec![]
        };
        let root = home.root().display();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{root}/images\"\nrunroot = \"{root}/run/images\"\n"
        );
        home.write("storage.conf", storage);
        // The simulator's own folder is closed to others.
        std::fs::copy(simulator.ca_file(), home.path("ca.pem")).expect("our folder");
        person.own(&home);
        Self {
            home,
            simulator,
            person,
            is_service_principal: false,
            variables,
            registries: vec![],
        }
    }

    /// Puts a real registry behind the simulated one.
    pub(crate) fn serve(&mut self, host: &str) {
        let (server, address) = registry::start(
            &self.home,
            host,
            &registry::token_auth(host, &self.simulator.token_signing_file()),
        );
        self.simulator.change(|settings| {
            settings.registry_mut(host).backend = Some(format!("http://{address}"));
        });
        self.registries.push(server);
    }

    /// Starts a registry that is not Azure's, which docker and its like ask without TLS because it is on this machine. Returns its
    /// host, with a port. Docker Hub itself is out of reach here.
    pub(crate) fn serve_foreign(&mut self, door: Door) -> String {
        let name = format!("foreign-{}", self.registries.len());
        let (server, address) = registry::start(&self.home, &name, &door.auth(&self.home));
        self.registries.push(server);
        let host = address.replace("127.0.0.1", "localhost");
        let file = self.home.path("registries.conf");
        let known = std::fs::read_to_string(&file).unwrap_or_default();
        self.home.write(
            "registries.conf",
            format!("{known}[[registry]]\nlocation = \"{host}\"\ninsecure = true\n"),
        );
        self.set("CONTAINERS_REGISTRIES_CONF", file.display().to_string());
        host
    }

    /// Names the helper for these hosts, as all clients understand it.
    pub(crate) fn name_helpers(&self, hosts: &[&str]) {
        let helpers: Vec<String> = hosts
            .iter()
            .map(|host| format!(r#""{host}":"acrscoped""#))
            .collect();
        let helpers = format!(r#"{{"credHelpers":{{{}}}}}"#, helpers.join(","));
        self.home.write("docker/config.json", &helpers);
        self.home.write("auth.json", &helpers);
    }

    /// Writes the helper's config file.
    pub(crate) fn configure(&self, toml: &str) {
        let file = self
            .home
            .write("home/.config/docker-credential-acrscoped/config.toml", toml);
        // Inside a user namespace, what belongs to root outside belongs to nobody, and is not believed.
        let id = Some(self.person.id());
        for path in file
            .ancestors()
            .take_while(|path| *path != self.home.path("home"))
        {
            std::os::unix::fs::chown(path, id, id).expect("our folder");
        }
    }

    /// Puts the Azure CLI on the path, with a folder of its own; it says nothing to anybody else.
    pub(crate) fn offer_azure_cli(&mut self) {
        self.person.offer_azure_cli(&self.home);
        let (folder, ca_file) = (
            self.home.path("home/azure").display().to_string(),
            self.home.path("ca.pem").display().to_string(),
        );
        for (name, value) in azure_cli_settings(folder, ca_file) {
            self.set(name, value);
        }
        // Not a virtual machine of Azure: nobody listens there.
        self.set("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
    }

    /// Sets a variable for all clients.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.variables.push((name, value.into()));
    }

    /// A client, whose traffic and whose helper's goes to the simulator, with mounts and processes of its own.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = self.person.contained(&self.home, program);
        connect(&mut command, &self.simulator);
        if self.is_service_principal {
            identify(&mut command, &self.simulator);
        }
        command.env("SSL_CERT_FILE", self.home.path("ca.pem"));
        command.env("CONTAINERS_STORAGE_CONF", self.home.path("storage.conf"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
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

    /// Runs a client with something on its stdin.
    pub(crate) fn tell(&self, line: &str, stdin: &str) -> Answer {
        let mut words = line.split_whitespace();
        let mut command = self.client(words.next().expect("a program"));
        command.args(words);
        run(command, stdin, LIMIT)
    }

    /// Runs the lines of a shell script, told on stderr, until one fails: what they start and share lives as long as the script.
    pub(crate) fn script(&self, lines: &[String]) -> Answer {
        let mut command = self.client("sh");
        command.arg("-exc").arg(lines.join("\n"));
        run(command, "", LIMIT)
    }

    /// One action of the helper.
    pub(crate) fn ask(&self, action: &str, stdin: &str) -> Answer {
        crate::support::ask(self.client("docker-credential-acrscoped"), action, stdin)
    }

    /// Takes away whatever the identities may do at the registry.
    pub(crate) fn take_roles_away(&self) {
        self.simulator
            .change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    }

    /// The proof of the whole: an access token of the registry audience was exchanged, and no other was asked of Entra
    /// or sent to a registry.
    #[track_caller]
    pub(crate) fn assert_only_registry_tokens(&self) {
        let journal = self.simulator.journal();
        let exchanged = journal
            .iter()
            .any(|entry| entry.endpoint == Endpoint::Exchange && entry.status == 200);
        assert!(exchanged, "no exchange: {journal:#?}");
        for entry in &journal {
            assert_only_registry_token(entry);
        }
    }

    /// How many exchanges succeeded.
    pub(crate) fn exchanges(&self) -> usize {
        let journal = self.simulator.journal();
        journal
            .iter()
            .filter(|entry| entry.endpoint == Endpoint::Exchange && entry.status == 200)
            .count()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.person.forget(&self.home);
    }
}

/// What keeps `az` in this folder and away from the network: variables of its own.
pub(crate) fn azure_cli_settings(folder: String, ca_file: String) -> [(&'static str, String); 5] {
    [
        ("AZURE_CONFIG_DIR", folder),
        ("REQUESTS_CA_BUNDLE", ca_file),
        ("AZURE_CORE_COLLECT_TELEMETRY", "false".into()),
        ("AZURE_CORE_LOGIN_EXPERIENCE_V2", "false".into()),
        ("AZURE_CORE_NO_COLOR", "true".into()),
    ]
}

/// Fails if the request asked for, or presented, an access token for anything but registries, or a registry's own token at another.
#[track_caller]
pub(crate) fn assert_only_registry_token(entry: &Entry) {
    let presented = entry.token.as_ref().map(|token| token.audience.as_str());
    match entry.endpoint {
        Endpoint::EntraToken => {
            let scope = entry.audience_requested.as_deref().unwrap_or_default();
            let asked = scope
                .split(' ')
                .filter(|scope| scope.contains("//"))
                .collect::<Vec<_>>();
            assert_eq!(asked, [format!("{ACR_AUDIENCE}/.default")], "{entry:#?}");
        }
        Endpoint::Exchange => assert_eq!(presented, Some(ACR_AUDIENCE), "{entry:#?}"),
        Endpoint::RegistryToken | Endpoint::Api => {
            assert!(
                presented.is_none_or(|audience| audience == entry.host),
                "{entry:#?}"
            );
        }
        Endpoint::Arm => panic!("asked of Azure Resource Manager: {entry:#?}"),
        _ => {}
    }
}

/// A command of root's with mounts and processes of its own.
pub(crate) fn contained(home: &Home, program: &str) -> Command {
    let mut command = home.command(CONTAINED[0]);
    command.args(&CONTAINED[1..]).arg(program);
    command
}
