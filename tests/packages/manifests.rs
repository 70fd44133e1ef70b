//! The manifests of package managers that are not here: as much of them as can be run without, with the archive of this machine.

use crate::made::{REPOSITORY, checkout, script, static_binary};
use crate::support::{Answer, Home, LIMIT, run};
use serde_json::{Value, json};
use std::env::consts::ARCH;
use std::fs;
use std::path::PathBuf;

const PROGRAM: &str = "docker-credential-acrscoped";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a release is downloaded for.
const SYSTEMS: [&str; 5] = [
    "x86_64-linux.tar.gz",
    "aarch64-linux.tar.gz",
    "x86_64-macos.tar.gz",
    "aarch64-macos.tar.gz",
    "x86_64-windows.zip",
];

/// A release with the real archive of this machine, the manifests of it, and the archive unpacked.
struct Release {
    home: Home,
}

impl Release {
    fn new() -> Self {
        let release = Self { home: Home::new() };
        let files = release.home.path("release");
        let mut archive = script("release/archive");
        archive
            .arg(static_binary())
            .arg(&files)
            .arg(format!("{ARCH}-unknown-linux-musl"));
        run(archive, "", LIMIT).succeeds();
        for system in SYSTEMS {
            let file = files.join(format!("{PROGRAM}-{VERSION}-{system}"));
            if !file.exists() {
                fs::write(file, system).expect("our folder");
            }
        }
        release
            .shell(&format!("cd release && sha256sum * >SHA256SUMS && tar -xzf {PROGRAM}-{VERSION}-{ARCH}-linux.tar.gz -C .."));
        release.manifests().succeeds();
        release
    }

    fn manifests(&self) -> Answer {
        let mut manifests = script("manifests");
        manifests
            .arg(self.home.path("release"))
            .arg(self.home.path("manifests"));
        run(manifests, "", LIMIT)
    }

    /// A manifest.
    fn manifest(&self, name: &str) -> PathBuf {
        self.home.path("manifests").join(name)
    }

    /// The folder that was in the archive.
    fn unpacked(&self) -> PathBuf {
        self.home.path(&format!("{PROGRAM}-{VERSION}-{ARCH}-linux"))
    }

    /// Runs lines of `bash`, until one fails.
    #[track_caller]
    fn shell(&self, lines: &str) -> Answer {
        let mut bash = self.home.command("bash");
        bash.args(["-euc", lines]).current_dir(self.home.root());
        bash.env("CARCH", ARCH)
            .env("srcdir", self.home.root())
            .env("pkgdir", self.home.path("package"));
        run(bash, "", LIMIT).succeeds()
    }

    /// A file of winget's, read by Ruby.
    fn winget(&self, ending: &str) -> Value {
        let folder = format!("manifests/winget/example/DockerCredentialAcrscoped/{VERSION}");
        let file = self
            .home
            .path(&folder)
            .join(format!("example.DockerCredentialAcrscoped{ending}.yaml"));
        let mut ruby = self.home.command("ruby");
        ruby.args(["-ryaml", "-rjson", "-rdate", "-e"])
            .arg("puts JSON.dump(YAML.load_file(ARGV[0], permitted_classes: [Date]))");
        ruby.arg(file);
        run(ruby, "", LIMIT).succeeds().json()
    }

    fn sha256(&self, system: &str) -> String {
        let sums = fs::read_to_string(self.home.path("release/SHA256SUMS")).expect("checksums");
        let line = sums
            .lines()
            .find(|line| line.ends_with(system))
            .expect("a checksum");
        line.split(' ').next().expect("a word").to_owned()
    }
}

fn download(system: &str) -> String {
    format!(
        "https://github.com/{REPOSITORY}/releases/download/v{VERSION}/{PROGRAM}-{VERSION}-{system}"
    )
}

