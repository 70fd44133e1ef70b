//! buildah, as root.

use crate::containers::{
    buildah_build_twice, shows_why_there_is_no_credential, under_either_user_name,
};
use crate::world::World;

#[test]
#[ignore = "needs buildah, docker-registry and root: run tests/run"]
fn buildah_builds_on_what_it_pushed_before_under_either_user_name() {
    under_either_user_name(buildah_build_twice, |_| {});
}

#[test]
#[ignore = "needs buildah, docker-registry and root: run tests/run"]
fn buildah_shows_why_there_is_no_credential() {
    shows_why_there_is_no_credential(&World::new(), "buildah pull contoso.azurecr.io/app:1");
}
