//! `install.sh` with release archives that the tests make: nothing is built, and nothing of the user is touched.
#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::install;
use tempfile::TempDir;

const PROGRAM: &str = "docker-credential-acrscoped";

/// What a release archive has below `share`, or some of it.
const SHARED: [&str; 4] = [
    "man/man1/docker-credential-acrscoped.1.gz",
    "man/man1/docker-credential-acrscoped-status.1.gz",
    "bash-completion/completions/docker-credential-acrscoped",
    "licenses/docker-credential-acrscoped/LICENSE-MIT",
];

/// Somebody's machine: a home, and a folder with a downloaded release.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("install test ")
            .tempdir()
            .expect("a temporary folder");
        for name in ["home", "release"] {
            fs::create_dir(folder.path().join(name)).expect("a new folder");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a path below the folder")).expect("our folder");
        fs::write(&path, content).expect("our folder");
        path
    }

    /// A release archive whose program prints this version, with its checksum and its attestation beside it.
    fn release(&self, version: &str) -> PathBuf {
        let folder = format!("{PROGRAM}-{version}-x86_64-linux");
        self.program(version, &format!("{folder}/bin/{PROGRAM}"));
        for file in SHARED {
            self.write(&format!("{folder}/share/{file}"), version);
        }
        self.pack(&format!("{folder}.tar.gz"), &[&folder])
    }

    fn program(&self, version: &str, name: &str) -> PathBuf {
        let lines = format!(
            r#"[ "$1" != generate ] || {{ mkdir -p "$2/man" "$2/completions"; cd "$2"
            for file in man/{PROGRAM}.1 man/{PROGRAM}-status.1 completions/{PROGRAM} completions/_{PROGRAM} \
                completions/{PROGRAM}.fish completions/_{PROGRAM}.ps1; do echo '{version}' >"$file"; done; exit; }}
            echo '{PROGRAM} v{version}'"#
        );
        self.script_file(name, &lines)
    }

    /// An archive of these names as they are, with its checksum and its attestation beside it.
    fn pack(&self, archive: &str, names: &[&str]) -> PathBuf {
        let file = self.path("release").join(archive);
        let packed = Command::new("tar")
            .current_dir(self.path("home"))
            .arg("-czPf")
            .arg(&file)
            .arg("-C..")
            .args(names)
            .output();
        let packed = packed.expect("tar");
        assert!(packed.status.success(), "{packed:?}");
        self.checksums(&format!("{}  {archive}\n", sha256(&file)));
        self.write("release/SHA256SUMS.sigstore.json", "what GitHub signed\n");
        file
    }

    fn checksums(&self, text: &str) -> PathBuf {
        self.write("release/SHA256SUMS", text)
    }

    /// A folder for `PATH` on which are what `install.sh` always needs, and these.
    #[cfg(target_os = "linux")]
    fn path_of(&self, programs: &[&str]) -> PathBuf {
        const ALWAYS: [&str; 23] = [
            "awk",
            "basename",
            "cat",
            "chmod",
            "cmp",
            "cp",
            "dirname",
            "grep",
            "gzip",
            "head",
            "id",
            "ls",
            "mkdir",
            "mktemp",
            "mv",
            "rm",
            "sed",
            "sh",
            "sha256sum",
            "tar",
            "tr",
            "uname",
            "wc",
        ];
        let folder = self.path(&format!("path {}", programs.join(" ")));
        fs::create_dir(&folder).expect("a new folder");
        for name in ALWAYS.iter().chain(programs) {
            let places = ["tools", "/usr/bin", "/bin"].map(|place| self.path(place).join(name));
            let place = places.iter().find(|place| place.exists()).expect(name);
            std::os::unix::fs::symlink(place, folder.join(name)).expect("a new link");
        }
        folder
    }

    /// A `gh` that notes what it is asked and the attestation that it is given, and ends as it should.
    fn gh(&self, exit_code: u8) -> PathBuf {
        let seen = self.path("gh asked");
        let script = format!(
            "{{ echo \"$@\"; cat \"$5\"; }} >'{}'\necho ruling\nexit {exit_code}",
            seen.display()
        );
        self.tool("gh", &script);
        seen
    }

    /// A tool that is a shell script.
    fn tool(&self, name: &str, lines: &str) {
        self.script_file(&format!("tools/{name}"), lines);
    }

    /// A program that is a shell script.
    fn script_file(&self, name: &str, lines: &str) -> PathBuf {
        let text = self.write("script.text", &format!("#!/bin/sh\n{lines}\n"));
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a path below the folder")).expect("our folder");
        install(&text, &path);
        path
    }

    /// Has `install.sh` take its user for root, and all files for root's.
    #[cfg(target_os = "linux")]
    fn run_as_root(&self) {
        self.tool("id", "echo 0");
        self.tool(
            "ls",
            "case $1 in -nd) echo '- 1 0 0' ;; *) exec /bin/ls \"$@\" ;; esac",
        );
    }

    /// A `cargo` that has a program ready for a static and one for a dynamic build, and a `rustc` with a standard library for musl.
    fn toolchain(&self) {
        let [built, library] =
            ["built", "library"].map(|name| self.path(name).display().to_string());
        self.program("dynamic", "built");
        fs::create_dir(&library).expect("a new folder");
        self.tool("rustc", &format!("echo '{library}'"));
        let lines = format!(
            r#"while [ $# -gt 0 ]; do case $1 in --target) target=$2 ;; --target-dir) folder=$2/$target/release ;; esac; shift; done
            [ -n "${{folder-}}" ] || {{ echo '{{"target":{{"kind":["bin"]}},"executable":"{built}"}}'; exit; }}
            mkdir -p "$folder" && sed s/dynamic/static/ '{built}' >"$folder/{PROGRAM}" && chmod 755 "$folder/{PROGRAM}""#
        );
        self.tool("cargo", &lines);
    }

    /// Installs the checkout with the toolchain's programs, those that `install.sh` always needs, and these on `PATH`.
    #[cfg(target_os = "linux")]
    fn install_checkout(&self, programs: &[&str]) -> Output {
        let always = ["bash", "cargo", "ln", "rustc", "tail"];
        let path = self.path_of(&[&always[..], programs].concat());
        let mut command = self.script();
        command
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", self.path("target"))
            .output()
            .expect("install.sh")
    }

    /// `install.sh`, knowing this machine only.
    fn script(&self) -> Command {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
        let (installed, tools) = (self.path("home/.local/bin"), self.path("tools"));
        let path = format!("{}:{}:/usr/bin:/bin", installed.display(), tools.display());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .current_dir(self.path("home"));
        command
    }

    fn install(&self, words: &[&str]) -> Output {
        self.script().args(words).output().expect("install.sh")
    }

    /// Without asking who built the archive.
    fn install_archive(&self, archive: &Path) -> Output {
        self.script()
            .arg("--no-provenance")
            .arg("--archive")
            .arg(archive)
            .output()
            .expect("install.sh")
    }

    fn installed(&self) -> PathBuf {
        self.path("home/.local/bin").join(PROGRAM)
    }

    /// Fails if the script has put anything into the home.
    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(
            fs::read_dir(self.path("home")).expect("our folder").count(),
            0
        );
    }
}