#[test]
#[ignore = "needs ruby and the static binary: run tests/run"]
fn the_formula_of_homebrew_installs_the_archive() {
    let release = Release::new();
    let mut ruby = release.home.command("ruby");
    ruby.arg(checkout("tests/packages/formula.rb"))
        .arg(release.manifest(&format!("homebrew/Formula/{PROGRAM}.rb")));
    ruby.arg(release.home.path("prefix"))
        .current_dir(release.unpacked());
    let system = format!("{ARCH}-linux.tar.gz");
    assert_eq!(
        run(ruby, "", LIMIT).succeeds().stdout,
        format!("{}\n{}\n", download(&system), release.sha256(&system))
    );
    for file in [
        "share/man/man1/docker-credential-acrscoped.1.gz",
        "share/formula/config.schema.json",
        "share/doc/formula/LICENSE-MIT",
    ] {
        assert!(release.home.path("prefix").join(file).is_file(), "{file}");
    }
}

#[test]
#[ignore = "needs the static binary: run tests/run"]
fn the_pkgbuild_of_arch_packs_the_archive() {
    let release = Release::new();
    let answer = release.shell(&format!(
        "cd manifests/arch/{PROGRAM}-bin; source ./PKGBUILD; declare -n source_here=source_$CARCH sums=sha256sums_$CARCH; cd $srcdir; \
         (package); echo $source_here $sums; \"$pkgdir/usr/bin/{PROGRAM}\" version"
    ));
    let system = format!("{ARCH}-linux.tar.gz");
    let expected = format!(
        "{} {}\n{PROGRAM} ({PROGRAM}) v{VERSION}\n",
        download(&system),
        release.sha256(&system)
    );
    assert_eq!(answer.stdout, expected);
    assert!(
        release
            .home
            .path("package/usr/share/licenses/docker-credential-acrscoped-bin/LICENSE-MIT")
            .is_file()
    );
}

#[test]
#[ignore = "needs the static binary: run tests/run"]
fn the_apkbuild_of_alpine_packs_the_archive() {
    let release = Release::new();
    // Alpine's shell is none of bash; Debian's `sh` is not either.
    let answer = release.shell(&format!(
        "sh -euc '. ./manifests/alpine/{PROGRAM}/APKBUILD; cd release; echo \"$sha512sums\" | sed /^$/d | sha512sum --check --strict; \
         check; package; echo \"$source\"'"
    ));
    let file = format!("{PROGRAM}-{VERSION}-{ARCH}-linux.tar.gz");
    assert_eq!(
        answer.stdout,
        format!(
            "{file}: OK\n{PROGRAM} ({PROGRAM}) v{VERSION}\n{}\n",
            download(&format!("{ARCH}-linux.tar.gz"))
        )
    );
    assert!(
        release
            .home
            .path("package/usr/share/man/man1/docker-credential-acrscoped.1.gz")
            .is_file()
    );
}

/// Fields and their forms are those of Scoop's `schema.json`.
#[test]
#[ignore = "needs the static binary: run tests/run"]
fn the_manifest_of_scoop_names_the_archive_of_windows() {
    let release = Release::new();
    let text = fs::read_to_string(release.manifest(&format!("scoop/bucket/{PROGRAM}.json")))
        .expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(manifest["version"], VERSION);
    assert_eq!(manifest["license"], "MIT|Apache-2.0");
    let here = &manifest["architecture"]["64bit"];
    let expected = json!({
        "url": download("x86_64-windows.zip"),
        "hash": release.sha256("x86_64-windows.zip"),
        "extract_dir": format!("{PROGRAM}-{VERSION}-x86_64-windows"),
    });
    assert_eq!(here, &expected);
    // The next version is found by the same names.
    let next = manifest["autoupdate"]["architecture"]["64bit"]
        .to_string()
        .replace("$version", VERSION);
    assert_eq!(
        serde_json::from_str::<Value>(&next).expect("JSON"),
        json!({"url": here["url"], "extract_dir": here["extract_dir"]})
    );
}

