//! The helper for hosts that are not ours: it gets what we got and its answer is ours, to the byte.
//!
//! Docker can name one helper for all hosts (`credsStore`), or one for each exact host. So that all registries need no entry each, this
//! helper can stand for all hosts, and pass those that are not Azure's on.

use super::docker::Verb;
use crate::config::{DELEGATED_VARIABLE, Delegate, Settings};
use crate::error::Error;
use crate::program::{self, Output};
use crate::runtime::run;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zeroize::Zeroizing;

/// A helper that was found, ready to be called.
#[derive(Debug)]
pub(super) struct Other {
    program: String,
    origin: String,
    file: PathBuf,
    timeout: Duration,
}

impl Other {
    /// The helper for other hosts, if one is set. Errors when it cannot be called.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, Error> {
        let Some(Delegate { name, origin, path }) = settings.delegate()? else {
            return Ok(None);
        };
        let (program, origin) = (format!("docker-credential-{name}"), origin.to_string());
        let file = program::find(&program, &path);
        let other = Self {
            program,
            origin,
            file: file.unwrap_or_default(),
            timeout: settings.timeout()?,
        };
        if settings.is_delegated() {
            return Err(other
                .wrong("calls this helper, which calls it: each would wait for the other".into()));
        }
        if other.file.as_os_str().is_empty() {
            return Err(other.wrong("is in no absolute folder of `PATH`".into()));
        }
        Ok(Some(other))
    }

    /// Passes a message on and its answer back; its stderr is ours. The exit code is returned.
    pub(super) fn pass(
        &self,
        verb: Verb,
        message: &[u8],
        mut output: impl Write,
    ) -> Result<ExitCode, Error> {
        let (status, answer) = self.run(verb, message)?;
        output
            .write_all(&answer)
            .and_then(|()| output.flush())
            .map_err(Error::Output)?;
        self.code(status).map(ExitCode::from)
    }

    /// The servers it has, with their user names.
    pub(super) fn list(&self) -> Result<BTreeMap<String, String>, Error> {
        // Docker writes this word, and helpers wait for the end of their stdin.
        let (status, output) = self.run(Verb::List, b"unused")?;
        match self.code(status)? {
            0 => serde_json::from_slice(&output)
                .map_err(|_| self.wrong("listed something that is no JSON object of texts".into())),
            code => Err(self.wrong(format!("ended with exit code {code}"))),
        }
    }

    fn run(&self, verb: Verb, message: &[u8]) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), Error> {
        let failed = |error: std::io::Error| self.wrong(format!("could not be called: {error}"));
        let late = |_| {
            self.wrong(format!(
                "did not answer within {} s",
                self.timeout.as_secs()
            ))
        };
        run(async {
            tokio::time::timeout(self.timeout, self.call(verb, message))
                .await
                .map_err(late)?
                .map_err(failed)
        })
    }

    /// It stays in our process group, since some helpers ask at the terminal for a password. Its stdout is not ours: whatever it starts
    /// and leaves behind would hold that open, for the end of which the client waits.
    async fn call(
        &self,
        verb: Verb,
        message: &[u8],
    ) -> std::io::Result<(ExitStatus, Zeroizing<Vec<u8>>)> {
        let mut command = Command::new(&self.file);
        command
            .arg(verb.word())
            .env(DELEGATED_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // Docker gives it its environment, and so do we but for what would have it run other code.
        program::clean_environment(command.as_std_mut(), &[]);
        let mut child = command.spawn()?;
        let output = Output::read(child.stdout.take());
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read it all may still answer.
            drop(stdin.write_all(message).await);
        }
        Ok((child.wait().await?, Zeroizing::new(output.finish().await?)))
    }

    fn code(&self, status: ExitStatus) -> Result<u8, Error> {
        let code = status
            .code()
            .ok_or_else(|| self.wrong(format!("was ended: {status}")))?;
        Ok(u8::try_from(code).unwrap_or(1))
    }

    fn wrong(&self, problem: String) -> Error {
        Error::Delegate {
            program: self.program.clone(),
            problem,
            origin: self.origin.clone(),
        }
    }
}
