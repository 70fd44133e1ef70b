//! The program: what it prints, what it writes, and how it ends.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

/// A running program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    /// Starts it and reads what it prints, up to the address.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
        let mut program = Self(
            command
                .args(arguments)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let mut line = String::new();
        BufReader::new(program.0.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let origin = line
            .trim_end()
            .strip_prefix("simulator ready at ")
            .unwrap()
            .to_owned();
        (program, origin)
    }

    /// Asks it to end as `kill` does, and returns its exit status and what it wrote to stderr.
    fn terminate(mut self) -> (Option<i32>, String) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        let mut text = String::new();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        (self.0.wait().unwrap().code(), text)
    }
}

#[test]
fn it_leads_a_client_here_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let (program, origin) = Program::start(&["--folder", folder.path().to_str().unwrap()]);
    let env = folder.path().join("env");
    let text = std::fs::read_to_string(&env).unwrap();
    assert!(
        text.contains(&format!("export HTTPS_PROXY={origin}\n")),
        "{text}"
    );
    assert_eq!(
        std::fs::metadata(&env).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let script = format!(". {} && printf %s \"$AZURE_CLIENT_SECRET\"", env.display());
    let secret = Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap()
        .stdout;
    assert_eq!(secret.len(), 40);
    let (status, stderr) = program.terminate();
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(
        folder.path().join("ca.pem").exists(),
        "a folder that was named is kept"
    );
}

#[test]
fn it_says_what_is_wrong_with_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.json");
    std::fs::write(&settings, r#"{"clock_scew": 1}"#).unwrap();
    let settings = settings.to_str().unwrap();
    for (arguments, word) in [
        (vec!["--settings", settings], "clock_scew"),
        (vec!["--settings", "/nowhere"], "/nowhere"),
        (vec!["--listen", "0.0.0.0:0"], "not a loopback address"),
        (vec!["--backend", "contoso.azurecr.io"], "HOST=URL"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_simulator"))
            .args(&arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && text.contains(word),
            "{arguments:?}: {text}"
        );
    }
}
