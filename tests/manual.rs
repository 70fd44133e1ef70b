//! The man pages and the completions of shells, as packages get them from the program.

use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Noon of 2026-12-01.
const DATE: &str = "1796126400";

fn generate(folder: &Path) {
    let output = program(&["generate", folder.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{output:?}");
}

/// Runs the program without an environment.
fn program(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_docker-credential-acrscoped"))
        .args(words)
        .env_clear()
        .env("SOURCE_DATE_EPOCH", DATE)
        .output()
        .expect("the program")
}

/// Returns the files of a folder with their names, in the order of the names.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let text = std::fs::read_to_string(entry.path()).expect("text");
            (entry.file_name().into_string().expect("UTF-8"), text)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_page_has_its_sections_and_lines_that_fit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    generate(folder.path());
    let pages = files(&folder.path().join("man"));
    assert!(
        pages
            .iter()
            .any(|(name, _)| *name == format!("{PROGRAM}.1"))
    );
    assert!(pages.len() > 12, "{}", pages.len());
    for (name, page) in &pages {
        let title = name.strip_suffix(".1").expect("section 1").to_uppercase();
        let title = title.trim_start_matches("DOCKER-CREDENTIAL-");
        // The header has it twice, with `(1)`, around "User Commands".
        assert!(title.len() <= 24, "{title}");
        let version = env!("CARGO_PKG_VERSION");
        let heading =
            format!(".TH {title} 1 2026-12-01 \"{PROGRAM} {version}\" \"User Commands\"\n");
        assert!(page.starts_with(&heading), "{name}: {page}");
        let is_program = *name == format!("{PROGRAM}.1");
        let mut sections = vec!["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"];
        sections.extend(["EXIT STATUS", "SEE ALSO"]);
        if is_program {
            sections.extend(["COMMANDS", "SETTINGS", "ENVIRONMENT", "FILES"]);
        }
        for section in sections {
            let heading = format!("\n.SH {section}\n");
            assert_eq!(page.matches(&heading).count(), 1, "{name}: {section}");
        }
        assert!(!page.contains('`'), "{name}");
        assert!(!page.contains("]..."), "{name}");
        // A terminal breaks other lines itself. These are indented by seven columns.
        for block in page.split("\n.nf\n").skip(1) {
            let literal = block.split("\n.fi\n").next().unwrap_or_default();
            let literal = literal.replace("\\-", "-").replace("\\e", "\\");
            let long = literal.lines().find(|line| line.chars().count() > 73);
            assert_eq!(long, None, "{name}");
        }
    }
}

/// mandoc warns of what a terminal would draw wrongly.
#[test]
fn mandoc_has_no_complaint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    generate(folder.path());
    for (name, _) in files(&folder.path().join("man")) {
        let page = folder.path().join("man").join(&name);
        let lint = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .arg(page)
            .output();
        let Ok(lint) = lint else { return };
        let complaints = String::from_utf8_lossy(&lint.stdout);
        assert!(
            lint.status.success() && complaints.is_empty(),
            "{complaints}"
        );
    }
}

/// Packages are built twice and compared.
#[test]
fn two_builds_write_the_same_files() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    for folder in &folders {
        generate(folder.path());
    }
    for kind in ["man", "completions"] {
        let [one, two] = folders
            .each_ref()
            .map(|folder| files(&folder.path().join(kind)));
        assert_eq!(one, two);
    }
}

#[test]
fn completion_prints_what_packages_install() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    generate(folder.path());
    for (shell, file) in [
        ("bash", PROGRAM.to_owned()),
        ("zsh", format!("_{PROGRAM}")),
        ("fish", format!("{PROGRAM}.fish")),
        ("powershell", format!("_{PROGRAM}.ps1")),
    ] {
        let file = folder.path().join("completions").join(file);
        let installed = std::fs::read_to_string(file).expect("a script");
        let printed = program(&["completion", shell]);
        assert!(
            printed.status.success() && printed.stdout == installed.as_bytes(),
            "{shell}"
        );
    }
    assert!(
        program(&["completion", "elvish"])
            .stdout
            .starts_with(b"\nuse builtin;")
    );
    assert!(!program(&["completion", "tcsh"]).status.success());
}

/// Returns what bash offers after these words, when the last one is completed.
fn offered(words: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source <(\"$0\" completion bash); COMP_WORDS=({PROGRAM} {}); COMP_CWORD={}; \
         _docker__credential__acrscoped {PROGRAM} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len()
    );
    let output = Command::new("bash")
        .args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_docker-credential-acrscoped"),
        ])
        .output()
        .expect("bash");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(offered(&["stat"]), ["status"]);
    assert_eq!(
        offered(&["token", "--format", ""]),
        ["json", "env", "github-actions", "raw"]
    );
    assert_eq!(offered(&["configure", "--dry"]), ["--dry-run"]);
    assert_eq!(offered(&["completion", "ba"]), ["bash"]);
    assert_eq!(offered(&["config", "set", "time"]), ["timeout"]);
    assert_eq!(
        offered(&["config", "set", "source", "managed"]),
        ["managed-identity"]
    );
    assert_eq!(offered(&["help", "sett"]), ["settings"]);
    assert_eq!(offered(&["config", "list", "--js"]), ["--json"]);
}

/// People do not type what packages and container clients call.
#[test]
fn only_commands_for_people_are_completed() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = program(&["completion", shell]).stdout;
        let script = String::from_utf8(script).expect("UTF-8");
        for name in ["generate", "erase"] {
            assert!(!script.contains(name), "{shell}: {name}");
        }
        assert!(script.contains("logout"), "{shell}");
    }
    assert_eq!([offered(&["sto"]), offered(&["kub"])], [[""], [""]]);
}
