//! `--report`: the answer as a file that may be shown to strangers, with what a maintainer needs besides.

use super::redact::Names;
use super::report::Report;
use crate::commands::Context;
use crate::error::{Error, visible};
use crate::files::read_small;
use crate::program::{Runner, find};
use crate::registry::Registry;
use crate::runtime;
use crate::terminal::Terminal;
use azure_identity::Executor;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the new file of a report, which its owner alone can read. Errors when it is there already, or cannot be made.
pub(super) fn create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AlreadyExists => "; remove it, or name another: `--report=FILE`",
            _ => "",
        };
        Error::Input(format!("the report {} could not be written: {error}{advice}", path.display()))
    })
}

/// Writes the report to its file.
pub(super) fn write(
    mut file: File,
    report: &Report,
    context: &Context<'_>,
    registry: Option<&Registry>,
    repository: Option<&str>,
) -> Result<(), Error> {
    let plain = Terminal::new(&HashMap::new(), false, true);
    let mut names = Names::new(context, registry);
    names.add("repository", repository.unwrap_or_default());
    report.checks.iter().flat_map(|check| &check.names).for_each(|name| names.add("name", name));
    let text = names.redact(&report.draw(plain));
    let (version, system, processor) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    let mut head = vec![format!("`docker-credential-acrscoped doctor` {version} on {system} {processor}")];
    head.extend(distribution());
    head.extend(versions(context)?);
    let text = format!("{}; names and ids are left out\n\n```text\n{text}```\n", head.join("; "));
    file.write_all(text.as_bytes()).map_err(|error| Error::Input(format!("the report could not be written: {error}")))
}

/// The name of the distribution (`os-release(5)`).
fn distribution() -> Option<String> {
    let text = String::from_utf8(read_small(Path::new("/etc/os-release"), 64 * 1024).ok()?).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(visible(name.trim_matches('"')))
}

/// The versions of the programs that take part, as far as they say them in time.
fn versions(context: &Context<'_>) -> Result<Vec<String>, Error> {
    let folders = context.settings.program_folders();
    let runner = &Runner::new(&folders, vec![]);
    let ask = async |name: &str, argument: &str| {
        let program = find(name, &folders)?;
        let output = tokio::time::timeout(PATIENCE, runner.run(program.as_os_str(), &[argument.as_ref()])).await.ok()?.ok()?;
        let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        let is_version = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()) && word.len() <= 32;
        let version = text.split(|c: char| !c.is_ascii_alphanumeric() && !".-+".contains(c)).find(is_version)?;
        Some(format!("{name} {version}"))
    };
    // `az --version` would ask the internet whether there is a newer one.
    let asked = async { Ok(tokio::join!(ask("docker", "--version"), ask("podman", "--version"), ask("az", "version"))) };
    let (docker, podman, az) = runtime::run(asked)?;
    Ok([docker, podman, az].into_iter().flatten().collect())
}
