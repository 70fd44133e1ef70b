//! The delegate: the credential helper for hosts that are not Azure's. It gets the client's message, and the client gets its answer byte for
//! byte.
//!
//! Docker can name one helper for all hosts (`credsStore`), or one for each exact host. With a delegate, this helper can be the one for all
//! hosts, so that registries need no entries.

use super::docker::Verb;
use super::write_all;
use crate::config::{DELEGATED_VARIABLE, Settings, Value};
use crate::error::{Error, ErrorKind};
use crate::program::{self, Output};
use crate::runtime::run;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::Zeroizing;

/// A delegate that can be called.
#[derive(Debug)]
pub(super) struct DelegateHelper {
    /// The name of its program.
    program: String,
    /// The setting that names it.
    origin: String,
    path: PathBuf,
    timeout: Duration,
}

impl DelegateHelper {
    /// Returns the delegate if one is set.
    ///
    /// # Errors
    ///
    /// Fails if its program cannot be called.
    pub(super) fn from_settings(settings: &Settings) -> Result<Option<Self>, Error> {
        let Some(Value { value, origin }) = settings.delegate()? else {
            return Ok(None);
        };
        let program = format!("docker-credential-{value}");
        let file = program::find(&program, &settings.program_folders());
        let delegate = Self {
            program,
            origin: origin.to_string(),
            path: file.unwrap_or_default(),
            timeout: settings.timeout()?,
        };
        if settings.is_delegated() {
            return Err(
                delegate.error("calls this helper, which calls it: each would wait for the other")
            );
        }
        if delegate.path.as_os_str().is_empty() {
            return Err(delegate.error("is in no absolute folder of `PATH`"));
        }
        Ok(Some(delegate))
    }

    /// Passes a message to the delegate, and its answer and exit code back. It shares the stderr of this process.
    pub(super) fn forward(
        &self,
        verb: Verb,
        message: &[u8],
        output: impl Write,
    ) -> Result<ExitCode, Error> {
        let (status, answer) = self.run(verb, message)?;
        write_all(output, &answer)?;
        self.exit_code(status).map(ExitCode::from)
    }

    /// Returns the servers that it has a credential for, with their user names.
    pub(super) fn list(&self) -> Result<BTreeMap<String, String>, Error> {
        // Docker writes this word. Helpers wait for the end of their stdin.
        let (status, output) = self.run(Verb::List, b"unused")?;
        match self.exit_code(status)? {
            0 => serde_json::from_slice(&output)
                .map_err(|_| self.error("listed something that is no JSON object of texts")),
            code => Err(self.error(format_args!("ended with exit code {code}"))),
        }
    }

    fn run(&self, verb: Verb, message: &[u8]) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), Error> {
        run(async {
            let called = tokio::time::timeout(self.timeout, self.call(verb, message)).await;
            let seconds = self.timeout.as_secs();
            called
                .map_err(|_| self.error(format_args!("did not answer within {seconds} s")))?
                .map_err(|error| self.error(format_args!("could not be called: {error}")))
        })
    }

    /// Calls the program in the process group of this one: some helpers ask for a password at the terminal. Its stdout is a pipe of this
    /// process: a process that it leaves behind would keep the client's pipe open, and the client waits for its end.
    async fn call(
        &self,
        verb: Verb,
        message: &[u8],
    ) -> io::Result<(ExitStatus, Zeroizing<Vec<u8>>)> {
        let mut command = Command::new(&self.path);
        command
            .arg(verb.as_str())
            .env(DELEGATED_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // It gets the environment, as from Docker, but no variables that make it run other code.
        program::clean_environment(command.as_std_mut(), &[]);
        let mut child = command.spawn()?;
        let output = Output::read(child.stdout.take());
        if let Some(mut stdin) = child.stdin.take() {
            // A helper may answer without reading all of it.
            drop(stdin.write_all(message).await);
        }
        Ok((child.wait().await?, Zeroizing::new(output.finish().await?)))
    }

    fn exit_code(&self, status: ExitStatus) -> Result<u8, Error> {
        let code = status
            .code()
            .ok_or_else(|| self.error(format_args!("was ended: {status}")))?;
        Ok(u8::try_from(code).unwrap_or(1))
    }

    fn error(&self, problem: impl Display) -> Error {
        Error::new(ErrorKind::Delegate, format!("`{}` {problem}", self.program))
            .with_detail(format!("set in {}", self.origin))
    }
}
