//! The set-ups: what is wrong, how it is brought about, and which check is its first cause.

use crate::support::setups::{Prepare, azure_cli, connect, fail, status};
use crate::support::{Home, REGISTRY};
use simulator::{
    Authority, BadCertificate, ErrorShape, FaultAt, FaultKind, Raw, Role, Simulator, Tenant,
};
use std::process::Command;

/// One set-up.
pub(crate) struct Row {
    /// The name of its transcript.
    pub(crate) name: &'static str,
    /// The check on top, if anything is wrong.
    pub(crate) cause: Option<&'static str>,
    /// What is typed behind `doctor`.
    pub(crate) arguments: Vec<&'static str>,
    pub(crate) prepare: Prepare,
}

impl Row {
    pub(crate) fn broken(
        name: &'static str,
        cause: &'static str,
        prepare: impl Fn(&Home, &Simulator, &mut Command) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            cause: Some(cause),
            arguments: vec![REGISTRY],
            prepare: Box::new(prepare),
        }
    }

    pub(crate) fn working(
        name: &'static str,
        prepare: impl Fn(&Home, &Simulator, &mut Command) + Send + Sync + 'static,
    ) -> Self {
        Self {
            cause: None,
            ..Self::broken(name, "", prepare)
        }
    }

    fn of(self, arguments: &[&'static str]) -> Self {
        Self {
            arguments: arguments.to_vec(),
            ..self
        }
    }
}

/// A setting of these values.
fn setting(row: &'static str, cause: &'static str, name: &'static str, value: &'static str) -> Row {
    Row::broken(row, cause, move |_, _, command| {
        command.env(name, value);
    })
}

/// A fault at one place, under a deadline of two seconds where nothing else ends it.
fn fault(name: &'static str, cause: &'static str, at: FaultAt, kind: FaultKind) -> Row {
    Row::broken(name, cause, move |_, simulator, command| {
        if matches!(kind, FaultKind::Delay { .. }) {
            command.env("ACRSCOPED_TIMEOUT", "2");
        }
        fail(simulator, &at, &kind);
    })
}

fn untouched(_: &Home, _: &Simulator, _: &mut Command) {}

pub(crate) fn working() -> Vec<Row> {
    vec![
        Row::working("works", untouched),
        Row::working("works-repository", untouched).of(&[REGISTRY, "--repository", "team/app"]),
        Row::working("works-plain", untouched).of(&[REGISTRY, "--plain"]),
        Row::working("works-verbose", untouched).of(&[REGISTRY, "--verbose"]),
        Row::working("works-image", untouched).of(&["contoso.azurecr.io/team/app:v1"]),
        Row::working("works-anonymous-pull", |_, simulator, _| {
            simulator.change(|settings| {
                let registry = settings.registry_mut(REGISTRY);
                registry.anonymous_pull = true;
                registry.roles = vec![Role::new("*", "*", &["pull"])];
            });
        })
        .of(&[REGISTRY, "--repository", "team/app"]),
        Row::working("works-region", untouched).of(&["contoso.eastus.geo.azurecr.io"]),
        Row::working("works-abac", |_, simulator, _| {
            simulator.change(|settings| {
                let registry = settings.registry_mut(REGISTRY);
                registry.abac = true;
                registry.roles = vec![Role::new("*", "team/*", &["pull", "push"])];
            });
        })
        .of(&[REGISTRY, "--repository", "team/app"]),
        Row::working("works-identity-token", |_, simulator, command| {
            simulator.change(|settings| settings.password_grant = Some(400));
            command.env("ACRSCOPED_USERNAME", "token");
        }),
        Row::working("no-registry", |home, _, _| {
            home.write("docker/config.json", "{}");
        })
        .of(&[]),
        Row::working("registry-of-docker", untouched).of(&[]),
        Row::working("only-one-registry", |home, _, command| {
            let file = home.write("config.toml", format!("[registry.\"{REGISTRY}\"]\nusername = \"token\"\n"));
            command.env("ACRSCOPED_CONFIG", file);
        })
        .of(&[]),
        Row::working("works-private-cloud", |home, simulator, command| {
            let text = "[cloud.Fabrikam]\nsuffix = 'azurecr.fabrikam.example'\nauthority = 'https://login.fabrikam.example'\n";
            command.env("ACRSCOPED_CONFIG", home.write("config.toml", text));
            simulator.change(|settings| {
                settings.authorities.push(Authority { host: "login.fabrikam.example".into(), cloud: "Fabrikam".into() });
                settings.registry_mut("contoso.azurecr.fabrikam.example").cloud = "Fabrikam".into();
            });
        })
        .of(&["contoso.azurecr.fabrikam.example"]),
        Row::working("probe-arm-refused", untouched).of(&[REGISTRY, "--probe-arm"]),
    ]
}

