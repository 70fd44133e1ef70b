//! `--report`: the answer as a file that may be shown to strangers, with what a maintainer needs besides.

use super::redact::Names;
use super::report::Report;
use crate::commands::Context;
use crate::error::{Error, visible};
use crate::files::read_limited;
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
        Error::input(format!(
            "the report {} could not be written: {error}{advice}",
            path.display()
        ))
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
    report
        .checks
        .iter()
        .flat_map(|check| &check.names)
        .for_each(|name| names.add("name", name));
    let text = names.redact(&report.draw(plain));
    let head = head(&mut names, distribution(), versions(context)?);
    let text = format!("{head}; names and ids are left out\n\n```text\n{text}```\n");
    file.write_all(text.as_bytes())
        .map_err(|error| Error::input(format!("the report could not be written: {error}")))
}

/// The first line: what this program and its surroundings are. The builder of the system chose its name, which may name a company.
fn head(names: &mut Names, distribution: Option<String>, versions: Vec<String>) -> String {
    let (version, system, processor) = (
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    );
    let own = format!("`docker-credential-acrscoped doctor` {version} on {system} {processor}");
    let others: Vec<String> = distribution.into_iter().chain(versions).collect();
    names.redact(&[vec![own], others].concat().join("; "))
}

/// The name of the distribution (`os-release(5)`).
fn distribution() -> Option<String> {
    let text =
        String::from_utf8(read_limited(Path::new("/etc/os-release"), 64 * 1024).ok()?).ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(visible(name.trim_matches('"')))
}

/// What stands before the version of each program in its answer.
const DOCKER: &str = "Docker version";
const PODMAN: &str = "podman version";
const AZ: &str = "azure-cli";

/// The digits and dots behind a marker.
fn version_in<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let behind = text
        .split(marker)
        .skip(1)
        .map(|rest| rest.trim_start_matches([' ', '"', ':']));
    let mut versions = behind.map(|rest| {
        &rest[..rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len())]
    });
    versions.find(|version| version.contains('.') && version.len() <= 32)
}

/// The versions of the programs that take part, as far as they say them in time.
fn versions(context: &Context<'_>) -> Result<Vec<String>, Error> {
    let folders = context.settings.program_folders();
    let runner = &Runner::new(&folders, vec![]);
    let ask = async |name: &str, argument: &str, marker: &str| {
        let program = find(name, &folders)?;
        let output = tokio::time::timeout(
            PATIENCE,
            runner.run(program.as_os_str(), &[argument.as_ref()]),
        )
        .await
        .ok()?
        .ok()?;
        let text = String::from_utf8(output.stdout)
            .ok()
            .filter(|_| output.status.success())?;
        let version = version_in(&text, marker)?;
        Some(format!("{name} {version}"))
    };
    // `az --version` would ask the internet whether there is a newer one.
    let all = async {
        tokio::join!(
            ask("docker", "--version", DOCKER),
            ask("podman", "--version", PODMAN),
            ask("az", "version", AZ)
        )
    };
    let (docker, podman, az) = runtime::run(async { Ok(all.await) })?;
    Ok([docker, podman, az].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn the_first_line_of_a_report_names_nothing_either() {
        let settings = Settings::from_variables(
            HashMap::from([("ACRSCOPED_TENANT".into(), "fabrikam".into())]),
            None,
        );
        let terminal = Terminal::new(&HashMap::new(), false, true);
        let clock = || std::time::SystemTime::UNIX_EPOCH;
        let context = Context {
            settings: &settings,
            clock,
            terminal,
            tell: |_| (),
            is_watched: false,
            program: None,
        };
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let mut names = Names::new(&context, Some(&registry));
        let head = head(
            &mut names,
            Some("Contoso Linux 12 of Fabrikam".into()),
            vec!["docker 27.3.1".into()],
        );
        assert!(
            head.ends_with("; <registry 1> Linux 12 of <id 1>; docker 27.3.1"),
            "{head}"
        );
    }

    #[test]
    fn a_version_is_digits_and_dots_behind_the_name_of_its_program() {
        for (marker, text, version) in [
            (
                DOCKER,
                "Docker version 27.3.1, build ce12230\n",
                Some("27.3.1"),
            ),
            (
                DOCKER,
                "Docker version 20.10.24+dfsg1, build 297e128\n",
                Some("20.10.24"),
            ),
            (PODMAN, "podman version 5.4.0-rc1\n", Some("5.4.0")),
            (
                AZ,
                "{\n  \"azure-cli\": \"2.91.0\",\n  \"azure-cli-core\": \"2.91.0\"\n}\n",
                Some("2.91.0"),
            ),
            (
                AZ,
                "azure-cli                         2.91.0\n\ncore 2.91.0\n",
                Some("2.91.0"),
            ),
            (
                AZ,
                "az of build.fabrikam.example 10.1.2\nazure-cli-core 1.0\nazure-cli: 2.91.0\n",
                Some("2.91.0"),
            ),
            (AZ, "az of 2.fabrikam.example\n", None),
            (AZ, "azure-cli 2\n", None),
            (DOCKER, "podman version 5.4.0\n", None),
        ] {
            assert_eq!(version_in(text, marker), version, "{text}");
        }
    }
}
