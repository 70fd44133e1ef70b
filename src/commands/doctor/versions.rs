//! The versions of this program, its system and the programs that it works with.

use super::report_file::known;
use crate::commands::Context;
use crate::error::sanitize;
use crate::files::read_limited;
use crate::program::{Runner, find};
use crate::runtime;
use azure_identity::Executor;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// The limit for a program that prints its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

const DOCKER: &str = "Docker version";
const PODMAN: &str = "podman version";
const AZ: &str = "azure-cli";

/// Programs, how each prints its version, and the text before it. `az --version` would connect to the internet.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("docker", "--version", DOCKER),
    ("podman", "--version", PODMAN),
    ("az", "version", AZ),
];

/// Returns names and versions. Programs that are missing, or do not print theirs in time, are left out, and all if the user interrupts.
pub(super) fn all(context: &Context<'_>) -> Vec<(&'static str, String)> {
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let own = env!("CARGO_PKG_VERSION").to_owned();
    let mut versions = vec![(env!("CARGO_PKG_NAME"), own), ("system", system)];
    versions.extend(distribution().map(|name| ("distribution", name)));
    let folders = context.settings.program_folders();
    let runner = Runner::new(&folders, vec![]);
    let version = async |(name, argument, marker): (&'static str, &str, &str)| {
        let program = find(name, &folders)?;
        let arguments = [argument.as_ref()];
        let output = runner.run(program.as_os_str(), &arguments);
        let output = timeout(VERSION_TIMEOUT, output).await.ok()?.ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = version_in(&text, marker).filter(|_| output.status.success())?;
        Some((name, version.to_owned()))
    };
    let [docker, podman, az] = PROGRAMS;
    let programs = runtime::run(async {
        let (docker, podman, az) = tokio::join!(version(docker), version(podman), version(az));
        Ok([docker, podman, az])
    });
    versions.extend(programs.into_iter().flatten().flatten());
    versions
}

/// Returns the name and version of the distribution, such as `debian 12` (`os-release(5)`). The name may be that of a company.
fn distribution() -> Option<String> {
    let text =
        String::from_utf8(read_limited(Path::new("/etc/os-release"), 64 * 1024).ok()?).ok()?;
    let value = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(sanitize(value.trim_matches('"')))
    };
    let version = value("VERSION_ID=").unwrap_or_default();
    let name = format!("{} {version}", value("ID=")?);
    Some(known(&name))
}

/// Returns the digits and dots after a marker.
fn version_in<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let mut versions = text.split(marker).skip(1).map(|rest| {
        let rest = rest.trim_start_matches([' ', '"', ':']);
        let mut parts = rest.split(|c: char| !c.is_ascii_digit() && c != '.');
        parts.next().unwrap_or_default()
    });
    versions.find(|version| version.contains('.') && version.len() <= 32)
}

#[cfg(test)]
mod tests {
    use super::*;

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
