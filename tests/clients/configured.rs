//! Clients after nothing but `configure`, with their files where they have them when nobody names others.

use crate::docker::Docker;
use crate::image;
use crate::support::{Answer, LIMIT, REGISTRY, run};
use crate::world::World;

const PROGRAM: &str = "docker-credential-acrscoped";

/// A world in which nobody has written a client's file.
fn world() -> World {
    let mut world = World::bare();
    world.serve(REGISTRY);
    world.is_service_principal = true;
    world
}

/// Runs a client without the variables that name its files.
fn run_bare(world: &World, line: &str) -> Answer {
    let mut words = line.split_whitespace();
    let mut command = world.client(words.next().expect("a program"));
    command
        .args(words)
        .env_remove("DOCKER_CONFIG")
        .env_remove("REGISTRY_AUTH_FILE");
    run(command, "", LIMIT)
}

#[test]
#[ignore = "needs skopeo, podman, docker-registry and root: run tests/run"]
fn skopeo_and_podman_ask_the_helper_after_one_command() {
    let world = world();
    let layout = image::layout(&world.home);
    let push = format!(
        "skopeo copy oci:{} docker://{REGISTRY}/app:1",
        layout.display()
    );
    run_bare(&world, &push).fails();
    run_bare(&world, &format!("{PROGRAM} configure {REGISTRY}")).succeeds();
    run_bare(&world, &push).succeeds();
    run_bare(&world, &format!("podman pull {REGISTRY}/app:1")).succeeds();
    world.assert_only_registry_tokens();
    run_bare(&world, &format!("{PROGRAM} configure --remove")).succeeds();
    run_bare(&world, &push).fails();
}

#[test]
#[ignore = "needs skopeo, podman, docker-registry and root: run tests/run"]
fn a_former_login_that_goes_before_the_helper_is_told_with_what_removes_it() {
    let world = world();
    // As `podman login` leaves it when nothing is said: `ZXhhbXBsZTpleGFtcGxl` is `example:example`.
    let login = format!(r#"{{"auths":{{"{REGISTRY}":{{"auth":"ZXhhbXBsZTpleGFtcGxl"}}}}}}"#);
    let file = world
        .home
        .write("run/containers/auth.json", login)
        .display()
        .to_string();
    let told = run_bare(&world, &format!("{PROGRAM} configure {REGISTRY} --plain"))
        .fails()
        .stdout;
    let logout = format!("podman logout --authfile {file} {REGISTRY}");
    let used = format!(
        "failed: Podman, Buildah and Skopeo use the login of {REGISTRY} in {file} instead of a helper\n  hint:\n    {logout}\n"
    );
    assert!(told.contains(&used), "{told}");
    let who = || {
        run_bare(&world, &format!("skopeo login --get-login {REGISTRY}"))
            .succeeds()
            .stdout
    };
    assert_eq!(who().trim(), "example");
    run_bare(&world, &logout).succeeds();
    assert_eq!(who().trim(), "00000000-0000-0000-0000-000000000000");
}

#[test]
#[ignore = "needs dockerd, docker-registry and root: run tests/run"]
fn docker_asks_the_helper_after_one_command() {
    let docker = Docker::within(world());
    docker.import(&format!("{REGISTRY}/app:1"));
    docker.run(&format!("push {REGISTRY}/app:1")).fails();
    docker
        .world
        .run(&format!("{PROGRAM} configure --all"))
        .succeeds();
    docker.run(&format!("push {REGISTRY}/app:1")).succeeds();
    docker
        .world
        .run(&format!("{PROGRAM} configure --remove"))
        .succeeds();
    docker
        .world
        .run(&format!("{PROGRAM} configure {REGISTRY}"))
        .succeeds();
    docker.run(&format!("push {REGISTRY}/app:1")).succeeds();
    docker.world.assert_only_registry_tokens();
}