fn sha256(file: &Path) -> String {
    use std::fmt::Write as _;
    let content = fs::read(file).expect("our file");
    let digest = ring::digest::digest(&ring::digest::SHA256, &content);
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// What a successful run said.
#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What a run said that ended with this code.
#[track_caller]
fn complained(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[track_caller]
fn assert_says(text: &str, part: &str) {
    assert!(text.contains(part), "no {part:?} in:\n{text}");
}

#[test]
fn an_archive_is_verified_and_installed() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let asked = machine.gh(0);
    let output = machine
        .script()
        .arg("--archive")
        .arg(&archive)
        .args(["--repository", "contoso/acrscoped"])
        .output();
    let output = output.expect("install.sh");
    let text = said(&output);
    assert_says(&text, &format!("SHA-256 {}", sha256(&archive)));
    assert_says(&text, "built by the release workflow of contoso/acrscoped");
    assert_says(
        &text,
        &format!("Installed {}, v1.0.0", machine.installed().display()),
    );
    assert_says(&text, &format!("{PROGRAM} configure contoso.azurecr.io"));
    assert!(output.stderr.is_empty(), "{output:?}");
    let mode = fs::metadata(machine.installed())
        .expect("installed")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
    assert_eq!(
        fs::read_dir(machine.path("home/.local/bin"))
            .expect("made")
            .count(),
        1,
        "something else was left there"
    );
    // The words of `gh attestation verify`, as its manual has them.
    let asked = fs::read_to_string(asked).expect("`gh` was asked");
    let words = asked
        .lines()
        .next()
        .expect("words")
        .split(' ')
        .collect::<Vec<_>>();
    assert_eq!(
        [words[0], words[1], words[3]],
        ["attestation", "verify", "--bundle"]
    );
    // By this name `gh` knows the file's form.
    assert_eq!(
        Path::new(words[4]).extension(),
        Some("json".as_ref()),
        "{asked}"
    );
    let signer = r"^https://github\.com/(?i:contoso/acrscoped)/\.github/workflows/release\.yml@refs/tags/v[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$";
    let policy = format!(
        "--repo contoso/acrscoped --cert-identity-regex {signer} --deny-self-hosted-runners"
    );
    assert_eq!(words[5..].join(" "), policy);
    assert_eq!(asked.lines().nth(1), Some("what GitHub signed"));
}

#[test]
fn an_archive_that_the_release_workflow_did_not_build_is_refused() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let verify = || {
        machine
            .script()
            .arg("--archive")
            .arg(&archive)
            .args(["--repository", "contoso/acrscoped"])
            .output()
    };
    machine.gh(1);
    let text = complained(&verify().expect("install.sh"), 1);
    assert_says(&text, "  gh: ruling");
    assert_says(
        &text,
        "the release workflow of contoso/acrscoped did not build",
    );
    machine.assert_untouched();
}

