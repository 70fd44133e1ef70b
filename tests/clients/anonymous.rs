//! `on_error = "anonymous"`: what clients do at a registry where anybody may pull.

use crate::docker::Docker;
use crate::support::Answer;
use crate::world::{REFUSED, World};
use simulator::Endpoint;

const IMAGE: &str = "contoso.azurecr.io/app:1";

/// A world with an image that anybody may pull, in which no account is signed in any more.
fn signed_out() -> Docker {
    let mut docker = Docker::new();
    docker.publish(IMAGE);
    docker
        .world
        .simulator
        .change(|settings| settings.registry_mut("contoso.azurecr.io").anonymous_pull = true);
    docker.world.is_service_principal = false;
    docker
        .world
        .set("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
    docker
}

/// Pulls with each client.
fn pull_with(world: &World, clients: &[&str]) -> Vec<Answer> {
    let out = world.home.path("out").display().to_string();
    let line = |client: &&str| match *client {
        "skopeo" => format!("skopeo copy docker://{IMAGE} oci:{out}"),
        client => format!("{client} pull {IMAGE}"),
    };
    clients
        .iter()
        .map(|client| world.run(&line(client)))
        .collect()
}

#[test]
#[ignore = "needs docker.io, podman, skopeo, docker-registry and root: run tests/run"]
fn nobody_signed_in_pulls_anonymously_where_the_config_file_says_so() {
    let docker = signed_out();
    let nobody = "no Azure identity to sign in with";
    for answer in pull_with(&docker.world, &["podman", "skopeo"]) {
        assert!(
            answer.fails().stderr.contains(nobody),
            "without the setting they are told"
        );
    }
    docker
        .world
        .configure("[registry.\"contoso.azurecr.io\"]\non_error = \"anonymous\"\n");
    for answer in pull_with(&docker.world, &["docker", "podman", "skopeo"]) {
        assert!(
            answer.succeeds().stderr.contains(nobody),
            "they are told why all the same"
        );
    }
    let journal = docker.world.simulator.journal();
    let asked = |endpoint| {
        journal
            .iter()
            .filter(move |entry| entry.endpoint == endpoint)
    };
    assert_eq!(
        (
            asked(Endpoint::EntraToken).count(),
            asked(Endpoint::Exchange).count()
        ),
        (0, 0)
    );
    assert!(
        asked(Endpoint::RegistryToken).all(|entry| entry.token.is_none()),
        "{journal:#?}"
    );
}

/// The docker of Debian 12 reads nothing of a helper's failure on a pull, and goes on by itself: then the reason on stderr is all
/// that can be had.
#[test]
#[ignore = "needs docker.io, podman, skopeo, docker-registry and root: run tests/run"]
fn an_identity_that_is_refused_is_not_passed_over_for_an_anonymous_pull() {
    let mut docker = signed_out();
    docker.world.is_service_principal = true;
    docker.world.take_roles_away();
    docker
        .world
        .configure("[registry.\"contoso.azurecr.io\"]\non_error = \"anonymous\"\n");
    for answer in pull_with(&docker.world, &["podman", "skopeo"]) {
        assert!(
            answer.fails().stderr.contains(REFUSED),
            "the pull is not anonymous"
        );
    }
    let answer = &pull_with(&docker.world, &["docker"])[0];
    assert!(answer.stderr.contains(REFUSED), "{answer:#?}");
}
