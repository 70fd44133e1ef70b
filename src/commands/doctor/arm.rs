//! `--probe-arm`: whether the registry still takes tokens of Azure Resource Manager, which can do far more than pull.
//!
//! This is the one place in which such a token is asked for, and the only way to tell: nothing that a registry answers to anybody else
//! shows its `azureADAuthenticationAsArmPolicy`. The token goes to the registry that was named and is kept nowhere.

use crate::cache::Cache;
use crate::commands::report::Check;
use crate::config::Settings;
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, ErrorKind};
use crate::http::Network;
use crate::refusal::az;
use crate::registry::Registry;
use crate::service::Session;
use crate::terminal::Mark;
use crate::token::Audience;
use std::sync::Arc;
use std::time::Instant;

const NAME: &str = "arm-tokens";

/// What is said before.
pub(super) fn announcement(registry: &Registry) -> String {
    format!(
        "--probe-arm: if {} accepts an ACR-scoped token,\n\
         the helper also requests an ARM-scoped token, one for Azure Resource Manager,\n\
         and offers it to the registry. It does not keep that token.\n\
         The sign-in shows in the logs of the tenant.\n",
        registry.login_server()
    )
}

/// Offers the registry a token of Azure Resource Manager.
pub(super) async fn look(
    settings: &Settings,
    registry: &Registry,
    logins: Cache,
    clock: Clock,
) -> Check {
    let started = Instant::now();
    #[expect(
        clippy::disallowed_methods,
        reason = "this is what `--probe-arm` asks for"
    )]
    let Some(audience) = Audience::of_resource_manager(&registry.cloud().cli_name) else {
        return Check::skipped(
            NAME,
            format!(
                "the Azure Resource Manager of {} is not known",
                registry.cloud().name
            ),
        );
    };
    let offered = |rest: &str| format!("the helper offered an ARM-scoped token, and {rest}");
    match offer(settings, registry, audience, logins, clock).await {
        Ok(Ok(())) => Check::warning(NAME, offered(&format!("{registry} accepted it")))
            .with(["this helper needs no ARM-scoped tokens; check your other clients before you disable them".to_owned()])
            .hint(az(
                registry.cloud(),
                &format!("acr config authentication-as-arm update --registry {} --status disabled", registry.resource_name()),
            )),
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::Denied { .. } | ErrorKind::InvalidToken) => {
            Check::good(NAME, offered(&format!("{registry} refused it")))
        }
        Ok(Err(error)) => Check::new(NAME, Mark::Skipped, format!("not known: {}", offered(&error.to_string()))),
        Err(error) => Check::skipped(NAME, &error),
    }
    .since(started)
}

/// That nothing was requested and nothing offered.
pub(super) fn not_offered(reason: &str) -> Check {
    Check::skipped(
        NAME,
        format!("the helper requested no ARM-scoped token, because {reason}"),
    )
}

/// Requests the token and offers it. The outer error is one before the offer.
async fn offer(
    settings: &Settings,
    registry: &Registry,
    audience: Audience,
    logins: Cache,
    clock: Clock,
) -> Result<Result<(), Error>, Error> {
    let mut config = settings.for_registry(registry)?;
    config.audience = audience;
    let deadline = Deadline::after(config.timeout);
    let network = Arc::new(Network::new(config.network.clone(), deadline, clock));
    let session = Session::new(&config, registry, logins, clock)?.without_cache();
    let token = session.sign_in(&network, deadline).await?;
    let client = network.internet(registry.login_server())?;
    Ok(session
        .exchange(&network, &client, deadline, &token)
        .await
        .map(drop))
}
