//! The helper for all registries at once: docker's `credsStore`, with another helper behind it for those that are not Azure's.
//!
//! The other registry is a docker-registry on this machine that wants a password, and the other helper keeps that in a gnome-keyring.

use crate::docker::Docker;
use crate::keyring::Keyring;
use crate::registry::{Door, FOREIGN_PASSWORD, FOREIGN_USER};
use crate::support::{ZERO_GUID, ask};
use crate::world::{World, assert_only_registry_token};
use serde_json::json;

/// A person who has named the helper for everything.
struct Everything {
    docker: Docker,
    foreign: String,
    _keyring: Keyring,
}

impl Everything {
    /// With the password for the foreign registry not yet given.
    fn new() -> Self {
        let mut world = World::new();
        let foreign = world.serve_foreign(Door::Password);
        let keyring = Keyring::unlocked(&mut world);
        world.set("ACRSCOPED_CACHE", "secret-service");
        world
            .home
            .write("docker/config.json", r#"{"credsStore":"acrscoped"}"#);
        world.configure("delegate = \"secretservice\"\n");
        Self {
            docker: Docker::within(world),
            foreign,
            _keyring: keyring,
        }
    }

    /// Gives docker the password.
    fn log_in(&self) {
        let line = format!(
            "login --username {FOREIGN_USER} --password-stdin {}",
            self.foreign
        );
        let login = self.docker.tell(&line, FOREIGN_PASSWORD).succeeds();
        assert!(login.stdout.contains("Login Succeeded"), "{login:#?}");
    }
}

/// The hosts whose credentials docker has written to its own file.
fn kept_by_docker(docker: &Docker) -> Vec<String> {
    let config = std::fs::read_to_string(docker.world.home.path("docker/config.json"))
        .expect("written before");
    let config: serde_json::Value = serde_json::from_str(&config).expect("written by docker");
    assert_eq!(config["credsStore"], "acrscoped");
    let kept = config["auths"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, kept)| **kept != json!({}));
    kept.map(|(host, _)| host.clone()).collect()
}

#[test]
#[ignore = "needs docker.io, docker-registry, gnome-keyring and root: run tests/run"]
fn docker_logs_in_pushes_pulls_and_logs_out_at_registries_of_azure_and_at_others() {
    let everything = Everything::new();
    let Everything {
        docker, foreign, ..
    } = &everything;
    let azure = "contoso.azurecr.io";
    let login = docker.run(&format!("login {azure}")).succeeds();
    assert!(login.stdout.contains("Login Succeeded"), "{login:#?}");
    everything.log_in();
    assert!(kept_by_docker(docker).is_empty());
    for host in [azure, foreign] {
        let image = format!("{host}/app:1");
        docker.import(&image);
        for line in ["push", "rmi", "pull", "rmi"] {
            docker.run(&format!("{line} {image}")).succeeds();
        }
        docker.run(&format!("logout {host}")).succeeds();
    }
    docker.run(&format!("pull {foreign}/app:1")).fails();
    // A registry of Azure is signed in to whenever it is asked for.
    docker.run(&format!("pull {azure}/app:1")).succeeds();
    docker.world.assert_only_registry_tokens();
}

#[test]
#[ignore = "needs docker.io, docker-registry, gnome-keyring and root: run tests/run"]
fn the_password_is_with_the_other_helper_and_both_are_listed() {
    let everything = Everything::new();
    everything.log_in();
    let Everything {
        docker, foreign, ..
    } = &everything;
    docker.world.ask("get", "contoso.azurecr.io").secret();
    let theirs = ask(
        docker.world.client("docker-credential-secretservice"),
        "list",
        "unused",
    )
    .succeeds()
    .json();
    assert_eq!(
        theirs,
        json!({ foreign: FOREIGN_USER }),
        "what this helper caches is not among it"
    );
    let all = docker.world.ask("list", "unused").succeeds().json();
    assert_eq!(
        all,
        json!({ foreign: FOREIGN_USER, "contoso.azurecr.io": ZERO_GUID })
    );
}

