//! What each source promises: how it is set up, which requests its sign-in is made of, and how it is refused.

use crate::source::SourceName;
use crate::stage::{ASSIGNED, ASSIGNED_OBJECT, ASSIGNED_RESOURCE, CLOUDS, Cloud, GITHUB, Stage};
use simulator::{CLIENT, FaultAt, TENANT};

/// One source. In texts `{…}` is filled in by [`Stage::fill`].
pub(crate) struct Row {
    pub(crate) source: SourceName,
    /// How messages call it.
    pub(crate) who: &'static str,
    /// The clouds whose registries it signs in to in this way.
    pub(crate) is_for: fn(&Cloud) -> bool,
    /// Sets it up, and nothing else.
    pub(crate) set_up: Vec<fn(&mut Stage)>,
    /// The requests of its sign-in, a line each: what was asked of whom in which words, and the status of the answer.
    pub(crate) sign_in: Vec<&'static str>,
    /// Whose token the registry then gets.
    pub(crate) subject: &'static str,
    /// In which tenant.
    pub(crate) tenant: &'static str,
    /// Where it can be kept waiting, and which of the requests that is.
    pub(crate) places: Vec<(FaultAt, usize)>,
    /// Whether a busy service is asked again: another program's affairs are its own.
    pub(crate) is_patient: bool,
    /// The ways to be refused.
    pub(crate) refusals: Vec<Refusal>,
    /// What happens when it is not set up.
    pub(crate) absent: Absent,
    /// The command line that another program was given.
    pub(crate) program: Option<&'static str>,
}

/// One way to be refused.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) bring_about: fn(&mut Stage),
    /// How the reason begins.
    pub(crate) said: &'static str,
    /// After how many requests.
    pub(crate) after: usize,
}

