//! What a release is made of, by the scripts that `.github/workflows/release.yml` calls.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use support::{Answer, LIMIT, REGISTRY, install, run, world};
use tempfile::TempDir;

const PROGRAM: &str = "docker-credential-acrscoped";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = "contoso/acrscoped";

fn checkout(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The Rust target of the static binary.
fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// The archive's name and its folder's.
fn archive_name() -> String {
    format!("{PROGRAM}-{VERSION}-{}-linux", std::env::consts::ARCH)
}

/// The static binary that `tests/run` built, twice and with the same bytes.
#[track_caller]
fn static_binary() -> PathBuf {
    let path = std::env::var_os("ACRSCOPED_TEST_BINARY").map(PathBuf::from);
    path.expect(
        "ACRSCOPED_TEST_BINARY is not set: export ACRSCOPED_TEST_BINARY=$(packaging/build-static)",
    )
}

/// What `tests/setup` installs beside Debian's packages.
fn tool(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .expect("a home folder");
    let tool = cache.join("docker-credential-acrscoped-tests").join(name);
    assert!(
        tool.exists(),
        "{} is missing: run tests/setup",
        tool.display()
    );
    tool
}

/// A script of `packaging`.
fn script(name: &str) -> Command {
    let mut command = Command::new(checkout("packaging").join(name));
    command
        .env("ACRSCOPED_REPOSITORY", REPOSITORY)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// A checkout with these two files, which is no git repository.
fn small_checkout(manifest: &str, changelog: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(folder.path().join("packaging/release")).expect("our folder");
    for name in ["packaging/facts", "packaging/release/notes"] {
        install(&checkout(name), &folder.path().join(name));
    }
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("our folder");
    fs::write(folder.path().join("CHANGELOG.md"), changelog).expect("our folder");
    folder
}

const MANIFEST: &str = "[package]\nversion = \"1.2.3\"\ndescription = \"d\"\nlicense = \"MIT\"\n";

fn notes(folder: &TempDir, tag: &str) -> Answer {
    let mut command = Command::new(folder.path().join("packaging/release/notes"));
    command.arg(tag).env("SOURCE_DATE_EPOCH", "0");
    run(command, "", LIMIT)
}

#[test]
fn the_notes_of_a_release_are_its_section_of_the_changelog() {
    let changelog = "# Changelog\n\n## [Unreleased]\n\n- next\n\n## [1.2.3] - 2026-12-24\n\n### Added\n\n- `get`\n\n## [1.2.2] - 2026-12-01\n\n- old\n";
    let answer = notes(&small_checkout(MANIFEST, changelog), "v1.2.3").succeeds();
    assert_eq!(answer.stdout.trim_end(), "### Added\n\n- `get`");
}

#[test]
fn a_tag_of_another_version_or_without_notes_is_no_release() {
    let changelog = "# Changelog\n\n## [1.2.3] - 2026-12-24\n\n- `get`\n";
    for tag in ["v1.2.4", "1.2.3", "v1.2.3-rc.1", "main"] {
        let answer = notes(&small_checkout(MANIFEST, changelog), tag).fails();
        assert_eq!(
            answer.stderr,
            format!(
                "notes: the tag `{tag}` is not `v1.2.3`, which the version of Cargo.toml makes it\n"
            )
        );
        assert_eq!(answer.stdout, "");
    }
    for changelog in [
        "# Changelog\n\n## [Unreleased]\n\n- `get`\n",
        "## [1.2.3] - 2026-12-24\n\n## [1.2.2] - 2026-12-01\n\n- old\n",
    ] {
        let answer = notes(&small_checkout(MANIFEST, changelog), "v1.2.3").fails();
        assert_eq!(
            answer.stderr,
            "notes: CHANGELOG.md has nothing below `## [1.2.3] - DATE`\n"
        );
    }
}

/// What a program or a person would have to change, too, when the version changes.
#[test]
fn the_version_stands_in_one_place() {
    // Pictures are of their day; versions in tests are made up.
    let made = ["Cargo.lock", "CHANGELOG.md", "docs/pictures/", "tests/"];
    let mut git = Command::new("git");
    // Also in a checkout that belongs to another user.
    git.args(["-c", "safe.directory=*", "ls-files", "--cached"])
        .args(["--others", "--exclude-standard"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let files = run(git, "", LIMIT).succeeds().stdout;
    let mut places = Vec::new();
    for name in files
        .lines()
        .filter(|name| !made.iter().any(|made| name.starts_with(made)))
    {
        // What is deleted is listed until it is committed; what is no text holds no version.
        let text = fs::read_to_string(checkout(name)).unwrap_or_default();
        let found = text
            .lines()
            .filter(|line| holds_version(line))
            .map(|line| format!("{name}: {line}"));
        places.extend(found);
    }
    assert_eq!(places, [format!("Cargo.toml: version = \"{VERSION}\"")]);
}

/// Whether the version stands in a line as a whole, and not as a part of a longer one.
fn holds_version(line: &str) -> bool {
    line.match_indices(VERSION).any(|(start, found)| {
        let before = line[..start].chars().next_back();
        let after = line[start + found.len()..].chars().next();
        let continues =
            |sign: Option<char>| sign.is_some_and(|sign| sign.is_ascii_digit() || sign == '.');
        !continues(before) && !continues(after)
    })
}

/// Every script that a workflow names is there, and can be run.
#[test]
fn the_workflows_call_scripts_that_are_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut called = BTreeSet::new();
    for workflow in ["ci.yml", "release.yml"] {
        let text =
            fs::read_to_string(checkout(".github/workflows").join(workflow)).expect("a workflow");
        let words = text.split(|sign: char| sign.is_whitespace() || "\"$();".contains(sign));
        called.extend(
            words
                .filter(|word| word.starts_with("packaging/") || word.starts_with("tests/"))
                .map(str::to_owned),
        );
    }
    for name in &called {
        let permissions = fs::metadata(checkout(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .permissions();
        assert!(permissions.mode() & 0o111 == 0o111, "{name} cannot be run");
    }
    assert!(
        called.contains("packaging/release/assemble") && called.contains("tests/run"),
        "{called:?}"
    );
}

/// A build script of any dependency could take a token, so that jobs that can get one run cargo to upload only, what other jobs
/// have built.
#[test]
fn nothing_is_built_in_a_job_that_can_sign_or_publish() {
    let text = fs::read_to_string(checkout(".github/workflows/release.yml")).expect("a workflow");
    let (_, jobs) = text.split_once("\njobs:\n").expect("jobs");
    let is_name = |line: &str| {
        line.strip_prefix("  ")
            .is_some_and(|name| !name.starts_with([' ', '#']) && name.ends_with(':'))
    };
    let mut trusted = Vec::new();
    let mut is_tried_before = false;
    let lines: Vec<_> = jobs.lines().collect();
    for job in lines.chunk_by(|_, next| !is_name(next)) {
        let has_token = job
            .iter()
            .any(|line| line.contains("id-token: write") || line.contains("secrets."));
        let runs = job
            .iter()
            .filter(|line| line.contains("cargo ") || line.contains("packaging/"));
        let runs: Vec<_> = runs
            .map(|line| line.trim_start_matches([' ', '-']))
            .collect();
        if has_token {
            trusted.extend(runs);
        } else {
            is_tried_before |=
                trusted.is_empty() && runs.contains(&"run: cargo publish --dry-run --locked");
        }
    }
    assert_eq!(trusted, ["run: cargo publish --locked --no-verify"]);
    assert!(
        is_tried_before,
        "no job without a token runs `cargo publish --dry-run --locked` first"
    );
}

#[test]
#[ignore = "needs actionlint, zizmor, check-jsonschema and shellcheck: run tests/run"]
fn workflows_and_scripts_pass_their_linters() {
    let in_checkout = |program: PathBuf, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    };
    let workflows = [".github/workflows/ci.yml", ".github/workflows/release.yml"];
    let schema = in_checkout(
        tool("lint/bin/check-jsonschema"),
        &["--builtin-schema", "vendor.github-workflows"],
    );
    let zizmor = in_checkout(
        tool("lint/bin/zizmor"),
        &["--offline", "--pedantic", "--no-progress"],
    );
    let actionlint = in_checkout(tool("lint/bin/actionlint"), &["-no-color"]);
    for mut linter in [schema, zizmor, actionlint] {
        linter.args(workflows);
        run(linter, "", LIMIT).succeeds();
    }
    let mut git = Command::new("git");
    git.args(["grep", "-lIE", r"^#!.*\b(ba)?sh$|^# shellcheck shell="])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let scripts = run(git, "", LIMIT).succeeds().stdout;
    let scripts: Vec<_> = scripts
        .lines()
        .filter(|name| Path::new(name).extension() != Some("rs".as_ref()))
        .collect();
    assert!(
        scripts.contains(&"packaging/release/assemble"),
        "{scripts:?}"
    );
    let mut shellcheck = in_checkout(
        "shellcheck".into(),
        &["--external-sources", "--severity=warning"],
    );
    shellcheck.args(scripts);
    run(shellcheck, "", LIMIT).succeeds();
}

/// Everything of a release of the static binary, and of stand-ins for what is built elsewhere; made once for all tests.
fn release() -> &'static Path {
    static RELEASE: OnceLock<PathBuf> = OnceLock::new();
    RELEASE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        let _ = fs::remove_dir_all(&folder);
        assemble(&folder)
    })
}

/// Assembles a release below a folder.
fn assemble(folder: &Path) -> PathBuf {
    let windows = "x86_64-pc-windows-msvc";
    for (target, name, binary) in [
        (target().as_str(), PROGRAM, static_binary()),
        (
            windows,
            "docker-credential-acrscoped.exe",
            "/bin/true".into(),
        ),
    ] {
        fs::create_dir_all(folder.join("binaries").join(target)).expect("our folder");
        fs::copy(binary, folder.join("binaries").join(target).join(name)).expect("a binary");
    }
    let mut command = script("release/assemble");
    command
        .arg(folder.join("binaries"))
        .arg(folder.join("files"));
    run(command, "", 3 * LIMIT).succeeds();
    folder.join("files")
}

#[test]
#[ignore = "needs the static binary, cargo-cyclonedx, rpm and zip: run tests/run"]
fn two_releases_of_one_commit_are_the_same_byte_by_byte() {
    let again = tempfile::tempdir().expect("a temporary folder");
    let first = fs::read_to_string(release().join("SHA256SUMS")).expect("checksums");
    let second = fs::read_to_string(assemble(again.path()).join("SHA256SUMS")).expect("checksums");
    assert_eq!(first, second);
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(release());
    let checked = lines(&run(check, "", LIMIT).succeeds().stdout);
    let files = fs::read_dir(release())
        .expect("our folder")
        .map(|file| file.expect("our folder").file_name());
    let files = files
        .map(|name| name.into_string().expect("text"))
        .filter(|name| name != "SHA256SUMS");
    assert_eq!(checked, files.map(|name| format!("{name}: OK")).collect());
}

/// With a stand-in for `gh`, as GitHub is out of reach.
#[test]
#[ignore = "needs the static binary, cargo-cyclonedx, rpm and zip: run tests/run"]
fn the_installer_of_a_release_installs_its_archive() {
    let (home, _) = world();
    fs::remove_file(home.path("bin").join(PROGRAM)).expect("the link");
    home.script("bin/gh", "echo \"$@\" >\"$HOME/asked\"");
    let signed = home.path("download");
    fs::create_dir(&signed).expect("our folder");
    let archive = format!("{}.tar.gz", archive_name());
    for name in ["install.sh", "SHA256SUMS", &archive] {
        fs::copy(release().join(name), signed.join(name)).expect("a file of the release");
    }
    fs::write(signed.join("SHA256SUMS.sigstore.json"), "").expect("our folder");
    let mut install = home.command(signed.join("install.sh"));
    install.current_dir(&signed).args(["--archive", &archive]);
    run(install, "", LIMIT).succeeds();
    let asked = fs::read_to_string(home.path("home/asked")).expect("`gh` was asked");
    let identity = format!(
        r"--cert-identity-regex ^https://github\.com/(?i:{REPOSITORY})/\.github/workflows/release\.yml@refs/tags/v"
    );
    assert!(
        asked.contains(&format!("--repo {REPOSITORY} {identity}")),
        "{asked}"
    );
    let mut installed = home.command(home.path("home/.local/bin").join(PROGRAM));
    installed.arg("version");
    assert!(
        run(installed, "", LIMIT)
            .succeeds()
            .stdout
            .contains(VERSION)
    );
    for file in [
        "man/man1/docker-credential-acrscoped.1.gz",
        "zsh/site-functions/_docker-credential-acrscoped",
    ] {
        assert!(
            home.path("home/.local/share").join(file).is_file(),
            "{file}"
        );
    }
}

#[test]
#[ignore = "needs the static binary, cargo-cyclonedx, rpm and zip: run tests/run"]
fn an_archive_of_windows_holds_a_program_of_windows() {
    let name = format!("{PROGRAM}-{VERSION}-x86_64-windows");
    let mut list = Command::new("python3");
    list.args(["-m", "zipfile", "--list"])
        .arg(release().join(format!("{name}.zip")));
    let listed = run(list, "", LIMIT).succeeds().stdout;
    for file in [
        "bin/docker-credential-acrscoped.exe",
        "share/docker-credential-acrscoped/_docker-credential-acrscoped.ps1",
    ] {
        assert!(listed.contains(&format!("{name}/{file} ")), "{listed}");
    }
}

/// What is linked into the binary, as cargo says, and no more.
#[test]
#[ignore = "needs the static binary, cargo-cyclonedx, rpm and zip: run tests/run"]
fn a_bill_of_materials_lists_what_is_linked_in() {
    for target in [&target(), "x86_64-pc-windows-msvc"] {
        let system = if target.contains("windows") {
            "windows"
        } else {
            "linux"
        };
        let file = release().join(format!(
            "{PROGRAM}-{VERSION}-{}-{system}.cdx.json",
            target.split('-').next().expect("a word")
        ));
        let text = fs::read_to_string(&file).expect("a bill of materials");
        let bill: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let components = bill["components"].as_array().expect("a list");
        let name = |component: &serde_json::Value| {
            assert!(
                component["purl"]
                    .as_str()
                    .expect("an address")
                    .starts_with("pkg:cargo/"),
                "{component}"
            );
            format!(
                "{} v{}",
                component["name"].as_str().expect("text"),
                component["version"].as_str().expect("text")
            )
        };
        let listed: BTreeSet<_> = components.iter().map(name).collect();
        assert_eq!(listed.len(), components.len());
        let mut tree = Command::new(env!("CARGO"));
        tree.args([
            "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}",
            "--target", target,
        ]);
        let tree = run(tree, "", LIMIT).succeeds().stdout;
        let linked = tree
            .lines()
            .map(|line| line.split(" (").next().expect("a word").to_owned());
        let linked: BTreeSet<_> = linked.filter(|line| !line.starts_with(PROGRAM)).collect();
        assert_eq!(listed, linked);
        assert_eq!(bill["metadata"]["component"]["version"], VERSION);
        assert!(!text.contains("file:///"), "where it was made: {text}");
    }
}

/// What a folder holds, hidden files, too.
fn names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder)
        .expect("our folder")
        .map(|file| file.expect("our folder").file_name());
    files
        .map(|name| name.into_string().expect("text"))
        .collect()
}

