//! The browser of this desktop: whether there is one, and the program that opens it.

use crate::config::Variables;
use crate::program;
use crate::trust;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tokio::process::Child;

/// A program that shows an address to somebody.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opener {
    program: PathBuf,
    /// In which `%s` stands for the address; it is the last where none does.
    args: Vec<String>,
}

/// The programs that open the browser of a desktop, and their arguments.
const OPENERS: &[(&str, &[&str])] = if cfg!(windows) {
    &[("rundll32.exe", &["url.dll,FileProtocolHandler"])]
} else if cfg!(target_os = "macos") {
    &[("open", &[])]
} else {
    &[("wslview", &[]), ("xdg-open", &[])]
};

/// The program that opens a browser, or why there is none. `BROWSER` says that there is one, whatever else looks otherwise: editors set
/// it for the terminals of remote machines, and open the browser at their end.
pub(super) fn find(variables: &Variables, path: &[PathBuf]) -> Result<Opener, String> {
    let set = |name: &str| {
        variables
            .get(name)
            .and_then(|value| value.to_str())
            .filter(|value| !value.is_empty())
    };
    if let Some(opener) = set("BROWSER").and_then(|browsers| of_variable(browsers, path)) {
        return Ok(opener);
    }
    if let Some(name) = ["SSH_CONNECTION", "SSH_TTY"]
        .into_iter()
        .find(|name| set(name).is_some())
    {
        return Err(format!("this is a session over SSH (`{name}` is set)"));
    }
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]
        .into_iter()
        .any(|name| set(name).is_some());
    if cfg!(target_os = "linux") && !has_display {
        return Err("there is no desktop (neither `DISPLAY` nor `WAYLAND_DISPLAY` is set)".into());
    }
    let found = OPENERS.iter().find_map(|(name, args)| {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Some(Opener {
            program: program::find(name, path)?,
            args,
        })
    });
    let names = || {
        OPENERS
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(" nor ")
    };
    found.ok_or_else(|| format!("no {} is in an absolute folder of `PATH`", names()))
}

/// The first of the browsers in `BROWSER` that is there: a list of programs with colons between them (`sensible-browser(1)`), each by its name or
/// by a path that is trusted.
fn of_variable(browsers: &str, path: &[PathBuf]) -> Option<Opener> {
    let directory = trust::working_directory();
    browsers
        .split(if cfg!(windows) { ';' } else { ':' })
        .find_map(|browser| {
            let mut words = browser.split_whitespace();
            let name = words.next()?;
            let program = match Path::new(name) {
                absolute if absolute.is_absolute() => {
                    let is_trusted = trust::resolve_named(absolute, directory.as_deref())
                        .is_ok_and(|file| file.is_file());
                    is_trusted.then(|| absolute.to_owned())
                }
                _ => program::find(name, path),
            };
            let args: Vec<String> = words.map(str::to_owned).collect();
            // Further words could be a command of anybody's, as in `sh -c`.
            args.iter().all(|arg| arg == "%s").then_some(Opener {
                program: program?,
                args,
            })
        })
}

impl Opener {
    /// Shows the address. Others can read it among the arguments of the program, with the state in it: it is no secret, and whoever
    /// brings it back must be of this user, too (`peer.rs`).
    pub(super) fn open(&self, address: &str) -> io::Result<Child> {
        let mut args: Vec<OsString> = self
            .args
            .iter()
            .map(|arg| arg.replace("%s", address).into())
            .collect();
        if !self.args.iter().any(|arg| arg.contains("%s")) {
            args.push(address.into());
        }
        program::spawn_detached(self.program.as_os_str(), &args)
    }
}

impl fmt::Display for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.program.display())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_looked_for_where_somebody_would_see_it() {
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
        let opener = |name: &str, args: &[&str]| Opener {
            program: folder.path().join(name),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        };
        let (display, ssh) = (
            ("DISPLAY", ":0"),
            ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22"),
        );
        assert_eq!(find(&[display], &here), Ok(opener("xdg-open", &[])));
        assert_eq!(
            find(&[ssh, ("BROWSER", "none:lynx -x %s:lynx %s")], &here),
            Ok(opener("lynx", &["%s"]))
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
        assert!(find(&[display], &[]).unwrap_err().contains("`xdg-open`"));
    }
}
