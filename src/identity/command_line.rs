//! The account of a command line, `az` or `azd`, as a source: its files, and how the program is run.

use super::advice::Failure;
use super::select::skip;
use super::{Identity, IdentitySource, Tenant, TokenContext, login, request_token};
use crate::config::SourceSettings;
use crate::error::Error;
use crate::files::read_limited;
use crate::program;
use crate::registry::Registry;
use azure_core::credentials::TokenCredential;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A profile of the Azure CLI names every subscription of every account; this is room for thousands.
const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;

/// An account that is signed in to a command line.
#[derive(Debug)]
pub(super) struct CommandLine {
    pub(super) name: &'static str,
    /// A text that differs for each account.
    pub(super) cache_key: String,
    pub(super) tenant: Tenant,
    /// Other tenants that can be meant, a sentence each.
    pub(super) other_tenants: Vec<String>,
    /// The command that signs in, and its option for a tenant.
    pub(super) login: (String, &'static str),
    /// What to do about a failure without a code of Entra.
    pub(super) hint: String,
    /// Runs the program.
    pub(super) credential: Arc<dyn TokenCredential>,
}

/// Reads a JSON file of a command line, if it exists. `name` says what it should be.
pub(super) fn read_json<T: DeserializeOwned>(file: &Path, name: &str) -> Result<Option<T>, Error> {
    let unusable = |problem: String| Error::setting(file.display(), problem);
    let bytes = match read_limited(file, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(format!("cannot be read: {error}"))),
    };
    // The Azure CLI writes a byte-order mark.
    let json = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    serde_json::from_slice(json).map_err(|error| unusable(format!("is not {name}: {error}")))
}

/// Checks that the program is there, which has an account.
pub(super) fn check_program(
    program: &str,
    settings: &SourceSettings,
    registry: &Registry,
) -> Result<(), Error> {
    if program::find(program, &settings.path).is_some() {
        return Ok(());
    }
    let reason = format!("an account is signed in, but `{program}` is not on `PATH`");
    let sign_in = format!("{} {}", login::COMMAND, registry.host());
    Err(skip(reason).with_hint(format!(
        "add the folder of `{program}` to `PATH`, or sign in without it\n  {sign_in}"
    )))
}

#[async_trait::async_trait]
impl IdentitySource for CommandLine {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn cache_key(&self) -> String {
        self.cache_key.clone()
    }

    fn tenant(&self) -> Tenant {
        self.tenant.clone()
    }

    fn is_command_line(&self) -> bool {
        true
    }

    fn other_tenants(&self) -> Vec<String> {
        self.other_tenants.clone()
    }

    fn login_command(&self, tenant: Option<&str>, _: &Identity) -> Option<String> {
        let (command, option) = &self.login;
        Some(command.clone() + &self.tenant.option(option, tenant))
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        failure.code.is_none().then(|| self.hint.clone())
    }

    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        request_token(&*self.credential, context.identity).await
    }
}
