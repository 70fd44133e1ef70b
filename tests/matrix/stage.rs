//! The world of one run: a cloud, a user without an identity, and a simulator that writes down what is asked of it.

use crate::support::namespace::Namespace;
use crate::support::{Answer, Home, ask, binary, connect, copy};
use simulator::{
    AZURE_CLI, Authority, CLIENT, CLIENT_OBJECT, Endpoint, Entry, MANAGED_IDENTITY_OBJECT,
    ManagedIdentity, Settings, Simulator, TENANT, Tenant, USER_OBJECT,
};
use std::collections::BTreeSet;
use std::process::Command;

/// A cloud, as its users know it. Written out a second time: the tests do not believe the table they test.
pub(crate) struct Cloud {
    /// What the command lines call it.
    pub(crate) name: &'static str,
    pub(crate) suffix: &'static str,
    pub(crate) authority: &'static str,
    pub(crate) audience: &'static str,
    /// The audience of assertions of other issuers.
    pub(crate) federation: &'static str,
    /// What the metadata service of a machine in it says (`azEnvironment`).
    pub(crate) environment: &'static str,
}

const AUDIENCE: &str = "https://containerregistry.azure.net";

/// The cloud that is declared in a config file.
pub(crate) const PRIVATE: &str = "fabrikam";

pub(crate) static CLOUDS: [Cloud; 5] = [
    Cloud {
        name: "AzureCloud",
        suffix: "azurecr.io",
        authority: "login.microsoftonline.com",
        audience: AUDIENCE,
        federation: "api://AzureADTokenExchange",
        environment: "AzurePublicCloud",
    },
    Cloud {
        name: "AzureUSGovernment",
        suffix: "azurecr.us",
        authority: "login.microsoftonline.us",
        audience: AUDIENCE,
        federation: "api://AzureADTokenExchangeUSGov",
        environment: "AzureUSGovernmentCloud",
    },
    Cloud {
        name: "AzureChinaCloud",
        suffix: "azurecr.cn",
        authority: "login.chinacloudapi.cn",
        audience: AUDIENCE,
        federation: "api://AzureADTokenExchangeChina",
        environment: "AzureChinaCloud",
    },
    Cloud {
        name: "AzureBleuCloud",
        suffix: "azurecr.sovcloud-azure.fr",
        authority: "login.sovcloud-identity.fr",
        audience: AUDIENCE,
        federation: "api://AzureADTokenExchange",
        environment: "AzureBleuCloud",
    },
    Cloud {
        name: PRIVATE,
        suffix: "azurecr.fabrikam.example",
        authority: "login.fabrikam.example",
        audience: "https://registries.fabrikam.example",
        federation: "api://AzureADTokenExchange",
        environment: "fabrikam",
    },
];

pub(crate) const CONFIG: &str = "\
[cloud.fabrikam]
suffix = 'azurecr.fabrikam.example'
authority = 'https://login.fabrikam.example'
audience = 'https://registries.fabrikam.example'
";

/// Where the helper looks for its settings.
pub(crate) const CONFIG_FILE: &str = "home/.config/docker-credential-acrscoped/config.toml";

/// The client id of the managed identity that is assigned besides the system's.
pub(crate) const ASSIGNED: &str = "4e0f6a92-d7b1-4c58-93ea-1b6c20d8f574";
/// The object id of the same.
pub(crate) const ASSIGNED_OBJECT: &str = "b95d2c70-18e4-4f3a-a6d7-5c80f1e3924b";
/// The resource id of the same.
pub(crate) const ASSIGNED_RESOURCE: &str = "/subscriptions/a84f2b6d-1c90-4e37-b5d8-29e7f60c3a14/resourceGroups/contoso/providers\
                                            /Microsoft.ManagedIdentity/userAssignedIdentities/pusher";
/// A tenant in which the user is a guest.
pub(crate) const ABROAD: &str = "2d6f1b04-93ce-4a78-8e15-60b7d9c3f2a1";
/// Where GitHub tells its jobs to ask.
pub(crate) const GITHUB: &str = "pipelines.actions.githubusercontent.com";

/// The world of one run.
pub(crate) struct Stage {
    pub(crate) cloud: &'static Cloud,
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
    /// The helper, to which nobody is known but the metadata service of the machine, which every source comes before.
    pub(crate) command: Command,
    /// Where the helper runs, if it needs a keyring of its own.
    pub(crate) namespace: Option<Namespace>,
}

