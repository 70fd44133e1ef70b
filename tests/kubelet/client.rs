//! kubelet's own rules, in Go and with the JSON of kubernetes, before the printed configuration and the shipped binary.

use crate::stage::{Node, OTHER_CLIENT, SHOP, claims, request};
use crate::support::{Answer, LIMIT, ZERO_GUID, run};
use serde_json::{Value, json};
use simulator::{CLIENT, MANAGED_IDENTITY};
use std::path::{Path, PathBuf};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubelet/client");

/// A cloud of somebody's own in the config file.
const CLOUD: &str = "[cloud.fabrikam]\nsuffix = 'azurecr.fabrikam.example'\nauthority = 'https://login.fabrikam.example'\n";

/// The program of kubelet's rules, built with what Debian has of kubernetes.
fn build(node: &Node) -> PathBuf {
    let program = node.home.path("kubelet-client");
    let mut command = node.home.command("go");
    command
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(SOURCE);
    command
        .env("GOPATH", "/usr/share/gocode")
        .env("GO111MODULE", "off")
        .env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go"));
    run(command, "", LIMIT).succeeds();
    program
}

/// What `configure --kubelet` prints.
fn configure(node: &Node, options: &[&str]) -> Answer {
    let mut command = node.home.command(crate::support::binary());
    command.args(["configure", "--kubelet"]).args(options);
    run(command, "", LIMIT).succeeds()
}

/// What kubelet makes of each request by this configuration.
fn ask(node: &Node, client: &Path, configuration: &Path, requests: &[Value]) -> Vec<Value> {
    let mut command = node.home.command(client);
    command.envs(crate::support::set_variables(&node.provider()));
    // The configuration says it.
    command
        .env_remove("ACRSCOPED_SOURCE")
        .arg(configuration)
        .arg(node.home.path("bin"));
    let lines = requests.iter().fold(String::new(), |lines, request| {
        lines + &request.to_string() + "\n"
    });
    let answer = run(command, &lines, LIMIT).succeeds();
    let told: Vec<Value> = answer
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(told.len(), requests.len(), "{answer:#?}");
    told
}