/// With a `gh` that compares a certificate's identity, as `gh` does.
#[test]
fn only_the_release_workflow_on_a_tag_of_a_version_is_believed() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    for (signer, believed) in [
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/tags/v1.0.0",
            true,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/tags/v1.0.0-rc.1",
            true,
        ),
        // GitHub does not tell them apart.
        (
            "https://github.com/Contoso/ACR.Scoped/.github/workflows/release.yml@refs/tags/v1.0.0+1",
            true,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/Release.yml@refs/tags/v1.0.0",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/tags/v0evil",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/tags/v9",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/heads/main",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/pull/7/merge",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/tags/nightly",
            false,
        ),
        // Neither the workflow nor a ruleset means these by `v*`.
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/tags/v1/evil",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/heads/v1.0.0",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/ci.yml@refs/tags/v1.0.0",
            false,
        ),
        (
            "https://github.com/contoso/acr.scoped/.github/workflows/release.yml.yml@refs/tags/v1.0.0",
            false,
        ),
        (
            "https://github.com/contoso/acr-scoped/.github/workflows/release.yml@refs/tags/v1.0.0",
            false,
        ),
        (
            "https://github.com/evil/x/https://github.com/contoso/acr.scoped/.github/workflows/release.yml@refs/tags/v1.0.0",
            false,
        ),
    ] {
        let script = format!(
            "while [ \"$1\" != --cert-identity-regex ]; do shift; done\nperl -e 'exit !($ARGV[1] =~ /$ARGV[0]/)' \"$2\" '{signer}'"
        );
        machine.tool("gh", &script);
        let output = machine
            .script()
            .arg("--archive")
            .arg(&archive)
            .args(["--repository", "contoso/acr.scoped"])
            .output();
        let output = output.expect("install.sh");
        assert_eq!(output.status.success(), believed, "{signer}: {output:?}");
        assert_eq!(machine.installed().exists(), believed, "{signer}");
        if believed {
            said(&machine.install(&["--uninstall"]));
        } else {
            assert_says(
                &complained(&output, 1),
                "the release workflow of contoso/acr.scoped did not build",
            );
        }
    }
}

