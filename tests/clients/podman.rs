//! podman, as root.

use crate::containers::{
    logs_in_and_out, podman_push_and_pull, shows_why_there_is_no_credential, under_either_user_name,
};
use crate::world::World;

#[test]
#[ignore = "needs podman, docker-registry and root: run tests/run"]
fn podman_pushes_and_pulls_under_either_user_name() {
    under_either_user_name(podman_push_and_pull, |world| {
        assert_eq!(world.exchanges(), 2, "one for the push, one for the pull");
    });
}

#[test]
#[ignore = "needs podman, docker-registry and root: run tests/run"]
fn podman_logs_in_with_what_the_helper_has_and_out_again() {
    logs_in_and_out("podman");
}

#[test]
#[ignore = "needs podman, docker-registry and root: run tests/run"]
fn podman_shows_why_there_is_no_credential() {
    shows_why_there_is_no_credential(&World::new(), "podman pull contoso.azurecr.io/app:1");
}