/// The first target could be packed; there are no releases for the second.
#[test]
fn what_cannot_be_assembled_leaves_no_half_release() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for target in ["aarch64-apple-darwin", "riscv64-unknown-plan9"] {
        let binaries = folder.path().join("binaries").join(target);
        fs::create_dir_all(&binaries).expect("our folder");
        fs::copy("/bin/true", binaries.join(PROGRAM)).expect("a binary");
    }
    let mut command = script("release/assemble");
    command
        .arg(folder.path().join("binaries"))
        .arg(folder.path().join("files"));
    let answer = run(command, "", LIMIT).fails();
    assert_eq!(answer.stdout, "", "{answer:#?}");
    assert_eq!(names(folder.path()), lines("binaries"), "{answer:#?}");
}

#[test]
fn assemble_says_what_is_wrong_with_its_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(folder.path().join("empty")).expect("our folder");
    for (words, code, sentence) in [
        (
            &["empty"][..],
            2,
            "assemble: it takes two folders, BINARIES and OUT",
        ),
        (
            &["empty", "out", "more"],
            2,
            "assemble: it takes two folders, BINARIES and OUT",
        ),
        (&["--out", "out"], 2, "assemble: unknown option `--out`"),
        (
            &["missing", "out"],
            1,
            "assemble: there is no folder missing",
        ),
        (
            &["empty", "out"],
            1,
            "assemble: empty holds no folder of a Rust target, such as x86_64-unknown-linux-musl",
        ),
        (&["empty", "empty"], 1, "assemble: empty is there already"),
        (
            &["empty", "missing/out"],
            1,
            "assemble: there is no folder missing for out",
        ),
    ] {
        let mut command = script("release/assemble");
        // Git tells the date of a commit to the checkout's owner only.
        command
            .args(words)
            .current_dir(folder.path())
            .env("SOURCE_DATE_EPOCH", "0");
        let answer = run(command, "", LIMIT);
        assert_eq!(answer.status.code(), Some(code), "{answer:#?}");
        let hint = format!(
            "hint: `{} --help` explains it\n",
            checkout("packaging/release/assemble").display()
        );
        assert_eq!(
            answer.stderr,
            format!("{sentence}\n{}", if code == 2 { &hint } else { "" })
        );
        assert_eq!(names(folder.path()), lines("empty"));
    }
    let mut command = script("release/assemble");
    command
        .args(["empty", "out"])
        .env_remove("ACRSCOPED_REPOSITORY")
        .env("SOURCE_DATE_EPOCH", "0")
        .current_dir(folder.path());
    let answer = run(command, "", LIMIT).fails();
    assert_eq!(
        answer.stderr,
        "assemble: set ACRSCOPED_REPOSITORY to OWNER/NAME\n"
    );
}

