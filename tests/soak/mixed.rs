//! Mixed registries, identities and faults, with tokens that last for seconds.

use crate::callers::{count, files, processes, rate};
use crate::faults::{during, scramble};
use crate::support::namespace::Namespace;
use crate::support::run::in_parallel_by;
use crate::support::{Answer, Home, ask, binary, connect};
use azure_core::base64::decode_url_safe;
use serde_json::{Value, json};
use simulator::{
    ASSERTION_AUDIENCE, App, CLIENT, CLIENT_OBJECT, FEDERATED_ISSUER, MANAGED_IDENTITY,
    MANAGED_IDENTITY_OBJECT, Registry, Settings, Simulator, TENANT,
};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Instant, SystemTime};

const AT_ONCE: usize = 16;

/// Seconds until a refresh token expires. In its last minute it is not handed out, so it is used for two seconds.
const LIFE: i64 = 62;

const OTHER_CLIENT: &str = "2c7e91d4-8f05-4b36-a1d8-60b94e2f7c53";
const OTHER_OBJECT: &str = "b84d0f62-17ae-49c3-8e5b-d29c3170fa46";

/// Registries, and the name each is exchanged under.
const REGISTRIES: [(&str, &str); 8] = [
    ("contoso.azurecr.io", "contoso.azurecr.io"),
    ("fabrikam.azurecr.io", "fabrikam.azurecr.io"),
    ("contoso-abc123.azurecr.io", "contoso-abc123.azurecr.io"),
    ("contoso.eastus.geo.azurecr.io", "contoso.azurecr.io"),
    (
        "contoso-abc123.westeurope.geo.azurecr.io",
        "contoso-abc123.azurecr.io",
    ),
    ("contoso.azurecr.us", "contoso.azurecr.us"),
    ("contoso.azurecr.cn", "contoso.azurecr.cn"),
    ("contoso.chinaeast2.geo.azurecr.cn", "contoso.azurecr.cn"),
];

/// Who asks.
#[derive(Clone, Copy, Debug)]
enum Who {
    App,
    OtherApp,
    Workload,
    AppService,
}

impl Who {
    /// The client and the object that a registry's token names.
    fn claims(self) -> (&'static str, &'static str) {
        match self {
            Self::App | Self::Workload => (CLIENT, CLIENT_OBJECT),
            Self::OtherApp => (OTHER_CLIENT, OTHER_OBJECT),
            Self::AppService => (MANAGED_IDENTITY, MANAGED_IDENTITY_OBJECT),
        }
    }
}

/// The world of the soak.
struct World {
    home: Home,
    simulator: Simulator,
    namespace: Namespace,
    secrets: [String; 2],
    identity_header: String,
}

impl World {
    fn new() -> Self {
        let mut settings = Settings {
            refresh_token_life: LIFE,
            ..Settings::default()
        };
        settings.registries = REGISTRIES.map(|(host, _)| Registry::new(host)).into();
        let other = App {
            client_id: OTHER_CLIENT.into(),
            object_id: OTHER_OBJECT.into(),
            ..App::default()
        };
        settings.apps.push(other);
        let secrets = [
            settings.apps[0].secret.clone(),
            settings.apps[1].secret.clone(),
        ];
        let identity_header = settings.identity_header.clone();
        let simulator = Simulator::start(settings).expect("a simulator");
        let home = Home::new();
        home.write("assertion", assertion(&simulator));
        std::fs::create_dir(home.path("tmp")).expect("our folder");
        Self {
            home,
            simulator,
            namespace: Namespace::new(),
            secrets,
            identity_header,
        }
    }

    fn get(&self, who: Who, host: &str) -> Answer {
        let mut command = self.home.command(binary());
        connect(&mut command, &self.simulator).env("TMPDIR", self.home.path("tmp"));
        self.identify(&mut command, who);
        ask(self.namespace.enter(&command), "get", host)
    }

