//! skopeo.

use crate::image;
use crate::world::{REFUSED, World};

#[test]
#[ignore = "needs skopeo, docker-registry and root: run tests/run"]
fn skopeo_copies_an_image_in_and_out_under_either_user_name() {
    for username in ["guid", "token"] {
        let world = World::new();
        let layout = image::layout(&world.home);
        let out = world.home.path("out");
        let lines = [
            format!(
                "skopeo copy --preserve-digests oci:{} docker://contoso.azurecr.io/app:1",
                layout.display()
            ),
            format!(
                "skopeo copy --preserve-digests docker://contoso.azurecr.io/app:1 oci:{}",
                out.display()
            ),
        ];
        for line in lines {
            world
                .run_with(&line, &[("ACRSCOPED_USERNAME", username)])
                .succeeds();
        }
        assert_eq!(image::blobs(&layout), image::blobs(&out));
        world.assert_only_registry_tokens();
    }
}

#[test]
#[ignore = "needs skopeo, docker-registry and root: run tests/run"]
fn skopeo_inspects_and_lists_what_is_in_the_registry() {
    let world = World::new();
    let layout = image::layout(&world.home);
    world
        .run(&format!(
            "skopeo copy oci:{} docker://contoso.azurecr.io/team/app:1",
            layout.display()
        ))
        .succeeds();
    let inspected = world
        .run("skopeo inspect docker://contoso.azurecr.io/team/app:1")
        .succeeds()
        .json();
    assert_eq!(inspected["Name"], "contoso.azurecr.io/team/app");
    assert_eq!(inspected["RepoTags"], serde_json::json!(["1"]));
    world.assert_only_registry_tokens();
}

#[test]
#[ignore = "needs skopeo, docker-registry and root: run tests/run"]
fn skopeo_logs_in_with_what_the_helper_has_and_out_again() {
    let world = World::new();
    let login = world.run("skopeo login contoso.azurecr.io").succeeds();
    assert!(
        login.stdout.contains("Existing credentials are valid"),
        "{login:#?}"
    );
    let logout = world.run("skopeo logout contoso.azurecr.io").succeeds();
    assert!(
        logout
            .stdout
            .contains("Removed login credentials for contoso.azurecr.io"),
        "{logout:#?}"
    );
    world.assert_only_registry_tokens();
}

#[test]
#[ignore = "needs skopeo, docker-registry and root: run tests/run"]
fn skopeo_shows_why_there_is_no_credential() {
    let world = World::new();
    world.take_roles_away();
    let refused = world
        .run("skopeo inspect docker://contoso.azurecr.io/app:1")
        .fails();
    assert!(refused.stderr.contains(REFUSED), "{refused:#?}");
}
