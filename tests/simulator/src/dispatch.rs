//! From a request to the service it is for: journal, faults, answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{DATE, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;

use crate::call::{Call, Fields};
use crate::faults::{FaultAt, FaultKind};
use crate::images::Route;
use crate::journal::{Endpoint, Entry};
use crate::registries::Registry;
use crate::server::Ends;
use crate::service::{Door, Service, find};
use crate::settings::Settings;
use crate::wire::{self, Reply, cut_off, with};
use crate::world::World;
use crate::{acr, arm, backend, clock, control, entra, identity_endpoints, oidc, random};

/// A blank journal entry about a request.
pub(crate) fn new_entry<B>(request: &Request<B>, host: String, endpoint: Endpoint) -> Entry {
    let agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Entry {
        seq: 0,
        unix_ms: clock::unix_ms(),
        host,
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        status: 0,
        endpoint,
        grant: None,
        service: None,
        audience_requested: None,
        tenant: None,
        client_id: None,
        token: None,
        issued: None,
        user_agent: agent.map(str::to_owned),
    }
}

/// The answer to a request, journaled. An error closes the connection.
pub(crate) async fn respond(
    world: Arc<World>,
    ends: Ends,
    door: Door,
    request: Request<Incoming>,
) -> io::Result<Reply> {
    let settings = world.settings();
    let (host, service) = find(&door, &request, &settings);
    let (endpoint, place) = service.place(request.uri().path());
    let mut entry = new_entry(&request, host.clone(), endpoint);
    if !matches!(service, Service::Control) {
        world.journal.open(&mut entry);
    }
    let visit = Visit {
        world: &world,
        settings,
        host,
        service,
    };
    let reply = visit.answer(&ends, place, request, &mut entry).await;
    if let Ok(reply) = &reply {
        entry.status = reply.status().as_u16();
    }
    world.journal.close(&entry);
    reply
}

/// What a fault does to a request: an answer, an end, or nothing but time.
pub(crate) async fn befall(fault: FaultKind, ends: &Ends) -> io::Result<Option<Reply>> {
    Ok(match fault {
        FaultKind::Delay { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            None
        }
        FaultKind::Reset => {
            ends.line.reset();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        FaultKind::Status {
            code,
            retry_after,
            body,
            content_type,
        } => {
            let content_type = content_type
                .as_deref()
                .unwrap_or("application/json; charset=utf-8");
            let reply = wire::reply(code, content_type, body);
            Some(match retry_after {
                Some(seconds) => with(reply, "retry-after", &seconds.to_string()),
                None => reply,
            })
        }
        FaultKind::Redirect { to } => Some(with(wire::empty(302), "location", &to)),
        FaultKind::Html => {
            let page = "<!DOCTYPE html><html><title>Welcome</title><h1>Please sign in to this network</h1></html>\n";
            Some(wire::reply(200, "text/html; charset=utf-8", page))
        }
        FaultKind::EndlessBody => Some(wire::endless()),
        FaultKind::Raw(raw) => {
            ends.script.play(raw);
            Some(wire::empty(200))
        }
        FaultKind::CutBody | FaultKind::Certificate(_) | FaultKind::HangUp => None,
    })
}

/// One request on its way through a service.
struct Visit<'a> {
    world: &'a World,
    settings: Settings,
    host: String,
    service: Service,
}

impl Visit<'_> {
    async fn answer(
        self,
        ends: &Ends,
        place: Option<FaultAt>,
        request: Request<Incoming>,
        entry: &mut Entry,
    ) -> io::Result<Reply> {
        let now = self.settings.now();
        let (head, body) = request.into_parts();
        let streamed = self.backend(&head).is_some();
        let (bytes, body) = if streamed {
            (Bytes::new(), Some(body))
        } else {
            (
                body.collect().await.map_err(io::Error::other)?.to_bytes(),
                None,
            )
        };
        let call = self.call(&head, bytes, now);
        if matches!(place, Some(FaultAt::Exchange | FaultAt::Token)) {
            acr::note(&call, entry);
        }
        let place = match (place, &entry.grant) {
            (Some(FaultAt::Token), Some(grant)) => Some(FaultAt::TokenGrant(grant.clone())),
            (place, _) => place,
        };
        let mut is_cut = false;
        for fault in place
            .map(|place| self.world.take_faults(&place))
            .unwrap_or_default()
        {
            is_cut |= fault == FaultKind::CutBody;
            if let Some(reply) = befall(fault, ends).await? {
                return Ok(reply);
            }
        }
        let mut reply = match (&self.service, body) {
            (Service::Registry(registry), body) => {
                self.registry(registry, &call, entry, head, body).await?
            }
            (service, _) => self.other(service, &call, entry),
        };
        if let Ok(date) = HeaderValue::from_str(&clock::http_date(now)) {
            reply.headers_mut().insert(DATE, date);
        }
        Ok(if is_cut { cut_off(reply).await } else { reply })
    }

    /// The real registry that a request is passed on to.
    fn backend(&self, head: &Parts) -> Option<&str> {
        match &self.service {
            Service::Registry(registry) if head.uri.path().starts_with("/v2") => {
                registry.backend.as_deref()
            }
            _ => None,
        }
    }

    fn call(&self, head: &Parts, body: Bytes, now: i64) -> Call {
        Call {
            settings: self.settings.clone(),
            now,
            host: self.host.clone(),
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: Fields::parse(head.uri.query().unwrap_or_default().as_bytes()),
            headers: head.headers.clone(),
            body,
        }
    }

    fn other(&self, service: &Service, call: &Call, entry: &mut Entry) -> Reply {
        let world = self.world;
        match service {
            Service::Authority { cloud } => entra::Desk { world, call, cloud }.answer(entry),
            Service::Arm { cloud } => arm::answer(world, call, cloud, entry),
            Service::GitHub => oidc::github(world, call, entry),
            Service::Pipelines => oidc::pipelines(world, call, entry),
            Service::Identity(platform) => {
                identity_endpoints::answer(world, call, *platform, entry)
            }
            Service::Control => control::answer(world, call),
            Service::Nobody | Service::Registry(_) => {
                let text = format!("the simulator knows no {}{}\n", call.host, call.path);
                let status = if call.host.starts_with("127.0.0.1") {
                    404
                } else {
                    502
                };
                wire::reply(status, "text/plain; charset=utf-8", text)
            }
        }
    }

    async fn registry(
        &self,
        registry: &Registry,
        call: &Call,
        entry: &mut Entry,
        head: Parts,
        body: Option<Incoming>,
    ) -> io::Result<Reply> {
        let correlation = random::guid();
        let desk = acr::Desk {
            world: self.world,
            call,
            registry,
            correlation,
        };
        if !call.path.starts_with("/v2") {
            return Ok(desk.answer(entry));
        }
        let route = Route::parse(&call.path);
        if let Some(refused) = desk.refusal(&route, entry) {
            return Ok(refused);
        }
        let reply = match (&registry.backend, body) {
            (Some(backend), Some(body)) => {
                match backend::pass_on(backend, &self.host, head, body).await {
                    Ok(reply) => reply,
                    Err(error) => wire::reply(
                        502,
                        "text/plain; charset=utf-8",
                        format!("{backend}: {error}\n"),
                    ),
                }
            }
            _ => self
                .world
                .images
                .answer(&registry.global_host(), call, &route),
        };
        Ok(desk.with_headers(reply))
    }
}
