//! `/oauth2/token`: a registry access token, in every form that clients ask for one.

use hyper::Method;
use serde_json::{Value, json};

use super::{Desk, Problem};
use crate::call::Fields;
use crate::journal::Entry;
use crate::tokens::{self, Issued, Principal};
use crate::wire::{self, Reply};

/// The user name that goes with a token.
const ZERO_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// About how much the real web server takes of a header.
const LONGEST_HEADER: usize = 6 * 1024;

/// Who asks, and with what.
struct Asker {
    /// None: anonymous.
    principal: Option<Principal>,
    /// The refresh token presented, to be handed back where the client wants one.
    refresh_token: Option<String>,
}

impl Desk<'_> {
    pub(super) fn token(&self, entry: &mut Entry) -> Reply {
        match self.registry_access_token(entry) {
            Ok(body) => wire::json(200, &body),
            Err(problem) => problem.reply(self),
        }
    }

    fn registry_access_token(&self, entry: &mut Entry) -> Result<Value, Problem> {
        let is_get = self.call.method == Method::GET;
        let form = if is_get { None } else { self.call.form() };
        let fields = form.as_ref().unwrap_or(&self.call.query);
        let service = fields
            .get("service")
            .map_or_else(|| self.registry.global_host(), str::to_owned);
        let scopes = fields.words("scope");
        entry.audience_requested = Some(scopes.join(" "));
        entry.client_id = fields.get("client_id").map(str::to_owned);
        let asker = match &form {
            Some(form) => self.asker_by_form(form, entry)?,
            None => self.asker_by_header(entry)?,
        };
        if !self.registry.is_called(&service, &self.call.settings) {
            return Err(Problem::Unauthorized);
        }
        let access = self.granted(asker.principal.as_ref(), &scopes);
        // Where anonymous pull is on, a scope that is not granted gets a token that grants nothing.
        if asker.principal.is_none() && !self.registry.anonymous_pull {
            return Err(Problem::Unauthorized);
        }
        let principal = asker.principal.as_ref();
        let Issued { token, facts } = tokens::mint_registry_access(
            self.world,
            self.call,
            principal,
            &service,
            &Value::from(access),
        );
        entry.issued = Some(facts);
        let mut answer = json!({"access_token": token});
        let wants_more = fields.get("offline_token") == Some("true")
            || (self.call.settings.offline_access_type
                && fields.get("access_type") == Some("offline"));
        if let (true, Some(refresh_token)) = (wants_more, asker.refresh_token) {
            answer["refresh_token"] = refresh_token.into();
        }
        Ok(answer)
    }

    fn asker_by_header(&self, entry: &mut Entry) -> Result<Asker, Problem> {
        if self
            .call
            .header("authorization")
            .is_some_and(|header| header.len() > LONGEST_HEADER)
        {
            return Err(Problem::HeaderTooLarge);
        }
        let Some((user, password)) = self.call.basic() else {
            return Ok(Asker {
                principal: None,
                refresh_token: None,
            });
        };
        self.asker_by_password(&user, &password, entry)
    }

    fn asker_by_form(&self, form: &Fields, entry: &mut Entry) -> Result<Asker, Problem> {
        match form.get("grant_type") {
            Some("refresh_token") => {
                let token = form.get("refresh_token").ok_or(Problem::BadRefreshToken)?;
                self.asker_by_refresh_token(token, entry)
                    .ok_or(Problem::BadRefreshToken)
            }
            Some("password") => match (form.get("username"), form.get("password")) {
                // The Azure SDKs ask so for an anonymous token.
                (None, None) => Ok(Asker {
                    principal: None,
                    refresh_token: None,
                }),
                (user, password) => {
                    let password = password.unwrap_or_default();
                    entry.token = tokens::facts(password);
                    if let Some(status) = self.call.settings.password_grant {
                        return Err(Problem::PasswordGrant(status));
                    }
                    self.asker_by_password(user.unwrap_or_default(), password, entry)
                }
            },
            _ => Err(Problem::Malformed("unsupported grant_type".to_owned())),
        }
    }

    fn asker_by_password(
        &self,
        user: &str,
        password: &str,
        entry: &mut Entry,
    ) -> Result<Asker, Problem> {
        if user != ZERO_GUID {
            return Err(Problem::Unauthorized);
        }
        self.asker_by_refresh_token(password, entry)
            .or_else(|| self.asker_by_access_token(password))
            .ok_or(Problem::Unauthorized)
    }

    fn asker_by_refresh_token(&self, token: &str, entry: &mut Entry) -> Option<Asker> {
        entry.token = tokens::facts(token);
        let principal = tokens::verify_refresh(self.world, self.call, self.registry, token).ok()?;
        Some(Asker {
            principal: Some(principal),
            refresh_token: Some(token.to_owned()),
        })
    }

    /// A registry access token does as a password too.
    fn asker_by_access_token(&self, token: &str) -> Option<Asker> {
        let claims =
            tokens::verify_registry_access(self.world, self.call, self.registry, token).ok()?;
        let principal = claims["tenant"]
            .is_string()
            .then(|| tokens::subject_of(&claims, &self.call.settings));
        Some(Asker {
            principal,
            refresh_token: None,
        })
    }

    /// The `access` claim: of what was asked for, what this identity may do.
    fn granted(&self, principal: Option<&Principal>, scopes: &[String]) -> Vec<Value> {
        scopes
            .iter()
            .filter_map(|scope| self.granted_of(principal, scope))
            .collect()
    }

    fn granted_of(&self, principal: Option<&Principal>, scope: &str) -> Option<Value> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, wanted) = rest.rsplit_once(':')?;
        let allowed = match (kind, principal) {
            ("registry", Some(principal)) if name == "catalog" => {
                let sees_all = !self.registry.abac && self.registry.knows(principal);
                if sees_all {
                    vec!["*".to_owned()]
                } else {
                    Vec::new()
                }
            }
            ("repository", Some(principal)) => self.registry.actions(principal, name),
            ("repository", None) if self.registry.anonymous_pull => vec!["pull".to_owned()],
            _ => Vec::new(),
        };
        let wanted: Vec<&str> = wanted.split(',').collect();
        let actions: Vec<String> = allowed
            .into_iter()
            .filter(|action| wanted.contains(&"*") || wanted.contains(&action.as_str()))
            .collect();
        let access = json!({"type": kind, "name": name, "actions": actions});
        (!actions.is_empty()).then_some(access)
    }
}
