//! `login` with a real browser, and a pull with what came of it.

use crate::chromium::Chromium;
use crate::docker;
use crate::image;
use crate::support::{Answer, LIMIT, REGISTRY, run, until};
use crate::world::World;
use std::thread::JoinHandle;

/// Somebody with a desktop whose browser is ours to drive: what would open it writes the address to a file.
fn desktop() -> World {
    let mut world = World::of_somebody();
    world.serve(REGISTRY);
    world.name_helpers(&[REGISTRY]);
    world
        .simulator
        .change(|settings| settings.approval = simulator::Approval::Page);
    world.set("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
    world.set("DISPLAY", ":0");
    world.set("ACRSCOPED_CACHE", "keyutils");
    let address = world.home.path("home/address");
    world.home.script(
        "bin/xdg-open",
        &format!("echo \"$1\" > {0}.new; mv {0}.new {0}", address.display()),
    );
    world
}

/// `login` with these words, which goes on while the browser is driven. What it asks for is written to a file.
fn start(world: &World, words: &str) -> JoinHandle<Answer> {
    let said = world.home.path("home/said").display().to_string();
    let mut command = world.client("sh");
    command.args([
        "-c",
        &format!("exec docker-credential-acrscoped login {words} 2>{said}"),
    ]);
    std::thread::spawn(move || run(command, "", LIMIT))
}

/// What it has said to somebody, once that is in it.
fn said(world: &World, wanted: &str) -> String {
    let file = world.home.path("home/said");
    until(wanted, || {
        std::fs::read_to_string(&file)
            .ok()
            .filter(|said| said.contains(wanted))
    })
}

/// The address that the browser was opened with.
fn address(world: &World) -> String {
    let file = world.home.path("home/address");
    until("address", || std::fs::read_to_string(&file).ok())
        .trim()
        .to_owned()
}

/// An image goes to the registry and comes back as it was, to skopeo and to docker.
fn push_and_pull(world: &World) {
    let (layout, out) = (image::layout(&world.home), world.home.path("home/out"));
    let sent = image::blobs(&layout);
    world
        .run(&format!(
            "skopeo copy --preserve-digests oci:{} docker://{REGISTRY}/app:1",
            layout.display()
        ))
        .succeeds();
    world
        .run(&format!(
            "skopeo copy --preserve-digests docker://{REGISTRY}/app:1 oci:{}",
            out.display()
        ))
        .succeeds();
    assert_eq!(image::blobs(&out), sent);

    let _daemon = docker::start_daemon(world);
    let host = docker::host(world);
    let run = |line: &str| {
        world
            .run_with(&format!("docker {line}"), &[("DOCKER_HOST", &host)])
            .succeeds()
    };
    run(&format!("pull {REGISTRY}/app:1"));
    let image = &run(&format!("image inspect {REGISTRY}/app:1")).json()[0];
    let layers = image["RootFS"]["Layers"].as_array().expect("a list");
    // The layer is not compressed: its digest is that of its content.
    let is_sent = |digest: &str| {
        digest
            .strip_prefix("sha256:")
            .is_some_and(|digest| sent.contains_key(digest))
    };
    assert!(
        layers.len() == 1 && layers[0].as_str().is_some_and(is_sent),
        "{layers:?}"
    );
    world.assert_only_registry_tokens();
}

#[test]
#[ignore = "needs chromium, skopeo, docker-registry and root: run tests/run"]
fn somebody_signs_in_with_the_browser_and_pulls() {
    let world = desktop();
    let login = start(&world, REGISTRY);
    let chromium = Chromium::start(&world);
    chromium.open(&address(&world));
    chromium.shows("Pick an account");
    chromium.press("approve");
    chromium.shows("You are signed in");
    assert_eq!(
        chromium.text("p"),
        "You can close this window and return to the terminal."
    );
    let answer = login.join().expect("an answer").succeeds();
    assert!(
        answer
            .stdout
            .contains(&format!("+ {REGISTRY} accepts the sign-in")),
        "{answer:#?}"
    );
    push_and_pull(&world);
}

#[test]
#[ignore = "needs chromium, skopeo, docker-registry and root: run tests/run"]
fn somebody_types_a_code_into_a_browser_and_pulls() {
    let world = desktop();
    let login = start(&world, &format!("{REGISTRY} --device-code"));
    let said = said(&world, "Waiting for");
    let mut lines = said
        .lines()
        .map(str::trim)
        .skip_while(|line| !line.starts_with("https://"));
    let (page, code) = (lines.next().expect("a page"), lines.next().expect("a code"));
    let chromium = Chromium::start(&world);
    chromium.open(page);
    chromium.type_into("code", code);
    chromium.press("approve");
    chromium.shows("You can close this window");
    login.join().expect("an answer").succeeds();
    push_and_pull(&world);
}

#[test]
#[ignore = "needs chromium, skopeo, docker-registry and root: run tests/run"]
fn a_consent_that_is_denied_in_the_browser_is_told_in_both_places() {
    let world = desktop();
    let login = start(&world, REGISTRY);
    let chromium = Chromium::start(&world);
    chromium.open(&address(&world));
    chromium.shows("Pick an account");
    chromium.press("deny");
    chromium.shows("You are not signed in");
    assert!(
        chromium.text("p").contains("User declined to consent"),
        "{}",
        chromium.text("p")
    );
    login.join().expect("an answer").fails();
    let said = said(&world, "hint: ");
    assert!(
        said.contains("AADSTS65004: User declined to consent to access the app."),
        "{said}"
    );
}

#[test]
#[ignore = "needs chromium, skopeo, docker-registry and root: run tests/run"]
fn a_browser_that_is_closed_leaves_the_terminal_with_a_hint() {
    let world = desktop();
    let login = start(&world, "--timeout 20");
    let chromium = Chromium::start(&world);
    chromium.open(&address(&world));
    chromium.shows("Pick an account");
    chromium.close();
    login.join().expect("an answer").fails();
    let said = said(&world, "hint: ");
    assert!(
        said.contains("the sign-in was not completed in time")
            && said.contains("login --device-code"),
        "{said}"
    );
}