/// Fields and their forms are those of winget's schemas 1.10.0.
#[test]
#[ignore = "needs ruby and the static binary: run tests/run"]
fn the_manifests_of_winget_name_the_archive_of_windows() {
    let release = Release::new();
    let [version, installer, locale] =
        ["", ".installer", ".locale.en-US"].map(|ending| release.winget(ending));
    for (manifest, kind) in [
        (&version, "version"),
        (&installer, "installer"),
        (&locale, "defaultLocale"),
    ] {
        let head = [
            "PackageIdentifier",
            "PackageVersion",
            "ManifestType",
            "ManifestVersion",
        ]
        .map(|name| manifest[name].clone());
        assert_eq!(
            head,
            ["example.DockerCredentialAcrscoped", VERSION, kind, "1.10.0"].map(Value::from)
        );
    }
    assert_eq!(version["DefaultLocale"], locale["PackageLocale"]);
    let expected = json!([{
        "Architecture": "x64",
        "InstallerUrl": download("x86_64-windows.zip"),
        "InstallerSha256": release.sha256("x86_64-windows.zip"),
    }]);
    assert_eq!(installer["Installers"], expected);
    let program = format!(r"{PROGRAM}-{VERSION}-x86_64-windows\bin\{PROGRAM}.exe");
    assert_eq!(
        installer["NestedInstallerFiles"],
        json!([{"RelativeFilePath": program, "PortableCommandAlias": PROGRAM}])
    );
    for name in ["Publisher", "PackageName", "License", "ShortDescription"] {
        assert!(
            locale[name]
                .as_str()
                .is_some_and(|text| text.len() > 2 && text.len() <= 256),
            "{name}: {locale}"
        );
    }
}

#[test]
#[ignore = "needs the static binary: run tests/run"]
fn an_archive_that_is_not_the_one_of_the_checksums_gets_no_manifest() {
    let release = Release::new();
    let changed = format!("{PROGRAM}-{VERSION}-aarch64-macos.tar.gz");
    fs::write(release.home.path("release").join(&changed), "changed").expect("our folder");
    let answer = release.manifests().fails();
    assert!(
        answer.stderr.starts_with(&format!(
            "manifests: the SHA-256 of {changed} is not the one in "
        )),
        "{answer:#?}"
    );
}

/// Evaluated by Nix, with a stand-in for nixpkgs, which is out of reach.
#[test]
#[ignore = "needs nix-bin: run tests/run"]
fn the_flake_builds_this_version_for_every_system() {
    let home = Home::new();
    let nixpkgs = format!("path:{}", checkout("tests/packages/nixpkgs").display());
    let mut nix = home.command("nix");
    nix.args([
        "--extra-experimental-features",
        "nix-command flakes",
        "eval",
        "--json",
        "--no-write-lock-file",
    ]);
    nix.args(["--override-input", "nixpkgs", &nixpkgs]);
    nix.arg(format!(
        "git+file://{}?dir=packaging/nix#packages",
        env!("CARGO_MANIFEST_DIR")
    ));
    nix.env(
        "NIX_REMOTE",
        format!("local?root={}", home.path("nix").display()),
    );
    // The checkout may belong to somebody else.
    nix.envs([
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ]);
    let packages = run(nix, "", LIMIT).succeeds().json();
    let packages = packages.as_object().expect("systems");
    assert_eq!(
        packages.keys().collect::<Vec<_>>(),
        [
            "aarch64-darwin",
            "aarch64-linux",
            "x86_64-darwin",
            "x86_64-linux"
        ]
    );
    for package in packages.values() {
        let package = &package["default"];
        assert_eq!(package["pname"], PROGRAM);
        assert_eq!(package["version"], VERSION);
        assert_eq!(
            [&package["src"], &package["cargoLock"]],
            [&json!(true), &json!(true)],
            "they are there"
        );
        // What it installs is there.
        let lines = package["postInstall"].as_str().expect("a script");
        for word in lines
            .split_whitespace()
            .filter(|word| word.starts_with("packaging/") && !word.contains('*'))
        {
            assert!(checkout(word).is_file(), "{word}");
        }
    }
}
