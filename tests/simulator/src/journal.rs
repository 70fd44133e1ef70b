//! What was asked of the simulator, in order, without a single token or secret.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Which part of the simulated world a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `CONNECT host:443` at the proxy, answered 200 or, for an unknown name, 502.
    Connect,
    /// An authority's `/{tenant}/oauth2/v2.0/token`.
    EntraToken,
    /// Any other page of an authority: discovery, device code, authorize.
    EntraPage,
    /// A registry's `/oauth2/exchange`.
    Exchange,
    /// A registry's `/oauth2/token`.
    RegistryToken,
    /// A registry's `/v2/…`.
    Api,
    /// The virtual machine's metadata service.
    Imds,
    /// The identity endpoint of App Service and Container Apps.
    AppService,
    /// The identity endpoint of Azure ML: App Service's page, asked for in API version 2017-09-01.
    AzureMl,
    /// The identity endpoint of Cloud Shell: App Service's page, asked for with `POST`.
    CloudShell,
    /// The identity endpoint of Azure Arc's agent, challenges included.
    Arc,
    /// Azure Resource Manager.
    Arm,
    /// Where a workload fetches its own assertion: GitHub Actions, Azure Pipelines.
    Oidc,
    /// Anything else, the control pages excepted, which are not journaled.
    Other,
}

/// What can be told of a token without holding it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// The `aud` claim.
    pub audience: String,
    /// The `sub` claim.
    pub subject: String,
    /// The `appid` claim: the client that the token was issued to.
    pub app_id: Option<String>,
    /// The `tid` or `tenant` claim.
    pub tenant: Option<String>,
}

/// One request, as journaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 without gaps, also across [`Simulator::clear_journal`](crate::Simulator::clear_journal).
    pub seq: u64,
    /// When the request arrived, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The name asked for, without the port; of a request straight to the simulator, its address.
    pub host: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The status answered; 0 while none was (still at work, reset, or the client left).
    pub status: u16,
    /// Which part of the world the request was for.
    pub endpoint: Endpoint,
    /// The `grant_type`; `basic` or `anonymous` where a GET takes its place.
    pub grant: Option<String>,
    /// The `service` that was named to a registry.
    pub service: Option<String>,
    /// The Entra scope, resource, or registry scopes asked for, as sent.
    pub audience_requested: Option<String>,
    /// The tenant in the request's path or form.
    pub tenant: Option<String>,
    /// The client id, managed identity or OAuth client name sent, in a parameter that the service knows.
    pub client_id: Option<String>,
    /// The token that was presented, if it could be read, whether or not it was good.
    pub token: Option<TokenFacts>,
    /// The token that was issued.
    pub issued: Option<TokenFacts>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
}

/// The entries so far.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    inner: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    last: u64,
    entries: Vec<Entry>,
}

impl Journal {
    /// Writes a new entry and gives it its number.
    pub(crate) fn open(&self, entry: &mut Entry) {
        let mut pages = self.pages();
        pages.last += 1;
        entry.seq = pages.last;
        pages.entries.push(entry.clone());
    }

    /// Overwrites the entry of the same number, unless it was cleared meanwhile.
    pub(crate) fn close(&self, entry: &Entry) {
        let mut pages = self.pages();
        if let Some(open) = pages
            .entries
            .iter_mut()
            .rev()
            .find(|open| open.seq == entry.seq)
        {
            open.clone_from(entry);
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.pages().entries.clone()
    }

    pub(crate) fn clear(&self) {
        self.pages().entries.clear();
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
