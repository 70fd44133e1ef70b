//! Programs that we call: how they are found, run and ended.

use crate::config::SECRETS;
use crate::error::Error;
use crate::trust;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tracing::debug;

/// A token and what surrounds it; an error of `az` can be a long traceback.
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// How long output is still waited for once the program itself has ended: something that it started may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The ends of names that Windows takes for programs, in the order of its `PATHEXT`. What users add there are scripts, which do not start
/// by themselves.
const ENDINGS: &[&str] = &[".com", ".exe", ".bat", ".cmd"];

/// What `az` and `azd` get of the environment, beside `LC_*` and trusted [`CERTIFICATES`]: no list of bad names could be complete. `MSI_ENDPOINT`
/// and the like are for an identity of the platform that signed in to the Azure CLI; the last lines are for Windows.
const PASSED: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TZ",
    "TMPDIR",
    "NO_COLOR",
    "PYTHONIOENCODING",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "AZURE_CONFIG_DIR",
    "AZD_CONFIG_DIR",
    "AZURE_CORE_COLLECT_TELEMETRY",
    "AZURE_DEV_COLLECT_TELEMETRY",
    "COPILOT_AGENT_SESSION_ID",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "ACC_CLOUD",
    "MSI_ENDPOINT",
    "IDENTITY_ENDPOINT",
    "IMDS_ENDPOINT",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "WINDIR",
    "COMSPEC",
    "PATHEXT",
    "TEMP",
    "TMP",
    "USERPROFILE",
    "HOMEDRIVE",
    "HOMEPATH",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "ALLUSERSPROFILE",
    "PUBLIC",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "PROGRAMW6432",
    "COMMONPROGRAMFILES",
    "COMMONPROGRAMFILES(X86)",
    "USERNAME",
    "USERDOMAIN",
    "COMPUTERNAME",
    "OS",
    "PROCESSOR_ARCHITECTURE",
    "NUMBER_OF_PROCESSORS",
    "SESSIONNAME",
];

/// Variables that name certificates, or code: they stay if their paths are trusted.
const CERTIFICATES: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
];

/// How the names of variables begin by which a program is made to run other code: the dynamic linker's, Python's, Perl's and those of
/// functions that bash imports (`xdg-open` is a shell script).
const LOADER_FAMILIES: &[&str] = &["LD_", "DYLD_", "PYTHON", "PERL5", "BASH_FUNC_", "OPENSSL_"];

/// Further ones of shells, interpreters and libraries, and those that have secrets of TLS written down or certificates not checked.
const LOADERS: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "BROWSER",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "GCONV_PATH",
    "LOCPATH",
    "GIO_EXTRA_MODULES",
    "GTK_MODULES",
    "GTK_PATH",
    "QT_PLUGIN_PATH",
    "SSLKEYLOGFILE",
    "NETRC",
];

/// The one of the families that changes how text is written and nothing else.
const HARMLESS: &str = "PYTHONIOENCODING";

/// Gives `az` or `azd` of the environment what it needs, and nothing that has it run other code, believe other certificates, or send what it
/// holds elsewhere: a checkout can set variables for us.
fn restrict_environment(command: &mut process::Command) {
    command.env_clear();
    for (name, value) in environment() {
        let known = known_name(&name);
        let is_passed = PASSED.contains(&&*known) || known.starts_with("LC_");
        if is_passed || (CERTIFICATES.contains(&&*known) && is_trusted(&value)) {
            command.env(name, value);
        }
    }
}

/// Takes out of a child's environment what would have it run other code than its own or believe other certificates, and the variables of
/// these names.
pub(crate) fn clean_environment(command: &mut process::Command, names: &[&str]) {
    for (name, value) in environment() {
        let known = known_name(&name);
        let is_loader = LOADERS.contains(&&*known)
            || LOADER_FAMILIES
                .iter()
                .any(|family| known.starts_with(family));
        let is_unwanted = (is_loader && known != HARMLESS) || names.contains(&&*known);
        if is_unwanted || (CERTIFICATES.contains(&&*known) && !is_trusted(&value)) {
            debug!("a program that is started does not get `{known}`");
            command.env_remove(name);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a child inherits the environment of this process, whatever the settings are read from"
)]
fn environment() -> std::env::VarsOs {
    std::env::vars_os()
}

/// Windows knows names in any case.
fn known_name(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    if cfg!(windows) {
        name.to_uppercase()
    } else {
        name.into_owned()
    }
}

/// Whether all paths of a list are there and trusted: one that is not there could be made by others before the child reads it.
fn is_trusted(paths: &OsStr) -> bool {
    let directory = trust::working_directory();
    std::env::split_paths(paths)
        .all(|path| trust::resolve_certificates(&path, directory.as_deref()).is_ok())
}

/// Errors if root would run a program on files of another user, who could be locked out by what it writes, and decides what it reads. A
/// folder with its own name in a folder of root is meant, as a container has it by a mount; so is one of root in the home of another user, as
/// a container job of GitHub has it.
pub(crate) fn check_owner(program: &str, folder: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        use std::os::unix::fs::MetadataExt;
        let of_root = |path: &Path| {
            std::fs::symlink_metadata(path)
                .is_ok_and(|it| it.uid() == 0 && it.is_dir() && it.mode() & 0o022 == 0)
        };
        let is_mounted = folder.parent().is_some_and(of_root)
            && [".azure", ".azd"]
                .map(OsStr::new)
                .map(Some)
                .contains(&folder.file_name());
        if !of_root(folder) && !is_mounted {
            let problem = format!(
                "is not root's alone, and root does not run `{program}` on files of others"
            );
            let fix = format!(
                "run the command as their owner, without `sudo`, or sign in as root with `sudo -H {program}`"
            );
            return Err(Error::untrusted(folder.display(), problem, fix));
        }
    }
    let _ = (program, folder);
    Ok(())
}

