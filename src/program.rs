//! Programs that we call: how they are found, run and ended.

use crate::config::SECRETS;
use crate::error::Error;
use crate::trust::{self, Refusal};
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

/// How the names of variables begin by which a program is made to run other code: the dynamic linker's, Python's (`az` is a Python
/// program), Perl's and those of functions that bash imports (`xdg-open` and the scripts around `az` are shell scripts).
const LOADER_FAMILIES: &[&str] = &["LD_", "DYLD_", "PYTHON", "PERL5", "BASH_FUNC_", "AZURE_EXTENSION_"];

/// Further ones: files that shells read first, what has bash run `PS4` before each command, and modules that Node.js loads (editors open
/// the browser by a script of Node.js).
const LOADERS: &[&str] = &["BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "PS4", "NODE_OPTIONS"];

/// Variables that turn the check of certificates off, in the Azure CLI and in Node.js.
const UNCHECKED: &[&str] =
    &["AZURE_CLI_DISABLE_CONNECTION_VERIFICATION", "ADAL_PYTHON_SSL_NO_VERIFY", "NODE_TLS_REJECT_UNAUTHORIZED"];

/// Variables whose files or folders decide about trust, or hold code: they stay if their paths are trusted.
const PATHS: &[&str] = &[
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_PATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "GCONV_PATH",
];

/// The one of the families that changes how text is written and nothing else.
const HARMLESS: &str = "PYTHONIOENCODING";

/// Takes out of a child's environment what would have it run other code than its own or believe other certificates, which a checkout can set
/// for us, and the variables of these names. Windows knows names in any case.
#[expect(
    clippy::disallowed_methods,
    reason = "a child inherits the environment of this process, whatever the settings are read from"
)]
pub(crate) fn clean_environment(command: &mut process::Command, names: &[&str]) {
    let directory = std::env::current_dir().ok();
    let is_untrusted = |paths: &OsStr| {
        let refusal = |path: PathBuf| {
            Refusal::from_io(trust::resolve_named(&path, directory.as_deref()).as_ref().err()?).is_some().then_some(())
        };
        std::env::split_paths(paths).find_map(refusal).is_some()
    };
    for (name, value) in std::env::vars_os() {
        let known = name.to_string_lossy();
        let known = if cfg!(windows) { known.to_uppercase().into() } else { known };
        let is_loader = LOADERS.contains(&&*known) || LOADER_FAMILIES.iter().any(|family| known.starts_with(family));
        let is_unwanted = (is_loader && known != HARMLESS) || UNCHECKED.contains(&&*known) || names.contains(&&*known);
        if is_unwanted || (PATHS.contains(&&*known) && is_untrusted(&value)) {
            debug!("a program that is started does not get `{known}`");
            command.env_remove(name);
        }
    }
}

/// Errors if root would run a program that keeps its files in a folder of another user: what it writes there would lock that user out.
pub(crate) fn check_owner(folder: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root()
        && let Ok(metadata) = std::fs::metadata(folder)
        && let owner = std::os::unix::fs::MetadataExt::uid(&metadata)
        && owner != 0
    {
        let problem = format!("belongs to the user with id {owner}, and root must not write there: run the command as that user");
        return Err(Error::Setting { name: folder.display().to_string(), problem });
    }
    let _ = folder;
    Ok(())
}

/// The program of this name in the first of the folders that has one.
pub(crate) fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let names = names(name, cfg!(windows));
    folders.iter().find_map(|folder| names.iter().map(|name| folder.join(name)).find(|file| file.is_file()))
}

/// What the file of a program may be called. On Windows a name without an end is none: the Azure CLI has a script for Git's shell beside
/// `az.cmd`.
fn names(name: &str, is_windows: bool) -> Vec<String> {
    let lower = name.to_ascii_lowercase();
    if !is_windows || ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
        return vec![name.to_owned()];
    }
    ENDINGS.iter().map(|ending| format!("{name}{ending}")).collect()
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
        Self { path: std::env::join_paths(path).unwrap_or_default(), variables }
    }
}

#[async_trait::async_trait]
impl azure_identity::Executor for Runner {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<process::Output> {
        let mut command = Command::new(program);
        add(&mut command, args);
        command
            .env("PATH", &self.path)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // It has no use for the secrets of other sources.
        clean_environment(command.as_std_mut(), SECRETS);
        // With it the Azure Developer CLI asks an editor for a token, whoever is signed in there (azure-dev, `pkg/auth/manager.go`).
        command.env_remove("AZD_AUTH_ENDPOINT");
        // Ends what is left of the group on every way out of here, be it the deadline's.
        let (mut child, _group) = Group::start(&mut command)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (Output::of(stdout), Output::of(stderr));
        let status = child.wait().await?;
        Ok(process::Output { status, stdout: stdout.finish().await?, stderr: stderr.finish().await? })
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
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
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
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {OUTPUT_LIMIT} bytes of output")));
            }
            Ok(bytes)
        }))
    }

    pub(crate) async fn finish(self) -> io::Result<Vec<u8>> {
        match tokio::time::timeout(LAST_WORDS, self.0).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it ended, but something it started holds its output open")),
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
        if let Some(group) = self.0.and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?)) {
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
        let child = command.kill_on_drop(true).creation_flags(0x0800_0000).spawn()?;
        // One that has ended by now belongs to none. Without a job it is ended by itself.
        let job = child.raw_handle().and_then(|handle| {
            let job = win32job::Job::create_with_limit_info(win32job::ExtendedLimitInfo::new().limit_kill_on_job_close());
            job.and_then(|job| job.assign_process(handle as isize).map(|()| job)).ok()
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
        assert_eq!(names("docker-credential-a.b", true)[1], "docker-credential-a.b.exe");
    }
}
