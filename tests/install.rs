//! `install.sh` with release archives that the tests make: nothing is built, and nothing of the user is touched.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PROGRAM: &str = "docker-credential-acrscoped";

/// Somebody's machine: a home, and a folder with a downloaded release.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("install test ").tempdir().expect("a temporary folder");
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

    /// A release archive whose program prints this version, with its checksum beside it.
    fn release(&self, version: &str) -> PathBuf {
        self.program(version);
        self.pack(&[&format!("release/{PROGRAM}")])
    }

    fn program(&self, version: &str) {
        let program = self.write(&format!("release/{PROGRAM}"), &format!("#!/bin/sh\necho '{PROGRAM} v{version}'\n"));
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("our file");
    }

    /// An archive of these names as they are, with its checksum beside it.
    fn pack(&self, names: &[&str]) -> PathBuf {
        let archive = self.path("archive.tar.gz");
        let packed =
            Command::new("tar").current_dir(self.path("home")).arg("-czPf").arg(&archive).arg("-C..").args(names).output();
        let packed = packed.expect("tar");
        assert!(packed.status.success(), "{packed:?}");
        self.write("archive.tar.gz.sha256", &format!("{}  archive.tar.gz\n", sha256(&archive)));
        archive
    }

    /// `install.sh`, knowing this machine only.
    fn script(&self) -> Command {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("home/.local/bin").display());
        command.env_clear().env("PATH", path).env("HOME", self.path("home")).current_dir(self.path("home"));
        command
    }

    fn install(&self, words: &[&str]) -> Output {
        self.script().args(words).output().expect("install.sh")
    }

    fn install_archive(&self, archive: &Path) -> Output {
        self.script().arg("--archive").arg(archive).output().expect("install.sh")
    }

    fn installed(&self) -> PathBuf {
        self.path("home/.local/bin").join(PROGRAM)
    }

    /// Fails if the script has put anything into the home.
    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(fs::read_dir(self.path("home")).expect("our folder").count(), 0);
    }
}

fn sha256(file: &Path) -> String {
    use std::fmt::Write as _;
    let content = fs::read(file).expect("our file");
    let digest = ring::digest::digest(&ring::digest::SHA256, &content);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
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
    let output = machine.install_archive(&archive);
    let text = said(&output);
    assert_says(&text, &format!("SHA-256 {}", sha256(&archive)));
    assert_says(&text, &format!("Installed {}, v1.0.0", machine.installed().display()));
    assert_says(&text, &format!("{PROGRAM} configure contoso.azurecr.io"));
    assert!(output.stderr.is_empty(), "{output:?}");
    let mode = fs::metadata(machine.installed()).expect("installed").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    assert_eq!(fs::read_dir(machine.path("home/.local/bin")).expect("made").count(), 1, "something else was left there");
}

#[test]
fn a_second_run_says_that_nothing_is_new_and_a_new_release_replaces_the_old_one() {
    let machine = Machine::new();
    said(&machine.install_archive(&machine.release("1.0.0")));
    assert_says(
        &said(&machine.install_archive(&machine.release("1.0.0"))),
        "is already this version: docker-credential-acrscoped v1.0.0",
    );
    assert_says(&said(&machine.install_archive(&machine.release("1.1.0"))), "v1.1.0");
    let version = Command::new(machine.installed()).output().expect("installed");
    assert_says(&said(&version), "v1.1.0");
}

#[test]
fn an_archive_that_differs_from_its_checksum_is_refused() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    machine.write("archive.tar.gz.sha256", &format!("{}  archive.tar.gz\n", "0".repeat(64)));
    let text = complained(&machine.install_archive(&archive), 1);
    assert_says(&text, &sha256(&archive));
    assert_says(&text, "nothing was installed");
    machine.assert_untouched();
}

#[test]
fn an_archive_without_a_checksum_is_refused() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    fs::remove_file(machine.path("archive.tar.gz.sha256")).expect("our file");
    assert_says(&complained(&machine.install_archive(&archive), 1), "so it cannot be verified");
    machine.write("archive.tar.gz.sha256", "not a checksum\n");
    assert_says(&complained(&machine.install_archive(&archive), 1), "holds no SHA-256 of archive.tar.gz");
    machine.assert_untouched();
}

#[test]
fn the_checksum_may_be_one_of_a_whole_release() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let sums = format!("{0}  other.tar.gz\n{1} *archive.tar.gz\n", "0".repeat(64), sha256(&archive).to_uppercase());
    let sums = machine.write("SHA256SUMS", &sums);
    fs::remove_file(machine.path("archive.tar.gz.sha256")).expect("our file");
    said(&machine.script().arg("--archive").arg(&archive).arg("--checksum").arg(&sums).output().expect("install.sh"));
    let sums = machine.write("SHA256SUMS", &format!("{0}  other.tar.gz\n{0}  third.tar.gz\n", sha256(&archive)));
    let output = machine.script().arg("--archive").arg(&archive).arg("--checksum").arg(&sums).output().expect("install.sh");
    assert_says(&complained(&output, 1), "holds no SHA-256 of archive.tar.gz");
}

#[test]
fn an_archive_with_names_that_point_outside_is_refused() {
    let machine = Machine::new();
    machine.program("1.0.0");
    let absolute = machine.path("release").join(PROGRAM);
    for name in [&format!("home/../release/{PROGRAM}"), absolute.to_str().expect("text")] {
        let archive = machine.pack(&[name]);
        assert_says(&complained(&machine.install_archive(&archive), 1), "holds a name that points outside of it");
    }
    machine.assert_untouched();
}

