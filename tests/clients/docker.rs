//! The docker command line and dockerd, both of Debian's docker.io.

use crate::image;
use crate::support::server::Server;
use crate::support::{Answer, LIMIT, connect, run};
use crate::world::{REFUSED, World, contained};
use std::os::unix::net::UnixStream;

/// A world with a dockerd in it.
pub(crate) struct Docker {
    pub(crate) world: World,
    _daemon: Server,
}

impl Docker {
    /// Starts the servers.
    pub(crate) fn new() -> Self {
        Self::within(World::new())
    }

    /// Starts a dockerd that the person in this world may use.
    pub(crate) fn within(mut world: World) -> Self {
        let daemon = start_daemon(&world);
        world.set("DOCKER_HOST", host(&world));
        Self {
            world,
            _daemon: daemon,
        }
    }

    /// Runs the docker command line.
    pub(crate) fn run(&self, line: &str) -> Answer {
        self.run_with(line, &[])
    }

    /// Runs the docker command line with further environment variables.
    pub(crate) fn run_with(&self, line: &str, variables: &[(&str, &str)]) -> Answer {
        self.world.run_with(&format!("docker {line}"), variables)
    }

    /// Runs the docker command line with something on its stdin.
    pub(crate) fn tell(&self, line: &str, stdin: &str) -> Answer {
        self.world.tell(&format!("docker {line}"), stdin)
    }

    /// Makes an image that is only in the registry, and forgets what was asked for that.
    pub(crate) fn publish(&self, name: &str) {
        self.import(name);
        self.run(&format!("push {name}")).succeeds();
        self.run(&format!("rmi {name}")).succeeds();
        self.world.simulator.clear_journal();
    }

    /// Makes an image that is only here.
    pub(crate) fn import(&self, name: &str) {
        self.run(&format!(
            "import {} {name}",
            image::archive(&self.world.home).display()
        ))
        .succeeds();
    }

    /// Writes a folder with a Dockerfile that adds a layer to an image of the registry.
    pub(crate) fn build_context(&self, base: &str) -> String {
        self.world.home.write(
            "context/Dockerfile",
            format!("FROM {base}\nCOPY Dockerfile /Dockerfile\n"),
        );
        self.world.home.path("context").display().to_string()
    }
}

/// Where the daemon listens.
pub(crate) fn host(world: &World) -> String {
    format!("unix://{}", world.home.path("docker.sock").display())
}

/// Starts dockerd, with the containerd it brings, without touching the network.
pub(crate) fn start_daemon(world: &World) -> Server {
    let socket = world.home.path("docker.sock");
    let mut command = contained(&world.home, "dockerd");
    command.args([
        "--iptables=false",
        "--ip-forward=false",
        "--bridge=none",
        "--storage-driver=vfs",
    ]);
    command
        .arg("--host")
        .arg(host(world))
        .args(["--group", &world.person.id().to_string()]);
    for (option, name) in [
        ("--data-root", "dockerd"),
        ("--exec-root", "run/dockerd"),
        ("--pidfile", "dockerd.pid"),
    ] {
        command.arg(option).arg(world.home.path(name));
    }
    connect(&mut command, &world.simulator);
    let mut daemon = Server::start(&mut command, world.home.path("dockerd.log"));
    daemon.when("dockerd", |log| log.contains("API listen on").then_some(()));
    daemon.when("dockerd", |_| UnixStream::connect(&socket).ok());
    daemon
}

#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn docker_pushes_and_pulls_under_either_user_name() {
    for username in ["guid", "token"] {
        let docker = Docker::new();
        docker.import("contoso.azurecr.io/app:1");
        for line in [
            "push contoso.azurecr.io/app:1",
            "rmi contoso.azurecr.io/app:1",
            "pull contoso.azurecr.io/app:1",
        ] {
            docker
                .run_with(line, &[("ACRSCOPED_USERNAME", username)])
                .succeeds();
        }
        docker
            .run("image inspect contoso.azurecr.io/app:1")
            .succeeds();
        assert_eq!(
            docker.world.exchanges(),
            2,
            "one for the push, one for the pull"
        );
        docker.world.assert_only_registry_tokens();
    }
}

#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn docker_logs_in_with_what_the_helper_has_and_out_again() {
    let docker = Docker::new();
    let login = docker.run("login contoso.azurecr.io").succeeds();
    assert!(login.stdout.contains("Login Succeeded"), "{login:#?}");
    docker.run("logout contoso.azurecr.io").succeeds();
    let config = std::fs::read_to_string(docker.world.home.path("docker/config.json"))
        .expect("written before");
    let config: serde_json::Value = serde_json::from_str(&config).expect("written by docker");
    assert_eq!(config["credHelpers"]["contoso.azurecr.io"], "acrscoped");
    assert!(
        config["auths"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty),
        "{config}"
    );
    docker.world.assert_only_registry_tokens();
}

#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn docker_shows_why_there_is_no_credential() {
    let docker = Docker::new();
    docker.world.take_roles_away();
    let refused = docker.run("pull contoso.azurecr.io/app:1").fails();
    assert!(refused.stderr.contains(REFUSED), "{refused:#?}");
}

#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn the_legacy_builder_finds_its_base_image_through_the_helper() {
    let docker = Docker::new();
    docker.publish("contoso.azurecr.io/base:1");
    let context = docker.build_context("contoso.azurecr.io/base:1");
    docker
        .run_with(&format!("build {context}"), &[("DOCKER_BUILDKIT", "0")])
        .succeeds();
    docker.world.assert_only_registry_tokens();
}

/// With `credsStore` the legacy builder asks `list`, and then `get` for each registry in it.
#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn the_legacy_builder_finds_its_base_image_through_a_helper_for_all_registries() {
    let docker = Docker::new();
    docker.publish("contoso.azurecr.io/base:1");
    docker
        .world
        .home
        .write("docker/config.json", r#"{"credsStore":"acrscoped"}"#);
    let context = docker.build_context("contoso.azurecr.io/base:1");
    // A user namespace has a user keyring of its own, so that root's is left alone.
    let mut shell = docker.world.client("unshare");
    shell
        .args(["--user", "--map-root-user", "sh", "-ec"])
        .arg(format!("docker pull contoso.azurecr.io/base:1 && docker rmi contoso.azurecr.io/base:1 && docker build {context}"));
    shell
        .env("DOCKER_BUILDKIT", "0")
        .env("ACRSCOPED_CACHE", "keyutils");
    run(shell, "", LIMIT).succeeds();
    docker.world.assert_only_registry_tokens();
}
