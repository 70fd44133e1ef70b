//! The handle that tests and the program hold.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::journal::Entry;
use crate::server;
use crate::settings::{ASSERTION_AUDIENCE, Settings};
use crate::tokens::Principal;
use crate::world::World;
use crate::{oidc, tls};

/// The name that IMDS has in every cloud. It may be listened on once somebody has given it to the loopback interface.
const IMDS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// A running simulator. Dropping it stops it and, unless a folder was named, removes its folder.
pub struct Simulator {
    world: Arc<World>,
    address: SocketAddr,
    folder: PathBuf,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _temporary: Option<TempDir>,
}

impl Simulator {
    /// Starts on a free port of 127.0.0.1, with a folder of its own.
    pub fn start(settings: Settings) -> io::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), None, settings)
    }

    /// Starts on this loopback address and writes its certificates to this folder, which is made if need be.
    pub fn start_on(
        address: SocketAddr,
        folder: Option<PathBuf>,
        settings: Settings,
    ) -> io::Result<Self> {
        let listener = bind(address)?;
        let address = listener.local_addr()?;
        let temporary = match &folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                None
            }
            None => Some(tempfile::Builder::new().prefix("simulator-").tempdir()?),
        };
        let folder = match (folder, &temporary) {
            (None, Some(temporary)) => temporary.path().to_owned(),
            (folder, _) => folder.unwrap_or_default(),
        };
        let world = Arc::new(World::new(settings)?);
        write_certificates(&world, &folder)?;
        let (stop, stopped) = oneshot::channel();
        let (thread, runtime) = spawn(Arc::clone(&world), listener, stopped)?;
        Ok(Self {
            world,
            address,
            folder,
            runtime,
            stop: Some(stop),
            thread: Some(thread),
            _temporary: temporary,
        })
    }

    /// `http://127.0.0.1:PORT`: the value of `HTTPS_PROXY` and `AZURE_POD_IDENTITY_AUTHORITY_HOST`, and the beginning of
    /// `IDENTITY_ENDPOINT`, which goes on with `/msi/token`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves the same pages and proxy on one more address; returns the one taken, should the port have been 0.
    pub fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = bind(address)?;
        let address = listener.local_addr()?;
        let world = Arc::clone(&self.world);
        self.runtime.spawn(async move {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                server::serve_plain(world, listener).await;
            }
        });
        Ok(address)
    }

    /// Serves TLS by server name, for clients that cannot use a proxy; returns the address taken, should the port have been 0.
    ///
    /// A registry for clients that connect to `localhost:PORT` is declared under just that name.
    pub fn listen_tls(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = bind(address)?;
        let address = listener.local_addr()?;
        let world = Arc::clone(&self.world);
        self.runtime.spawn(async move {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                server::serve_tls(world, listener).await;
            }
        });
        Ok(address)
    }

    /// Where `ca.pem` and `token-signing.pem` are: the authority to trust, and the certificate of the key that signs the
    /// registries' tokens, for the `rootcertbundle` of a docker-registry.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `ca.pem` in the folder: the value of `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE`.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// `token-signing.pem` in the folder.
    pub fn token_signing_file(&self) -> PathBuf {
        self.folder.join("token-signing.pem")
    }

    /// Changes the settings for all later requests.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.world.change(change);
    }

    /// The settings as they are now: faults that have worn out are gone.
    pub fn settings(&self) -> Settings {
        self.world.settings()
    }

    /// What was asked so far, in order of arrival.
    pub fn journal(&self) -> Vec<Entry> {
        self.world.journal.entries()
    }

    /// Forgets what was asked so far.
    pub fn clear_journal(&self) {
        self.world.journal.clear();
    }

    /// An assertion of a workload of this subject, valid for ten minutes, for the default audience: what stands in an
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub fn assertion(&self, subject: &str) -> String {
        let now = self.settings().now();
        self.sign_assertion(&oidc::claims(now, subject, ASSERTION_AUDIENCE))
    }

    /// The Entra refresh token of the first person, who signed in to this client in this cloud: what the Azure CLI keeps.
    pub fn sign_in(&self, cloud: &str, client_id: &str) -> String {
        let user = self.settings().users.into_iter().next().unwrap_or_default();
        let principal = Principal {
            tenant: user.tenant,
            object_id: user.object_id,
            app_id: client_id.to_owned(),
            upn: Some(user.upn),
            name: Some(user.name),
        };
        self.world
            .sessions
            .add_refresh_token(cloud, principal, None)
    }

    /// Takes back every Entra refresh token of everybody.
    pub fn revoke_sign_ins(&self) {
        self.world.sessions.revoke();
    }

    /// An assertion of these claims and no others, signed by the simulator's own issuer.
    pub fn sign_assertion(&self, claims: &serde_json::Value) -> String {
        self.world.federation_key.sign(claims)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Simulator")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A listener on loopback, never elsewhere.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() && address.ip() != IMDS {
        let text = format!("{address} is not a loopback address");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn write_certificates(world: &World, folder: &Path) -> io::Result<()> {
    std::fs::write(folder.join("ca.pem"), world.certificates.ca_pem())?;
    let name = crate::tokens::REGISTRY_ISSUER;
    let certificate =
        tls::certificate_of(name, world.registry_key.pkcs8()).map_err(io::Error::other)?;
    std::fs::write(folder.join("token-signing.pem"), certificate)
}

/// A thread with a runtime that serves until told to stop.
fn spawn(
    world: Arc<World>,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
) -> io::Result<(JoinHandle<()>, Handle)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let serving = move || {
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            tokio::select! {
                () = server::serve_plain(world, listener) => {}
                _ = stopped => {}
            }
        });
    };
    let thread = std::thread::Builder::new()
        .name("simulator".to_owned())
        .spawn(serving)?;
    Ok((thread, handle))
}