/// Each way in which nobody says who built an archive, none of which is taken for consent.
#[test]
#[cfg(target_os = "linux")]
fn who_built_an_archive_is_passed_over_only_when_that_is_asked_for() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let install = |words: &[&str]| {
        machine
            .script()
            .arg("--archive")
            .arg(&archive)
            .args(words)
            .output()
            .expect("install.sh")
    };
    machine.gh(0);
    assert_says(
        &complained(&install(&[]), 1),
        "name the repository with `--repository OWNER/NAME`",
    );
    fs::remove_file(machine.path("release/SHA256SUMS.sigstore.json")).expect("our file");
    let text = complained(&install(&["--repository", "contoso/acrscoped"]), 1);
    assert_says(&text, "SHA256SUMS.sigstore.json");
    assert_says(
        &text,
        "hint: download it to there, from where the archive is published; or go without it with `--no-provenance`",
    );
    let mut without_gh = machine.script();
    without_gh
        .env("PATH", machine.path_of(&[]))
        .args(["--repository", "contoso/acrscoped", "--archive"])
        .arg(&archive);
    let text = complained(&without_gh.output().expect("install.sh"), 1);
    assert_says(&text, "`gh` is not on PATH");
    assert_says(&text, "`--no-provenance`");
    machine.assert_untouched();
    assert_says(
        &complained(&install(&["--no-provenance"]), 0),
        "was not asked: `--no-provenance`",
    );
    assert!(machine.installed().exists());
}

#[test]
fn a_second_run_says_that_nothing_is_new_and_a_new_release_replaces_the_old_one() {
    let machine = Machine::new();
    said(&machine.install_archive(&machine.release("1.0.0")));
    assert_says(
        &said(&machine.install_archive(&machine.release("1.0.0"))),
        "is already this version: docker-credential-acrscoped v1.0.0",
    );
    assert_says(
        &said(&machine.install_archive(&machine.release("1.1.0"))),
        "v1.1.0",
    );
    let version = Command::new(machine.installed())
        .output()
        .expect("installed");
    assert_says(&said(&version), "v1.1.0");
}

#[test]
fn an_archive_that_differs_from_its_checksum_is_refused() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    machine.checksums(&format!(
        "{}  {PROGRAM}-1.0.0-x86_64-linux.tar.gz\n",
        "0".repeat(64)
    ));
    let text = complained(&machine.install_archive(&archive), 1);
    assert_says(&text, &sha256(&archive));
    assert_says(&text, "nothing was installed");
    machine.assert_untouched();
}

#[test]
fn an_archive_without_a_checksum_is_refused() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    fs::remove_file(machine.path("release/SHA256SUMS")).expect("our file");
    let text = complained(&machine.install_archive(&archive), 1);
    assert_says(
        &text,
        &format!(
            "there is no file {}",
            machine.path("release/SHA256SUMS").display()
        ),
    );
    assert_says(
        &text,
        "hint: name the file with the archive's SHA-256 with `--checksum FILE`",
    );
    for text in [
        "not a checksum\n",
        &format!("{0}  other.tar.gz\n{0}  third.tar.gz\n", sha256(&archive)),
    ] {
        machine.checksums(text);
        let expected = format!("holds no SHA-256 of {PROGRAM}-1.0.0-x86_64-linux.tar.gz");
        assert_says(
            &complained(&machine.install_archive(&archive), 1),
            &expected,
        );
    }
    machine.assert_untouched();
}

#[test]
fn the_checksum_may_lie_elsewhere_and_be_of_that_file_alone() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    fs::remove_file(machine.path("release/SHA256SUMS")).expect("our file");
    let named = format!(
        "{0}  other.tar.gz\n{1} *{PROGRAM}-1.0.0-x86_64-linux.tar.gz\n",
        "0".repeat(64),
        sha256(&archive).to_uppercase()
    );
    for text in [&named, &sha256(&archive)] {
        let sums = machine.write("elsewhere", text);
        let output = machine
            .script()
            .args(["--no-provenance", "--archive"])
            .arg(&archive)
            .arg("--checksum")
            .arg(&sums)
            .output();
        said(&output.expect("install.sh"));
    }
}

#[test]
fn an_archive_with_names_that_point_outside_is_refused() {
    let machine = Machine::new();
    let absolute = machine.program("1.0.0", &format!("a/bin/{PROGRAM}"));
    for name in [
        &format!("home/../a/bin/{PROGRAM}"),
        absolute.to_str().expect("text"),
    ] {
        let archive = machine.pack("archive.tar.gz", &[name]);
        assert_says(
            &complained(&machine.install_archive(&archive), 1),
            "holds a name that points outside of it",
        );
    }
    machine.assert_untouched();
}

