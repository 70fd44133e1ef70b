//! What is shipped for Kubernetes: the manifests fit the API, and the installer leaves a node as it found it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use support::run::in_parallel;
use support::{Answer, Home, LIMIT, binary, run};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/kubernetes");

/// The provider of another registry, as nodes have it; its last line has no end.
const ECR: &str = r#"# ours, by hand
apiVersion: "kubelet.config.k8s.io/v1"
kind: CredentialProviderConfig
providers:
    # for the base images
    - name: ecr-credential-provider
      matchImages:
      - "*.dkr.ecr.*.amazonaws.com"
      defaultCacheDuration: "12h"
      apiVersion: credentialprovider.kubelet.k8s.io/v1"#;

/// A folder that looks like the root of a node.
struct Node {
    home: Home,
    shell: &'static [&'static str],
    program: PathBuf,
}

impl Node {
    /// A node that gets a small script that prints what the program prints: a debug build is large to copy and to compare.
    fn new(files: &[(&str, &str)]) -> Self {
        let mut node = Self::with_the_program(files);
        node.program = program_that_prints(&node.home, "program", printed());
        node
    }

    /// A node that gets the program under test.
    fn with_the_program(files: &[(&str, &str)]) -> Self {
        let home = Home::new();
        for folder in ["node/var/lib/kubelet", "node/etc/kubernetes"] {
            std::fs::create_dir_all(home.path(folder)).expect("our folder");
        }
        for (name, content) in files {
            home.write(&format!("node{name}"), content);
        }
        Self {
            home,
            shell: &["sh"],
            program: binary(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path(&format!("node{name}"))
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn call(&self, words: &[&str], environment: &[(&str, &str)]) -> Answer {
        let mut command = self.home.command(self.shell[0]);
        command
            .args(&self.shell[1..])
            .arg(format!("{FOLDER}/install-on-node"))
            .args(words);
        command
            .env("NODE", self.path(""))
            .env("PROGRAM", &self.program)
            .envs(environment.iter().copied());
        run(command, "", LIMIT)
    }

    fn install(&self) -> Answer {
        self.call(&["install"], &[]).succeeds()
    }

    fn uninstall(&self) -> Answer {
        self.call(&["uninstall"], &[]).succeeds()
    }

    /// Everything there is: names, modes, contents.
    fn tree(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        fn walk(path: &Path, tree: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
            let mode = path.symlink_metadata().expect("our file").mode();
            if let Ok(place) = std::fs::read_link(path) {
                tree.insert(
                    path.to_owned(),
                    (mode, place.into_os_string().into_encoded_bytes()),
                );
                return;
            }
            if !path.is_dir() {
                tree.insert(
                    path.to_owned(),
                    (mode, std::fs::read(path).expect("our file")),
                );
                return;
            }
            tree.insert(path.to_owned(), (mode, Vec::new()));
            for entry in std::fs::read_dir(path).expect("our folder") {
                walk(&entry.expect("our folder").path(), tree);
            }
        }
        let mut tree = BTreeMap::new();
        walk(&self.path(""), &mut tree);
        tree
    }

    /// Nothing may be changed by an install, and the reason holds these words.
    fn refuses(&self, environment: &[(&str, &str)], words: &str) {
        self.refuses_to("install", environment, words);
    }

    /// Nothing may be changed by this, and the reason holds these words.
    fn refuses_to(&self, action: &str, environment: &[(&str, &str)], words: &str) -> Answer {
        let before = self.tree();
        let answer = self.call(&[action], environment).fails();
        assert!(answer.stderr.contains(words), "{answer:#?}");
        assert_eq!(self.tree(), before, "{answer:#?}");
        answer
    }
}

const KUBEADM: (&str, &str) = (
    "/var/lib/kubelet/kubeadm-flags.env",
    "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd.sock\"\n",
);
const BIN: &str = "/var/lib/kubelet/credential-provider/docker-credential-acrscoped";
const CONFIG: &str = "/var/lib/kubelet/credential-provider-config.yaml";
const TOLD: (&str, &str) = (
    "/etc/default/kubelet",
    "KUBELET_EXTRA_ARGS=\"--image-credential-provider-bin-dir=/etc/kubernetes/bin \
     --image-credential-provider-config=/etc/kubernetes/providers.yaml\"\n",
);
const THEIRS: &str = "/etc/kubernetes/providers.yaml";

/// What `configure --kubelet` prints.
fn printed() -> &'static str {
    static PRINTED: LazyLock<String> = LazyLock::new(|| {
        let mut command = Command::new(binary());
        command
            .args(["configure", "--kubelet"])
            .env_clear()
            .env("HOME", "/nowhere");
        run(command, "", LIMIT).succeeds().stdout
    });
    &PRINTED
}

/// Every line but comments, without its indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[test]
fn on_a_node_of_kubeadm_it_is_put_in_place_and_taken_away() {
    let node = Node::with_the_program(&[KUBEADM]);
    let before = node.tree();
    let answer = node.install();
    assert!(
        answer.stdout.contains("KUBELET_EXTRA_ARGS=--image-credential-provider-bin-dir=/var/lib/kubelet/credential-provider ")
    );
    assert!(
        answer.stdout.contains("systemctl restart kubelet"),
        "{answer:#?}"
    );
    assert_eq!(
        std::fs::read(node.path(BIN)).unwrap(),
        std::fs::read(binary()).unwrap()
    );
    assert_eq!(
        node.path(BIN).metadata().unwrap().permissions().mode() & 0o777,
        0o755
    );
    // The text is the program's.
    assert_eq!(lines(&node.read(CONFIG)), lines(printed()));
    node.uninstall();
    assert_eq!(node.tree(), before);
    assert_eq!(node.uninstall().stdout, "nothing is installed here\n");
}

#[test]
fn on_a_node_of_k3s_it_goes_where_k3s_looks() {
    let node = Node::with_the_program(&[(
        "/etc/rancher/k3s/config.yaml",
        "write-kubeconfig-mode: \"0644\"\n",
    )]);
    let before = node.tree();
    let answer = node.install();
    assert!(
        node.path("/var/lib/rancher/credentialprovider/bin/docker-credential-acrscoped")
            .exists()
    );
    assert!(
        node.read("/var/lib/rancher/credentialprovider/config.yaml")
            .contains("azurecr.io")
    );
    assert!(
        answer.stdout.contains("systemctl restart k3s") && !answer.stdout.contains("kubelet-arg"),
        "{answer:#?}"
    );
    node.uninstall();
    assert_eq!(node.tree(), before);

    // It hands a list of comments alone to the kubelet, too, as long as there is another program.
    node.home
        .write("node/var/lib/rancher/credentialprovider/bin/other", "");
    let before = node.tree();
    node.install();
    let list = node.path("/var/lib/rancher/credentialprovider/config.yaml");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, format!("# looked through\n{text}")).unwrap();
    node.refuses_to("uninstall", &[], "would hold comments alone");
    std::fs::write(&list, text).unwrap();
    node.uninstall();
    assert_eq!(node.tree(), before);
}

#[test]
fn what_the_kubelet_is_told_is_found_wherever_nodes_tell_it() {
    let flags = "--image-credential-provider-bin-dir=/srv/bin --image-credential-provider-config=/srv/list.yaml";
    for (file, content) in [
        ("/var/lib/kubelet/kubeadm-flags.env", format!("KUBELET_KUBEADM_ARGS=\"--node-ip=10.0.0.1 {flags}\"\n")),
        ("/etc/default/kubelet", format!("# --image-credential-provider-config=/old.yaml\nKUBELET_EXTRA_ARGS={flags}\n")),
        ("/etc/sysconfig/kubelet", format!("KUBELET_EXTRA_ARGS='{flags}'\n")),
        (
            "/etc/systemd/system/kubelet.service.d/20-flags.conf",
            format!("[Service]\nEnvironment=\"KUBELET_EXTRA_ARGS={flags}\"\n"),
        ),
        (
            "/etc/rancher/k3s/config.yaml",
            "image-credential-provider-bin-dir: /srv/bin\nimage-credential-provider-config: \"/srv/list.yaml\"\n".into(),
        ),
        (
            "/etc/rancher/rke2/config.yaml.d/10-list.yaml",
            "kubelet-arg:\n- \"image-credential-provider-bin-dir=/srv/bin\"\n- image-credential-provider-config=/srv/list.yaml\n"
                .into(),
        ),
        (
            "/etc/systemd/system/k3s.service",
            "[Service]\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--image-credential-provider-bin-dir=/srv/bin' \\\n\t\
             '--image-credential-provider-config=/srv/list.yaml' \\\n"
                .into(),
        ),
        (
            "/etc/systemd/system/k3s-agent.service",
            "[Service]\nExecStart=/usr/local/bin/k3s \\\n    agent \\\n\t'--image-credential-provider-bin-dir' \\\n\t'/srv/bin/' \\\n\t\
             '--image-credential-provider-config' \\\n\t'/srv/list.yaml' \\\n"
                .into(),
        ),
        (
            "/etc/rancher/k3s/config.yaml.d/kubelet.yaml",
            "kubelet-arg: [image-credential-provider-config=/srv/list.yaml, image-credential-provider-bin-dir=/srv/bin]\n".into(),
        ),
    ] {
        let node = Node::new(&[(file, &content)]);
        let answer = node.install();
        assert!(
            node.path("/srv/bin/docker-credential-acrscoped").exists() && node.path("/srv/list.yaml").exists(),
            "{file}: {answer:#?}"
        );
        assert!(!answer.stdout.contains("KUBELET_EXTRA_ARGS"), "{file}: {answer:#?}");
    }
}

#[test]
fn beside_another_provider_it_adds_its_own_entry_and_nothing_else() {
    let alone = ECR.replace("    - name", "    -\n      name");
    for content in [
        ECR.to_owned(),
        format!("{ECR}\n"),
        format!("---\n{ECR}\n\n# the end\n"),
        alone,
    ] {
        let node = Node::new(&[TOLD, (THEIRS, &content)]);
        std::fs::set_permissions(node.path(THEIRS), std::fs::Permissions::from_mode(0o600))
            .unwrap();
        let before = node.tree();
        let answer = node.install();
        assert!(
            answer
                .stdout
                .contains("nothing in the kubelet's flags: /etc/default/kubelet names"),
            "{answer:#?}"
        );
        let config = node.read(THEIRS);
        let added = config
            .strip_prefix(&content)
            .unwrap_or_else(|| panic!("what was there was changed: {config}"));
        // As deep as theirs: else it is another list, or no YAML.
        assert_eq!(lines(added), lines(printed())[3..]);
        let own: Vec<&str> = added
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#'))
            .collect();
        assert!(
            own[0].starts_with("    - name:")
                && own[1..].iter().all(|line| line.starts_with("      ")),
            "{added}"
        );
        assert_eq!(
            node.path(THEIRS).metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        node.uninstall();
        assert_eq!(node.tree(), before);
    }
}

#[test]
fn what_others_add_later_stays() {
    let node = Node::new(&[KUBEADM]);
    node.install();
    let item = "- name: ecr-credential-provider\n  matchImages: [\"*.dkr.ecr.*.amazonaws.com\"]\n";
    std::fs::write(node.path(CONFIG), node.read(CONFIG) + item).unwrap();
    node.install();
    assert!(node.read(CONFIG).contains(item));
    node.uninstall();
    assert!(
        node.read(CONFIG).ends_with(&format!("providers:\n{item}")),
        "{}",
        node.read(CONFIG)
    );
    assert!(
        !node
            .read(CONFIG)
            .contains("name: docker-credential-acrscoped")
            && !node.path(BIN).exists()
    );
}

/// A program whose entry is another one than that of the program under test.
fn next_program(node: &Node) -> PathBuf {
    let entry = printed().replace("defaultCacheDuration: \"10m\"", "defaultCacheDuration: 7m");
    program_that_prints(&node.home, "next", &entry)
}

fn program_that_prints(home: &Home, name: &str, entry: &str) -> PathBuf {
    let entry = home.write(&format!("{name}.entry"), entry);
    // By its path, since tests put tools that fail first on `PATH`.
    home.script(
        &format!("bin/{name}"),
        &format!("/bin/cat '{}'", entry.display()),
    )
}

#[test]
fn what_others_change_between_the_marks_is_never_lost() {
    const END: &str = "# END docker-credential-acrscoped";
    for edit in [
        |text: &str| {
            text.replace(
                END,
                &format!("- name: gcr-credential-provider\n      matchImages: [gcr.io]\n    {END}"),
            )
        },
        |text: &str| text.replace("- \"*.azurecr.io\"\n", "- contoso.azurecr.io\n"),
        |text: &str| text.replace("value: managed-identity", "value: workload-identity"),
        |text: &str| text.replace(END, &format!("# reviewed\n    {END}")),
    ] {
        for list in ["", ECR] {
            let node = Node::new(&[TOLD]);
            if !list.is_empty() {
                node.home.write(&format!("node{THEIRS}"), list);
            }
            let before = node.tree();
            node.install();
            let unchanged = node.read(THEIRS);
            let changed = edit(&unchanged);
            assert_ne!(changed, unchanged);
            std::fs::write(node.path(THEIRS), &changed).unwrap();

            // Where nothing new is to be written, theirs stays and is said; the program is put in place all the same.
            std::fs::remove_file(node.path("/etc/kubernetes/bin/docker-credential-acrscoped"))
                .unwrap();
            let answer = node.install();
            assert!(
                answer
                    .stdout
                    .contains(&format!("{THEIRS} stays as somebody changed it")),
                "{answer:#?}"
            );
            assert_eq!(node.read(THEIRS), changed);
            assert!(
                node.path("/etc/kubernetes/bin/docker-credential-acrscoped")
                    .exists()
            );

            let next = next_program(&node);
            let next = [("PROGRAM", next.to_str().unwrap())];
            let answer = node.refuses_to(
                "install",
                &next,
                "somebody changed what stands between its lines",
            );
            let advice =
                "Keep elsewhere what is yours there, delete these lines with all between them";
            assert!(answer.stderr.contains(advice), "{answer:#?}");
            std::fs::remove_file(node.path("/etc/default/kubelet")).unwrap();
            node.refuses_to(
                "uninstall",
                &[],
                "somebody changed what stands between its lines",
            );
            node.home.write(&format!("node{}", TOLD.0), TOLD.1);

            // What the message says to do is enough.
            let mut inside = false;
            let rest = changed.split_inclusive('\n').filter(|line| {
                let mark = line.contains("# BEGIN") || line.contains("# END");
                inside ^= mark;
                !inside && !mark
            });
            std::fs::write(node.path(THEIRS), rest.collect::<String>()).unwrap();
            node.call(&["install"], &next).succeeds();
            assert_eq!(
                node.read(THEIRS)
                    .matches("defaultCacheDuration: 7m")
                    .count(),
                1
            );
            std::fs::remove_file(node.path("/etc/default/kubelet")).unwrap();
            node.uninstall();
            node.home.write(&format!("node{}", TOLD.0), TOLD.1);
            let mut after = node.tree();
            // The line that had no end was given one by whoever deleted the lines after it.
            if let Some((_, text)) = after.get_mut(&node.path(THEIRS)) {
                text.pop();
            }
            assert_eq!(after, before);
        }
    }
}

#[test]
fn what_others_write_around_the_entry_of_a_file_from_here_stays() {
    let node = Node::new(&[KUBEADM]);
    node.install();
    let item = "- name: ecr-credential-provider\n  matchImages: [\"*.dkr.ecr.*.amazonaws.com\"]\n";
    let text = node.read(CONFIG).replace(
        "providers:\n",
        &format!("# ours, by hand\nproviders:\n{item}"),
    ) + "# the end\n";
    std::fs::write(node.path(CONFIG), &text).unwrap();
    node.call(
        &["install"],
        &[("PROGRAM", next_program(&node).to_str().unwrap())],
    )
    .succeeds();
    assert_eq!(
        node.read(CONFIG),
        text.replace("defaultCacheDuration: \"10m\"", "defaultCacheDuration: 7m")
    );
    node.uninstall();
    assert!(
        node.read(CONFIG)
            .ends_with(&format!("# ours, by hand\nproviders:\n{item}# the end\n")),
        "{}",
        node.read(CONFIG)
    );

    // However the path of the list is written, and whatever else an empty list holds.
    let links = |node: &Node| {
        for (link, place) in [
            ("/etc/linked.yaml", CONFIG),
            ("/etc/folder", "/var/lib/kubelet"),
        ] {
            let up = format!("..{place}");
            std::os::unix::fs::symlink(up, node.path(link)).unwrap();
        }
    };
    for (told, added) in [
        ("/etc/linked.yaml", ""),
        ("/etc/folder/credential-provider-config.yaml", ""),
        ("/var/lib//kubelet/credential-provider-config.yaml", ""),
        ("/not/to/be/seen/from/here.yaml", ""),
        (CONFIG, " # all"),
        (CONFIG, "\n---"),
    ] {
        let node = Node::new(&[KUBEADM]);
        node.install();
        links(&node);
        let text = node.read(CONFIG);
        let text = if added == "\n---" {
            format!("---\n{text}")
        } else {
            text.replace("\nproviders:", &format!("\nproviders:{added}"))
        };
        std::fs::write(node.path(CONFIG), text).unwrap();
        let flags = format!(
            "[Service]\nExecStart=kubelet \\\n --image-credential-provider-config={told} \\\n # --image-credential-provider-config=/old.yaml \\\n \
             --image-credential-provider-config=/var/lib/kubelet\n"
        );
        node.home
            .write("node/etc/systemd/system/kubelet.service", flags);
        node.refuses_to("uninstall", &[], "tells the kubelet to read");
    }

    // Comments alone stay too, where no kubelet reads the list: it does not start with an empty one.
    let node = Node::new(&[KUBEADM]);
    node.install();
    std::fs::write(node.path(CONFIG), node.read(CONFIG) + "# the end").unwrap();
    let flags = node.home.write(
        "node/etc/default/kubelet",
        format!("--image-credential-provider-config={CONFIG}\n"),
    );
    node.refuses_to(
        "uninstall",
        &[],
        "/etc/default/kubelet tells the kubelet to read",
    );
    std::fs::remove_file(flags).unwrap();
    node.uninstall();
    assert!(
        node.read(CONFIG).ends_with("providers:\n# the end"),
        "{}",
        node.read(CONFIG)
    );
}

/// Whatever stands where between marks like these, it may be somebody's.
#[test]
fn marks_that_are_not_one_pair_are_left_alone_and_said() {
    let (begin, end) = (
        "# BEGIN docker-credential-acrscoped",
        "# END docker-credential-acrscoped",
    );
    for edit in [
        |text: &str, _: &str, end: &str| text.replace(end, "#"),
        |text: &str, begin: &str, _: &str| text.replace(begin, "#"),
        |text: &str, begin: &str, end: &str| {
            text.replace(begin, "MARK")
                .replace(end, begin)
                .replace("MARK", end)
        },
        |text: &str, _: &str, end: &str| format!("{text}# more\n    {end}\n"),
        |text: &str, begin: &str, _: &str| format!("{text}# more\n    {begin}\n"),
        |text: &str, begin: &str, end: &str| format!("{text}# more\n    {begin}\n    {end}\n"),
        |text: &str, _: &str, end: &str| text.replace(end, &format!("{end}s here")),
        |text: &str, _: &str, _: &str| text.replace('\n', "\r\n"),
    ] {
        for after in [
            "",
            "    - name: gcr-credential-provider\n      matchImages: [gcr.io]\n",
        ] {
            let node = Node::new(&[TOLD, (THEIRS, &format!("{ECR}\n"))]);
            node.install();
            let text = edit(&node.read(THEIRS), begin, end) + after;
            std::fs::write(node.path(THEIRS), text).unwrap();
            for action in ["install", "uninstall"] {
                let answer = node.refuses_to(
                    action,
                    &[],
                    "/etc/kubernetes/providers.yaml stays as it is: its lines",
                );
                let reason =
                    "are not one `# BEGIN docker-credential-acrscoped` and after it one `# END";
                assert!(answer.stderr.contains(reason), "{answer:#?}");
            }
        }
    }
}

/// What the program leaves to be filled in is filled in, and is YAML then.
#[test]
#[ignore = "needs kubernetes-validate: run tests/run"]
fn the_identity_of_the_node_and_of_its_pods_can_be_told() {
    const CLIENT: &str = "5b8d3e17-64c2-4f0a-9d15-7a2e8c40b6f1";
    const AUDIENCE: &str = "api://AzureADTokenExchangeUSGov";
    let node = Node::with_the_program(&[TOLD, (THEIRS, ECR)]);
    node.call(
        &["install"],
        &[("CLIENT_ID", CLIENT), ("AUDIENCE", AUDIENCE)],
    )
    .succeeds();
    let parsed = || {
        let mut command = Command::new(support::cache("kubernetes/bin/python"));
        command
            .args([
                "-c",
                "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
            ])
            .arg(node.path(THEIRS));
        run(command, "", LIMIT).succeeds().json()
    };
    let config = parsed();
    let own = &config["providers"][1];
    assert_eq!(
        (&config["providers"][0]["name"], &own["args"]),
        (
            &"ecr-credential-provider".into(),
            &serde_json::json!(["kubelet"])
        )
    );
    assert_eq!(
        own["env"][1],
        serde_json::json!({"name": "AZURE_CLIENT_ID", "value": CLIENT})
    );
    assert_eq!(
        own["tokenAttributes"]["serviceAccountTokenAudience"],
        AUDIENCE
    );
    assert_eq!(
        own["tokenAttributes"]["optionalServiceAccountAnnotationKeys"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(own["matchImages"].as_array().map(Vec::len), Some(8));
    // The hosts that others could choose are left out, at the next install as well.
    let images = [
        ("CLIENT_ID", CLIENT),
        ("AUDIENCE", AUDIENCE),
        (
            "REGISTRIES",
            "contoso.azurecr.io  fabrikam.westus.geo.azurecr.io",
        ),
    ];
    let mirror = [
        "install",
        "--registry-mirror",
        "mcr.microsoft.com:contoso.azurecr.io",
    ];
    let answer = node.call(&mirror, &images).succeeds();
    for changed in [
        "  -        - \"*.azurecr.io\"",
        "  +        - \"contoso.azurecr.io\"",
    ] {
        assert!(
            answer.stdout.lines().any(|line| line == changed),
            "{answer:#?}"
        );
    }
    assert!(
        node.call(&mirror, &images)
            .succeeds()
            .stdout
            .starts_with("everything is in place already")
    );
    let narrowed = parsed();
    let mut expected = config;
    let hosts = [
        "contoso.azurecr.io",
        "contoso.*.geo.azurecr.io",
        "fabrikam.westus.geo.azurecr.io",
        "mcr.microsoft.com",
    ];
    expected["providers"][1]["matchImages"] = serde_json::json!(hosts);
    expected["providers"][1]["args"] = serde_json::json!([
        "kubelet",
        "--registry-mirror=mcr.microsoft.com:contoso.azurecr.io"
    ]);
    assert_eq!(narrowed, expected);
    for registries in [
        "--all",
        "-x",
        "contoso.azurecr.io:443",
        "contoso.azurecr.io\n- b",
    ] {
        node.refuses(
            &[("REGISTRIES", registries)],
            "expected such as contoso.azurecr.io",
        );
    }
    for registries in ["\"", "contoso.azurecr.io,fabrikam.azurecr.io", "$(id)", "*"] {
        node.refuses(&[("REGISTRIES", registries)], "gave no entry");
    }
    for client in [
        "the one of the node",
        "-",
        "12345678",
        &format!("{CLIENT}\n{CLIENT}"),
        &format!("{CLIENT}: x"),
    ] {
        node.refuses(&[("CLIENT_ID", client)], "expected a GUID");
    }
    node.refuses(&[("AUDIENCE", "api://a b")], "expected such as");
    node.refuses(&[("AUDIENCE", "api://a:")], "expected such as");
    node.refuses(
        &[("AUDIENCE", "https://management.azure.com")],
        "expected such as",
    );
}

#[test]
fn in_a_folder_of_lists_it_has_a_file_of_its_own() {
    let node = Node::new(&[("/etc/kubernetes/providers.d/ecr.yaml", ECR)]);
    let before = node.tree();
    let environment = [
        ("BIN_DIR", "/etc/kubernetes/bin"),
        ("CONFIG", "/etc/kubernetes/providers.d"),
    ];
    node.call(&["install"], &environment).succeeds();
    let own = "/etc/kubernetes/providers.d/docker-credential-acrscoped.yaml";
    assert!(node.read(own).contains("azurecr.io"));
    assert_eq!(node.read("/etc/kubernetes/providers.d/ecr.yaml"), ECR);
    node.uninstall();
    assert_eq!(node.tree(), before);

    // The kubelet reads the whole folder: there is no second entry of a name, and none without its program.
    node.call(&["install"], &environment).succeeds();
    let moved = node
        .home
        .write("node/etc/kubernetes/providers.d/mine.yml", node.read(own));
    std::os::unix::fs::symlink(
        "/not/here",
        node.path("/etc/kubernetes/providers.d/far.yaml"),
    )
    .unwrap();
    node.refuses_to(
        "uninstall",
        &environment,
        "far.yaml beside it cannot be read from here",
    );
    std::fs::remove_file(node.path("/etc/kubernetes/providers.d/far.yaml")).unwrap();
    for action in ["install", "uninstall"] {
        node.refuses_to(
            action,
            &environment,
            "/etc/kubernetes/providers.d/mine.yml has an entry of the name",
        );
    }
    std::fs::remove_file(node.path(own)).unwrap();
    node.refuses_to(
        "uninstall",
        &[],
        "/etc/kubernetes/providers.d/mine.yml has an entry of the name",
    );
    std::fs::remove_file(moved).unwrap();
    node.uninstall();
    assert_eq!(node.tree(), before);

    // A folder without any list is one that it does not start with; folders in it do not count.
    let flags =
        "KUBELET_EXTRA_ARGS=--image-credential-provider-config=/etc/kubernetes/providers.d/\n";
    let node = Node::new(&[
        ("/etc/default/kubelet", flags),
        ("/etc/kubernetes/providers.d/old/ecr.yaml", ECR),
    ]);
    node.install();
    node.refuses_to("uninstall", &[], "which would be gone or empty");
    let other = node.home.write(
        "node/etc/kubernetes/providers.d/ecr.yaml",
        "providers: []\n",
    );
    node.refuses_to("uninstall", &[], "which would be gone or empty");
    std::fs::write(other, ECR).unwrap();
    let more = "X=--image-credential-provider-config=/etc/kubernetes/providers.d/docker-credential-acrscoped.yaml\n";
    let more = node
        .home
        .write("node/var/lib/kubelet/kubeadm-flags.env", more);
    node.refuses_to("uninstall", &[], "which would be gone or empty");
    std::fs::remove_file(more).unwrap();
    node.uninstall();
}

#[test]
fn a_second_install_changes_nothing_and_another_program_is_an_upgrade() {
    let node = Node::with_the_program(&[TOLD, (THEIRS, ECR)]);
    let before = node.tree();
    node.install();
    let installed = node.tree();
    let answer = node.install();
    assert!(
        answer.stdout.starts_with("everything is in place already")
            && answer.stdout.contains("a new program alone needs none"),
        "{answer:#?}"
    );
    assert_eq!(node.tree(), installed);

    let next = node.home.script(
        "bin/next",
        &format!(
            "\"{}\" \"$@\" | sed 's/defaultCacheDuration:.*/defaultCacheDuration: 7m/'",
            binary().display()
        ),
    );
    let answer = node
        .call(&["install"], &[("PROGRAM", next.to_str().unwrap())])
        .succeeds();
    assert!(answer.stdout.contains("restart kubelet"), "{answer:#?}");
    assert!(
        node.read(THEIRS).starts_with(ECR)
            && node
                .read(THEIRS)
                .matches("defaultCacheDuration: 7m")
                .count()
                == 1
    );
    assert_eq!(
        std::fs::read(node.path("/etc/kubernetes/bin/docker-credential-acrscoped")).unwrap(),
        std::fs::read(next).unwrap()
    );
    assert_eq!(node.tree().len(), installed.len());
    node.uninstall();
    assert_eq!(node.tree(), before);
}

#[test]
fn a_list_that_cannot_be_added_to_line_by_line_is_left_alone_and_said() {
    for (content, words) in [
        ("", "it is empty"),
        (
            "{\"apiVersion\": \"kubelet.config.k8s.io/v1\", \"kind\": \"CredentialProviderConfig\", \"providers\": []}\n",
            "line by line",
        ),
        (
            "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders: []\n",
            "no list `providers`",
        ),
        (
            "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n",
            "no list `providers`",
        ),
        (
            "kind: CredentialProviderConfig\nproviders:\n- name: a\napiVersion: kubelet.config.k8s.io/v1\n",
            "not the last",
        ),
        (
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: CredentialProviderConfig\nproviders:\n- name: a\n",
            "no CredentialProviderConfig of",
        ),
        (
            "apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration\nproviders:\n- name: a\n",
            "no CredentialProviderConfig of",
        ),
        ("%&!\u{1}", "no CredentialProviderConfig of"),
        (&format!("{ECR}\n---\n{ECR}\n"), "more than one document"),
        (&ECR.replace('\n', "\r\n"), "carriage return"),
        (&ECR.replace("    - ", "\t- "), "tabs"),
        (
            &ECR.replace("ecr-credential-provider", "docker-credential-acrscoped"),
            "that is not from here",
        ),
    ] {
        Node::new(&[TOLD, (THEIRS, content)]).refuses(&[], words);
    }
}

#[test]
fn what_is_not_its_own_is_not_touched() {
    let of_somebody = Node::new(&[KUBEADM, (BIN, "somebody's")]);
    of_somebody.refuses(&[], "was not put there by this script");
    let node = Node::new(&[]);
    node.refuses(&[("CONFIG", "relative")], "does not begin with /");
    node.refuses(&[("CONFIG", "/etc/two words")], "has a space in it");
    node.refuses(&[("PROGRAM", "/nowhere/program")], "is not there");
    node.refuses(&[("PROGRAM", "/bin/false")], "gave no entry");
    node.refuses(&[("PROGRAM", "/bin/echo")], "printed no list of providers");
    node.refuses(&[("NODE", "/nowhere")], "is not the root of a node");
    // In a container it would lead out of the node.
    std::os::unix::fs::symlink("/elsewhere", node.path("/opt")).unwrap();
    node.refuses(&[("BIN_DIR", "/opt/bin")], "/opt is a symbolic link");
    node.install();
    node.refuses(&[("BIN_DIR", "/var/lib/bin")], "uninstall that first");
    node.refuses(
        &[("CONFIG", "/var/lib/providers.yaml")],
        "uninstall that first",
    );
}

/// Every file that the installer writes.
const WRITTEN: [&str; 3] = [BIN, CONFIG, "/var/lib/docker-credential-acrscoped/node"];

/// Where it writes them first.
const STAGED: [&str; 3] = [
    "/var/lib/kubelet/credential-provider/.docker-credential-acrscoped.new",
    "/var/lib/kubelet/.credential-provider-config.yaml.new",
    "/var/lib/docker-credential-acrscoped/.node.new",
];

/// In a container a link of the node leads into the container.
#[test]
fn a_link_where_something_is_to_be_written_is_refused() {
    let folders = [
        "/var/lib/docker-credential-acrscoped",
        "/var/lib/kubelet/credential-provider",
    ];
    for name in WRITTEN.into_iter().chain(STAGED).chain(folders) {
        for installed in [false, true] {
            let node = Node::new(&[KUBEADM]);
            if installed {
                node.install();
            }
            // It leads to what was there, or to nothing.
            let (path, outside) = (node.path(name), node.home.path("outside"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::rename(&path, &outside).ok();
            std::os::unix::fs::symlink(&outside, &path).unwrap();
            let words = format!("{name} is a symbolic link");
            node.refuses(&[], &words);
            if installed {
                node.refuses_to("uninstall", &[], &words);
            }
            assert_eq!(
                outside.exists(),
                installed && !STAGED.contains(&name),
                "{name}"
            );
        }
    }
}

#[test]
fn nothing_is_written_through_what_was_planted_and_no_setuid_is_handed_on() {
    let node = Node::new(&[KUBEADM, (CONFIG, ECR)]);
    let outside = node.home.write("outside", "somebody's");
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o600)).unwrap();
    let plant = || {
        for name in STAGED {
            std::fs::create_dir_all(node.path(name).parent().unwrap()).unwrap();
            std::fs::hard_link(&outside, node.path(name)).unwrap();
        }
    };
    plant();
    node.install();
    plant();
    for (name, mode) in [(BIN, 0o6777), (CONFIG, 0o6640)] {
        std::fs::set_permissions(node.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    node.call(
        &["install"],
        &[("PROGRAM", next_program(&node).to_str().unwrap())],
    )
    .succeeds();
    for (name, mode) in [(BIN, 0o755), (CONFIG, 0o640)] {
        assert_eq!(
            node.path(name).metadata().unwrap().mode() & 0o7777,
            mode,
            "{name}"
        );
    }
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "somebody's");
    let outside = outside.metadata().unwrap();
    assert_eq!((outside.mode() & 0o7777, outside.nlink()), (0o600, 1));
}

#[test]
fn a_kubelet_that_would_not_start_any_more_keeps_its_files() {
    let node = Node::new(&[KUBEADM]);
    let before = node.tree();
    node.install();
    let flags = format!("KUBELET_EXTRA_ARGS=--image-credential-provider-config={CONFIG}\n");
    node.home.write("node/etc/default/kubelet", flags);
    let installed = node.tree();
    let answer = node.call(&["uninstall"], &[]).fails();
    assert!(
        answer
            .stderr
            .contains("/etc/default/kubelet tells the kubelet to read"),
        "{answer:#?}"
    );
    assert_eq!(node.tree(), installed);
    std::fs::remove_dir_all(node.path("/etc/default")).unwrap();
    node.uninstall();
    assert_eq!(node.tree(), before);
}

/// The tools that the installer calls, of which the call number `KILL_AT` kills all of it.
fn tools_that_kill(node: &Node) -> String {
    for tool in ["cat", "chmod", "cp", "mkdir", "mv", "rm", "rmdir", "sync"] {
        let lines = [
            "read number <\"$CALLS\"; number=$((number + 1)); echo $number >\"$CALLS\"".to_owned(),
            format!("[ $number -ne $KILL_AT ] || kill -9 0\nexec /bin/{tool} \"$@\""),
        ];
        std::fs::create_dir_all(node.home.path("tools")).expect("our folder");
        node.home
            .script(&format!("tools/{tool}"), &lines.join("\n"));
    }
    format!("{}:/usr/bin:/bin", node.home.path("tools").display())
}

/// A change of a node in the middle of which the installer is killed.
#[derive(Clone, Copy, Debug)]
enum Change {
    Install,
    Upgrade,
    Uninstall,
}

#[test]
fn after_a_kill_at_any_step_no_entry_is_without_its_program_and_a_repeat_finishes() {
    kill_at_every_step(ECR, Change::Install);
}

#[test]
#[ignore = "slow: run tests/run"]
fn after_a_kill_the_same_holds_of_upgrades_of_uninstalls_and_where_there_was_no_list() {
    let rows = [
        (ECR, Change::Upgrade),
        (ECR, Change::Uninstall),
        ("", Change::Install),
        ("", Change::Upgrade),
        ("", Change::Uninstall),
    ];
    in_parallel(&rows, |(list, change)| kill_at_every_step(list, *change));
}

fn kill_at_every_step(list: &str, change: Change) {
    const BIN: &str = "/etc/kubernetes/new/bin/docker-credential-acrscoped";
    let places = [
        ("BIN_DIR", "/etc/kubernetes/new/bin"),
        ("CONFIG", "/var/lib/kubelet/new/providers.yaml"),
    ];
    let node = Node::new(&[]);
    if !list.is_empty() {
        node.home
            .write("node/var/lib/kubelet/new/providers.yaml", list);
    }
    let (path, calls) = (tools_that_kill(&node), node.home.path("calls"));
    let (first, next) = (node.program.clone(), next_program(&node));
    let to = |program: &Path, action: &str| {
        node.call(
            &[action],
            &[places[0], places[1], ("PROGRAM", program.to_str().unwrap())],
        )
        .succeeds();
        node.tree()
    };
    let copy = |from: &str, to: &str| {
        std::fs::remove_dir_all(node.home.path(to)).ok();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(node.home.path(from))
            .arg(node.home.path(to))
            .status();
        assert!(copied.expect("coreutils").success());
    };
    let before = node.tree();
    copy("node", "before");
    let installed = to(&first, "install");
    copy("node", "installed");
    let upgraded = to(&next, "install");
    assert_eq!(to(&next, "uninstall"), before);
    let config =
        |tree: &BTreeMap<PathBuf, (u32, Vec<u8>)>| tree.get(&node.path(places[1].1)).cloned();
    let configs = [&before, &installed, &upgraded].map(config);
    let programs = [&first, &next].map(|program| std::fs::read(program).unwrap());
    let (start, action, program, end, back, start_of_back) = match change {
        Change::Install => (
            "before",
            "install",
            &first,
            &installed,
            "uninstall",
            &before,
        ),
        Change::Upgrade => (
            "installed",
            "install",
            &next,
            &upgraded,
            "uninstall",
            &before,
        ),
        Change::Uninstall => (
            "installed",
            "uninstall",
            &first,
            &before,
            "install",
            &installed,
        ),
    };
    for number in 1.. {
        copy(start, "node");
        std::fs::write(&calls, "0\n").unwrap();
        let environment = [
            ("PATH", path.as_str()),
            ("KILL_AT", &number.to_string()),
            ("CALLS", calls.to_str().unwrap()),
            ("TMPDIR", node.home.root().to_str().unwrap()),
            ("PROGRAM", program.to_str().unwrap()),
            places[0],
            places[1],
        ];
        let answer = node.call(&[action], &environment);
        if answer.status.success() {
            assert!(number > 10, "{action} made {number} calls");
            break;
        }
        assert_eq!(answer.status.signal(), Some(9), "{number}: {answer:#?}");
        let what = format!("killed at call {number} of {change:?}, {list:?}");
        let tree = node.tree();
        let list = config(&tree);
        assert!(configs.contains(&list), "{what}: {list:?}");
        if list.is_some_and(|(_, text)| {
            String::from_utf8(text)
                .unwrap()
                .contains("name: docker-credential-acrscoped")
        }) {
            let (mode, text) = tree
                .get(&node.path(BIN))
                .unwrap_or_else(|| panic!("{what}: no program"));
            assert!(programs.contains(text) && mode & 0o777 == 0o755, "{what}");
        }
        copy("node", "killed");
        assert_eq!(&to(program, action), end, "{what}, then again");
        copy("killed", "node");
        assert_eq!(&to(program, back), start_of_back, "{what}, then {back}");
    }
}

/// Nothing can be written from some moment on, also while what was done is undone.
#[test]
fn a_disk_that_fills_up_costs_nobody_their_list() {
    fill_the_disk(&["sh"]);
}

#[test]
#[ignore = "needs bash and busybox: run tests/run"]
fn a_disk_that_fills_up_costs_nobody_their_list_under_other_shells() {
    fill_the_disk(&["bash"]);
    fill_the_disk(&["busybox", "sh"]);
}

fn fill_the_disk(shell: &'static [&'static str]) {
    let mut failed = 0;
    for at in 1.. {
        let mut node = Node::new(&[TOLD, (THEIRS, ECR)]);
        node.shell = shell;
        std::fs::create_dir(node.home.path("tools")).unwrap();
        for tool in ["cat", "cp"] {
            let lines = "read number <\"$CALLS\"; number=$((number + 1)); echo $number >\"$CALLS\"\n\
                         [ $number -lt $FULL_AT ] || { echo no space left >&2; exit 1; }";
            node.home.script(
                &format!("tools/{tool}"),
                &format!("{lines}\nexec /bin/{tool} \"$@\""),
            );
        }
        let path = format!("{}:/usr/bin:/bin", node.home.path("tools").display());
        let calls = node.home.write("calls", "0\n");
        let at = at.to_string();
        let environment = [
            ("PATH", path.as_str()),
            ("CALLS", calls.to_str().unwrap()),
            ("FULL_AT", &at),
        ];
        let answer = node.call(&["install"], &environment);
        let list = node.read(THEIRS);
        if answer.code() == 0 {
            assert!(
                list.starts_with(ECR) && list.contains("# END"),
                "{answer:#?}"
            );
            break;
        }
        failed += 1;
        assert!(
            list == ECR || (list.starts_with(ECR) && list.contains("# END")),
            "{at}: {list}"
        );
        assert!(
            list == ECR
                || node
                    .path("/etc/kubernetes/bin/docker-credential-acrscoped")
                    .exists(),
            "{at}"
        );
    }
    assert!(failed > 5, "{failed}");
}

/// In a container only a part of the node is there.
#[test]
fn what_cannot_be_seen_or_is_not_clear_is_asked_for() {
    let node = Node::new(&[KUBEADM]);
    std::fs::create_dir_all(node.path("/etc/default")).unwrap();
    std::os::unix::fs::symlink(
        "/opt/of-the-node/kubelet",
        node.path("/etc/default/kubelet"),
    )
    .unwrap();
    node.refuses(
        &[],
        "/etc/default/kubelet is a link that leads nowhere from here",
    );
    let told = [
        ("BIN_DIR", "/var/lib/p/bin/"),
        ("CONFIG", "/var/lib//p/list.yaml"),
    ];
    node.call(&["install"], &told).succeeds();
    node.refuses_to(
        "uninstall",
        &[],
        "/etc/default/kubelet is a link that leads nowhere from here",
    );
    node.call(&["uninstall"], &told).succeeds();
    std::fs::remove_dir_all(node.path("/etc/default")).unwrap();
    std::os::unix::fs::symlink("/opt/of-the-node", node.path("/etc/sysconfig")).unwrap();
    node.refuses(&[], "/etc/sysconfig is a link that leads nowhere from here");

    let flags = |at: &str| {
        format!(
            "X='--image-credential-provider-bin-dir=/etc/{at}/bin --image-credential-provider-config=/etc/{at}.yaml'\n"
        )
    };
    let node = Node::new(&[
        ("/var/lib/kubelet/kubeadm-flags.env", &flags("a")),
        ("/etc/default/kubelet", &flags("b")),
    ]);
    node.refuses(&[], "Say by BIN_DIR which of them holds");
    node.refuses(
        &[("BIN_DIR", "/etc/b/bin")],
        "Say by CONFIG which of them holds",
    );
    let answer = node
        .call(
            &["install"],
            &[("BIN_DIR", "/etc/b/bin"), ("CONFIG", "/etc/b.yaml")],
        )
        .succeeds();
    assert!(
        answer
            .stdout
            .contains("/etc/default/kubelet names /etc/b.yaml"),
        "{answer:#?}"
    );
    // The list that the kubelet reads is another one.
    std::fs::write(node.path("/etc/default/kubelet"), flags("c")).unwrap();
    std::fs::remove_file(node.path("/var/lib/kubelet/kubeadm-flags.env")).unwrap();
    node.refuses_to(
        "uninstall",
        &[],
        "/etc/default/kubelet tells the kubelet to read /etc/c.yaml",
    );
    node.home.write("node/etc/c.yaml", ECR);
    node.uninstall();
}

#[test]
fn two_at_a_time_do_not_undo_each_other() {
    let node = Node::new(&[KUBEADM]);
    let lock = std::fs::File::open(node.path("/var/lib")).unwrap();
    lock.lock().unwrap();
    node.refuses(&[], "another install-on-node is at work");
    drop(lock);
    node.install();
}

/// An entry whose marks somebody took away is somebody's now, and needs the program.
#[test]
fn a_program_that_an_entry_of_others_needs_stays() {
    let node = Node::new(&[KUBEADM, (CONFIG, ECR)]);
    node.install();
    let text = node.read(CONFIG);
    let unmarked: String = text
        .split_inclusive('\n')
        .filter(|line| !line.contains("# END"))
        .collect();
    let flow = "- {\"name\": \"docker-credential-acrscoped\", matchImages: [a]}\n";
    let name = "    \"name\" : docker-credential-acrscoped\r\n";
    for text in [
        unmarked.replace(
            "# BEGIN docker-credential-acrscoped (the line before had no end)",
            "#",
        ),
        text.clone() + flow,
        text + name,
    ] {
        std::fs::write(node.path(CONFIG), text).unwrap();
        for action in ["install", "uninstall"] {
            node.refuses_to(
                action,
                &[],
                "has an entry of the name docker-credential-acrscoped that is not from here",
            );
        }
    }
}

/// A place that cannot be written to: a folder that nothing can be made in is a file here, for root can write everywhere.
#[test]
fn an_install_that_breaks_off_leaves_nothing_behind() {
    let node = Node::new(&[KUBEADM, ("/etc/kubernetes/wall", "")]);
    for environment in [
        [("CONFIG", "/etc/kubernetes/wall/providers.yaml")],
        [("BIN_DIR", "/etc/kubernetes/wall/bin")],
    ] {
        node.refuses(&environment, "wall");
    }
}

#[test]
#[ignore = "needs namespaces: run tests/run"]
fn on_a_read_only_node_it_says_so_and_leaves_nothing_behind() {
    for place in ["etc", "var/lib"] {
        let node = Node::new(&[TOLD, (THEIRS, ECR)]);
        let before = node.tree();
        let script = format!(
            "mount --bind $NODE/{place} $NODE/{place}; mount -o remount,bind,ro $NODE/{place}; exec sh {FOLDER}/install-on-node install"
        );
        let mut command = node.home.command("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-ec", &script])
            .env("NODE", node.path(""))
            .env("PROGRAM", binary());
        let answer = run(command, "", LIMIT).fails();
        assert!(
            answer.stderr.contains("Read-only file system"),
            "{answer:#?}"
        );
        assert_eq!(node.tree(), before);
    }
}

#[test]
#[ignore = "needs busybox: run tests/run"]
fn the_shell_of_its_image_runs_it() {
    let mut node = Node::with_the_program(&[TOLD, (THEIRS, ECR)]);
    node.shell = &["/bin/busybox", "sh"];
    // Every tool is busybox's, as in the image.
    let tools = node.home.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let mut install = node.home.command("busybox");
    install.args(["--install", "-s"]).arg(&tools);
    run(install, "", LIMIT).succeeds();
    let path = [("PATH", tools.to_str().unwrap())];
    let before = node.tree();
    node.call(&["install"], &path).succeeds();
    assert!(node.read(THEIRS).contains("azurecr.io"));
    let next = next_program(&node);
    node.call(
        &["install"],
        &[path[0], ("PROGRAM", next.to_str().unwrap())],
    )
    .succeeds();
    let upgraded = node.read(THEIRS);
    assert!(upgraded.contains("defaultCacheDuration: 7m"));
    std::fs::write(node.path(THEIRS), upgraded.replace("7m", "8m")).unwrap();
    for action in ["install", "uninstall"] {
        node.refuses_to(
            action,
            &path,
            "somebody changed what stands between its lines 11 and ",
        );
    }
    std::fs::write(
        node.path(THEIRS),
        format!("{upgraded}# END docker-credential-acrscoped\n"),
    )
    .unwrap();
    node.refuses_to("uninstall", &path, "stays as it is: its lines 11 ");
    std::fs::write(node.path(THEIRS), upgraded).unwrap();
    node.call(&["uninstall"], &path).succeeds();
    assert_eq!(node.tree(), before);
}

#[test]
fn the_image_is_named_in_one_place_for_the_reader_to_fill_in() {
    let manifests = std::fs::read_dir(FOLDER)
        .expect("the folder")
        .map(|entry| entry.expect("a file").path());
    let manifests = manifests.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    let text: String = manifests
        .map(|path| std::fs::read_to_string(path).expect("a manifest"))
        .collect();
    let images: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("docker-credential-acrscoped-node:"))
        .collect();
    assert_eq!(images.len(), 1, "{images:?}");
    assert!(
        images[0].ends_with(" &image registry.example/docker-credential-acrscoped-node:VERSION"),
        "{images:?}"
    );
}

#[test]
fn the_manifests_name_what_the_program_reads() {
    let read = |name| std::fs::read_to_string(format!("{FOLDER}/{name}")).expect("a manifest");
    let printed = printed();
    let after = |key: &str| {
        printed
            .split_once(key)
            .unwrap_or_else(|| panic!("no {key} in {printed}"))
            .1
            .lines()
    };
    let audience = after("serviceAccountTokenAudience: ")
        .next()
        .expect("an audience");
    assert!(
        read("pod-identity.yaml").contains(&format!("resources: [\"{audience}\"]")),
        "{audience}"
    );
    let annotations: Vec<&str> = after("optionalServiceAccountAnnotationKeys:")
        .filter_map(|line| Some(line.split_once("- ")?.1))
        .collect();
    assert_eq!(annotations.len(), 2, "{annotations:?}");
    for annotation in annotations {
        assert!(
            read("sample.yaml").contains(&format!("    {annotation}: ")),
            "{annotation}"
        );
    }
}

/// The schemas of the API of these versions: the oldest that sends pods' tokens without being asked to, and the newest.
#[test]
#[ignore = "needs kubernetes-validate: run tests/run"]
fn every_manifest_fits_the_schemas_of_kubernetes() {
    let tools = support::cache("kubernetes/bin");
    for version in ["1.34", "1.37"] {
        for name in ["install.yaml", "pod-identity.yaml", "sample.yaml"] {
            let mut command = Command::new(tools.join("kubernetes-validate"));
            command
                .args(["--strict", "--kubernetes-version", version])
                .arg(format!("{FOLDER}/{name}"));
            let answer = run(command, "", LIMIT).succeeds();
            assert!(answer.text().contains("passed for resource"), "{answer:#?}");
        }
    }
}

#[test]
#[ignore = "needs shellcheck: run tests/run"]
fn the_installer_is_clean_for_shellcheck() {
    let mut command = Command::new(support::cache("kubernetes/bin").join("shellcheck"));
    command.arg(format!("{FOLDER}/install-on-node"));
    run(command, "", LIMIT).succeeds();
}