#[test]
fn an_archive_that_does_not_hold_one_plain_program_is_refused() {
    let machine = Machine::new();
    machine.write("release/README.md", "text");
    let archive = machine.pack(&["release/README.md"]);
    assert_says(&complained(&machine.install_archive(&archive), 1), "does not hold docker-credential-acrscoped");
    std::os::unix::fs::symlink("/bin/sh", machine.path("release").join(PROGRAM)).expect("a new link");
    let archive = machine.pack(&[&format!("release/{PROGRAM}")]);
    assert_says(&complained(&machine.install_archive(&archive), 1), "is empty or no plain file");
    machine.write(&format!("other/{PROGRAM}"), "");
    let archive = machine.pack(&["release", "other"]);
    assert_says(&complained(&machine.install_archive(&archive), 1), "more than once");
    fs::write(&archive, "not an archive").expect("our file");
    machine.write("archive.tar.gz.sha256", &sha256(&archive));
    assert_says(&complained(&machine.install_archive(&archive), 1), "is no .tar.gz archive");
    machine.assert_untouched();
}

#[test]
fn a_program_that_does_not_run_here_replaces_nothing() {
    let machine = Machine::new();
    said(&machine.install_archive(&machine.release("1.0.0")));
    fs::write(machine.path("release").join(PROGRAM), "#!/bin/sh\nexit 1\n").expect("our file");
    let archive = machine.pack(&[&format!("release/{PROGRAM}")]);
    assert_says(&complained(&machine.install_archive(&archive), 1), "does not run on this machine");
    assert_says(&said(&Command::new(machine.installed()).output().expect("installed")), "v1.0.0");
    assert_eq!(fs::read_dir(machine.path("home/.local/bin")).expect("made").count(), 1, "something else was left there");
}

#[test]
fn a_prefix_takes_the_place_of_the_home_and_a_folder_off_the_path_is_pointed_out() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let output = machine.script().arg("--archive").arg(&archive).args(["--prefix", "its own"]).output().expect("install.sh");
    said(&output);
    let folder = machine.path("home/its own/bin");
    assert!(folder.join(PROGRAM).exists());
    assert_says(
        &complained(&output, 0),
        &format!("hint: add to ~/.profile, and sign in again: export PATH=\"{}:$PATH\"", folder.display()),
    );
}

#[test]
fn without_a_home_a_prefix_is_asked_for() {
    let machine = Machine::new();
    let archive = machine.release("1.0.0");
    let output = machine.script().env_remove("HOME").arg("--archive").arg(&archive).output().expect("install.sh");
    assert_says(&complained(&output, 1), "`HOME` is not set");
    assert_says(&complained(&output, 1), "`--prefix DIR`");
    let prefix = machine.path("prefix");
    let output = machine.script().env_remove("HOME").arg("--archive").arg(&archive).arg("--prefix").arg(&prefix).output();
    said(&output.expect("install.sh"));
    assert!(prefix.join("bin").join(PROGRAM).exists());
}

#[test]
fn configuration_files_are_read_and_never_changed() {
    let machine = Machine::new();
    let content = r#"{"credHelpers": {"contoso.azurecr.io": "acrscoped"}}"#;
    let docker = machine.write("home/.docker/config.json", content);
    let containers = machine.write("home/.config/containers/auth.json", "{}");
    let text = said(&machine.install_archive(&machine.release("1.0.0")));
    assert_says(&text, &format!("{} already names acrscoped", docker.display()));
    assert_says(&text, &format!("{} exists and does not name acrscoped yet", containers.display()));
    let text = said(&machine.install(&["--uninstall"]));
    assert_says(&text, &format!("Removed {}", machine.installed().display()));
    assert_says(&text, &docker.display().to_string());
    assert_says(&text, content);
    assert!(!machine.installed().exists());
    assert_eq!(fs::read_to_string(docker).expect("ours"), content);
    assert_eq!(fs::read_to_string(containers).expect("ours"), "{}");
}

/// A checkout is built by a `cargo` that has it ready.
#[test]
fn a_checkout_brings_manual_pages_and_completions_and_takes_them_away_again() {
    let machine = Machine::new();
    machine.program("1.0.0");
    let message =
        format!(r#"{{"target":{{"kind":["bin"]}},"executable":"{}"}}"#, machine.path("release").join(PROGRAM).display());
    let cargo = machine.write("tools/cargo", &format!("#!/bin/sh\necho '{message}'\n"));
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("our file");
    let path = format!("{}:/usr/bin:/bin", machine.path("tools").display());
    let output = machine.script().env("PATH", path).output().expect("install.sh");
    said(&output);
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
fn nobody_is_left_signed_in_without_the_program_that_could_forget_it() {
    let machine = Machine::new();
    said(&machine.install_archive(&machine.release("1.0.0")));
    let logins =
        machine.write(&format!("home/.local/state/{PROGRAM}/logins.json"), r#"[{"authority":"https://login.example/"}]"#);
    let text = complained(&machine.install(&["--uninstall"]), 1);
    assert_says(&text, &format!("first `{PROGRAM} logout --all`"));
    assert!(machine.installed().exists());
    fs::remove_file(logins).expect("our file");
    said(&machine.install(&["--uninstall"]));
    assert!(!machine.installed().exists());
}

#[test]
fn uninstalling_what_is_not_there_is_fine() {
    let machine = Machine::new();
    assert_says(&said(&machine.install(&["--uninstall"])), "nothing was removed");
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
        (&["--checksum", "file"], "`--checksum` belongs to `--archive`"),
        (&["--uninstall", "--demo"], "`--uninstall` goes with no option but `--prefix`"),
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
    for option in ["--prefix", "--archive", "--checksum", "--demo", "--uninstall", "--help"] {
        assert_says(&text, option);
    }
    machine.assert_untouched();
}
