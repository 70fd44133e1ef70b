//! Finds and starts the program that opens a browser on this machine.

use crate::commands::report::list;
use crate::config::Variables;
use crate::program;
use crate::trust;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A command that fails within this time has not opened a browser.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A program that opens an address, which is its last argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BrowserCommand {
    program: PathBuf,
    args: &'static [&'static str],
}

/// The programs that open the default browser, and their first arguments.
const DEFAULT_COMMANDS: &[(&str, &[&str])] = if cfg!(windows) {
    &[("rundll32.exe", &["url.dll,FileProtocolHandler"])]
} else if cfg!(target_os = "macos") {
    &[("open", &[])]
} else {
    &[("wslview", &[]), ("xdg-open", &[])]
};

/// Returns the program that opens a browser, or the reason why there is none.
///
/// `BROWSER` comes before all other signs: editors set it in terminals on remote machines, and then open the browser on the user's machine.
pub(super) fn find(variables: &Variables, path: &[PathBuf]) -> Result<BrowserCommand, String> {
    let value = |name: &str| {
        let value = variables.get(name)?.to_str()?;
        (!value.is_empty()).then_some(value)
    };
    let first_set = |names: &[&'static str]| names.iter().copied().find(|n| value(n).is_some());
    if let Some(command) = value("BROWSER").and_then(|list| from_variable(list, path)) {
        return Ok(command);
    }
    if let Some(name) = first_set(&["SSH_CONNECTION", "SSH_TTY"]) {
        return Err(format!("this is a session over SSH (`{name}` is set)"));
    }
    let has_display = first_set(&["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]).is_some();
    if cfg!(target_os = "linux") && !has_display {
        return Err("there is no desktop (neither `DISPLAY` nor `WAYLAND_DISPLAY` is set)".into());
    }
    let found = DEFAULT_COMMANDS.iter().find_map(|(name, args)| {
        let program = program::find(name, path)?;
        Some(BrowserCommand { program, args })
    });
    found.ok_or_else(|| {
        let names = list(DEFAULT_COMMANDS.iter().map(|(name, _)| name));
        format!("no program that opens one is in an absolute folder of `PATH`: {names}")
    })
}

/// Returns the first usable program of `BROWSER`, which is a list (`sensible-browser(1)`) of names and of trusted paths.
fn from_variable(list: &str, path: &[PathBuf]) -> Option<BrowserCommand> {
    let directory = trust::working_directory();
    let separator = if cfg!(windows) { ';' } else { ':' };
    list.split(separator).find_map(|entry| {
        let mut words = entry.split_whitespace();
        let file = Path::new(words.next()?);
        // Other arguments could be any command, as in `sh -c`.
        if !words.all(|word| word == "%s") {
            return None;
        }
        let program = if file.is_absolute() {
            let real = trust::resolve_named(file, directory.as_deref()).ok()?;
            real.is_file().then(|| file.to_owned())
        } else {
            program::find(file.to_str()?, path)
        };
        let args = &[];
        program.map(|program| BrowserCommand { program, args })
    })
}

impl BrowserCommand {
    /// Opens the address and returns the reason if that fails. Otherwise it does not return: a browser may run for hours, so that only an early
    /// failure shows that it did not open.
    ///
    /// Other users can read the address in the list of processes, which is why `peer.rs` checks who sends the response.
    pub(super) async fn open(&self, address: &str) -> String {
        let name = format!("`{}`", self.program.display());
        let args: Vec<OsString> = self.args.iter().chain([&address]).map(Into::into).collect();
        let mut child = match program::spawn_detached(self.program.as_os_str(), &args) {
            Ok(child) => child,
            Err(error) => return format!("{name}: {error}"),
        };
        match tokio::time::timeout(START_TIMEOUT, child.wait()).await {
            Ok(Ok(status)) if !status.success() => format!("{name} did not open one"),
            _ => std::future::pending().await,
        }
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_opens_only_where_the_user_can_see_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["xdg-open", "lynx"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let find = |rows: &[(&str, &str)], path: &[PathBuf]| {
            let variables = rows
                .iter()
                .map(|(name, value)| ((*name).into(), value.into()))
                .collect();
            super::find(&variables, path)
        };
        let here = [folder.path().to_owned()];
        let command = |name: &str| BrowserCommand {
            program: folder.path().join(name),
            args: &[],
        };
        let (display, ssh) = (
            ("DISPLAY", ":0"),
            ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22"),
        );
        assert_eq!(find(&[display], &here), Ok(command("xdg-open")));
        assert_eq!(
            find(&[ssh, ("BROWSER", "none:lynx -x %s:lynx %s")], &here),
            Ok(command("lynx"))
        );
        assert!(
            find(&[("BROWSER", "/proc/self/cwd/lynx:lynx -x")], &here)
                .unwrap_err()
                .contains("`DISPLAY`")
        );
        assert!(find(&[ssh, display], &here).unwrap_err().contains("SSH"));
        assert!(
            find(&[("BROWSER", "none")], &here)
                .unwrap_err()
                .contains("`DISPLAY`")
        );
        assert!(find(&[display], &[]).unwrap_err().contains("xdg-open"));
    }
}
