//! The files that clients read.
//!
//! Docker reads one: `config.json` in `DOCKER_CONFIG` or `~/.docker`; ORAS, Helm, crane and cosign read the same. Podman, Buildah and
//! Skopeo read several in order and take the first that has anything for a registry (containers/image, `pkg/docker/config`; tried with
//! Podman 4.3 and Skopeo 1.9): the named file, `containers/auth.json` in the runtime folder, the same in the config folder, Docker's.
//! The runtime folder is emptied when the user logs out, so the persistent file is configured.

use crate::config::Settings;
use crate::error::Error;
use crate::program::find;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// The runtime folder of all Podman users, for when no variable names one.
pub(super) const RUNTIME: &str = "/run/containers";

/// The clients that read the same files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    Docker,
    Containers,
}

impl Clients {
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["docker"],
            Self::Containers => &["podman", "buildah", "skopeo"],
        }
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Containers => "Podman, Buildah and Skopeo",
        })
    }
}

/// The files of a user's clients.
#[derive(Debug)]
pub(super) struct Paths {
    /// Docker's file.
    pub(super) docker: PathBuf,
    /// The file to write for Podman and its like; it may be Docker's.
    pub(super) containers: PathBuf,
    /// The files that Podman and its like read, in order.
    pub(super) search_order: Vec<PathBuf>,
    /// The folders of `PATH`.
    program_folders: Vec<PathBuf>,
}

impl Paths {
    /// # Errors
    ///
    /// Without a home folder, or when a variable names a relative path.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let variable = |name| absolute_path(settings, name);
        let in_home = |folder| {
            let home = settings.home().ok_or_else(no_home)?;
            Ok::<_, Error>(home.join(folder))
        };
        let docker_folder = variable("DOCKER_CONFIG")?;
        let docker = docker_folder
            .clone()
            .map_or_else(|| in_home(".docker"), Ok)?
            .join("config.json");
        let persistent = variable("XDG_CONFIG_HOME")?
            .map_or_else(|| in_home(".config"), Ok)?
            .join("containers/auth.json");
        // Podman and its like read config.json in `DOCKER_CONFIG` first if that is set (containers/common, `pkg/auth`).
        let named = variable("REGISTRY_AUTH_FILE")?.or(docker_folder.and(Some(docker.clone())));
        let mut search_order: Vec<PathBuf> = named.iter().cloned().collect();
        search_order.extend(runtime_file(variable("XDG_RUNTIME_DIR")?));
        search_order.extend([persistent.clone(), docker.clone()]);
        let mut seen = BTreeSet::new();
        search_order.retain(|path| seen.insert(path.clone()));
        Ok(Self {
            docker,
            containers: named.unwrap_or(persistent),
            search_order,
            program_folders: settings.program_folders(),
        })
    }

    /// Returns whether this machine has these clients, by a program or a file of theirs.
    pub(super) fn has(&self, clients: Clients) -> bool {
        self.program(clients).is_some() || self.file(clients).exists()
    }

    /// Returns the first program of these clients that is on `PATH`.
    pub(super) fn program(&self, clients: Clients) -> Option<&'static str> {
        let mut programs = clients.programs().iter();
        let found = programs.find(|name| find(name, &self.program_folders).is_some());
        found.copied()
    }

    /// Returns the file to write for these clients.
    pub(super) fn file(&self, clients: Clients) -> &Path {
        match clients {
            Clients::Docker => &self.docker,
            Clients::Containers => &self.containers,
        }
    }
}

/// Returns the error for a user without a home folder.
pub(super) fn no_home() -> Error {
    Error::input("no home folder is set, in which clients have their files")
}

fn absolute_path(settings: &Settings, name: &str) -> Result<Option<PathBuf>, Error> {
    let path = settings.variables().get(name).map(PathBuf::from);
    match path.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) if !path.is_absolute() => Err(Error::setting(
            name,
            format!("is {:?}, expected an absolute path", path.display()),
        )),
        path => Ok(path),
    }
}

/// Returns the file that `podman login` writes on Linux by default (containers-auth.json(5)). Other systems have only the persistent one.
fn runtime_file(runtime_folder: Option<PathBuf>) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let folder = runtime_folder.map(|folder| folder.join("containers"));
    #[cfg(unix)]
    let folder = folder.or_else(|| {
        let user = rustix::process::geteuid().as_raw();
        Some(Path::new(RUNTIME).join(user.to_string()))
    });
    Some(folder?.join("auth.json"))
}
