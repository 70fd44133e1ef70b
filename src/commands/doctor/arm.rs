//! `--probe-arm`: whether the registry still takes tokens of Azure Resource Manager, which can do far more than pull.
//!
//! This is the one place in which such a token is asked for, and the only way to tell: nothing that a registry answers to anybody else
//! shows its `azureADAuthenticationAsArmPolicy`. The token goes to the registry that was named and is kept nowhere.

use super::check::Check;
use crate::cache::Cache;
use crate::config::Settings;
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, Refusal};
use crate::network::Network;
use crate::registry::Registry;
use crate::session::Session;
use crate::token::Audience;
use std::sync::Arc;
use std::time::Instant;

const NAME: &str = "arm-tokens";

/// What is said before.
pub(super) fn announcement(registry: &Registry) -> String {
    format!(
        "--probe-arm: the identity is asked for a token of Azure Resource Manager, and\n\
         {} is offered it, to see whether it takes such tokens.\n\
         The token is kept nowhere, and the sign-in shows in the logs of the tenant.\n",
        registry.login_server()
    )
}

/// Offers the registry a token of Azure Resource Manager.
pub(super) async fn look(settings: &Settings, registry: &Registry, logins: Cache, clock: Clock) -> Check {
    let started = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "this is what `--probe-arm` asks for")]
    let Some(audience) = Audience::of_resource_manager(&registry.cloud().cli_name) else {
        return Check::skipped(NAME, format!("the Azure Resource Manager of {} is not known", registry.cloud().name));
    };
    match offer(settings, registry, audience, logins, clock).await {
        Ok(()) => Check::warning(NAME, format!("{registry} takes tokens of Azure Resource Manager")).hint(format!(
            "nothing here needs that: az acr config authentication-as-arm update --registry {} --status disabled",
            registry.resource_name()
        )),
        Err(Error::Exchange { refusal: Refusal::Denied { .. }, .. }) => {
            Check::good(NAME, format!("{registry} does not take tokens of Azure Resource Manager"))
        }
        Err(error) => Check::skipped(NAME, &error),
    }
    .since(started)
}

async fn offer(settings: &Settings, registry: &Registry, audience: Audience, logins: Cache, clock: Clock) -> Result<(), Error> {
    let mut config = settings.for_registry(registry)?;
    config.audience = audience;
    let deadline = Deadline::after(config.timeout);
    let network = Arc::new(Network::new(config.network.clone(), deadline, clock));
    let session = Session::anew(&config, registry, logins, clock)?;
    let token = session.sign_in(&network, deadline).await?;
    let client = network.internet(registry.login_server())?;
    session.exchange(&network, &client, deadline, &token).await.map(drop)
}