#[test]
fn a_manifest_without_a_version_makes_no_release() {
    let manifest = MANIFEST.replace("version", "edition");
    let answer = notes(&small_checkout(&manifest, ""), "v1.2.3").fails();
    assert_eq!(answer.stderr, "notes: Cargo.toml has no `version`\n");
}

/// Wherever they lie: of these scripts, nothing else is needed.
#[test]
fn the_scripts_of_a_release_explain_themselves() {
    for (name, words) in [
        (
            "release/assemble",
            &[
                "BINARIES OUT",
                "SHA256SUMS",
                "ACRSCOPED_REPOSITORY=",
                "cargo-cyclonedx",
            ][..],
        ),
        ("release/archive", &["BINARY OUT TARGET"]),
        ("release/notes", &["TAG"]),
        ("release/sbom", &["OUT TARGET", "--install FOLDER"]),
        (
            "build-static",
            &[
                "--target TRIPLE",
                "--target-dir DIR",
                "--missing",
                "musl-tools",
            ],
        ),
        ("build-packages", &["BINARY OUT [TARGET]"]),
        ("manifests", &["RELEASE OUT"]),
        ("stage", &["BINARY DIR [TARGET]"]),
    ] {
        let mut command = script(name);
        command.arg("--help").env_remove("ACRSCOPED_REPOSITORY");
        let answer = run(command, "", LIMIT).succeeds();
        assert_eq!(answer.stderr, "");
        assert!(
            answer.stdout.contains(&format!("usage: packaging/{name}"))
                && !answer.stdout.contains('#'),
            "{answer:#?}"
        );
        for word in words {
            assert!(answer.stdout.contains(word), "no {word} in {answer:#?}");
        }
    }
}