impl Stage {
    pub(crate) fn new(cloud: &'static Cloud) -> Self {
        let mut settings = Settings::default();
        settings.authorities.push(Authority {
            host: "login.fabrikam.example".into(),
            cloud: PRIVATE.into(),
        });
        settings.tenants.push(Tenant {
            id: ABROAD.into(),
            domain: "abroad.example".into(),
            ..Tenant::default()
        });
        settings.users[0].guest_of.push(ABROAD.into());
        let registry = settings.registry_mut(&format!("contoso.{}", cloud.suffix));
        if cloud.name == PRIVATE {
            (registry.cloud, registry.audiences) = (PRIVATE.into(), vec![cloud.audience.into()]);
        }
        settings.managed_identities[0].cloud = cloud.name.into();
        settings.machine_cloud = Some(cloud.environment.into());
        settings.managed_identities.push(ManagedIdentity {
            client_id: ASSIGNED.into(),
            object_id: ASSIGNED_OBJECT.into(),
            resource_id: ASSIGNED_RESOURCE.into(),
            cloud: cloud.name.into(),
            ..ManagedIdentity::default()
        });
        let (home, simulator) = (
            Home::new(),
            Simulator::start(settings).expect("a simulator"),
        );
        if cloud.name == PRIVATE {
            home.write(CONFIG_FILE, CONFIG);
        }
        let mut command = home.command(binary());
        connect(&mut command, &simulator);
        // What is on this machine is never asked through a proxy.
        command
            .env("ACRSCOPED_CACHE", "none")
            .env("HTTP_PROXY", "http://127.0.0.1:1");
        Self {
            cloud,
            home,
            simulator,
            command,
            namespace: None,
        }
    }

    /// Sets a variable of the helper.
    pub(crate) fn set(&mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) {
        self.command.env(name, value);
    }

    pub(crate) fn registry(&self) -> String {
        format!("contoso.{}", self.cloud.suffix)
    }

    /// `get` for the cloud's registry.
    pub(crate) fn get(&self) -> Answer {
        let inside = self
            .namespace
            .as_ref()
            .map(|namespace| namespace.enter(&self.command));
        let command = inside.unwrap_or_else(|| copy(&self.command));
        ask(command, "get", &self.registry())
    }

    /// Everything that was asked, a request a line, in the words of [`crate::rows::Row::sign_in`]; `CONNECT`s apart.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.entries()
            .iter()
            .map(|entry| self.line(entry))
            .collect()
    }

    /// The same as it was journaled.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.simulator
            .journal()
            .into_iter()
            .filter(|entry| entry.endpoint != Endpoint::Connect)
            .collect()
    }

    /// The hosts that were connected to through the proxy, each as often as it was.
    pub(crate) fn connections(&self) -> Vec<String> {
        let connects = self
            .simulator
            .journal()
            .into_iter()
            .filter(|entry| entry.endpoint == Endpoint::Connect);
        let mut hosts: Vec<String> = connects.map(|entry| entry.host).collect();
        hosts.sort();
        hosts
    }

    fn line(&self, entry: &Entry) -> String {
        let host = if self.simulator.origin().ends_with(&entry.host) {
            "machine"
        } else {
            &entry.host
        };
        let mut line = format!("{} {host}{}", entry.method, entry.path);
        let token = entry
            .token
            .as_ref()
            .map(|token| format!("{} of {}", token.audience, token.subject));
        for (word, value) in [
            ("grant", &entry.grant),
            ("for", &entry.audience_requested),
            ("as", &entry.client_id),
            ("showing", &token),
        ] {
            line += &value
                .as_ref()
                .map(|value| format!(" {word} {value}"))
                .unwrap_or_default();
        }
        format!("{line} -> {}", entry.status)
    }

    /// A text in which `{…}` stands for what is another in each cloud, or long.
    pub(crate) fn fill(&self, text: &str) -> String {
        let registry = self.registry();
        [
            ("{registry}", registry.as_str()),
            ("{authority}", self.cloud.authority),
            ("{audience}", self.cloud.audience),
            ("{federation}", self.cloud.federation),
            ("{cloud}", self.cloud.name),
            ("{github}", GITHUB),
            ("{tenant}", TENANT),
            ("{abroad}", ABROAD),
            ("{client}", CLIENT),
            ("{application}", CLIENT_OBJECT),
            ("{system}", MANAGED_IDENTITY_OBJECT),
            ("{assigned}", ASSIGNED),
            ("{assigned object}", ASSIGNED_OBJECT),
            ("{assigned resource}", ASSIGNED_RESOURCE),
            ("{azure cli}", AZURE_CLI),
            ("{user}", USER_OBJECT),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }
}

/// The hosts of some requests that are not this machine, each once.
pub(crate) fn hosts(requests: &[String]) -> Vec<String> {
    let hosts = requests
        .iter()
        .filter_map(|line| line.split(' ').nth(1)?.split('/').next());
    hosts
        .filter(|host| *host != "machine")
        .map(str::to_owned)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}