    fn identify(&self, command: &mut Command, who: Who) {
        match who {
            Who::App => command
                .env("AZURE_CLIENT_ID", CLIENT)
                .env("AZURE_CLIENT_SECRET", &self.secrets[0]),
            Who::OtherApp => command
                .env("AZURE_CLIENT_ID", OTHER_CLIENT)
                .env("AZURE_CLIENT_SECRET", &self.secrets[1]),
            Who::Workload => command
                .env("AZURE_CLIENT_ID", CLIENT)
                .env("AZURE_FEDERATED_TOKEN_FILE", self.home.path("assertion")),
            Who::AppService => {
                let endpoint = format!("{}/msi/token", self.simulator.origin());
                command
                    .env("IDENTITY_ENDPOINT", endpoint)
                    .env("IDENTITY_HEADER", &self.identity_header)
            }
        };
        command.env("AZURE_TENANT_ID", TENANT);
    }
}

/// What a workload shows, good for longer than the soak.
fn assertion(simulator: &Simulator) -> String {
    let now = unix_seconds();
    let claims = json!({
        "iss": FEDERATED_ISSUER, "sub": "soak", "aud": ASSERTION_AUDIENCE, "iat": now, "nbf": now - 60, "exp": now + 86_400,
    });
    simulator.sign_assertion(&claims)
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs()
}

/// Who asks for what in the call of this number. A managed identity of the public cloud is unknown in the others.
fn chosen(number: usize) -> (Who, &'static str, &'static str) {
    let chance = scramble(number as u64);
    let who = [Who::App, Who::OtherApp, Who::Workload, Who::AppService][(chance % 4) as usize];
    let reachable = if matches!(who, Who::AppService) {
        5
    } else {
        REGISTRIES.len() as u64
    };
    let (host, login_server) = REGISTRIES[((chance >> 8) % reachable) as usize];
    (who, host, login_server)
}

/// The token is for the registry and the identity that asked, and still good.
fn check(who: Who, login_server: &str, token: &str) {
    let payload = token
        .split('.')
        .nth(1)
        .and_then(|payload| decode_url_safe(payload).ok())
        .expect("a JWT");
    let claims: Value = serde_json::from_slice(&payload).expect("claims");
    let (client, object) = who.claims();
    let named = [
        ("aud", login_server),
        ("appid", client),
        ("sub", object),
        ("tenant", TENANT),
        ("grant_type", "refresh_token"),
    ];
    for (claim, expected) in named {
        assert_eq!(
            claims[claim], expected,
            "{who:?} at {login_server}: a token of somebody else: {claims}"
        );
    }
    // It was checked by the helper a moment ago, with a minute to spare.
    assert!(
        claims["exp"].as_u64() > Some(unix_seconds()),
        "an expired token: {claims}"
    );
}

/// The failure without what differs between registries and identities.
fn kind(answer: &Answer) -> String {
    let line = answer.stdout.lines().next().unwrap_or_default();
    let words = line
        .split(' ')
        .filter(|word| !word.contains('.') && !word.contains('-'));
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a throttled or reset request explains the failure.
fn is_explained(answer: &Answer) -> bool {
    [
        "too many requests",
        "Too many requests",
        "Connection reset by peer",
        "connection closed",
        "is throttling requests",
        "incomplete response",
        "no connection",
    ]
    .iter()
    .any(|words| answer.text().contains(words))
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn under_load_and_faults_nobody_gets_a_wrong_token_and_nothing_is_left_behind() {
    let (world, calls) = (World::new(), count());
    let before = files(&world.home);
    let started = Instant::now();
    let (failures, account) = during(&world.simulator, || {
        in_parallel_by(AT_ONCE, calls, |number| {
            let (who, host, login_server) = chosen(number);
            let answer = world.get(who, host);
            if answer.code() == 0 {
                check(who, login_server, &answer.secret());
                None
            } else {
                Some(answer)
            }
        })
    });
    let took = started.elapsed();
    let failures: Vec<Answer> = failures.into_iter().flatten().collect();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for failure in &failures {
        *kinds.entry(kind(failure)).or_default() += 1;
    }
    let rate = rate(calls, took);
    println!(
        "{calls} calls, {AT_ONCE} at a time, in {took:.1?}: {rate}; {} failed: {kinds:#?}",
        failures.len()
    );
    println!("{account:?}");
    assert!(failures.iter().all(is_explained), "{failures:#?}");
    // Three faults in a row make one flight fail, and those who wait for it: never more than there are callers.
    assert!(
        failures.len() <= account.faults() / 3 * AT_ONCE,
        "{} failures of {account:?}",
        failures.len()
    );
    assert_eq!(files(&world.home), before);
    assert_eq!(processes(&world.home), [""; 0]);
}
