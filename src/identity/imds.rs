//! Whether this machine has an Azure Instance Metadata Service at all.
//!
//! The address is link-local: off Azure nobody answers there, or somebody else does (other clouds use it too). The credential
//! of `azure_identity` tries for more than a minute, so one short question comes first.

use crate::network::{self, Network};
use reqwest::StatusCode;
use std::time::Duration;
use url::Url;

/// How long a machine without the service may keep us.
const PATIENCE: Duration = Duration::from_secs(1);

const PATH: &str = "/metadata/identity/oauth2/token";

/// Asks without the header `Metadata`: the service answers that with 400 and no token (Microsoft, "IMDS", error
/// `bad_request_102`). On failure the sentence says what happened.
pub(super) async fn probe(host: Option<&Url>) -> Result<(), String> {
    let mut url = host.cloned().map_or_else(|| format!("http://{}", network::IMDS_ADDRESS), |host| host.to_string());
    url.truncate(url.trim_end_matches('/').len());
    let client = Network::link_local().map_err(|error| format!("managed identity: {error}"))?;
    let asked = tokio::time::timeout(PATIENCE, client.get(format!("{url}{PATH}")).send()).await;
    match asked {
        Err(_) => Err(format!("managed identity: {url} did not answer within {} s", PATIENCE.as_secs())),
        Ok(Err(_)) => Err(format!("managed identity: no connection to {url}")),
        Ok(Ok(answer)) => match answer.status() {
            // Docker Desktop's 403, Google's 403 and Amazon's 401 and 404 come from the same address.
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => {
                Err(format!("managed identity: {url} is not the service of Azure, it answered {}", status.as_u16()))
            }
            _ => Ok(()),
        },
    }
}
