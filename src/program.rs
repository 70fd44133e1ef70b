//! External programs: how they are found, run and ended.

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

/// The longest output that is read. An error of `az` can be a long traceback.
const MAX_OUTPUT_BYTES: u64 = 1024 * 1024;

/// Grace period for reading the output after the program has exited: a grandchild may keep the pipe open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// The file extensions of programs on Windows, in the order of its `PATHEXT`. What users add there are scripts, which do not start by
/// themselves.
const EXECUTABLE_EXTENSIONS: &[&str] = &[".com", ".exe", ".bat", ".cmd"];

/// The variables that `az` and `azd` get, besides `LC_*` and trusted [`CERTIFICATE_VARIABLES`]. A list of dangerous names could not be complete.
/// `MSI_ENDPOINT` and the like are for a managed identity that signed in to the Azure CLI. The last lines are for Windows.
const PASSED_VARIABLES: &str = "
    HOME USER LOGNAME LANG LANGUAGE TERM TZ TMPDIR NO_COLOR PYTHONIOENCODING
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    AZURE_CONFIG_DIR AZD_CONFIG_DIR AZURE_CORE_COLLECT_TELEMETRY AZURE_DEV_COLLECT_TELEMETRY COPILOT_AGENT_SESSION_ID
    DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME
    ACC_CLOUD MSI_ENDPOINT IDENTITY_ENDPOINT IMDS_ENDPOINT AZURE_POD_IDENTITY_AUTHORITY_HOST
    SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT TEMP TMP OS
    USERPROFILE HOMEDRIVE HOMEPATH APPDATA LOCALAPPDATA PROGRAMDATA ALLUSERSPROFILE PUBLIC
    PROGRAMFILES PROGRAMFILES(X86) PROGRAMW6432 COMMONPROGRAMFILES COMMONPROGRAMFILES(X86)
    USERNAME USERDOMAIN COMPUTERNAME SESSIONNAME PROCESSOR_ARCHITECTURE NUMBER_OF_PROCESSORS
";

/// Variables that name certificates. Programs get them if the paths are trusted.
const CERTIFICATE_VARIABLES: &str =
    "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS";

/// Variables that make shells, interpreters and libraries run other code, log the secrets of TLS, or skip the check of certificates.
const CODE_VARIABLES: &str = "
    BASH_ENV ENV SHELLOPTS BASHOPTS PS4 BROWSER NETRC SSLKEYLOGFILE
    NODE_OPTIONS NODE_PATH NODE_TLS_REJECT_UNAUTHORIZED RUBYOPT JAVA_TOOL_OPTIONS
    GCONV_PATH LOCPATH GIO_EXTRA_MODULES GTK_MODULES GTK_PATH QT_PLUGIN_PATH
";

/// The prefixes of more such variables: of the dynamic linker, Python, Perl, OpenSSL, and of functions that bash imports. `xdg-open` is a
/// shell script.
const CODE_PREFIXES: &[&str] = &["LD_", "DYLD_", "PYTHON", "PERL5", "BASH_FUNC_", "OPENSSL_"];

/// The one variable with such a prefix that only changes how text is written.
const HARMLESS_VARIABLE: &str = "PYTHONIOENCODING";

/// Passes only the variables that `az` or `azd` needs. A checkout can set variables that make it run other code, trust other certificates, or
/// send its tokens elsewhere.
fn restrict_environment(command: &mut process::Command) {
    let is_passed = |(name, value): &(OsString, OsString)| {
        let name = comparable_name(name);
        is_listed(PASSED_VARIABLES, &name)
            || name.starts_with("LC_")
            || (is_listed(CERTIFICATE_VARIABLES, &name) && is_trusted(value))
    };
    command.env_clear().envs(environment().filter(is_passed));
}

/// Removes the variables with these names from a child's environment, and those that make it run other code or trust other certificates.
pub(crate) fn clean_environment(command: &mut process::Command, names: &[&str]) {
    for (name, value) in environment() {
        let known = comparable_name(&name);
        let has_prefix = CODE_PREFIXES.iter().any(|prefix| known.starts_with(prefix));
        let is_code =
            is_listed(CODE_VARIABLES, &known) || (has_prefix && known != HARMLESS_VARIABLE);
        let is_untrusted = || is_listed(CERTIFICATE_VARIABLES, &known) && !is_trusted(&value);
        if is_code || names.contains(&&*known) || is_untrusted() {
            debug!("the helper removes `{known}` from the environment of a program");
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

/// Returns the name of a variable in upper case on Windows, where the case does not count.
fn comparable_name(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    if cfg!(windows) {
        name.to_uppercase()
    } else {
        name.into_owned()
    }
}

fn is_listed(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == name)
}

/// Returns whether all paths of a list exist and are trusted. Others could create a missing one before the child reads it.
fn is_trusted(paths: &OsStr) -> bool {
    let directory = trust::working_directory();
    std::env::split_paths(paths)
        .all(|path| trust::resolve_certificates(&path, directory.as_deref()).is_ok())
}

/// Checks that root does not run a program on the files of another user. That user decides what the program reads, and could be locked out
/// by what it writes. Accepted is a directory of root, even in the home of another user, as in a container job of GitHub. A `.azure` or
/// `.azd` in a directory of root is accepted too, as containers mount it.
///
/// # Errors
///
/// [`ErrorKind::Untrusted`](crate::error::ErrorKind).
#[cfg(unix)]
pub(crate) fn check_owner(program: &str, folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let is_of_root = |path: &Path| {
        std::fs::symlink_metadata(path)
            .is_ok_and(|it| it.uid() == 0 && it.is_dir() && it.mode() & 0o022 == 0)
    };
    let names = [".azure", ".azd"];
    let has_own_name = names.iter().any(|name| folder.ends_with(name));
    let is_mounted = || has_own_name && folder.parent().is_some_and(is_of_root);
    if !rustix::process::geteuid().is_root() || is_of_root(folder) || is_mounted() {
        return Ok(());
    }
    Err(Error::untrusted(
        folder.display(),
        format!("is not root's alone, and root does not run `{program}` on files of others"),
        format!(
            "run the command as their owner, without `sudo`, or sign in as root with `sudo -H {program}`"
        ),
    ))
}

#[cfg(not(unix))]
pub(crate) fn check_owner(_: &str, _: &Path) -> Result<(), Error> {
    Ok(())
}

/// Returns the program with this name in the first of the folders that has one.
pub(crate) fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let names = file_names(name, cfg!(windows));
    let mut files = folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)));
    files.find(|file| file.is_file())
}