#[test]
#[ignore = "needs golang-go: run tests/run"]
fn kubelet_takes_the_configuration_and_finds_the_credential_of_each_image() {
    let node = Node::new();
    let client = build(&node);
    node.home.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        CLOUD,
    );
    node.simulator.change(|settings| {
        settings.registry_mut("contoso.azurecr.fabrikam.example");
    });
    let mirrors = "--registry-mirror=mcr.microsoft.com:contoso.azurecr.io,docker.io:contoso-abc123.azurecr.io";
    let printed = configure(&node, &[mirrors]).stdout;
    let configuration = node.home.write("kubelet.yaml", &printed);
    let ours = [
        ("contoso.azurecr.io/app", "contoso.azurecr.io"),
        ("Contoso.azurecr.io/team/app", "contoso.azurecr.io"),
        ("contoso-abc123.azurecr.io/app", "contoso-abc123.azurecr.io"),
        ("contoso.eastus.geo.azurecr.io/app", "contoso.azurecr.io"),
        ("mcr.microsoft.com/app", "contoso.azurecr.io"),
        ("docker.io/library/nginx", "contoso-abc123.azurecr.io"),
    ];
    let requests: Vec<Value> = ours.iter().map(|(image, _)| request(image)).collect();
    for ((image, login_server), told) in
        ours.iter()
            .zip(ask(&node, &client, &configuration, &requests))
    {
        assert_eq!(told["error"], "", "{image}: {told}");
        assert_eq!(
            told["cacheKey"],
            image.split('/').next().expect("a host"),
            "{image}: {told}"
        );
        assert!(
            (4_250.0..=5_400.0).contains(&told["seconds"].as_f64().expect("seconds")),
            "{image}: {told}"
        );
        let [auth] = told["auth"].as_array().expect("a list").as_slice() else {
            panic!("{image}: {told}")
        };
        let claims = claims(auth["password"].as_str().expect("a password"));
        assert_eq!(
            (&auth["username"], &claims["aud"], &claims["appid"]),
            (
                &json!(ZERO_GUID),
                &json!(login_server),
                &json!(MANAGED_IDENTITY)
            )
        );
    }
    // Which images kubelet asks for at all; what it gets for these does not matter.
    let asked = [
        "contoso.azurecr.us/a",
        "contoso.chinaeast2.geo.azurecr.cn/a",
        "contoso.azurecr.sovcloud-azure.fr/a",
        "contoso.azurecr.fabrikam.example/a",
    ];
    let requests = asked.map(request);
    for told in ask(&node, &client, &configuration, &requests) {
        assert_eq!(told["asked"], true, "{told}");
    }
    let foreign = [
        "ghcr.io/a",
        "contoso.azurecr.io.evil.example/a",
        "evil.example/contoso.azurecr.io/a",
        "contoso.azurecr.io:5000/a",
        "eu.mcr.microsoft.com/a",
    ];
    for (image, told) in
        foreign
            .iter()
            .zip(ask(&node, &client, &configuration, &foreign.map(request)))
    {
        assert_eq!(
            (&told["asked"], &told["auth"]),
            (&json!(false), &Value::Null),
            "{image}: {told}"
        );
    }
    // A name without a slash is one of Docker Hub, which kubelet does not see.
    let odd = [
        "contoso.azurecr.io",
        "user@contoso.azurecr.io/a",
        "abcd.azurecr.io/a",
    ];
    for (image, told) in odd
        .iter()
        .zip(ask(&node, &client, &configuration, &odd.map(request)))
    {
        let expected = (json!(""), json!(0.0), Value::Null);
        assert_eq!(
            (
                told["error"].clone(),
                json!(told["seconds"].as_f64()),
                told["auth"].clone()
            ),
            expected,
            "{image}: {told}"
        );
    }
}

#[test]
#[ignore = "needs golang-go: run tests/run"]
fn kubelet_takes_the_part_for_pods_once_it_is_not_commented_out() {
    let node = Node::new();
    let client = build(&node);
    let printed = configure(&node, &[]).stdout;
    let (before, part) = printed
        .split_once("    # tokenAttributes:")
        .expect("the part for pods");
    let part = part.replace("\n    # ", "\n    ");
    let configuration = node.home.write(
        "kubelet.yaml",
        format!("{before}    tokenAttributes:{part}"),
    );
    let image = "contoso.azurecr.io/app";
    let told = ask(
        &node,
        &client,
        &configuration,
        &[
            node.pod(SHOP, CLIENT, image),
            node.pod(SHOP, OTHER_CLIENT, image),
            request(image),
        ],
    );
    let owner = |told: &Value| {
        claims(
            told["auth"][0]["password"]
                .as_str()
                .unwrap_or_else(|| panic!("{told}")),
        )["appid"]
            .clone()
    };
    assert_eq!(
        [owner(&told[0]), owner(&told[2])],
        [json!(CLIENT), json!(MANAGED_IDENTITY)]
    );
    let error = told[1]["error"].as_str().expect("text");
    assert!(
        error.starts_with("exit status 1: docker-credential-acrscoped: could not get an access token from the service account as ")
            && !error.contains("eyJ"),
        "{error}"
    );
}

