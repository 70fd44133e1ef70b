//! podman and buildah of a user without privileges: the helper runs inside their user namespace, as its root.

use crate::containers::{
    buildah_build_twice, podman_push_and_pull, shows_why_there_is_no_credential,
};
use crate::support::ZERO_GUID;
use crate::world::World;
use simulator::{Endpoint, Registry};

/// A user's world with a registry, in which the kernel's keyring is the cache.
fn world() -> World {
    let mut world = World::of_somebody();
    world.serve("contoso.azurecr.io");
    world.name_helpers(&["contoso.azurecr.io"]);
    world.is_service_principal = true;
    world.set("ACRSCOPED_CACHE", "keyutils");
    world
}

#[test]
#[ignore = "needs podman, uidmap, docker-registry and root: run tests/run"]
fn rootless_podman_pushes_and_pulls_with_one_sign_in_kept_in_its_namespace() {
    let world = world();
    world.script(&podman_push_and_pull(&world.home)).succeeds();
    assert_eq!(world.exchanges(), 1, "the pull is answered by the keyring");
    world.assert_only_registry_tokens();
}

#[test]
#[ignore = "needs buildah, uidmap, docker-registry and root: run tests/run"]
fn rootless_buildah_builds_on_what_it_pushed_before() {
    let world = world();
    world.script(&buildah_build_twice(&world.home)).succeeds();
    world.assert_only_registry_tokens();
}

/// The kernel gives each user namespace a user keyring of its own, so what the user has cached outside is not seen inside.
#[test]
#[ignore = "needs podman, uidmap and root: run tests/run"]
fn a_second_get_in_the_namespace_of_podman_is_answered_by_its_own_keyring() {
    let world = world();
    let outside = world.ask("get", "contoso.azurecr.io").secret();
    let get = "printf contoso.azurecr.io | docker-credential-acrscoped get";
    let inside = format!("id --user; {get}; {get}; docker-credential-acrscoped list");
    let answer = world
        .script(&[format!("podman unshare sh -ec '{inside}'")])
        .succeeds();
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert_eq!((lines[0], lines[1]), ("0", lines[2]), "{answer:#?}");
    assert_eq!(
        lines[3],
        format!(r#"{{"contoso.azurecr.io":"{ZERO_GUID}"}}"#)
    );
    assert!(!lines[1].contains(&outside), "{answer:#?}");
    assert_eq!(world.exchanges(), 2, "one outside, one inside");
}

#[test]
#[ignore = "needs podman, buildah, uidmap and root: run tests/run"]
fn rootless_clients_show_why_there_is_no_credential() {
    let world = world();
    for client in ["podman", "buildah"] {
        let line = format!("{client} pull contoso.azurecr.io/app:1");
        shows_why_there_is_no_credential(&world, &line);
    }
}

/// In the namespace root's files have the same unknown owner as everybody else's.
#[test]
#[ignore = "needs podman, uidmap and root: run tests/run"]
fn a_config_file_of_roots_is_believed_outside_and_inside_it_is_said_what_to_do() {
    let mut world = world();
    let file = world
        .home
        .write("settings/config.toml", "username = \"guid\"\n")
        .display()
        .to_string();
    world.set("ACRSCOPED_CONFIG", file.clone());
    world.ask("get", "contoso.azurecr.io").secret();
    let refused = world.run("podman pull contoso.azurecr.io/app:1").fails();
    let sentence = format!(
        "`{file}` cannot be used: {file} belongs to the user with id 65534, not to you or root (rootless Podman and Buildah cannot tell \
         root's files from others')"
    );
    assert!(refused.stderr.contains(&sentence), "{refused:#?}");
    assert!(
        refused
            .stderr
            .contains("hint: copy it to a folder of your own, and name the copy"),
        "{refused:#?}"
    );
}

/// A user has room for 20,000 bytes in the kernel's keyring: about a dozen tokens.
#[test]
#[ignore = "needs docker-registry and root: run tests/run"]
fn twenty_registries_of_a_user_cost_one_sign_in_though_the_keyring_has_no_room_for_all() {
    let world = world();
    let hosts: Vec<String> = (0..20).map(|n| format!("r{n:05}.azurecr.io")).collect();
    world.simulator.change(|settings| {
        settings.registries = hosts.iter().map(|host| Registry::new(host)).collect();
    });
    for round in 1..=2 {
        for host in &hosts {
            world.ask("get", host).secret();
        }
        let journal = world.simulator.journal();
        assert_eq!(
            journal
                .iter()
                .filter(|entry| entry.endpoint == Endpoint::EntraToken)
                .count(),
            1,
            "round {round}"
        );
        let exchanges = world.exchanges();
        assert!(
            exchanges >= 20 && exchanges <= 20 + (round - 1) * 10,
            "round {round}: {exchanges}"
        );
    }
}
