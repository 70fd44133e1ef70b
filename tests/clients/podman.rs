//! podman, as root.

use crate::image;
use crate::world::{REFUSED, World};

#[test]
#[ignore = "needs podman, docker-registry and root: run tests/run"]
fn podman_pushes_and_pulls_under_either_user_name() {
    for username in ["guid", "token"] {
        let world = World::new();
        let lines = [
            format!(
                "podman import {} contoso.azurecr.io/app:1",
                image::archive(&world.home).display()
            ),
            "podman push contoso.azurecr.io/app:1".into(),
            "podman rmi contoso.azurecr.io/app:1".into(),
            "podman pull contoso.azurecr.io/app:1".into(),
            "podman image exists contoso.azurecr.io/app:1".into(),
        ];
        for line in lines {
            world
                .run_with(&line, &[("ACRSCOPED_USERNAME", username)])
                .succeeds();
        }
        assert_eq!(world.exchanges(), 2, "one for the push, one for the pull");
        world.assert_only_registry_tokens();
    }
}

#[test]
#[ignore = "needs podman, docker-registry and root: run tests/run"]
fn podman_logs_in_with_what_the_helper_has_and_out_again() {
    let world = World::new();
    let login = world.run("podman login contoso.azurecr.io").succeeds();
    assert!(
        login.stdout.contains("Existing credentials are valid"),
        "{login:#?}"
    );
    let logout = world.run("podman logout contoso.azurecr.io").succeeds();
    assert!(
        logout
            .stdout
            .contains("Removed login credentials for contoso.azurecr.io"),
        "{logout:#?}"
    );
    world.assert_only_registry_tokens();
}

#[test]
#[ignore = "needs podman, docker-registry and root: run tests/run"]
fn podman_shows_why_there_is_no_credential() {
    let world = World::new();
    world.take_roles_away();
    let refused = world.run("podman pull contoso.azurecr.io/app:1").fails();
    assert!(refused.stderr.contains(REFUSED), "{refused:#?}");
}
