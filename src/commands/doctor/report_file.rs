//! `--report`: a file that can be published, with the versions that a maintainer needs.

use super::redact::Names;
use super::report::Report;
use crate::commands::Context;
use crate::error::{Error, visible};
use crate::files::read_limited;
use crate::program::{Runner, find};
use crate::runtime;
use crate::terminal::Terminal;
use azure_identity::Executor;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The limit for a program that prints its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// The new file of a report, which its owner alone can read. It is removed again unless the report is written.
pub(super) struct ReportFile {
    path: PathBuf,
    file: File,
    is_written: bool,
}

impl ReportFile {
    /// Creates the file.
    ///
    /// # Errors
    ///
    /// It exists, or cannot be created.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| {
            Error::input(format!(
                "the report {} could not be written: {error}; remove the file, or name another: `--report=FILE`",
                path.display()
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            is_written: false,
        })
    }

    /// Writes the report without names, and returns its path.
    pub(super) fn write(
        mut self,
        report: &Report,
        context: &Context<'_>,
        repository: Option<&str>,
    ) -> Result<PathBuf, Error> {
        let mut names = Names::new(context, report.registry.as_ref());
        names.add("repository", repository.unwrap_or_default());
        let in_checks = report.checks.iter().flat_map(|check| &check.names);
        in_checks.for_each(|name| names.add("name", name));
        let text = report.draw(Terminal::new(&HashMap::new(), false, true));
        let text = names.redact(&text);
        let head = head(&mut names, distribution(), versions(context)?);
        let text = format!("{head}; names and ids are left out\n\n```text\n{text}```\n");
        let written = self.file.write_all(text.as_bytes());
        written
            .map_err(|error| Error::input(format!("the report could not be written: {error}")))?;
        self.is_written = true;
        Ok(self.path.clone())
    }
}

impl Drop for ReportFile {
    fn drop(&mut self) {
        if !self.is_written {
            // An empty file would prevent the next report.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Returns the first line: the versions of this program and its surroundings. The name of a distribution may be that of a company.
fn head(names: &mut Names, distribution: Option<String>, versions: Vec<String>) -> String {
    let own = format!(
        "`docker-credential-acrscoped doctor` {} on {} {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let others = distribution.into_iter().chain(versions);
    let all: Vec<String> = [own].into_iter().chain(others).collect();
    names.redact(&all.join("; "))
}

/// Returns the name of the distribution (`os-release(5)`).
fn distribution() -> Option<String> {
    let text =
        String::from_utf8(read_limited(Path::new("/etc/os-release"), 64 * 1024).ok()?).ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(visible(name.trim_matches('"')))
}

const DOCKER: &str = "Docker version";
const PODMAN: &str = "podman version";
const AZ: &str = "azure-cli";

/// Programs, how each prints its version, and the text before it. `az --version` would connect to the internet.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("docker", "--version", DOCKER),
    ("podman", "--version", PODMAN),
    ("az", "version", AZ),
];

/// Returns the digits and dots after a marker.
fn version_in<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let mut versions = text.split(marker).skip(1).map(|rest| {
        let rest = rest.trim_start_matches([' ', '"', ':']);
        let mut parts = rest.split(|c: char| !c.is_ascii_digit() && c != '.');
        parts.next().unwrap_or_default()
    });
    versions.find(|version| version.contains('.') && version.len() <= 32)
}

/// Returns the versions of the programs that print them in time.
fn versions(context: &Context<'_>) -> Result<Vec<String>, Error> {
    let folders = context.settings.program_folders();
    let runner = Runner::new(&folders, vec![]);
    let version = async |name: &str, argument: &str, marker: &str| {
        let program = find(name, &folders)?;
        let arguments = [argument.as_ref()];
        let output = runner.run(program.as_os_str(), &arguments);
        let output = timeout(VERSION_TIMEOUT, output).await.ok()?.ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = version_in(&text, marker).filter(|_| output.status.success())?;
        Some(format!("{name} {version}"))
    };
    runtime::run(async {
        let mut versions = Vec::new();
        for (name, argument, marker) in PROGRAMS {
            versions.extend(version(name, argument, marker).await);
        }
        Ok(versions)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::registry::Registry;

    #[test]
    fn the_first_line_of_a_report_is_redacted_too() {
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
            print_error: |_| (),
            config_error: None,
            is_stderr_terminal: false,
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
    fn a_version_is_digits_and_dots_after_the_name_of_its_program() {
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
