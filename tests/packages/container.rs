//! The container image.

use crate::made::{checkout, script, static_binary};
use crate::support::server::CONTAINED;
use crate::support::{Answer, Home, LIMIT, NOT_OURS, REGISTRY, ZERO_GUID, connect, identify, run};
use simulator::{Settings, Simulator};

/// `podman run`, as it works in a container itself; the image has no shell, and its user is not root.
const RUN: &str = "podman run --rm --interactive --runtime runc --network host --ulimit nofile=1024:1024 --ulimit nproc=1000:1000";

/// What an image gets from somebody who copies the program out of ours.
const COPIED: &str = "FROM scratch\n\
                      COPY --from=localhost/acrscoped /usr/bin/docker-credential-acrscoped /bin/helper\n\
                      ENTRYPOINT [\"/bin/helper\"]\n";

/// Runs the lines of a shell script, until one fails, with mounts, processes and images of their own.
fn run_contained(home: &Home, simulator: &Simulator, lines: &[String]) -> Answer {
    let root = home.root().display();
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{root}/images\"\nrunroot = \"{root}/run/images\"\n"
    );
    let mut command = home.command(CONTAINED[0]);
    identify(connect(&mut command, simulator), simulator);
    command
        .env(
            "CONTAINERS_STORAGE_CONF",
            home.write("storage.conf", storage),
        )
        .env("BUILDAH_ISOLATION", "chroot");
    // What they name is not there.
    command
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("DOCKER_CONFIG");
    command
        .args(&CONTAINED[1..])
        .arg("sh")
        .arg("-exc")
        .arg(lines.join("\n"));
    run(command, "", LIMIT)
}

#[test]
#[ignore = "needs buildah, podman, root and the static binary: run tests/run"]
fn the_image_signs_in_and_gives_its_program_away() {
    let home = Home::new();
    let simulator = Simulator::start(Settings::default()).expect("a simulator");
    std::fs::copy(simulator.ca_file(), home.path("ca.pem")).expect("our folder");
    let context = home.path("context");
    let mut make = script("container/context");
    make.arg(static_binary()).arg(&context);
    run(make, "", LIMIT).succeeds();
    home.write("copied/Dockerfile", COPIED);
    let root = home.root().display();
    let with_identity =
        "--env HTTPS_PROXY --env AZURE_TENANT_ID --env AZURE_CLIENT_ID --env AZURE_CLIENT_SECRET";
    let lines = [
        format!(
            "buildah build --quiet --platform linux/$(dpkg --print-architecture) --tag localhost/acrscoped --file {} {}",
            checkout("packaging/container/Dockerfile").display(),
            context.display()
        ),
        format!("{RUN} localhost/acrscoped version"),
        // Certificates of its own are there: those of the system, for which nothing has to be mounted.
        format!("printf example.org | {RUN} localhost/acrscoped get || true"),
        format!(
            "printf {REGISTRY} | {RUN} {with_identity} --env SSL_CERT_FILE=/ca.pem --volume {root}/ca.pem:/ca.pem:ro localhost/acrscoped get"
        ),
        format!("buildah build --quiet --tag localhost/copied {root}/copied"),
        format!("{RUN} localhost/copied version"),
        // The whole of the image: no file is more in it than was laid out.
        "folder=$(buildah mount $(buildah from localhost/acrscoped))".to_owned(),
        format!(
            "diff --recursive --no-dereference $folder {}/$(dpkg --print-architecture)",
            context.display()
        ),
    ];
    let answer = run_contained(&home, &simulator, &lines).succeeds();
    let version = concat!("docker-credential-acrscoped v", env!("CARGO_PKG_VERSION"));
    let said: Vec<_> = answer
        .stdout
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        said.iter()
            .filter(
                |line| line.ends_with(version.trim_start_matches("docker-credential-acrscoped "))
            )
            .count(),
        2
    );
    assert!(said.contains(&NOT_OURS), "{answer:#?}");
    assert!(
        answer
            .stdout
            .contains(&format!(r#""Username":"{ZERO_GUID}""#)),
        "{answer:#?}"
    );
}
