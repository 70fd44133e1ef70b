//! Faults: what can be made to go wrong, and where.

use serde::{Deserialize, Serialize};

/// One thing that goes wrong instead of, or before, the proper answer.
///
/// Of the faults that fit a request the first applies; after a [`FaultKind::Delay`] the next one is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Where it happens.
    pub at: FaultAt,
    /// What happens.
    pub kind: FaultKind,
    /// How often it happens before it is gone from the settings; for ever when left out.
    #[serde(default)]
    pub times: Option<u32>,
}

/// Where a fault happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAt {
    /// Every page of every authority.
    Authority,
    /// `/oauth2/exchange` of every registry.
    Exchange,
    /// `/oauth2/token` of every registry.
    Token,
    /// The same, for requests of one grant, in the journal's words.
    TokenGrant(String),
    /// The virtual machine's metadata service.
    Imds,
    /// Its page that says which cloud the machine is in.
    ImdsCloud,
    /// The page that App Service, Azure ML and Cloud Shell share.
    AppService,
    /// The identity endpoint of Azure Arc's agent.
    Arc,
    /// `/v2/…` of every registry.
    Registry,
    /// Azure Resource Manager.
    Arm,
    /// The issuers of assertions: GitHub Actions, Azure Pipelines.
    Oidc,
    /// `CONNECT` to this host at the proxy; `*` stands for every host.
    Connect(String),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A status with a body of the caller's choice.
    Status {
        /// The HTTP status.
        code: u16,
        /// The `Retry-After` header, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
        /// The body.
        #[serde(default)]
        body: String,
        /// The `Content-Type`; JSON when left out.
        #[serde(default)]
        content_type: Option<String>,
    },
    /// Wait, then go on with the next fault or the proper answer.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// TCP reset: the client reads "connection reset by peer".
    Reset,
    /// The proper answer, cut off in the middle of its body. At `Connect`: cut off before TLS.
    CutBody,
    /// 302 to another address.
    Redirect {
        /// The `Location` header.
        to: String,
    },
    /// 200 with a web page, as a captive portal answers.
    Html,
    /// 200 with a JSON string that never ends.
    EndlessBody,
    /// A leaf certificate that must not be trusted; at `Connect` only.
    Certificate(BadCertificate),
    /// The connection is closed as soon as TLS stands, before any request; at `Connect` only.
    HangUp,
    /// These bytes in place of an HTTP answer.
    Raw(Raw),
}

/// Bytes as they go over the connection, whether or not they are HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Raw {
    /// What comes first.
    pub start: Vec<u8>,
    /// What follows, again and again.
    pub then: Vec<u8>,
    /// How often.
    pub times: u64,
    /// Milliseconds before each of these.
    pub every_ms: u64,
    /// Whether the connection is held open afterwards, in silence; closed when left out.
    pub hold: bool,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadCertificate {
    /// Issued by a CA that is not in `ca.pem`, as a TLS-inspecting proxy's is.
    UnknownIssuer,
    /// Expired, years ago.
    Expired,
    /// Issued to another name.
    OtherName,
    /// Issued by itself.
    SelfSigned,
}

impl Fault {
    /// A fault that happens every time.
    pub fn always(at: FaultAt, kind: FaultKind) -> Self {
        Self {
            at,
            kind,
            times: None,
        }
    }

    /// A fault that happens once.
    pub fn once(at: FaultAt, kind: FaultKind) -> Self {
        Self {
            at,
            kind,
            times: Some(1),
        }
    }
}

impl FaultKind {
    /// A bare status with an empty body.
    pub fn status(code: u16) -> Self {
        Self::Status {
            code,
            retry_after: None,
            body: String::new(),
            content_type: None,
        }
    }

    /// ACR's answer to a client that asks too often.
    pub fn too_many_requests(retry_after: u64) -> Self {
        let body = "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"Too many requests. \
                    Please visit https://aka.ms/acr/skus#sku-feature-matrix to view limits of all service tiers.\"}]}";
        Self::Status {
            code: 429,
            retry_after: Some(retry_after),
            body: body.to_owned(),
            content_type: None,
        }
    }
}

impl FaultAt {
    fn covers(&self, place: &Self) -> bool {
        match (self, place) {
            (Self::Connect(pattern), Self::Connect(host)) => pattern == "*" || pattern == host,
            (Self::Token, Self::TokenGrant(_)) => true,
            _ => self == place,
        }
    }
}

/// Takes the faults that apply to one request: any delays, then at most one of another kind.
pub(crate) fn take(faults: &mut Vec<Fault>, place: &FaultAt) -> Vec<FaultKind> {
    let mut taken = Vec::new();
    for fault in faults.iter_mut().filter(|fault| fault.at.covers(place)) {
        if let Some(times) = &mut fault.times {
            if *times == 0 {
                continue;
            }
            *times -= 1;
        }
        taken.push(fault.kind.clone());
        if !matches!(fault.kind, FaultKind::Delay { .. }) {
            break;
        }
    }
    faults.retain(|fault| fault.times != Some(0));
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_wears_out_and_a_delay_lets_the_next_one_pass() {
        let slow = FaultKind::Delay { ms: 1 };
        let mut faults = vec![
            Fault::always(FaultAt::Exchange, slow.clone()),
            Fault {
                at: FaultAt::Exchange,
                kind: FaultKind::Reset,
                times: Some(2),
            },
        ];
        assert_eq!(take(&mut faults, &FaultAt::Token), []);
        assert_eq!(
            take(&mut faults, &FaultAt::Exchange),
            [slow.clone(), FaultKind::Reset]
        );
        assert_eq!(
            take(&mut faults, &FaultAt::Exchange),
            [slow.clone(), FaultKind::Reset]
        );
        assert_eq!(take(&mut faults, &FaultAt::Exchange), [slow]);
    }

    #[test]
    fn a_connect_fault_is_for_its_host_or_for_all() {
        let portal = |host: &str| {
            vec![Fault::always(
                FaultAt::Connect(host.to_owned()),
                FaultKind::Html,
            )]
        };
        let place = FaultAt::Connect("contoso.azurecr.io".to_owned());
        assert_eq!(take(&mut portal("contoso.azurecr.io"), &place).len(), 1);
        assert_eq!(take(&mut portal("*"), &place).len(), 1);
        assert_eq!(take(&mut portal("other.azurecr.io"), &place).len(), 0);
    }
}