#[test]
fn an_archive_that_is_not_laid_out_as_ours_is_refused() {
    let machine = Machine::new();
    machine.write("a/README.md", "text");
    let archive = machine.pack("archive.tar.gz", &["a"]);
    assert_says(
        &complained(&machine.install_archive(&archive), 1),
        &format!("does not hold a/bin/{PROGRAM}"),
    );
    machine.program("1.0.0", &format!("b/bin/{PROGRAM}"));
    let archive = machine.pack("archive.tar.gz", &["a", "b"]);
    assert_says(
        &complained(&machine.install_archive(&archive), 1),
        "does not hold one folder",
    );
    std::os::unix::fs::symlink("/bin/sh", machine.path("b/share")).expect("a new link");
    let archive = machine.pack("archive.tar.gz", &["b"]);
    assert_says(
        &complained(&machine.install_archive(&archive), 1),
        "holds something else than files and folders",
    );
    fs::write(&archive, "not an archive").expect("our file");
    machine.checksums(&sha256(&archive));
    assert_says(
        &complained(&machine.install_archive(&archive), 1),
        "is no .tar.gz archive",
    );
    machine.assert_untouched();
}

/// It would be whole, and built by whom it should be.
#[test]
fn an_old_archive_under_a_new_name_is_refused() {
    let machine = Machine::new();
    let old = machine.release("1.0.0");
    let new = machine
        .path("release")
        .join(format!("{PROGRAM}-1.1.0-x86_64-linux.tar.gz"));
    fs::rename(old, &new).expect("our file");
    machine.checksums(&sha256(&new));
    let text = complained(&machine.install_archive(&new), 1);
    assert_says(&text, &format!("holds {PROGRAM}-1.0.0-x86_64-linux"));
    machine.assert_untouched();
}

#[test]
fn an_archive_brings_manual_pages_and_completions_and_takes_them_away_again() {
    let machine = Machine::new();
    said(&machine.install_archive(&machine.release("1.0.0")));
    said(&machine.install_archive(&machine.release("1.1.0")));
    let share = machine.path("home/.local/share");
    for file in SHARED {
        assert_eq!(fs::read_to_string(share.join(file)).expect(file), "1.1.0");
    }
    let neighbour = machine.write("home/.local/share/man/man1/neighbour.1", "");
    said(&machine.install(&["--uninstall"]));
    for file in SHARED {
        assert!(!share.join(file).exists(), "{file}");
    }
    assert!(neighbour.exists());
}

#[test]
fn an_archive_is_downloaded_over_https_only() {
    let machine = Machine::new();
    for address in [
        "http://127.0.0.1:9/archive.tar.gz",
        "ftp://127.0.0.1:9/archive.tar.gz",
    ] {
        let text = complained(&machine.install_archive(Path::new(address)), 1);
        assert_says(&text, &format!("{address} is no https address"));
    }
    machine.assert_untouched();
}

#[test]
#[cfg(target_os = "linux")]
fn without_curl_a_file_is_asked_for() {
    let machine = Machine::new();
    // It would follow a redirect to http.
    machine.tool("wget", "exit 1");
    let mut command = machine.script();
    command.env("PATH", machine.path_of(&["wget"])).args([
        "--no-provenance",
        "--archive",
        "https://127.0.0.1:9/archive.tar.gz",
    ]);
    let text = complained(&command.output().expect("install.sh"), 1);
    assert_says(
        &text,
        "`curl` is not on PATH, so https://127.0.0.1:9/archive.tar.gz cannot be downloaded",
    );
    assert_says(
        &text,
        "hint: install curl; or download the archive and its SHA256SUMS* by other means",
    );
    machine.assert_untouched();
}

/// A web server with a certificate of its own.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs curl, openssl and python3: run tests/run"]
fn an_archive_its_checksum_and_its_attestation_are_downloaded() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let server = FileServer::start(&machine);
    let file = archive.file_name().expect("a name").to_str().expect("text");
    let asked = machine.gh(0);
    let tools = machine.path_of(&["gh", "curl"]);
    let install = |address: &str| {
        let mut command = machine.script();
        command
            .env("PATH", &tools)
            .env("CURL_CA_BUNDLE", &server.certificate);
        command
            .args(["--repository", "contoso/acrscoped", "--archive", address])
            .output()
            .expect("install.sh")
    };
    let text = complained(&install(&format!("{}/no-such-file", server.origin)), 1);
    assert_says(&text, "no-such-file could not be downloaded");
    // The same file, from a server that anybody in between can speak for.
    let text = complained(&install(&format!("{}/over-http/{file}", server.origin)), 1);
    assert_says(&text, &format!("over-http/{file} could not be downloaded"));
    machine.assert_untouched();
    assert_says(
        &said(&install(&format!("{}/over-https/{file}", server.origin))),
        "Installed",
    );
    assert_says(
        &fs::read_to_string(asked).expect("`gh` was asked"),
        "what GitHub signed",
    );
}