/// A folder for `PATH` with links to what is named.
fn path_of(programs: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in programs {
        let place = ["/usr/bin", "/bin"]
            .map(|place| Path::new(place).join(name))
            .into_iter()
            .find(|place| place.exists());
        std::os::unix::fs::symlink(place.expect(name), folder.path().join(name))
            .expect("a new link");
    }
    folder
}

#[test]
fn the_scripts_of_a_release_name_the_package_of_a_program_that_is_missing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tools = path_of(&["bash", "dirname", "awk"]);
    for (name, words, program, package) in [
        (
            "release/archive",
            &["/bin/true", "out", "x86_64-pc-windows-msvc"][..],
            "zip",
            "zip",
        ),
        (
            "release/sbom",
            &["out", "x86_64-pc-windows-msvc"],
            "jq",
            "jq",
        ),
        ("build-packages", &["/bin/true", "out"], "dpkg-deb", "dpkg"),
        ("stage", &["/bin/true", "out"], "python3", "python3"),
    ] {
        let mut command = script(name);
        command
            .args(words)
            .current_dir(folder.path())
            .env("PATH", tools.path())
            .env("SOURCE_DATE_EPOCH", "0");
        let answer = run(command, "", LIMIT).fails();
        let script = name.rsplit('/').next().expect("a word");
        assert_eq!(
            answer.stderr,
            format!("{script}: `{program}` is not on PATH: apt-get install {package}\n")
        );
        assert_eq!(names(folder.path()), BTreeSet::new());
    }
}

