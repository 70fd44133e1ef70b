//! What podman, buildah and skopeo do alike, as root or as a user without privileges.

use crate::image;
use crate::support::Home;
use crate::world::{REFUSED, World};

/// Returns the commands by which podman pushes an image, forgets it and pulls it.
pub(crate) fn podman_push_and_pull(home: &Home) -> Vec<String> {
    vec![
        format!(
            "podman import {} contoso.azurecr.io/app:1",
            image::archive(home).display()
        ),
        "podman push contoso.azurecr.io/app:1".into(),
        "podman rmi contoso.azurecr.io/app:1".into(),
        "podman pull contoso.azurecr.io/app:1".into(),
        "podman image exists contoso.azurecr.io/app:1".into(),
    ]
}

/// Returns the commands by which buildah pushes an image, forgets it and builds another on it.
pub(crate) fn buildah_build_twice(home: &Home) -> Vec<String> {
    vec![
        "buildah from --name first scratch".into(),
        format!("buildah add first {} /", image::archive(home).display()),
        "buildah commit first contoso.azurecr.io/app:1".into(),
        "buildah push contoso.azurecr.io/app:1".into(),
        "buildah rm first".into(),
        "buildah rmi contoso.azurecr.io/app:1".into(),
        "buildah from --name second contoso.azurecr.io/app:1".into(),
        "buildah config --label made=again second".into(),
        "buildah commit second contoso.azurecr.io/app:2".into(),
        "buildah push contoso.azurecr.io/app:2".into(),
    ]
}

/// Runs commands under either user name, each in a world of its own.
pub(crate) fn under_either_user_name(lines: impl Fn(&Home) -> Vec<String>, then: impl Fn(&World)) {
    for username in ["guid", "token"] {
        let world = World::new();
        for line in lines(&world.home) {
            world
                .run_with(&line, &[("ACRSCOPED_USERNAME", username)])
                .succeeds();
        }
        then(&world);
        world.assert_only_registry_tokens();
    }
}

/// `login` finds the helper's credential, and `logout` has it erased.
pub(crate) fn logs_in_and_out(client: &str) {
    let world = World::new();
    let login = world
        .run(&format!("{client} login contoso.azurecr.io"))
        .succeeds();
    assert!(
        login.stdout.contains("Existing credentials are valid"),
        "{login:#?}"
    );
    let logout = world
        .run(&format!("{client} logout contoso.azurecr.io"))
        .succeeds();
    assert!(
        logout
            .stdout
            .contains("Removed login credentials for contoso.azurecr.io"),
        "{logout:#?}"
    );
    world.assert_only_registry_tokens();
}

/// A client shows the helper's reason when the identity has no role.
pub(crate) fn shows_why_there_is_no_credential(world: &World, line: &str) {
    world.take_roles_away();
    let refused = world.run(line).fails();
    assert!(refused.stderr.contains(REFUSED), "{refused:#?}");
}
