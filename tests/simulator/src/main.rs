//! The simulator as a program: for demonstrations, and for trying clients by hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use simulator::{Entry, Settings, Simulator};

const LONG: &str = "\
Plays, on loopback only and under a certificate authority that lives as long as the program:

  Entra                 login.microsoftonline.com, .us, .de, login.chinacloudapi.cn, …
  registries            contoso.azurecr.io, .us, .cn, contoso-abc123.azurecr.io, contoso.eastus.geo.azurecr.io
  Azure Resource Manager, as much as `az login` and `az acr login` need
  IMDS                  http://ADDRESS/metadata/identity/oauth2/token
  App Service           http://ADDRESS/msi/token, shared with Azure ML and Cloud Shell
  Azure Arc             http://ADDRESS/arc/metadata/identity/oauth2/token, once the settings have an `arc`
  GitHub Actions        https://pipelines.actions.githubusercontent.com/oidc/github
  Azure Pipelines       https://dev.azure.com/oidc/pipelines

The address is an HTTPS proxy: a client with HTTPS_PROXY and SSL_CERT_FILE set reaches every host by its real name. A name
that is not simulated is answered 502, so nothing leaves this machine. What was asked for is at
http://ADDRESS/control/journal (GET, DELETE) and on stderr; what can be changed is at http://ADDRESS/control/settings
(GET, PUT of a JSON object whose keys replace the current ones).";

const EXAMPLES: &str = "\
Examples:
  simulator --listen 127.0.0.1:8443 --folder /tmp/simulated
  simulator --backend contoso.azurecr.io=http://127.0.0.1:5000
  curl -X PUT -d '{\"faults\":[{\"at\":\"exchange\",\"kind\":{\"delay\":{\"ms\":2000}}}]}' http://127.0.0.1:8443/control/settings
  curl -X PUT -d '{\"arc\":{\"folder\":\"/tmp/keys\",\"named\":\"/tmp/keys\"}}' http://127.0.0.1:8443/control/settings
  curl -X PUT -d '{\"faults\":[{\"at\":\"token\",\"kind\":\"reset\",\"times\":1}]}' http://127.0.0.1:8443/control/settings";

/// Entra, Azure Container Registry and the identity endpoints of Azure, simulated on loopback.
#[derive(Debug, Parser)]
#[command(version, long_about = LONG, after_long_help = EXAMPLES)]
struct Arguments {
    /// The loopback address of the proxy and the plain pages; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A loopback address to serve TLS at, by server name, for clients that take no proxy.
    #[arg(long, value_name = "ADDRESS")]
    listen_tls: Option<SocketAddr>,
    /// Where to write ca.pem, token-signing.pem and env; a temporary folder when left out.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Pass this registry's images on to a real docker-registry, instead of keeping them in memory.
    #[arg(long, value_name = "HOST=URL", value_parser = backend)]
    backend: Vec<(String, String)>,
    /// A JSON file of settings; keys left out keep their defaults, as seen at /control/settings.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

fn backend(text: &str) -> Result<(String, String), String> {
    let (host, url) = text.split_once('=').ok_or("expected HOST=URL")?;
    if !url.starts_with("http://") {
        return Err("the URL must begin with http://".to_owned());
    }
    Ok((host.to_owned(), url.to_owned()))
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    let mut settings = Settings::default();
    if let Some(file) = &arguments.settings {
        let named = |error: String| io::Error::other(format!("{}: {error}", file.display()));
        let text = fs::read(file).map_err(|error| named(error.to_string()))?;
        let changes = serde_json::from_slice(&text).map_err(|error| named(error.to_string()))?;
        settings = settings.overlaid(&changes).map_err(named)?;
    }
    for (host, url) in arguments.backend {
        settings.registry_mut(&host).backend = Some(url);
    }
    let simulator = Simulator::start_on(arguments.listen, arguments.folder, settings)?;
    let tls = arguments
        .listen_tls
        .map(|address| simulator.listen_tls(address))
        .transpose()?;
    write_private(
        &simulator.folder().join("env"),
        &simulator.environment_file(),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let context = runtime.enter();
    // Before it is ready, so that a signal that comes at once ends it in order.
    let stopped = stopped()?;
    drop(context);
    io::stdout().write_all(simulator.guide(tls).as_bytes())?;
    io::stdout().flush()?;
    runtime.block_on(report_until_stopped(&simulator, stopped))
}

/// Writes a file that holds a secret.
fn write_private(path: &std::path::Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// A line on stderr for each request, until Ctrl-C or SIGTERM.
async fn report_until_stopped(
    simulator: &Simulator,
    stopped: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let mut stopped = std::pin::pin!(stopped);
    let mut report = Report::default();
    let mut waiting = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            stopped = &mut stopped => return stopped,
            _ = waiting.tick() => report.tell(&simulator.journal()),
        }
    }
}

/// What was told so far.
#[derive(Debug, Default)]
struct Report {
    last: u64,
    /// Seen, but without a status when last looked at.
    unanswered: BTreeMap<u64, u32>,
}

impl Report {
    /// How many looks an entry is given to be answered; after that it was reset, or the client left.
    const PATIENCE: u32 = 100;

    fn tell(&mut self, journal: &[Entry]) {
        for entry in journal {
            let looks = match self.unanswered.remove(&entry.seq) {
                Some(looks) => looks,
                None if entry.seq > self.last => 0,
                None => continue,
            };
            self.last = self.last.max(entry.seq);
            if entry.status != 0 || looks >= Self::PATIENCE {
                eprintln!("{}", line(entry));
            } else {
                self.unanswered.insert(entry.seq, looks + 1);
            }
        }
    }
}

/// Completes at Ctrl-C or SIGTERM, which are handled from this call on. Needs the context of a runtime.
#[cfg(unix)]
fn stopped() -> io::Result<impl Future<Output = io::Result<()>>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => Ok(()),
            _ = terminated.recv() => Ok(()),
        }
    })
}

#[cfg(not(unix))]
fn stopped() -> io::Result<impl Future<Output = io::Result<()>>> {
    Ok(tokio::signal::ctrl_c())
}

fn line(entry: &Entry) -> String {
    let mut line = format!(
        "{:>4} {:03} {} {}{}",
        entry.seq, entry.status, entry.method, entry.host, entry.path
    );
    let issued = entry.issued.as_ref().map(|facts| &facts.audience);
    let presented = entry.token.as_ref().map(|facts| &facts.audience);
    for (name, value) in [
        ("grant", entry.grant.as_ref()),
        ("asked", entry.audience_requested.as_ref()),
        ("presented", presented),
        ("issued", issued),
    ] {
        if let Some(value) = value {
            let _ = write!(line, " {name}={value:?}");
        }
    }
    line
}
