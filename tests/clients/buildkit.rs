//! `docker build` by `BuildKit`, which asks for tokens in its own way.

use crate::docker::Docker;
use crate::world::REFUSED;

/// The version in Debian 12 tries `<token>` as a password first, and falls back when that is refused; later ones post the
/// zero GUID with `grant_type=password` first.
#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn buildkit_builds_under_either_user_name_whether_or_not_the_registry_takes_passwords() {
    for (username, password_grant) in [
        ("guid", None),
        ("guid", Some(401)),
        ("guid", Some(400)),
        ("token", Some(400)),
    ] {
        let docker = Docker::new();
        docker.publish("contoso.azurecr.io/base:1");
        docker
            .world
            .simulator
            .change(|settings| settings.password_grant = password_grant);
        let context = docker.build_context("contoso.azurecr.io/base:1");
        let build = format!("build --progress=plain {context}");
        docker
            .run_with(
                &build,
                &[("DOCKER_BUILDKIT", "1"), ("ACRSCOPED_USERNAME", username)],
            )
            .succeeds();
        docker.world.assert_only_registry_tokens();
    }
}

#[test]
#[ignore = "needs docker.io, docker-registry and root: run tests/run"]
fn buildkit_shows_why_there_is_no_credential() {
    let docker = Docker::new();
    docker.world.take_roles_away();
    let context = docker.build_context("contoso.azurecr.io/base:1");
    let refused = docker
        .run_with(
            &format!("build --progress=plain {context}"),
            &[("DOCKER_BUILDKIT", "1")],
        )
        .fails();
    assert!(refused.stderr.contains(REFUSED), "{refused:#?}");
}