/// They know no helper for everything, but a foreign host may be under `credHelpers` too.
#[test]
#[ignore = "needs podman, skopeo, docker-registry, gnome-keyring and root: run tests/run"]
fn podman_and_skopeo_keep_the_password_with_the_other_helper_too() {
    let mut world = World::new();
    let foreign = world.serve_foreign(Door::Password);
    let _keyring = Keyring::unlocked(&mut world);
    world.name_helpers(&[&foreign]);
    world.configure("delegate = \"secretservice\"\n");
    let kept = || {
        ask(
            world.client("docker-credential-secretservice"),
            "list",
            "unused",
        )
        .succeeds()
        .json()
    };
    for client in ["podman", "skopeo"] {
        let line = format!(
            "{client} login --tls-verify=false --username {FOREIGN_USER} --password-stdin {foreign}"
        );
        world.tell(&line, FOREIGN_PASSWORD).succeeds();
        assert_eq!(kept(), json!({ &foreign: FOREIGN_USER }), "{client}");
        world.run(&format!("{client} logout {foreign}")).succeeds();
        assert_eq!(kept(), json!({}), "{client}");
    }
    assert!(
        world.simulator.journal().is_empty(),
        "nobody was asked for an identity"
    );
}

/// The legacy builder asks for the list and then for each host in it; `BuildKit` asks for what it needs.
#[test]
#[ignore = "needs docker.io, docker-registry, gnome-keyring and root: run tests/run"]
fn both_builders_take_images_of_both_kinds_of_registries() {
    let everything = Everything::new();
    everything.log_in();
    let Everything {
        docker, foreign, ..
    } = &everything;
    let (tool, base) = (format!("{foreign}/tool:1"), "contoso.azurecr.io/base:1");
    docker.publish(&tool);
    docker.publish(base);
    let file = format!("FROM {tool} AS tool\nFROM {base}\nCOPY --from=tool /file /tool\n");
    docker.world.home.write("context/Dockerfile", file);
    let context = docker.world.home.path("context").display().to_string();
    for (buildkit, options) in [("0", ""), ("1", "--progress=plain")] {
        docker
            .run_with(
                &format!("build {options} {context}"),
                &[("DOCKER_BUILDKIT", buildkit)],
            )
            .succeeds();
        docker.run("system prune --all --force").succeeds();
    }
    docker
        .world
        .simulator
        .journal()
        .iter()
        .for_each(assert_only_registry_token);
}

#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn without_another_helper_docker_is_told_what_to_configure_and_still_pulls_anonymously() {
    let mut world = World::new();
    let (private, open) = (
        world.serve_foreign(Door::Password),
        world.serve_foreign(Door::Open),
    );
    world
        .home
        .write("docker/config.json", r#"{"credsStore":"acrscoped"}"#);
    let docker = Docker::within(world);
    let login = docker
        .tell(
            &format!("login --username {FOREIGN_USER} --password-stdin {private}"),
            FOREIGN_PASSWORD,
        )
        .fails();
    let sentence =
        format!("`{private}` is not an Azure Container Registry, and no `delegate` is configured");
    assert!(login.stderr.contains(&sentence), "{login:#?}");
    let file = docker
        .world
        .home
        .path("home/.config/docker-credential-acrscoped/config.toml");
    let hint = format!(
        "or for all other hosts in {}, such as `delegate = \"secretservice\"`\n",
        file.display()
    );
    assert!(login.stderr.contains(&hint), "{login:#?}");
    assert!(
        !login.text().contains(FOREIGN_PASSWORD) && kept_by_docker(&docker).is_empty(),
        "{login:#?}"
    );

    docker.publish(&format!("{open}/app:1"));
    let pulled = docker.run(&format!("pull {open}/app:1")).succeeds();
    assert_eq!(pulled.stderr, "", "there is nothing to say about it");
    assert!(
        docker.world.simulator.journal().is_empty(),
        "nobody was asked for an identity"
    );
}