#[test]
fn build_static_says_what_is_wrong_with_its_words_and_what_is_missing() {
    let explained = "`packaging/build-static --help` lists the options";
    let musl = target();
    let other = if musl.starts_with("x86_64") {
        "aarch64-unknown-linux-musl"
    } else {
        "x86_64-unknown-linux-musl"
    };
    let of_macos = format!("`x86_64-apple-darwin` is no target of musl's, as {musl} is");
    let elsewhere = format!(
        "`{other}` cannot be built here: musl-gcc compiles for {} alone",
        std::env::consts::ARCH
    );
    for (words, code, sentence, hint) in [
        (
            &["--release"][..],
            2,
            "unknown option `--release`",
            explained,
        ),
        (&["--target"], 2, "`--target` needs a value", explained),
        (&["--target", ""], 2, "`--target` needs a value", explained),
        (
            &["--target-dir"],
            2,
            "`--target-dir` needs a value",
            explained,
        ),
        (
            &["--target", "x86_64-apple-darwin"],
            2,
            &of_macos,
            explained,
        ),
        (
            &["--target", other],
            1,
            &elsewhere,
            "run it on a machine of that processor",
        ),
        (
            &[],
            1,
            "`musl-gcc` is not on PATH",
            "apt-get install musl-tools",
        ),
    ] {
        let tools = path_of(&["bash", "dirname", "uname"]);
        let mut command = script("build-static");
        command.args(words).env("PATH", tools.path());
        let answer = run(command, "", LIMIT);
        assert_eq!(answer.status.code(), Some(code), "{answer:#?}");
        assert_eq!(
            answer.stderr,
            format!("build-static: {sentence}\nhint: {hint}\n")
        );
        assert_eq!(answer.stdout, "");
    }
}

