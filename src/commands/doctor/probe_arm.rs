//! `--probe-arm`: whether the registry still accepts ARM-scoped tokens, which can do far more than pull.
//!
//! Only here the helper requests such a token. There is no other way to know: no answer of a registry shows its
//! `azureADAuthenticationAsArmPolicy`. The token goes to the registry that the user named, and is stored nowhere.

use super::checks::Target;
use super::sign_in::SignIn;
use crate::commands::report::Check;
use crate::error::{Error, ErrorKind};
use crate::refusal::az;
use crate::registry::Registry;
use crate::token::Audience;
use std::time::Instant;

pub(super) const NAME: &str = "arm-tokens";

/// Returns what the user reads before the checks.
pub(super) fn announcement(registry: &Registry) -> String {
    format!(
        "--probe-arm: if {} accepts an ACR-scoped token,\n\
         the helper also requests an ARM-scoped token, one for Azure Resource Manager,\n\
         and offers it to the registry. It does not keep that token.\n\
         The sign-in logs of the tenant record this.\n\n",
        registry.login_server()
    )
}

/// Offers the registry an ARM-scoped token.
pub(super) async fn check(target: &Target<'_>) -> Check {
    let (registry, started) = (target.registry, Instant::now());
    let offered = |rest: &str| format!("the helper offered an ARM-scoped token, and {rest}");
    let check = match offer(target).await {
        Ok(None) => {
            let disable = format!(
                "acr config authentication-as-arm update --registry {} --status disabled",
                registry.resource_name()
            );
            let disable = az(registry.cloud(), &disable);
            let advice = "check your other clients, then disable ARM-scoped tokens";
            Check::warning(NAME, offered(&format!("{registry} accepted it")))
                .hint(format!("{advice}\n  {disable}"))
        }
        Ok(Some(error)) => match error.kind() {
            ErrorKind::Denied { .. } | ErrorKind::InvalidToken => {
                Check::good(NAME, offered(&format!("{registry} refused it")))
            }
            _ => Check::skipped(NAME, format!("not known: {}", offered(&error.to_string()))),
        },
        Err(error) => Check::skipped(NAME, error.to_string()),
    };
    check.since(started)
}

/// Requests the token and offers it. Returns why the registry gave no refresh token for it.
///
/// # Errors
///
/// The token was not offered.
async fn offer(target: &Target<'_>) -> Result<Option<Error>, Error> {
    let cloud = target.registry.cloud();
    #[expect(
        clippy::disallowed_methods,
        reason = "this is what `--probe-arm` asks for"
    )]
    let audience = Audience::of_resource_manager(&cloud.cli_name);
    let unknown = || {
        let problem = format!("the Azure Resource Manager of {} is not known", cloud.name);
        Error::input(problem)
    };
    let mut config = target.context.settings.for_registry(target.registry)?;
    config.audience = audience.ok_or_else(unknown)?;
    let target = Target {
        config: &config,
        cache: target.cache.clone(),
        ..*target
    };
    let sign_in = SignIn::new(&target);
    let token = sign_in.access_token().await?;
    Ok(sign_in.refresh_token(&token).await.err())
}
