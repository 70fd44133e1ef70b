//! skopeo.

use crate::containers::{
    logs_in_and_out, shows_why_there_is_no_credential, under_either_user_name,
};
use crate::image;
use crate::support::Home;
use crate::world::World;

#[test]
#[ignore = "needs skopeo, docker-registry and root: run tests/run"]
fn skopeo_copies_an_image_in_and_out_under_either_user_name() {
    let lines = |home: &Home| {
        let (layout, out) = (image::layout(home), home.path("out"));
        let copy = "skopeo copy --preserve-digests";
        vec![
            format!(
                "{copy} oci:{} docker://contoso.azurecr.io/app:1",
                layout.display()
            ),
            format!(
                "{copy} docker://contoso.azurecr.io/app:1 oci:{}",
                out.display()
            ),
        ]
    };
    under_either_user_name(lines, |world| {
        let [layout, out] = ["layout", "out"].map(|name| image::blobs(&world.home.path(name)));
        assert_eq!(layout, out);
    });
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
    logs_in_and_out("skopeo");
}

#[test]
#[ignore = "needs skopeo, docker-registry and root: run tests/run"]
fn skopeo_shows_why_there_is_no_credential() {
    let line = "skopeo inspect docker://contoso.azurecr.io/app:1";
    shows_why_there_is_no_credential(&World::new(), line);
}