/// Serves the release over TLS, from a port of this machine; below `over-https` and `over-http` it redirects to itself, and to a
/// server without TLS.
#[cfg(target_os = "linux")]
struct FileServer {
    origin: String,
    certificate: PathBuf,
    process: std::process::Child,
}

#[cfg(target_os = "linux")]
impl FileServer {
    fn start(machine: &Machine) -> Self {
        use std::io::BufRead as _;
        let (certificate, key) = (machine.path("certificate.pem"), machine.path("key.pem"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=release",
            ])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{made:?}");
        let program = "import http.server, ssl, sys, threading
class Files(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        first, _, rest = self.path[1:].partition('/')
        if not rest:
            return super().do_GET()
        scheme = first.removeprefix('over-')
        self.send_response(302)
        self.send_header('Location', f'{scheme}://127.0.0.1:{servers[scheme].server_port}/{rest}')
        self.end_headers()
servers = {scheme: http.server.ThreadingHTTPServer(('127.0.0.1', 0), Files) for scheme in ('http', 'https')}
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
servers['https'].socket = context.wrap_socket(servers['https'].socket, server_side=True)
print(servers['https'].server_port, flush=True)
threading.Thread(target=servers['http'].serve_forever, daemon=True).start()
servers['https'].serve_forever()";
        let mut process = Command::new("/usr/bin/python3")
            .args(["-c", program])
            .args([&certificate, &key])
            .current_dir(machine.path("release"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        std::io::BufReader::new(process.stdout.take().expect("piped"))
            .read_line(&mut port)
            .expect("a port");
        Self {
            origin: format!("https://127.0.0.1:{}", port.trim()),
            certificate,
            process,
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for FileServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_program_that_does_not_run_here_replaces_nothing() {
    let machine = Machine::new();
    said(&machine.install_archive(&machine.release("1.0.0")));
    let broken = machine.program("1.1.0", &format!("broken/bin/{PROGRAM}"));
    fs::write(broken, "#!/bin/sh\nexit 1\n").expect("our file");
    let archive = machine.pack("archive.tar.gz", &["broken"]);
    assert_says(
        &complained(&machine.install_archive(&archive), 1),
        "does not run on this machine",
    );
    assert_says(
        &said(
            &Command::new(machine.installed())
                .output()
                .expect("installed"),
        ),
        "v1.0.0",
    );
    assert_eq!(
        fs::read_dir(machine.path("home/.local/bin"))
            .expect("made")
            .count(),
        1,
        "something else was left there"
    );
}

#[test]
fn a_prefix_takes_the_place_of_the_home_and_a_folder_off_the_path_is_pointed_out() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let output = machine
        .script()
        .args(["--no-provenance", "--prefix", "its own", "--archive"])
        .arg(&archive)
        .output()
        .expect("install.sh");
    said(&output);
    let folder = machine.path("home/its own/bin");
    assert!(folder.join(PROGRAM).exists());
    assert_says(
        &complained(&output, 0),
        &format!(
            "hint: add to ~/.profile, and sign in again: export PATH=\"{}:$PATH\"",
            folder.display()
        ),
    );
}

#[test]
fn without_a_home_a_prefix_is_asked_for() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let output = machine
        .script()
        .env_remove("HOME")
        .args(["--no-provenance", "--archive"])
        .arg(&archive)
        .output()
        .expect("install.sh");
    assert_says(&complained(&output, 1), "`HOME` is not set");
    assert_says(&complained(&output, 1), "`--prefix DIR`");
    let prefix = machine.path("prefix");
    let output = machine
        .script()
        .env_remove("HOME")
        .args(["--no-provenance", "--archive"])
        .arg(&archive)
        .arg("--prefix")
        .arg(&prefix)
        .output();
    said(&output.expect("install.sh"));
    assert!(prefix.join("bin").join(PROGRAM).exists());
}

#[test]
#[ignore = "needs root: run tests/run"]
fn root_installs_nothing_in_the_home_of_another_user() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    std::os::unix::fs::chown(machine.path("home"), Some(54_321), None).expect("root");
    let install = |prefix: &[&str]| {
        machine
            .script()
            .args(["--no-provenance", "--archive"])
            .arg(&archive)
            .args(prefix)
            .output()
            .expect("install.sh")
    };
    let text = complained(&install(&[]), 1);
    assert_says(
        &text,
        "belongs to the user with id 54321, and root installs nothing there",
    );
    // Neither does a folder of root's own below it count.
    fs::create_dir(machine.path("home/.local")).expect("our folder");
    complained(&install(&[]), 1);
    assert_eq!(
        fs::read_dir(machine.path("home/.local"))
            .expect("our folder")
            .count(),
        0
    );
    let prefix = machine.path("prefix");
    said(&install(&["--prefix", prefix.to_str().expect("UTF-8")]));
    assert!(prefix.join("bin").join(PROGRAM).exists());
}

#[test]
fn configuration_files_are_read_and_never_changed() {
    let machine = Machine::new();
    let content = r#"{"credHelpers": {"contoso.azurecr.io": "acrscoped"}}"#;
    let docker = machine.write("home/.docker/config.json", content);
    let containers = machine.write("home/.config/containers/auth.json", "{}");
    said(&machine.install_archive(&machine.release("1.0.0")));
    let text = said(&machine.install(&["--uninstall"]));
    assert_says(&text, &format!("Removed {}", machine.installed().display()));
    assert_says(&text, &docker.display().to_string());
    assert_says(&text, content);
    assert!(!machine.installed().exists());
    assert_eq!(fs::read_to_string(docker).expect("ours"), content);
    assert_eq!(fs::read_to_string(containers).expect("ours"), "{}");
}

#[test]
fn a_checkout_brings_manual_pages_and_completions_and_takes_them_away_again() {
    let machine = Machine::new();
    machine.toolchain();
    let output = machine
        .script()
        .arg("--dynamic")
        .output()
        .expect("install.sh");
    assert_says(
        &said(&output),
        &format!("Installed {}, vdynamic", machine.installed().display()),
    );
    assert_eq!(complained(&output, 0), "");
    let share = machine.path("home/.local/share");
    let expected = [
        format!("man/man1/{PROGRAM}.1"),
        format!("man/man1/{PROGRAM}-status.1"),
        format!("bash-completion/completions/{PROGRAM}"),
        format!("zsh/site-functions/_{PROGRAM}"),
        format!("fish/vendor_completions.d/{PROGRAM}.fish"),
        format!("{PROGRAM}/_{PROGRAM}.ps1"),
        format!("{PROGRAM}/config.schema.json"),
    ];
    for file in &expected {
        assert!(share.join(file).is_file(), "{file}: {output:?}");
    }
    said(&machine.install(&["--uninstall"]));
    for file in &expected {
        assert!(!share.join(file).exists(), "{file}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_checkout_is_installed_as_the_static_program() {
    let machine = Machine::new();
    machine.toolchain();
    machine.tool("musl-gcc", "");
    let output = machine.install_checkout(&["musl-gcc"]);
    assert_says(
        &said(&output),
        &format!("Installed {}, vstatic", machine.installed().display()),
    );
    assert!(!complained(&output, 0).contains("dynamic"), "{output:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn root_on_debian_gets_the_packages_that_the_static_program_needs() {
    let machine = Machine::new();
    machine.toolchain();
    machine.run_as_root();
    // The test's `PATH` is a folder of links, in which it puts what it installs.
    machine.tool(
        "apt-get",
        "echo \"$@\" >>\"$HOME/../asked\"; case $* in *install*) ln -s \"$HOME/../gcc\" \"$PATH/musl-gcc\" ;; esac",
    );
    machine.program("", "gcc");
    let output = machine.install_checkout(&["apt-get"]);
    assert_says(&said(&output), "Installing musl-tools\n");
    assert_says(
        &said(&output),
        &format!("Installed {}, vstatic", machine.installed().display()),
    );
    let asked = fs::read_to_string(machine.path("asked")).expect("`apt-get` was asked");
    assert_eq!(
        asked,
        "update -qq\ninstall -qq -y --no-install-recommends musl-tools\n"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn without_what_the_static_program_needs_the_dynamic_one_is_installed_and_the_reason_is_shown() {
    for (tools, is_root) in [(&[][..], true), (&["apt-get"], true), (&["apt-get"], false)] {
        let machine = Machine::new();
        machine.toolchain();
        machine.tool("apt-get", "echo no network; exit 1");
        if is_root {
            machine.run_as_root();
        } else {
            machine.tool("id", "echo 1000");
        }
        let output = machine.install_checkout(tools);
        assert_says(
            &said(&output),
            &format!("Installed {}, vdynamic", machine.installed().display()),
        );
        let text = complained(&output, 0);
        assert_says(
            &text,
            "install.sh: building the dynamic program, because the static one needs musl-tools\n",
        );
        assert_says(
            &text,
            "hint: on Debian 12 `apt-get install musl-tools`; elsewhere install musl-gcc, and `rustup target add ",
        );
        assert_eq!(
            text.contains("no network"),
            is_root && !tools.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn nobody_is_left_signed_in_without_the_program_that_could_forget_it() {
    let machine = Machine::new();
    said(&machine.install_archive(&machine.release("1.0.0")));
    for state in [".local/state", "Library/Application Support"] {
        let logins = machine.write(
            &format!("home/{state}/{PROGRAM}/logins.json"),
            r#"[{"authority":"https://login.example/"}]"#,
        );
        let text = complained(&machine.install(&["--uninstall"]), 1);
        assert_says(&text, &format!("first `{PROGRAM} logout --all`"));
        assert!(machine.installed().exists());
        fs::remove_file(logins).expect("our file");
    }
    said(&machine.install(&["--uninstall"]));
    assert!(!machine.installed().exists());
}

#[test]
fn uninstalling_what_is_not_there_is_fine() {
    let machine = Machine::new();
    assert_says(
        &said(&machine.install(&["--uninstall"])),
        "nothing was removed",
    );
    machine.assert_untouched();
}

#[test]
fn a_command_line_that_makes_no_sense_is_answered_with_exit_2() {
    let machine = Machine::new();
    for (words, sentence) in [
        (&["--prefex", "/tmp"][..], "unknown option `--prefex`"),
        (&["now"], "unknown option `now`"),
        (&["--prefix"], "`--prefix` needs a value"),
        (&["--prefix", ""], "`--prefix` needs a value"),
        (
            &["--checksum", "file"],
            "`--checksum` belongs to `--archive`",
        ),
        (
            &["--no-provenance"],
            "`--no-provenance` belongs to `--archive`",
        ),
        (&["--repository", "contoso"], "`contoso` is no OWNER/NAME"),
        (
            &["--repository", "contoso/acrscoped;id"],
            "`contoso/acrscoped;id` is no OWNER/NAME",
        ),
        (
            &["--uninstall", "--demo"],
            "`--uninstall` goes with no option but `--prefix`",
        ),
        (
            &["--uninstall", "--dynamic"],
            "`--uninstall` goes with no option but `--prefix`",
        ),
        (
            &["--archive", "file", "--dynamic"],
            "`--dynamic` builds a checkout, so it does not go with `--archive`",
        ),
    ] {
        let text = complained(&machine.install(words), 2);
        assert_says(&text, sentence);
        assert_says(&text, "`./install.sh --help`");
    }
    machine.assert_untouched();
}

#[test]
fn help_names_every_option() {
    let machine = Machine::new();
    let text = said(&machine.install(&["--help"]));
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "a line is wider than a terminal:\n{text}"
    );
    for option in [
        "--prefix",
        "--dynamic",
        "--archive",
        "--checksum",
        "--repository",
        "--no-provenance",
        "--demo",
        "--uninstall",
        "--help",
    ] {
        assert_says(&text, option);
    }
    machine.assert_untouched();
}

#[test]
#[ignore = "needs skopeo and the kernel keyring: run tests/run"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
fn the_demonstration_of_the_readme_comes_to_its_end() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo");
    let program = std::env::var_os("ACRSCOPED_TEST_BINARY")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_docker-credential-acrscoped").into());
    let text = said(
        &Command::new(demo)
            .arg(program)
            .output()
            .expect("tests/demo"),
    );
    for part in [
        "2 HTTPS requests",
        "0 requests: the same answer",
        "refused: ",
        "hello.txt in it",
        "0 sign-ins, 0 exchanges",
    ] {
        assert_says(&text, part);
    }
}