/// Returns the names that the file of a program may have. On Windows a name without an extension is no program: the Azure CLI has a script
/// for Git's shell next to `az.cmd`.
fn file_names(name: &str, is_windows: bool) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    if !is_windows || EXECUTABLE_EXTENSIONS.iter().any(|it| lower.ends_with(it)) {
        return vec![name.to_owned()];
    }
    let names = EXECUTABLE_EXTENSIONS.iter();
    names.map(|it| format!("{name}{it}")).collect()
}

/// Runs programs in a process group of their own, or a job on Windows. The group is killed when the output is no longer awaited, so programs do
/// not outlive us.
#[derive(Debug)]
pub(crate) struct Runner {
    path: OsString,
    variables: Vec<(&'static str, String)>,
}

impl Runner {
    /// Creates a runner. Programs, and what they run, are found only in the folders of `path`. `variables` are set for them.
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
        add_args(&mut command, args);
        restrict_environment(command.as_std_mut());
        command
            .env("PATH", &self.path)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Kills what is left of the group on every way out of here, such as a deadline.
        let (mut child, _group) = Group::spawn(&mut command)?;
        let stdout = Output::read(child.stdout.take());
        let stderr = Output::read(child.stderr.take());
        Ok(process::Output {
            status: child.wait().await?,
            stdout: stdout.finish().await?,
            stderr: stderr.finish().await?,
        })
    }
}

#[cfg(not(windows))]
fn add_args(command: &mut Command, args: &[&OsStr]) {
    command.args(args);
}

/// Adds the arguments of `azure_identity`, which makes `cmd` run a line with quotes in it. `cmd` does not know the backslashes that quote
/// arguments elsewhere. With `/S` it removes the first and the last quote and reads the rest as it is. `/D` skips the `AutoRun` commands of
/// the Windows registry.
#[cfg(windows)]
fn add_args(command: &mut Command, args: &[&OsStr]) {
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

/// Starts a program that may outlive us and sees none of our streams. It has a process group of its own, so a Ctrl-C does not end it.
pub(crate) fn spawn_detached(program: &OsStr, args: &[OsString]) -> io::Result<Child> {
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

/// The output of a pipe, read in a task of its own.
pub(crate) struct Output(JoinHandle<io::Result<Vec<u8>>>);

impl Output {
    pub(crate) fn read(pipe: Option<impl AsyncRead + Send + Unpin + 'static>) -> Self {
        Self(tokio::spawn(async move {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                let mut pipe = pipe.take(MAX_OUTPUT_BYTES + 1);
                pipe.read_to_end(&mut bytes).await?;
            }
            if bytes.len() as u64 > MAX_OUTPUT_BYTES {
                let problem = format!("more than {MAX_OUTPUT_BYTES} bytes of output");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            Ok(bytes)
        }))
    }

    /// Returns the whole output. Call it after the program has exited.
    pub(crate) async fn finish(self) -> io::Result<Vec<u8>> {
        let read = tokio::time::timeout(DRAIN_TIMEOUT, self.0).await;
        read.map_err(|_| {
            let problem = "it ended, but something it started holds its output open";
            io::Error::new(io::ErrorKind::TimedOut, problem)
        })??
    }
}

/// The process group that a child leads. What is left of it is killed on drop.
#[cfg(unix)]
struct Group(Option<u32>);

#[cfg(unix)]
impl Group {
    /// Starts a program as the leader of a group.
    fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        let child = command.process_group(0).spawn()?;
        let group = Self(child.id());
        Ok((child, group))
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let id = self.0.and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            // Fails if the group is empty, as after a child that ended normally.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// The job of a child and all that it starts. What is left of it is killed on drop, and when this process ends.
#[cfg(windows)]
struct Group(#[expect(dead_code, reason = "dropping it is its use")] Option<win32job::Job>);

#[cfg(windows)]
impl Group {
    /// Starts a program in a job, and without a console window if we have none.
    fn spawn(command: &mut Command) -> io::Result<(Child, Self)> {
        // `CREATE_NO_WINDOW`.
        let child = command.creation_flags(0x0800_0000).spawn()?;
        // A child that has ended by now has no handle. Without a job it is killed alone.
        let job = child.raw_handle().and_then(|handle| {
            let mut limits = win32job::ExtendedLimitInfo::new();
            let job = win32job::Job::create_with_limit_info(limits.limit_kill_on_job_close());
            let job = job.ok()?;
            job.assign_process(handle as isize).ok()?;
            Some(job)
        });
        Ok((child, Self(job)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_an_extension_on_windows_only() {
        assert_eq!(file_names("az", false), ["az"]);
        assert_eq!(
            file_names("az", true),
            ["az.com", "az.exe", "az.bat", "az.cmd"]
        );
        assert_eq!(file_names("rundll32.EXE", true), ["rundll32.EXE"]);
        assert_eq!(
            file_names("docker-credential-a.b", true)[1],
            "docker-credential-a.b.exe"
        );
    }
}
