//! Which files clients read.
//!
//! docker reads one: `config.json` in `DOCKER_CONFIG` or `~/.docker`; oras, Helm, crane and cosign read the same. podman, buildah and
//! skopeo read several in turn, and take the first that says anything of a registry (containers/image, `pkg/docker/config`; tried
//! with podman 4.3 and skopeo 1.9): the one that is named, then `containers/auth.json` in the runtime folder, then that in the config folder, then
//! docker's. The runtime folder is emptied when the user logs out, so that the lasting one is configured.

use crate::config::Settings;
use crate::error::Error;
use crate::program::find;
use std::path::PathBuf;

/// Where the runtime folder of every user of podman lies when no variable names it.
pub(super) const RUNTIME: &str = "/run/containers";

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clients {
    Docker,
    Containers,
}

impl Clients {
    /// The word for them in messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containers => "podman, buildah and skopeo",
        }
    }
}

/// The files of a user's clients.
#[derive(Debug)]
pub(super) struct Places {
    /// docker's.
    pub(super) docker: PathBuf,
    /// The one that is written for podman and its like; it may be docker's too.
    pub(super) containers: PathBuf,
    /// Those that podman and its like read, the strongest first.
    pub(super) in_turn: Vec<PathBuf>,
    has_docker: bool,
    has_containers: bool,
}

impl Places {
    /// Errors without a home folder, or when a variable names no absolute path.
    pub(super) fn of(settings: &Settings) -> Result<Self, Error> {
        let set = |name: &str| {
            let path = settings
                .variables()
                .get(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from);
            match path {
                Some(path) if !path.is_absolute() => Err(Error::setting(
                    name,
                    format!("is {:?}, expected an absolute path", path.display()),
                )),
                path => Ok(path),
            }
        };
        let home = || {
            settings.home().ok_or_else(|| {
                Error::input("no home folder is set, in which clients have their files")
            })
        };
        let docker_folder = set("DOCKER_CONFIG")?;
        let docker = docker_folder
            .clone()
            .map_or_else(|| Ok(home()?.join(".docker")), Ok::<_, Error>)?
            .join("config.json");
        let config =
            set("XDG_CONFIG_HOME")?.map_or_else(|| Ok(home()?.join(".config")), Ok::<_, Error>)?;
        let lasting = config.join("containers/auth.json");
        let named = set("REGISTRY_AUTH_FILE")?;
        // They take `DOCKER_CONFIG` as the file that is named, where it is set (containers/common, `pkg/auth`).
        let first = named.or_else(|| docker_folder.map(|_| docker.clone()));
        let mut in_turn: Vec<PathBuf> = first
            .clone()
            .into_iter()
            .chain(runtime(set("XDG_RUNTIME_DIR")?))
            .collect();
        in_turn.extend([lasting.clone(), docker.clone()]);
        let path = settings.program_folders();
        let has = |names: &[&str]| names.iter().any(|name| find(name, &path).is_some());
        Ok(Self {
            docker,
            containers: first.unwrap_or(lasting),
            in_turn,
            has_docker: has(&["docker"]),
            has_containers: has(&["podman", "buildah", "skopeo"]),
        })
    }

    /// Whether these clients are on this machine, by a program or a file of theirs.
    pub(super) fn has(&self, clients: Clients) -> bool {
        match clients {
            Clients::Docker => self.has_docker || self.docker.exists(),
            Clients::Containers => self.has_containers || self.containers.exists(),
        }
    }

    /// The file that is written for them.
    pub(super) fn file(&self, clients: Clients) -> &PathBuf {
        match clients {
            Clients::Docker => &self.docker,
            Clients::Containers => &self.containers,
        }
    }
}

/// The file that `podman login` writes on Linux when nothing is said (containers-auth.json(5)); elsewhere that is the lasting one.
fn runtime(folder: Option<PathBuf>) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    #[cfg(unix)]
    let folder = folder.map(|folder| folder.join("containers")).or_else(|| {
        let user = rustix::process::geteuid().as_raw();
        Some(format!("{RUNTIME}/{user}").into())
    });
    folder.map(|folder| folder.join("auth.json"))
}