/// What happens when a source is not set up.
#[derive(Clone, Copy)]
pub(crate) enum Absent {
    /// For this reason the next is tried, of which here only the virtual machine's is there.
    PassedOver(&'static str),
    /// Nothing announces it: the machine's own metadata service is asked, also when it is called for by name.
    Unannounced,
    /// That metadata service is the last, so that nobody signs in.
    Last(&'static str),
    /// Told by another row of the same source.
    Told,
}

impl Row {
    /// The same with one thing more.
    pub(crate) fn and(mut self, set_up: fn(&mut Stage)) -> Self {
        self.set_up.push(set_up);
        self
    }

    pub(crate) fn by_client_id(self) -> Self {
        let set_up = |stage: &mut Stage| stage.set("AZURE_CLIENT_ID", ASSIGNED);
        self.user_assigned("managed identity {assigned}", " as {assigned} ->")
            .and(set_up)
    }

    pub(crate) fn by_object_id(self) -> Self {
        let set_up = |stage: &mut Stage| stage.set("ACRSCOPED_OBJECT_ID", ASSIGNED_OBJECT);
        self.user_assigned(
            "managed identity {assigned object}",
            " as {assigned object} ->",
        )
        .and(set_up)
    }

    pub(crate) fn by_resource_id(self) -> Self {
        let set_up = |stage: &mut Stage| stage.set("ACRSCOPED_RESOURCE_ID", ASSIGNED_RESOURCE);
        self.user_assigned(
            "managed identity {assigned resource}",
            " as {assigned resource} ->",
        )
        .and(set_up)
    }

    /// The same platform, asked for the identity that is assigned besides the system's.
    fn user_assigned(mut self, who: &'static str, named: &'static str) -> Self {
        let last = self
            .sign_in
            .pop()
            .expect("a request for the token")
            .replace(" ->", named);
        self.sign_in.push(last.leak());
        let refusals = vec![Refusal {
            bring_about: take_the_second_away,
            ..self.refusals[0]
        }];
        Self {
            who,
            subject: "{assigned object}",
            refusals,
            absent: Absent::Told,
            ..self
        }
    }
}

/// An application's sign-in, without assertion.
const ENTRA: &str = "POST {authority}/{tenant}/oauth2/v2.0/token grant client_credentials for {audience}/.default as {client} -> 200";

/// What applications have in common: each proves itself to Entra.
pub(crate) fn application(source: SourceName) -> Row {
    Row {
        source,
        who: "service principal {client}",
        is_for: |_| true,
        set_up: vec![|stage| {
            stage.set("AZURE_TENANT_ID", TENANT);
            stage.set("AZURE_CLIENT_ID", CLIENT);
        }],
        sign_in: vec![ENTRA],
        subject: "{application}",
        tenant: "{tenant}",
        places: vec![(FaultAt::Authority, 0)],
        is_patient: true,
        refusals: vec![],
        absent: Absent::Told,
        program: None,
    }
}

const SUBJECT: &str = "system:serviceaccount:default:puller";

pub(crate) fn workload_identity() -> Row {
    let set_up = |stage: &mut Stage| {
        let file = stage
            .home
            .write("token", stage.simulator.assertion(SUBJECT) + "\n");
        stage.set("AZURE_FEDERATED_TOKEN_FILE", file);
    };
    Row {
        who: "workload identity {client}",
        sign_in: vec![
            "POST {authority}/{tenant}/oauth2/v2.0/token grant client_credentials for {audience}/.default as {client} \
             showing api://AzureADTokenExchange of system:serviceaccount:default:puller -> 200",
        ],
        refusals: vec![
            Refusal {
                bring_about: trust_another_subject,
                said: "AADSTS700213: No matching federated identity record",
                after: 1,
            },
            Refusal {
                bring_about: |stage| drop(stage.home.write("token", "\n")),
                said: "…/token holds no token",
                after: 0,
            },
        ],
        absent: Absent::PassedOver("`AZURE_FEDERATED_TOKEN_FILE` is not set"),
        ..application(SourceName::WorkloadIdentity).and(set_up)
    }
}

fn trust_another_subject(stage: &mut Stage) {
    stage
        .simulator
        .change(|settings| settings.apps[0].federated_credentials[0].subject = "another".into());
}

pub(crate) fn client_secret() -> Row {
    Row {
        refusals: vec![Refusal {
            bring_about: |stage| stage.set("AZURE_CLIENT_SECRET", "the secret's id"),
            said: "AADSTS7000215: Invalid client secret provided.",
            after: 1,
        }],
        absent: Absent::PassedOver("`AZURE_CLIENT_SECRET` is not set"),
        ..application(SourceName::ClientSecret).and(|stage| {
            let secret = stage.simulator.settings().apps[0].secret.clone();
            stage.set("AZURE_CLIENT_SECRET", secret);
        })
    }
}

/// What the job's issuer refuses to who does not know the job's token.
fn forget_the_request_token(stage: &mut Stage) {
    stage
        .simulator
        .change(|settings| settings.oidc_request_token = "another".into());
}

pub(crate) fn set_up_github(stage: &mut Stage) {
    let token = stage.simulator.settings().oidc_request_token;
    stage.set(
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        format!("https://{GITHUB}/7/idtoken/job?api-version=2.0"),
    );
    stage.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token);
}

pub(crate) fn github_actions() -> Row {
    Row {
        who: "GitHub Actions as {client}",
        sign_in: vec![
            "GET {github}/7/idtoken/job for {federation} -> 200",
            "POST {authority}/{tenant}/oauth2/v2.0/token grant client_credentials for {audience}/.default as {client} \
             showing {federation} of repo:contoso/app:ref:refs/heads/main -> 200",
        ],
        places: vec![(FaultAt::Oidc, 0), (FaultAt::Authority, 1)],
        refusals: vec![
            Refusal {
                bring_about: forget_the_request_token,
                said: "{github} gave no assertion: it answered with 401",
                after: 1,
            },
            Refusal {
                bring_about: trust_another_subject,
                said: "AADSTS700213: No matching federated identity record",
                after: 2,
            },
        ],
        absent: Absent::PassedOver("`ACTIONS_ID_TOKEN_REQUEST_URL` is not set"),
        ..application(SourceName::GitHubActions).and(set_up_github)
    }
}

/// As the task AzureCLI@2 does it, which names tenant and client itself.
pub(crate) fn set_up_pipelines(stage: &mut Stage) {
    let token = stage.simulator.settings().oidc_request_token;
    stage.set(
        "SYSTEM_OIDCREQUESTURI",
        "https://dev.azure.com/contoso/oidctoken",
    );
    stage.set("SYSTEM_ACCESSTOKEN", token);
    stage.set(
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
        "c0ffee00-0000-4000-8000-000000000001",
    );
    stage.set("AZURESUBSCRIPTION_TENANT_ID", TENANT);
    stage.set("AZURESUBSCRIPTION_CLIENT_ID", CLIENT);
}

pub(crate) fn azure_pipelines() -> Row {
    Row {
        who: "Azure Pipelines as {client}",
        set_up: vec![set_up_pipelines],
        sign_in: vec![
            "POST dev.azure.com/contoso/oidctoken for api://AzureADTokenExchange -> 200",
            "POST {authority}/{tenant}/oauth2/v2.0/token grant client_credentials for {audience}/.default as {client} \
             showing api://AzureADTokenExchange of repo:contoso/app:ref:refs/heads/main -> 200",
        ],
        places: vec![(FaultAt::Oidc, 0), (FaultAt::Authority, 1)],
        refusals: vec![
            // Without its header the service would send a sign-in page.
            Refusal {
                bring_about: forget_the_request_token,
                said: "dev.azure.com gave no assertion: it answered with 401",
                after: 1,
            },
            Refusal {
                bring_about: trust_another_subject,
                said: "AADSTS700213: No matching federated identity record",
                after: 2,
            },
        ],
        absent: Absent::PassedOver("`SYSTEM_OIDCREQUESTURI` is not set"),
        ..application(SourceName::AzurePipelines)
    }
}

/// What managed identities have in common: the platform itself knows who they are.
pub(crate) fn managed_identity(
    set_up: fn(&mut Stage),
    sign_in: Vec<&'static str>,
    place: (FaultAt, usize),
) -> Row {
    let after = sign_in.len();
    Row {
        source: SourceName::ManagedIdentity,
        who: "the system-assigned managed identity",
        is_for: |_| true,
        set_up: vec![set_up],
        sign_in,
        subject: "{system}",
        tenant: "{tenant}",
        places: vec![place],
        is_patient: true,
        refusals: vec![Refusal {
            bring_about: take_all_away,
            said: "Identity not found",
            after,
        }],
        absent: Absent::Unannounced,
        program: None,
    }
}

fn take_all_away(stage: &mut Stage) {
    stage
        .simulator
        .change(|settings| settings.managed_identities.clear());
}

fn take_the_second_away(stage: &mut Stage) {
    stage
        .simulator
        .change(|settings| settings.managed_identities[1] = simulator::ManagedIdentity::default());
}

pub(crate) fn app_service() -> Row {
    let set_up = |stage: &mut Stage| {
        let (endpoint, header) = (
            format!("{}/msi/token", stage.simulator.origin()),
            stage.simulator.settings().identity_header,
        );
        stage.set("IDENTITY_ENDPOINT", endpoint);
        stage.set("IDENTITY_HEADER", header);
    };
    managed_identity(
        set_up,
        vec!["GET machine/msi/token for {audience} -> 200"],
        (FaultAt::AppService, 0),
    )
}

fn set_up_machine_learning(stage: &mut Stage) {
    let (endpoint, secret) = (
        format!("{}/msi/token", stage.simulator.origin()),
        stage.simulator.settings().identity_header,
    );
    stage.set("MSI_ENDPOINT", endpoint);
    stage.set("MSI_SECRET", secret);
}

pub(crate) fn machine_learning() -> Row {
    let sign_in = vec!["GET machine/msi/token for {audience} -> 200"];
    managed_identity(set_up_machine_learning, sign_in, (FaultAt::AppService, 0))
}

pub(crate) fn machine_learning_with_a_default() -> Row {
    let set_up = |stage: &mut Stage| stage.set("DEFAULT_IDENTITY_CLIENT_ID", ASSIGNED);
    machine_learning()
        .user_assigned("managed identity {assigned}", " as {assigned} ->")
        .and(set_up)
}

pub(crate) fn cloud_shell() -> Row {
    let set_up = |stage: &mut Stage| {
        let endpoint = format!("{}/msi/token", stage.simulator.origin());
        stage.set("MSI_ENDPOINT", endpoint);
    };
    let row = managed_identity(
        set_up,
        vec!["POST machine/msi/token for {audience} -> 200"],
        (FaultAt::AppService, 0),
    );
    Row {
        who: "the user of Cloud Shell",
        ..row
    }
}

/// A virtual machine signs in to the public cloud without a question, and to others when it is in them.
pub(crate) fn virtual_machine() -> Row {
    let sign_in = vec![
        "GET machine/metadata/identity/oauth2/token -> 400",
        "GET machine/metadata/identity/oauth2/token for {audience} -> 200",
    ];
    Row {
        is_for: |cloud| cloud.name == CLOUDS[0].name,
        absent: Absent::Last("managed identity of a virtual machine: no connection to 127.0.0.1:1"),
        ..managed_identity(|_| {}, sign_in, (FaultAt::Imds, 1))
    }
}

pub(crate) fn virtual_machine_elsewhere() -> Row {
    let mut row = virtual_machine();
    row.sign_in.insert(
        1,
        "GET machine/metadata/instance/compute/azEnvironment -> 200",
    );
    row.refusals[0].after += 1;
    Row {
        is_for: |cloud| cloud.name != CLOUDS[0].name,
        places: vec![(FaultAt::Imds, 2)],
        ..row
    }
}

/// The row that is for a cloud.
pub(crate) fn virtual_machine_in(cloud: &Cloud) -> Row {
    let (here, elsewhere) = (virtual_machine(), virtual_machine_elsewhere());
    if (here.is_for)(cloud) {
        here
    } else {
        elsewhere
    }
}