pub(crate) fn sign_in() -> Vec<Row> {
    let id = "11111111-2222-3333-4444-555555555555";
    let blocked = r#"{"error":"invalid_grant","error_description":"AADSTS53003: Access has been blocked by Conditional Access policies."}"#;
    vec![
        Row::broken("no-registry-of-ours", "registry", untouched).of(&["index.docker.io"]),
        Row::broken("no-identity", "identity", |_, _, command| {
            command
                .env_remove("AZURE_CLIENT_SECRET")
                .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
        }),
        Row::broken("no-identity-no-registry", "identity", |home, _, command| {
            home.write("docker/config.json", "{}");
            command
                .env_remove("AZURE_CLIENT_SECRET")
                .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
        })
        .of(&[]),
        Row::broken("config-file-broken", "configuration", |home, _, command| {
            let file = home.write("config.toml", "tenant = \n");
            command.env("ACRSCOPED_CONFIG", file);
        }),
        Row::broken("half-a-service-principal", "identity", |_, _, command| {
            command.env_remove("AZURE_TENANT_ID");
        }),
        setting(
            "unknown-value",
            "configuration",
            "ACRSCOPED_CACHE",
            "keychain",
        ),
        setting(
            "misspelt-setting",
            "configuration",
            "ACRSCOPED_TENAT",
            "contoso.example",
        ),
        setting(
            "source-not-there",
            "identity",
            "ACRSCOPED_SOURCE",
            "github-actions",
        ),
        setting(
            "wrong-secret",
            "access-token",
            "AZURE_CLIENT_SECRET",
            "wrong",
        ),
        Row::broken("expired-secret", "access-token", |_, simulator, _| {
            simulator.change(|settings| settings.apps[0].secret_expired = true);
        }),
        setting("unknown-application", "access-token", "AZURE_CLIENT_ID", id),
        setting("unknown-tenant", "access-token", "AZURE_TENANT_ID", id),
        fault(
            "conditional-access",
            "access-token",
            FaultAt::Authority,
            status(400, blocked),
        ),
        fault(
            "entra-out-of-order",
            "access-token",
            FaultAt::Authority,
            FaultKind::status(503),
        ),
        fault(
            "entra-never-answers",
            "access-token",
            FaultAt::Authority,
            FaultKind::Delay { ms: 60_000 },
        ),
        Row::broken(
            "federation-of-another",
            "access-token",
            |home, simulator, command| {
                simulator.change(|settings| {
                    settings.apps[0].federated_credentials[0].subject = "this:workload".into();
                });
                command.env(
                    "AZURE_FEDERATED_TOKEN_FILE",
                    home.write("token", simulator.assertion("somebody:else")),
                );
            },
        ),
        Row::broken("second-factor", "access-token", |home, _, command| {
            azure_cli(
                home,
                command,
                "echo 'ERROR: AADSTS50076: You must use multi-factor authentication.' >&2; exit 1",
            );
        }),
        Row::broken("arm-token-only", "access-token", |home, _, command| {
            let payload =
                azure_core::base64::encode_url_safe(r#"{"aud":"https://management.azure.com"}"#);
            let token = format!("e30.{}.c2ln", payload.trim_end_matches('='));
            let answer = format!(
                r#"{{"accessToken":"{token}","expires_on":4102444800,"tokenType":"Bearer"}}"#
            );
            azure_cli(home, command, &format!("echo '{answer}'"));
        }),
        Row::broken(
            "managed-identity-not-assigned",
            "access-token",
            move |_, simulator, command| {
                command
                    .env_remove("AZURE_CLIENT_SECRET")
                    .env("AZURE_CLIENT_ID", id);
                command.env(
                    "IDENTITY_ENDPOINT",
                    format!("{}/msi/token", simulator.origin()),
                );
                command.env("IDENTITY_HEADER", &simulator.settings().identity_header);
            },
        ),
        setting(
            "sovereign-wrong-authority",
            "configuration",
            "ACRSCOPED_AUTHORITY",
            "https://login.microsoftonline.com",
        )
        .of(&["contoso.azurecr.us"]),
    ]
}

pub(crate) fn registry() -> Vec<Row> {
    let no_role = |shape| {
        move |_: &Home, simulator: &Simulator, _: &mut Command| {
            simulator.change(|settings| {
                settings.error_shape = shape;
                settings.registry_mut(REGISTRY).roles.clear();
            });
        }
    };
    let elsewhere = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer \
                     realm=\"https://evil.example/oauth2/token\",service=\"evil.example\"\r\nContent-Length: 0\r\n\r\n";
    let abac = |_: &Home, simulator: &Simulator, _: &mut Command| {
        simulator.change(|settings| {
            let registry = settings.registry_mut(REGISTRY);
            registry.abac = true;
            registry.roles = vec![Role::new("*", "team/*", &["pull", "push"])];
        });
    };
    vec![
        Row::broken("no-role", "exchange", no_role(ErrorShape::Y2026)),
        Row::broken("no-role-2021", "exchange", no_role(ErrorShape::Y2021)),
        Row::broken(
            "registry-of-another-tenant",
            "exchange",
            |_, simulator, _| {
                simulator.change(|settings| {
                    let id = "11111111-2222-3333-4444-555555555555".to_owned();
                    settings.tenants.push(Tenant {
                        id: id.clone(),
                        domain: "fabrikam.example".into(),
                        ..Tenant::default()
                    });
                    settings.registry_mut(REGISTRY).tenant = id;
                });
            },
        ),
        Row::broken("firewall", "challenge", |_, simulator, _| {
            simulator.change(|settings| {
                settings.registry_mut(REGISTRY).firewall = Some("203.0.113.9".into());
            });
        }),
        Row::broken("abac-no-repository", "refresh-token", abac),
        Row::broken("abac-other-repository", "repository", abac).of(&[
            REGISTRY,
            "--repository",
            "other/app",
        ]),
        Row::broken("no-pull", "repository", |_, simulator, _| {
            simulator.change(|settings| {
                settings.registry_mut(REGISTRY).roles =
                    vec![Role::new("*", "*", &["metadata_read"])];
            });
        })
        .of(&[REGISTRY, "--repository", "team/app"]),
        fault(
            "throttled",
            "challenge",
            FaultAt::Registry,
            FaultKind::too_many_requests(300),
        ),
        fault(
            "exchange-throttled",
            "exchange",
            FaultAt::Exchange,
            FaultKind::too_many_requests(300),
        ),
        fault(
            "exchange-not-there",
            "exchange",
            FaultAt::Exchange,
            FaultKind::status(404),
        ),
        fault(
            "exchange-portal",
            "exchange",
            FaultAt::Exchange,
            FaultKind::Html,
        ),
        fault(
            "registry-out-of-order",
            "challenge",
            FaultAt::Registry,
            FaultKind::status(500),
        ),
        fault(
            "registry-never-answers",
            "challenge",
            FaultAt::Registry,
            FaultKind::Delay { ms: 60_000 },
        ),
        fault(
            "realm-elsewhere",
            "challenge",
            FaultAt::Registry,
            FaultKind::Raw(Raw {
                start: elsewhere.into(),
                ..Raw::default()
            }),
        ),
        fault(
            "no-challenge",
            "challenge",
            FaultAt::Registry,
            FaultKind::status(401),
        ),
        fault(
            "token-service-out-of-order",
            "registry-token",
            FaultAt::Token,
            FaultKind::status(500),
        ),
        Row::broken("buildkit-gives-up", "buildkit", |_, simulator, _| {
            simulator.change(|settings| settings.password_grant = Some(400));
        }),
        Row::broken("token-already-ended", "refresh-token", |_, simulator, _| {
            simulator.change(|settings| settings.refresh_token_life = -60);
        }),
        Row::broken("skewed-clock", "clock", |_, simulator, _| {
            simulator.change(|settings| settings.clock_skew = 7_200);
        }),
        Row::broken("skewed-clock-refused", "clock", |_, simulator, _| {
            simulator.change(|settings| {
                settings.clock_skew = -7_200;
                settings.registry_mut(REGISTRY).roles.clear();
            });
        }),
        Row::broken("probe-arm-taken", "arm-tokens", |_, simulator, _| {
            simulator.change(|settings| settings.registry_mut(REGISTRY).accept_arm_tokens = true);
        })
        .of(&[REGISTRY, "--probe-arm"]),
        setting("no-keyring", "keyring", "ACRSCOPED_CACHE", "secret-service"),
    ]
}

pub(crate) fn wiring() -> Vec<Row> {
    let file = |name, cause, text: &'static str| {
        Row::broken(name, cause, move |home, _, _| {
            home.write("docker/config.json", text);
        })
    };
    let podman = |home: &Home| home.script("bin/podman", "exit 1");
    vec![
        file("docker-not-wired", "docker", "{}"),
        file(
            "docker-asks-another",
            "docker",
            r#"{"credsStore":"desktop"}"#,
        ),
        file("docker-file-broken", "docker", r#"{"credHelpers":"#),
        file(
            "stale-login",
            "logins",
            r#"{"credHelpers":{"contoso.azurecr.io":"acrscoped"},"auths":{"contoso.azurecr.io":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOng="}}}"#,
        ),
        Row::broken("helper-not-on-path", "path", |home, _, command| {
            command.env("PATH", home.path("home"));
        })
        .of(&[REGISTRY, "--plain"]),
        Row::broken("another-helper-on-path", "path", |home, _, command| {
            home.script("home/docker-credential-acrscoped", "exit 1");
            command.env("PATH", home.path("home"));
        })
        // The file of this program is elsewhere on each machine, and so would be the line breaks.
        .of(&[REGISTRY, "--plain"]),
        Row::broken("podman-not-wired", "podman", move |home, _, _| {
            podman(home);
            home.write("docker/config.json", r#"{"credsStore":"acrscoped"}"#);
        }),
        Row::broken("podman-stale-login", "podman", move |home, _, _| {
            podman(home);
            home.write(
                "auth.json",
                r#"{"auths":{"contoso.azurecr.io":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOng="}}}"#,
            );
        }),
    ]
}

pub(crate) fn network() -> Vec<Row> {
    let certificate = |name, bad| fault(name, "tls", connect(), FaultKind::Certificate(bad));
    let portal = FaultKind::Redirect {
        to: "http://portal.example/".into(),
    };
    vec![
        setting(
            "proxy-not-there",
            "tcp",
            "HTTPS_PROXY",
            "http://user:password@127.0.0.1:1",
        ),
        fault(
            "proxy-wants-password",
            "tcp",
            connect(),
            FaultKind::status(407),
        ),
        fault("proxy-refuses", "tcp", connect(), FaultKind::status(403)),
        Row::broken("registry-does-not-exist", "tcp", untouched).of(&["fabrikam.azurecr.io"]),
        certificate("inspecting-proxy", BadCertificate::UnknownIssuer),
        certificate("expired-certificate", BadCertificate::Expired),
        certificate("certificate-of-another", BadCertificate::OtherName),
        setting(
            "ca-file-not-there",
            "tls",
            "SSL_CERT_FILE",
            "/nowhere/ca.pem",
        ),
        setting(
            "extra-ca-file-not-there",
            "configuration",
            "ACRSCOPED_CA_FILE",
            "/nowhere/ca.pem",
        ),
        fault(
            "portal-page",
            "challenge",
            FaultAt::Registry,
            FaultKind::Html,
        ),
        fault("portal-redirect", "challenge", FaultAt::Registry, portal),
        fault(
            "connection-reset",
            "challenge",
            FaultAt::Registry,
            FaultKind::Reset,
        ),
    ]
}
