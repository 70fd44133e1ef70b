//! Debian's docker-registry, as a registry of Azure behind the simulator and as one that is not Azure's.

use crate::support::Home;
use crate::support::server::Server;
use crate::world::contained;
use std::path::Path;

/// Who may use a registry that is not Azure's.
#[derive(Clone, Copy)]
pub(crate) enum Door {
    /// Anybody.
    Open,
    /// [`FOREIGN_USER`] with [`FOREIGN_PASSWORD`].
    Password,
}

/// The user of a registry that wants a password.
pub(crate) const FOREIGN_USER: &str = "alice";

/// The password.
pub(crate) const FOREIGN_PASSWORD: &str = "correct horse";

/// The password as htpasswd(1) would write it: crypt(5) with `$2b$`.
const FOREIGN_HASH: &str = "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";

/// Starts Debian's docker-registry; returns its address.
pub(crate) fn start(home: &Home, name: &str, auth: &str) -> (Server, String) {
    let config = home.write(&format!("registry/{name}.yml"), config(auth));
    let mut command = contained(home, "docker-registry");
    // The registry would take the clients' variable for its own setting `auth.file`.
    command
        .arg("serve")
        .arg(config)
        .env_remove("REGISTRY_AUTH_FILE");
    let mut server = Server::start(&mut command, home.path(&format!("registry/{name}.log")));
    let address = server.when("registry", |log| {
        let (_, rest) = log.split_once("listening on ")?;
        let (address, _) = rest.split_once('"')?;
        Some(address.to_owned())
    });
    (server, address)
}

fn config(auth: &str) -> String {
    format!(
        "version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: '127.0.0.1:0', relativeurls: true, secret: of-one-test}}\n{auth}"
    )
}

/// Takes the tokens that the simulator signs.
pub(crate) fn token_auth(host: &str, signers: &Path) -> String {
    format!(
        "auth:
  token:
    realm: https://{host}/oauth2/token
    service: {host}
    issuer: Azure Container Registry
    rootcertbundle: {}
",
        signers.display()
    )
}

impl Door {
    /// What the registry is told.
    pub(crate) fn auth(self, home: &Home) -> String {
        match self {
            Self::Open => String::new(),
            Self::Password => {
                let accounts = home.write(
                    "registry/htpasswd",
                    format!("{FOREIGN_USER}:{FOREIGN_HASH}\n"),
                );
                format!(
                    "auth: {{htpasswd: {{realm: foreign, path: {}}}}}\n",
                    accounts.display()
                )
            }
        }
    }
}