/// The program of this name in the first of the folders that has one.
pub(crate) fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let names = names(name, cfg!(windows));
    folders.iter().find_map(|folder| {
        names
            .iter()
            .map(|name| folder.join(name))
            .find(|file| file.is_file())
    })
}

/// What the file of a program may be called. On Windows a name without an end is none: the Azure CLI has a script for Git's shell beside
/// `az.cmd`.
fn names(name: &str, is_windows: bool) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    if !is_windows || ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        return vec![name.to_owned()];
    }
    ENDINGS
        .iter()
        .map(|ending| format!("{name}{ending}"))
        .collect()
}

/// Runs a program in a process group of its own, or a job on Windows, which is ended when the answer is no longer awaited: it does not
/// outlive us.
#[derive(Debug)]
pub(crate) struct Runner {
    path: OsString,
    variables: Vec<(&'static str, String)>,
}

impl Runner {
    /// The program and what it runs are looked for in these folders only; these variables are set for it.
    pub(crate) fn new(path: &[PathBuf], variables: Vec<(&'static str, String)>) -> Self {
        Self {
            path: std::env::join_paths(path).unwrap_or_default(),
            variables,
        }
    }
}

#[async_trait::async_trait]
impl azure_identity::Executor for Runner {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<process::Output> {
        let mut command = Command::new(program);
        add(&mut command, args);
        restrict_environment(command.as_std_mut());
        command
            .env("PATH", &self.path)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ends what is left of the group on every way out of here, be it the deadline's.
        let (mut child, _group) = Group::start(&mut command)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (Output::of(stdout), Output::of(stderr));
        let status = child.wait().await?;
        Ok(process::Output {
            status,
            stdout: stdout.finish().await?,
            stderr: stderr.finish().await?,
        })
    }
}

#[cfg(not(windows))]
fn add(command: &mut Command, args: &[&OsStr]) {
    command.args(args);
}

/// `azure_identity` has `cmd` run a line with quotes in it. `cmd` knows nothing of the backslashes by which arguments are quoted
/// elsewhere: with `/S` it takes the first and the last quote away and reads the rest as it is. `/D` leaves out what the registry
/// wants run before.
#[cfg(windows)]
fn add(command: &mut Command, args: &[&OsStr]) {
    match args {
        [switch, line] if switch.eq_ignore_ascii_case("/C") => {
            let mut quoted = OsString::from("/D /S /C \"");
            quoted.push(line);
            quoted.push("\"");
            command.raw_arg(quoted);
        }
        _ => {
            command.args(args);
        }
    }
}

/// Starts a program that may outlive us, in a process group of its own: what ends us with Ctrl-C leaves it alone. It sees none of our
/// streams.
pub(crate) fn start(program: &OsStr, args: &[OsString]) -> io::Result<Child> {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    clean_environment(command.as_std_mut(), SECRETS);
    #[cfg(unix)]
    command.process_group(0);
    // `CREATE_NEW_PROCESS_GROUP`.
    #[cfg(windows)]
    command.creation_flags(0x200);
    command.spawn()
}

/// What a pipe gives, read in a task of its own.
pub(crate) struct Output(JoinHandle<io::Result<Vec<u8>>>);

impl Output {
    pub(crate) fn of(pipe: Option<impl AsyncRead + Send + Unpin + 'static>) -> Self {
        Self(tokio::spawn(async move {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                pipe.take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes).await?;
            }
            if bytes.len() as u64 > OUTPUT_LIMIT {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("more than {OUTPUT_LIMIT} bytes of output"),
                ));
            }
            Ok(bytes)
        }))
    }

    pub(crate) async fn finish(self) -> io::Result<Vec<u8>> {
        match tokio::time::timeout(LAST_WORDS, self.0).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it ended, but something it started holds its output open",
            )),
        }
    }
}

/// The process group that a child leads: dropping it ends what is left of the group.
#[cfg(unix)]
struct Group(Option<u32>);

#[cfg(unix)]
impl Group {
    /// Starts a program as the leader of a group.
    fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        command.process_group(0);
        let child = command.kill_on_drop(true).spawn()?;
        let group = Self(child.id());
        Ok((child, group))
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self
            .0
            .and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?))
        {
            // Nobody is left when the child ended in order.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// The job that a child and all that it starts belong to: dropping it, as the end of this process does, ends what is left of it.
#[cfg(windows)]
struct Group(#[expect(dead_code, reason = "dropping it is its use")] Option<win32job::Job>);

#[cfg(windows)]
impl Group {
    /// Starts a program in a job, and without a console window when we have none.
    fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        // `CREATE_NO_WINDOW`.
        let child = command
            .kill_on_drop(true)
            .creation_flags(0x0800_0000)
            .spawn()?;
        // One that has ended by now belongs to none. Without a job it is ended by itself.
        let job = child.raw_handle().and_then(|handle| {
            let job = win32job::Job::create_with_limit_info(
                win32job::ExtendedLimitInfo::new().limit_kill_on_job_close(),
            );
            job.and_then(|job| job.assign_process(handle as isize).map(|()| job))
                .ok()
        });
        Ok((child, Self(job)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_as_its_system_calls_it() {
        assert_eq!(names("az", false), ["az"]);
        assert_eq!(names("az", true), ["az.com", "az.exe", "az.bat", "az.cmd"]);
        assert_eq!(names("rundll32.EXE", true), ["rundll32.EXE"]);
        assert_eq!(
            names("docker-credential-a.b", true)[1],
            "docker-credential-a.b.exe"
        );
    }
}