/// Where others choose images, the node's token goes to no registry of theirs.
#[test]
#[ignore = "needs golang-go: run tests/run"]
fn kubelet_asks_for_the_named_registries_alone() {
    let node = Node::new();
    let client = build(&node);
    let named = [
        "contoso.azurecr.io",
        "fabrikam-abc123.westus.geo.azurecr.us",
        "--registry-mirror=mcr.microsoft.com:contoso.azurecr.io",
    ];
    let configuration = node
        .home
        .write("kubelet.yaml", configure(&node, &named).stdout);
    let images = [
        ("contoso.azurecr.io/app", true),
        ("contoso.eastus.geo.azurecr.io/app", true),
        ("fabrikam-abc123.westus.geo.azurecr.us/app", true),
        ("mcr.microsoft.com/app", true),
        ("contoso-abc123.azurecr.io/app", false),
        ("fabrikam.azurecr.io/app", false),
        ("fabrikam-abc123.azurecr.us/app", false),
        ("fabrikam-abc123.eastus.geo.azurecr.us/app", false),
        ("contoso.azurecr.us/app", false),
        ("fabrikam.eastus.geo.azurecr.io/app", false),
    ];
    for ((image, is_asked), told) in images.iter().zip(ask(
        &node,
        &client,
        &configuration,
        &images.map(|(image, _)| request(image)),
    )) {
        assert_eq!(told["asked"], json!(is_asked), "{image}: {told}");
    }
}

#[test]
fn the_configuration_is_printed_and_where_it_belongs_is_told_beside_it() {
    let node = Node::new();
    let answer = configure(
        &node,
        &["--registry-mirror", "mcr.microsoft.com:contoso.azurecr.io"],
    );
    for line in [
        "apiVersion: kubelet.config.k8s.io/v1",
        "    apiVersion: credentialprovider.kubelet.k8s.io/v1",
        "      - \"*.*.geo.azurecr.io\"",
        "      - \"mcr.microsoft.com\"",
        "      - --registry-mirror=mcr.microsoft.com:contoso.azurecr.io",
        "    #   serviceAccountTokenAudience: api://AzureADTokenExchange",
    ] {
        assert!(
            answer.stdout.lines().any(|own| own == line),
            "{line}: {answer:#?}"
        );
    }
    for option in [
        "--image-credential-provider-config=",
        "--image-credential-provider-bin-dir=",
    ] {
        assert!(
            answer.stderr.contains(option) && !answer.stdout.contains(option),
            "{answer:#?}"
        );
    }
    for folder in ["home", "docker"] {
        assert_eq!(
            std::fs::read_dir(node.home.path(folder))
                .expect("our folder")
                .count(),
            0,
            "a file was written"
        );
    }
}

#[test]
fn what_goes_with_no_configuration_of_kubelet_is_misuse() {
    let node = Node::new();
    for (words, said) in [
        (
            "--kubelet --all",
            "the argument `--kubelet` cannot be used with `--all`",
        ),
        (
            "--kubelet contoso.azurecr.io.evil.example",
            "`contoso.azurecr.io.evil.example` is not an Azure Container Registry",
        ),
        ("--kubelet --remove", "cannot be used with"),
        ("--kubelet --docker", "cannot be used with"),
        ("--kubelet --containers", "cannot be used with"),
        ("--kubelet --dry-run", "cannot be used with"),
        ("--kubelet --json", "cannot be used with"),
        ("--kubelet --plain", "cannot be used with"),
        (
            "--registry-mirror mcr.microsoft.com:contoso.azurecr.io",
            "the following required arguments were not provided:",
        ),
        (
            "--kubelet --registry-mirror mcr.microsoft.com",
            "`--registry-mirror` is `mcr.microsoft.com`, expected SOURCE:REGISTRY",
        ),
        (
            "--kubelet --registry-mirror mcr.microsoft.com:evil.example",
            "which does not lead to the login server",
        ),
    ] {
        let mut command = node.home.command(crate::support::binary());
        command.arg("configure").args(words.split(' '));
        let answer = run(command, "", LIMIT);
        assert_eq!(
            (answer.code(), answer.stdout.as_str()),
            (2, ""),
            "{answer:#?}"
        );
        assert!(
            answer
                .stderr
                .lines()
                .next()
                .is_some_and(|line| line.contains(said)),
            "{words}: {answer:#?}"
        );
    }
}
