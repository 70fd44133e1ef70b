//! The helper for hosts that are not ours: it gets what we got and its answer is ours, to the byte.
//!
//! Docker can name one helper for all hosts (`credsStore`), or one for each exact host. So that all registries need no entry each, this
//! helper can stand for all hosts, and pass those that are not Azure's on.

use super::docker::Verb;
use crate::config::{DELEGATED_VARIABLE, Delegate, Settings};
use crate::error::Error;
use crate::files;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

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
        let Some(Delegate { name, origin, path }) = settings.delegate()? else { return Ok(None) };
        let (program, origin) = (format!("docker-credential-{name}"), origin.to_string());
        let wrong = |program: &String, problem: &str| Error::Delegate {
            program: program.clone(),
            problem: problem.into(),
            origin: origin.clone(),
        };
        if settings.is_delegated() {
            return Err(wrong(&program, "calls this helper, which calls it: each would wait for the other"));
        }
        let file = files::program(&program, &path).ok_or_else(|| wrong(&program, "is in no absolute folder of `PATH`"))?;
        Ok(Some(Self { program, origin, file, timeout: settings.timeout()? }))
    }

    /// Passes a message on. The helper writes to our stdout and stderr itself; its exit code is returned.
    pub(super) fn pass(&self, verb: Verb, message: &[u8]) -> Result<ExitCode, Error> {
        let status = self.run(verb, message, Stdio::inherit())?.status;
        self.code(status).map(ExitCode::from)
    }

    /// The servers it has, with their user names.
    pub(super) fn list(&self) -> Result<BTreeMap<String, String>, Error> {
        // Docker writes this word, and helpers wait for the end of their stdin.
        let output = self.run(Verb::List, b"unused", Stdio::piped())?;
        match self.code(output.status)? {
            0 => serde_json::from_slice(&output.stdout)
                .map_err(|_| self.wrong("listed something that is no JSON object of texts".into())),
            code => Err(self.wrong(format!("ended with exit code {code}"))),
        }
    }

    fn run(&self, verb: Verb, message: &[u8], stdout: Stdio) -> Result<Output, Error> {
        let failed = |error: std::io::Error| self.wrong(format!("could not be called: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let called = runtime.block_on(async { tokio::time::timeout(self.timeout, self.call(verb, message, stdout)).await });
        called.map_err(|_| self.wrong(format!("did not answer within {} s", self.timeout.as_secs())))?.map_err(failed)
    }

    async fn call(&self, verb: Verb, message: &[u8], stdout: Stdio) -> std::io::Result<Output> {
        let mut command = Command::new(&self.file);
        command.arg(verb.word()).env(DELEGATED_VARIABLE, "1").stdin(Stdio::piped()).stdout(stdout).kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read it all may still answer.
            drop(stdin.write_all(message).await);
        }
        child.wait_with_output().await
    }

    fn code(&self, status: ExitStatus) -> Result<u8, Error> {
        let code = status.code().ok_or_else(|| self.wrong(format!("was ended: {status}")))?;
        Ok(u8::try_from(code).unwrap_or(1))
    }

    fn wrong(&self, problem: String) -> Error {
        Error::Delegate { program: self.program.clone(), problem, origin: self.origin.clone() }
    }
}