/// Alone with a CA in a root that holds nothing else: no shared library, no resolver's configuration, no /dev, no home.
#[test]
#[ignore = "needs root and the static binary: run tests/run"]
fn the_static_binary_signs_in_from_an_empty_root() {
    let (home, simulator) = world();
    let root = home.path("root");
    fs::create_dir(&root).expect("our folder");
    home.install(&static_binary(), "root/helper");
    fs::copy(simulator.ca_file(), root.join("ca.pem")).expect("our folder");
    let mut command = home.command("chroot");
    support::identify(support::connect(&mut command, &simulator), &simulator);
    command.env_remove("HOME").env_remove("XDG_RUNTIME_DIR");
    command
        .env("SSL_CERT_FILE", "/ca.pem")
        .arg(&root)
        .args(["/helper", "get"]);
    let answer = run(command, REGISTRY, LIMIT);
    let secret = answer.secret();
    assert!(!secret.is_empty());
    assert_eq!(answer.json()["ServerURL"], REGISTRY);
}

#[test]
#[ignore = "needs the static binary: run tests/run"]
fn the_static_binary_is_small_and_does_not_tell_where_it_was_built() {
    let binary = fs::read(static_binary()).expect("the static binary");
    assert!(binary.len() <= 5_000_000, "{} bytes", binary.len());
    let home = std::env::var("HOME").expect("a home");
    for path in [env!("CARGO_MANIFEST_DIR"), &format!("{home}/")] {
        assert!(
            !binary
                .windows(path.len())
                .any(|window| window == path.as_bytes()),
            "it holds {path}"
        );
    }
}

/// As `cargo publish` does it: from what `include` of Cargo.toml lists, and nothing else.
#[test]
#[ignore = "needs the package registry: run tests/run"]
fn the_crate_builds_from_what_is_published() {
    let mut publish = Command::new(env!("CARGO"));
    publish.args([
        "publish",
        "--dry-run",
        "--locked",
        "--allow-dirty",
        "--package",
        PROGRAM,
    ]);
    publish.current_dir(env!("CARGO_MANIFEST_DIR"));
    run(publish, "", Duration::from_secs(900)).succeeds();
}
