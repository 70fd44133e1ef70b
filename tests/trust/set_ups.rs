//! Set-ups that people have: a file that only they and root can change is trusted, however it is linked and mounted.

use crate::support::{Answer, Home, LIMIT, REGISTRY, helper, run};
use simulator::{CLIENT, Settings, Simulator, TENANT};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the config file is, below a home folder.
const CONFIG: &str = ".config/docker-credential-acrscoped/config.toml";

/// What the config file of these users says, and how a `get` shows that it was read.
const TEXT: &str = "username = 'token'\n";
const SHOWS: &str = "<token>";

/// A user that no database of the system knows, as clusters and CI systems have.
const UID: u32 = 54_321;

/// The folders of one set-up, the services, and a place for what the system would have.
struct Scene {
    home: Home,
    services: Simulator,
}

/// How one set-up is made. The command that it returns is the client's; its certificates and its config file must both be used.
type SetUp = (&'static str, fn(&Scene) -> Command);

impl Scene {
    fn new() -> Self {
        let scene = Self {
            home: Home::new(),
            services: Simulator::start(Settings::default()).expect("a simulator"),
        };
        // Others may pass, and the user may be another than the one who runs the tests.
        chmod(scene.home.root(), 0o755);
        scene.home.write(
            "ca.pem",
            std::fs::read(scene.services.ca_file()).expect("a certificate"),
        );
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path(name)
    }

    fn command(&self) -> Command {
        let mut command = helper(&self.home, &self.services);
        command.env("SSL_CERT_FILE", self.path("ca.pem")).arg("get");
        command
    }

    /// A config file in a folder below the root of the scene.
    fn config(&self, name: &str) -> PathBuf {
        self.home.write(name, TEXT)
    }

    /// A copy of the certificates, with the folders that it needs.
    fn certificates(&self, name: &str) -> PathBuf {
        self.home.write(
            name,
            std::fs::read(self.path("ca.pem")).expect("a certificate"),
        )
    }

    /// A link, with the folders that it needs.
    fn link(&self, name: &str, target: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("our folder");
        symlink(target, &path).expect("a new link");
        path
    }

    /// Everything belongs to this user and group.
    fn give(&self, owner: &str) {
        let mut command = Command::new("chown");
        run_well(
            command
                .args(["--recursive", "--no-dereference", owner])
                .arg(self.home.root()),
        );
    }
}

/// Runs a command of the system, which must succeed.
fn run_well(command: &mut Command) {
    assert!(
        command.status().expect("a program of the system").success(),
        "{command:?}"
    );
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("our file");
}

/// The command after a shell script, in mounts of its own. The script ends with what starts `"$0" "$@"`.
fn within(inner: &Command, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec", script])
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear();
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.current_dir(inner.get_current_dir().expect("a folder"));
    command
}

/// The command as another user, in mounts of its own.
fn as_user(inner: &Command, groups: &str, script: &str) -> Command {
    let start = format!("exec setpriv --reuid {UID} --regid {groups} --clear-groups \"$0\" \"$@\"");
    within(inner, &format!("{script}{start}"))
}

/// Set-ups that need nothing of the system.
const PLAIN: &[SetUp] = &[
    (
        "the user's config file and the system's certificates in one file",
        |scene| {
            scene.config(&format!("home/{CONFIG}"));
            scene.command()
        },
    ),
    ("RHEL: a link to the extracted certificates", |scene| {
        scene.config(&format!("home/{CONFIG}"));
        scene.certificates("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
        let link = scene.link(
            "etc/pki/tls/certs/ca-bundle.crt",
            "../../ca-trust/extracted/pem/tls-ca-bundle.pem",
        );
        let mut command = scene.command();
        command.env("SSL_CERT_FILE", link);
        command
    }),
    ("SUSE: an absolute link into /var/lib", |scene| {
        scene.config(&format!("home/{CONFIG}"));
        let bundle = scene.certificates("var/lib/ca-certificates/ca-bundle.pem");
        let mut command = scene.command();
        command.env("SSL_CERT_FILE", scene.link("etc/ssl/ca-bundle.pem", bundle));
        command
    }),
    ("Arch: a folder of links and the bundle in it", |scene| {
        scene.config(&format!("home/{CONFIG}"));
        scene.certificates("etc/ca-certificates/extracted/tls-ca-bundle.pem");
        let link = scene.link(
            "etc/ssl/certs/ca-certificates.crt",
            "../../ca-certificates/extracted/tls-ca-bundle.pem",
        );
        let mut command = scene.command();
        command.env("SSL_CERT_FILE", link);
        command
    }),
    (
        "Debian: SSL_CERT_DIR with links to other folders",
        |scene| {
            scene.config(&format!("home/{CONFIG}"));
            let original = scene.certificates("usr/share/ca-certificates/mozilla/one.crt");
            scene.link("etc/ssl/certs/one.pem", original);
            scene.link("etc/ssl/certs/0a1b2c3d.0", "one.pem");
            let mut command = scene.command();
            command
                .env_remove("SSL_CERT_FILE")
                .env("SSL_CERT_DIR", scene.path("etc/ssl/certs"));
            command
        },
    ),
    ("stow: a linked folder of dotfiles", |scene| {
        scene.config("home/dotfiles/acr/.config/docker-credential-acrscoped/config.toml");
        scene.link(
            "home/.config/docker-credential-acrscoped",
            "../dotfiles/acr/.config/docker-credential-acrscoped",
        );
        scene.command()
    }),
    ("a folder of dotfiles that is linked as a whole", |scene| {
        scene.config("home/dotfiles/config/docker-credential-acrscoped/config.toml");
        scene.link("home/.config", "dotfiles/config");
        scene.command()
    }),
    ("umask 002 with a group of the user's own", |scene| {
        let file = scene.config(&format!("home/{CONFIG}"));
        chmod(&file, 0o664);
        for folder in file.ancestors().skip(1).take(3) {
            chmod(folder, 0o775);
        }
        scene.command()
    }),
    ("conda: certificates that the group can write", |scene| {
        scene.config(&format!("home/{CONFIG}"));
        let file = scene.certificates("home/miniconda3/ssl/cacert.pem");
        chmod(&file, 0o664);
        chmod(&scene.path("home/miniconda3/ssl"), 0o775);
        let mut command = scene.command();
        command.env("SSL_CERT_FILE", file);
        command
    }),
    (
        "a file of the administrator by ACRSCOPED_CONFIG, and a company's certificates by ca_file",
        |scene| {
            let certificates = scene.certificates("usr/local/share/ca-certificates/company.crt");
            let text = format!("{TEXT}ca_file = '{}'\n", certificates.display());
            let file = scene.home.write("etc/acrscoped.toml", text);
            let mut command = scene.command();
            command
                .env("ACRSCOPED_CONFIG", file)
                .env_remove("SSL_CERT_FILE");
            command
        },
    ),
    ("a company's certificates by ACRSCOPED_CA_FILE", |scene| {
        scene.config(&format!("home/{CONFIG}"));
        let mut command = scene.command();
        command
            .env(
                "ACRSCOPED_CA_FILE",
                scene.certificates("opt/company/ca.pem"),
            )
            .env_remove("SSL_CERT_FILE");
        command
    }),
    ("another folder for settings by XDG_CONFIG_HOME", |scene| {
        scene.config("home/settings/docker-credential-acrscoped/config.toml");
        let mut command = scene.command();
        command.env("XDG_CONFIG_HOME", scene.path("home/settings"));
        command
    }),
    ("WSL: a checkout where everybody can write", |scene| {
        scene.config(&format!("home/{CONFIG}"));
        let project = scene.path("mnt/c/Users/me/project");
        std::fs::create_dir_all(&project).expect("our folder");
        project
            .ancestors()
            .take(5)
            .for_each(|folder| chmod(folder, 0o777));
        let mut command = scene.command();
        command.current_dir(project);
        command
    }),
    (
        "GitLab: a token file in a checkout where everybody can write",
        |scene| {
            scene.config(&format!("home/{CONFIG}"));
            let subject = scene.services.settings().apps[0].federated_credentials[0]
                .subject
                .clone();
            let token = scene.home.write(
                "builds/group/project/token",
                scene.services.assertion(&subject),
            );
            let project = scene.path("builds/group/project");
            project
                .ancestors()
                .take(3)
                .for_each(|folder| chmod(folder, 0o777));
            chmod(&token, 0o666);
            let mut command = scene.command();
            command
                .env_remove("AZURE_CLIENT_SECRET")
                .env("AZURE_TENANT_ID", TENANT)
                .env("AZURE_CLIENT_ID", CLIENT);
            command
                .env("AZURE_FEDERATED_TOKEN_FILE", token)
                .current_dir(project);
            command
        },
    ),
    (
        "the root folder as the working directory, as systemd has it",
        |scene| {
            scene.config(&format!("home/{CONFIG}"));
            let mut command = scene.command();
            command.current_dir("/");
            command
        },
    ),
];

/// Set-ups with mounts and users of their own.
const WITH_ROOT: &[SetUp] = &[
    ("Nix: a link into a store that is closed to all", |scene| {
        let file = scene.config("nix/store/abc-config/config.toml");
        chmod(&file, 0o444);
        chmod(file.parent().expect("a folder"), 0o555);
        scene.link(&format!("home/{CONFIG}"), &file);
        scene.give(&format!("{UID}:{UID}"));
        run_well(
            Command::new("chown")
                .args(["--recursive", "0:30000"])
                .arg(scene.path("nix")),
        );
        chmod(&scene.path("nix/store"), 0o1775);
        as_user(&scene.command(), "54321", "")
    }),
    (
        "home-manager: a chain of links through the store",
        |scene| {
            let file = scene.config(
                "nix/store/abc-home-manager-files/.config/docker-credential-acrscoped/config.toml",
            );
            scene.link(
                "home/.local/state/home-manager/gcroots/current-home",
                scene.path("nix/store/abc-home-manager-files"),
            );
            let through = "home/.local/state/home-manager/gcroots/current-home/.config/docker-credential-acrscoped/config.toml";
            scene.link(&format!("home/{CONFIG}"), scene.path(through));
            scene.give(&format!("{UID}:{UID}"));
            run_well(
                Command::new("chown")
                    .args(["--recursive", "0:0"])
                    .arg(scene.path("nix")),
            );
            chmod(&file, 0o444);
            as_user(&scene.command(), "54321", "")
        },
    ),
    (
        "Kubernetes: a ConfigMap, where all could write if its mount were not read-only",
        |scene| {
            scene.config("mounted/..2026_11_30/config.toml");
            scene.link("mounted/..data", "..2026_11_30");
            scene.link("mounted/config.toml", "..data/config.toml");
            chmod(&scene.path("mounted"), 0o777);
            scene.give(&format!("{UID}:{UID}"));
            run_well(
                Command::new("chown")
                    .args(["--recursive", "--no-dereference", "0:0"])
                    .arg(scene.path("mounted")),
            );
            let folder = scene.path("mounted").display().to_string();
            let mut command = scene.command();
            command.env("ACRSCOPED_CONFIG", scene.path("mounted/config.toml"));
            as_user(
                &command,
                "54321",
                &format!("mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}; "),
            )
        },
    ),
    (
        "Kubernetes: a Secret of a group of volumes (fsGroup)",
        |scene| {
            let file = scene.config("mounted/..2026_11_30/config.toml");
            scene.link("mounted/..data", "..2026_11_30");
            scene.link("mounted/config.toml", "..data/config.toml");
            scene.give(&format!("{UID}:{UID}"));
            run_well(
                Command::new("chown")
                    .args(["--recursive", "--no-dereference", "0:54321"])
                    .arg(scene.path("mounted")),
            );
            chmod(&file, 0o440);
            chmod(&scene.path("mounted"), 0o3777);
            let mut command = scene.command();
            command.env("ACRSCOPED_CONFIG", scene.path("mounted/config.toml"));
            as_user(&command, "54321", "")
        },
    ),
    (
        "AKS: a projected token behind links in a folder where all can write",
        |scene| {
            scene.config(&format!("home/{CONFIG}"));
            let subject = scene.services.settings().apps[0].federated_credentials[0]
                .subject
                .clone();
            scene.home.write(
                "tokens/..2026_11_30/azure-identity-token",
                scene.services.assertion(&subject),
            );
            scene.link("tokens/..data", "..2026_11_30");
            let token = scene.link("tokens/azure-identity-token", "..data/azure-identity-token");
            chmod(&scene.path("tokens"), 0o777);
            scene.give(&format!("{UID}:{UID}"));
            let mut command = scene.command();
            command
                .env_remove("AZURE_CLIENT_SECRET")
                .env("AZURE_FEDERATED_TOKEN_FILE", token);
            as_user(&command, "54321", "")
        },
    ),
    ("OpenShift: a user by chance in the group root", |scene| {
        let file = scene.config("etc/acrscoped.toml");
        scene.give("0:0");
        chmod(&file, 0o664);
        chmod(&scene.path("home"), 0o775);
        let mut command = scene.command();
        command.env("ACRSCOPED_CONFIG", file);
        as_user(&command, "0", "")
    }),
    ("systemd: no HOME and no folder of a user", |scene| {
        let file = scene.config("etc/acrscoped.toml");
        let mut command = scene.command();
        command
            .env("ACRSCOPED_CONFIG", file)
            .env_remove("HOME")
            .env_remove("XDG_RUNTIME_DIR")
            .current_dir("/");
        as_user(&command, "54321", "")
    }),
    (
        "rootless Podman: a user namespace that does not show root",
        |scene| {
            scene.config(&format!("home/{CONFIG}"));
            scene.give(&format!("{UID}:{UID}"));
            let start = "exec setpriv --reuid 54321 --regid 54321 --clear-groups unshare --user --map-root-user \"$0\" \"$@\"";
            within(&scene.command(), start)
        },
    ),
    ("the user's home as the working directory", |scene| {
        scene.config(&format!("home/{CONFIG}"));
        let mut command = scene.command();
        command.current_dir(scene.path("home"));
        scene.give(&format!("{UID}:{UID}"));
        as_user(&command, "54321", &known_user(scene))
    }),
    (
        "sudo -u: a working directory that the user could not enter",
        |scene| {
            scene.config(&format!("home/{CONFIG}"));
            scene.give(&format!("{UID}:{UID}"));
            let closed = scene.path("closed");
            std::fs::create_dir_all(closed.join("work")).expect("our folder");
            chmod(&closed, 0o700);
            let mut command = scene.command();
            command.current_dir(closed.join("work"));
            as_user(&command, "54321", "")
        },
    ),
    ("the user's dotfiles as the working directory", |scene| {
        scene.config("home/dotfiles/config.toml");
        scene.link(&format!("home/{CONFIG}"), "../../dotfiles/config.toml");
        let mut command = scene.command();
        command.current_dir(scene.path("home/dotfiles"));
        scene.give(&format!("{UID}:{UID}"));
        as_user(&command, "54321", &known_user(scene))
    }),
];

/// A script that has the system know the user with their home.
fn known_user(scene: &Scene) -> String {
    let line = format!(
        "someone:x:{UID}:{UID}::{}:/bin/sh\n",
        scene.path("home").display()
    );
    let file = scene
        .home
        .write("passwd", format!("root:x:0:0:root:/root:/bin/sh\n{line}"));
    format!("mount --bind {} /etc/passwd; ", file.display())
}

/// A `get` in a set-up: the certificates are used, or TLS would fail, and so is the config file.
fn works(name: &str, answer: &Answer) -> Result<(), String> {
    let is_read = answer.status.success() && answer.json()["Username"] == SHOWS;
    let is_quiet = !answer.stderr.contains("ignores");
    if is_read && is_quiet {
        Ok(())
    } else {
        Err(format!("{name}: {answer:#?}\n"))
    }
}

#[track_caller]
fn all_work(table: &[SetUp]) {
    let problems: Vec<String> = table
        .iter()
        .filter_map(|(name, make)| {
            let scene = Scene::new();
            let command = make(&scene);
            works(name, &run(command, REGISTRY, LIMIT)).err()
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.concat());
}

#[test]
fn what_people_have_keeps_working() {
    all_work(PLAIN);
}

#[test]
#[ignore = "needs root: run tests/run"]
fn what_people_have_with_mounts_and_other_users_keeps_working() {
    all_work(WITH_ROOT);
}

#[test]
#[ignore = "needs root: run tests/run"]
fn a_container_job_of_github_signs_in_as_root_in_the_home_of_another() {
    let scene = Scene::new();
    run_well(
        Command::new("chown")
            .args(["--recursive", "1001:1001"])
            .arg(scene.path("home")),
    );
    let mut command = scene.command();
    command.env_remove("XDG_RUNTIME_DIR");
    run(command, REGISTRY, LIMIT).succeeds();
    let entries = std::fs::read_dir(scene.path("home"))
        .expect("our folder")
        .count();
    assert_eq!(entries, 0, "something was made in the home of another user");
}

#[test]
#[ignore = "needs root: run tests/run"]
fn a_config_file_of_an_unknown_owner_is_refused_in_a_user_namespace() {
    let scene = Scene::new();
    let file = scene.config("others/config.toml");
    scene.give(&format!("{UID}:{UID}"));
    run_well(Command::new("chown").arg("54322:54322").arg(&file));
    let mut command = scene.command();
    command.env("ACRSCOPED_CONFIG", &file);
    let start = "exec setpriv --reuid 54321 --regid 54321 --clear-groups unshare --user --map-root-user \"$0\" \"$@\"";
    let answer = run(within(&command, start), REGISTRY, LIMIT).fails();
    assert!(
        answer
            .stdout
            .contains("rootless Podman and Buildah cannot tell root's files from others'"),
        "{answer:#?}"
    );
}
