//! buildah, as root.

use crate::image;
use crate::world::{REFUSED, World};

#[test]
#[ignore = "needs buildah, docker-registry and root: run tests/run"]
fn buildah_builds_on_what_it_pushed_before_under_either_user_name() {
    for username in ["guid", "token"] {
        let world = World::new();
        let lines = [
            "buildah from --name first scratch".into(),
            format!(
                "buildah add first {} /",
                image::archive(&world.home).display()
            ),
            "buildah commit first contoso.azurecr.io/app:1".into(),
            "buildah push contoso.azurecr.io/app:1".into(),
            "buildah rm first".into(),
            "buildah rmi contoso.azurecr.io/app:1".into(),
            "buildah from --name second contoso.azurecr.io/app:1".into(),
            "buildah config --label made=again second".into(),
            "buildah commit second contoso.azurecr.io/app:2".into(),
            "buildah push contoso.azurecr.io/app:2".into(),
        ];
        for line in lines {
            world
                .run_with(&line, &[("ACRSCOPED_USERNAME", username)])
                .succeeds();
        }
        world.assert_only_registry_tokens();
    }
}

#[test]
#[ignore = "needs buildah, docker-registry and root: run tests/run"]
fn buildah_shows_why_there_is_no_credential() {
    let world = World::new();
    world.take_roles_away();
    let refused = world.run("buildah pull contoso.azurecr.io/app:1").fails();
    assert!(refused.stderr.contains(REFUSED), "{refused:#?}");
}
