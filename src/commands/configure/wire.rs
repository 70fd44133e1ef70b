//! Naming this helper in the text of a client's file, and taking the names out again.

use super::HELPER;
use super::edit::{insert, remove, replace};
use super::json::{Member, Object};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The names of helpers for single hosts (docker's `config.json`, containers-auth.json(5)).
const HELPERS: &str = "credHelpers";

/// The name of the helper for all hosts.
const STORE: &str = "credsStore";

/// What was done to a text, as far as the text itself does not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Done {
    /// The whole text, where it held nothing but white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blank: Option<String>,
    /// What lay between the braces of the root, where that was nothing but white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// The former value of `credHelpers`, where it held no helper; empty where it was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    helpers: Option<String>,
    /// The hosts that were named, each with its former value as it was written.
    hosts: BTreeMap<String, Option<String>>,
    /// Whether `credsStore` was set, and its former value as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<Former>,
}

/// A value that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Former {
    value: Option<String>,
}

impl Done {
    /// Whether nothing is left to undo.
    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.store.is_none()
    }

    /// The hosts that were named.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// Whether this helper was named for all hosts.
    pub(super) fn has_store(&self) -> bool {
        self.store.is_some()
    }
}

/// What an edit came upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was as it should be.
    Already,
    /// It is new.
    Made,
    /// It was another helper's.
    Replaced(String),
    /// It is gone.
    Removed,
    /// The former helper is named again.
    Restored(String),
    /// It names another helper by now, which somebody else wrote, and was left.
    Left(String),
    /// It was not there.
    Missing,
}

/// The text of a client's file while it is edited.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) text: String,
    pub(super) done: Done,
}

impl Draft {
    /// Errors with what is wrong with the text.
    pub(super) fn new(text: &str, done: Done) -> Result<Self, String> {
        let mut draft = Self {
            text: text.to_owned(),
            done,
        };
        if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
            draft.done.blank = Some(text.to_owned());
            draft.text = "{}\n".into();
        }
        helpers(&draft.text)?;
        store(&draft.text)?;
        Ok(draft)
    }

    /// Names this helper for a host.
    pub(super) fn name(&mut self, host: &str) -> Result<Step, String> {
        let ours = quoted(HELPER);
        let root = Object::parse(&self.text)?;
        let Some(object) = helpers(&self.text)? else {
            self.make_helpers(&root)?;
            return self.name(host);
        };
        let Some((_, member)) = object.find(|name| name == host)? else {
            if object.members.is_empty() && self.done.helpers.is_none() {
                let object = root
                    .field(HELPERS)?
                    .map(|(_, member)| self.text[member.value.clone()].to_owned());
                self.done.helpers = object;
            }
            self.text = insert(&self.text, &root, &object, 1, host, &ours);
            self.done.hosts.insert(host.to_owned(), None);
            return Ok(Step::Made);
        };
        let former = text_of(&self.text, member, HELPERS)?;
        if former == HELPER {
            return Ok(Step::Already);
        }
        self.done.hosts.insert(
            host.to_owned(),
            Some(self.text[member.value.clone()].to_owned()),
        );
        self.text = replace(&self.text, member.value.clone(), &ours);
        Ok(Step::Replaced(former))
    }

    fn make_helpers(&mut self, root: &Object) -> Result<(), String> {
        if let Some((_, null)) = root.field(HELPERS)? {
            self.done.helpers = Some(self.text[null.value.clone()].to_owned());
            self.text = replace(&self.text, null.value.clone(), "{}");
        } else {
            self.done.helpers = Some(String::new());
            self.keep_hollow(root);
            self.text = insert(&self.text, root, root, 0, HELPERS, "{}");
        }
        Ok(())
    }

    /// Names this helper for all hosts.
    pub(super) fn name_for_all(&mut self) -> Result<Step, String> {
        let ours = quoted(HELPER);
        let root = Object::parse(&self.text)?;
        let former = store(&self.text)?;
        let Some((_, member)) = root.field(STORE)? else {
            self.keep_hollow(&root);
            self.text = insert(&self.text, &root, &root, 0, STORE, &ours);
            self.done.store = Some(Former { value: None });
            return Ok(Step::Made);
        };
        if former.as_deref() == Some(HELPER) {
            return Ok(Step::Already);
        }
        self.done.store = Some(Former {
            value: Some(self.text[member.value.clone()].to_owned()),
        });
        self.text = replace(&self.text, member.value.clone(), &ours);
        Ok(former.map_or(Step::Made, Step::Replaced))
    }

    fn keep_hollow(&mut self, root: &Object) {
        if root.members.is_empty() {
            self.done.root = Some(self.text[root.inside.clone()].to_owned());
        }
    }

    /// Takes the name of this helper away from a host.
    pub(super) fn forget(&mut self, host: &str) -> Result<Step, String> {
        let former = self.done.hosts.remove(host).flatten();
        let Some(object) = helpers(&self.text)? else {
            return Ok(Step::Missing);
        };
        let Some((index, member)) = object.find(|name| name == host)? else {
            return Ok(Step::Missing);
        };
        let now = text_of(&self.text, member, HELPERS)?;
        if now != HELPER {
            return Ok(Step::Left(now));
        }
        if let Some(former) = former {
            self.text = replace(&self.text, member.value.clone(), &former);
            return Ok(Step::Restored(unquoted(&former)));
        }
        self.text = remove(&self.text, &object, index, "");
        if object.members.len() == 1 {
            self.unmake_helpers()?;
        }
        Ok(Step::Removed)
    }

    fn unmake_helpers(&mut self) -> Result<(), String> {
        let root = Object::parse(&self.text)?;
        if let (Some(former), Some((index, member))) =
            (self.done.helpers.take(), root.field(HELPERS)?)
        {
            self.text = if former.is_empty() {
                remove(
                    &self.text,
                    &root,
                    index,
                    self.done.root.as_deref().unwrap_or_default(),
                )
            } else {
                replace(&self.text, member.value.clone(), &former)
            };
        }
        Ok(())
    }

    /// Takes the name of this helper away from all hosts.
    pub(super) fn forget_for_all(&mut self) -> Result<Step, String> {
        let former = self.done.store.take().and_then(|former| former.value);
        let root = Object::parse(&self.text)?;
        let (Some(now), Some((index, member))) = (store(&self.text)?, root.field(STORE)?) else {
            return Ok(Step::Missing);
        };
        if now != HELPER {
            return Ok(Step::Left(now));
        }
        if let Some(former) = former {
            self.text = replace(&self.text, member.value.clone(), &former);
            return Ok(Step::Restored(unquoted(&former)));
        }
        self.text = remove(
            &self.text,
            &root,
            index,
            self.done.root.as_deref().unwrap_or_default(),
        );
        Ok(Step::Removed)
    }

    /// The text when everything is undone: what was blank is so again. Also tells whether it holds nothing.
    pub(super) fn finish(&mut self) -> bool {
        let is_hollow = Object::parse(&self.text).is_ok_and(|root| root.members.is_empty());
        if let Some(blank) = self.done.blank.take_if(|_| is_hollow) {
            self.text = blank;
        }
        is_hollow
    }
}

/// The object of `credHelpers`, if there is one.
fn helpers(text: &str) -> Result<Option<Object>, String> {
    let root = Object::parse(text)?;
    let Some((_, member)) = root.field(HELPERS)? else {
        return Ok(None);
    };
    match member.object(text) {
        Some(object) => Ok(Some(object)),
        None if member.value(text).is_null() => Ok(None),
        None => Err(format!("its `{HELPERS}` is no object")),
    }
}

/// The helper for all hosts, if one is named.
pub(super) fn store(text: &str) -> Result<Option<String>, String> {
    let root = Object::parse(text)?;
    let Some((_, member)) = root.field(STORE)? else {
        return Ok(None);
    };
    if member.value(text).is_null() {
        return Ok(None);
    }
    text_of(text, member, STORE).map(|name| Some(name).filter(|name| !name.is_empty()))
}

/// The hosts under `credHelpers`, each with its helper.
pub(super) fn named(text: &str) -> Result<Vec<(String, String)>, String> {
    let Some(object) = helpers(text)? else {
        return Ok(vec![]);
    };
    object
        .members
        .iter()
        .map(|member| Ok((member.name.clone(), text_of(text, member, HELPERS)?)))
        .collect()
}

fn text_of(text: &str, member: &Member, field: &str) -> Result<String, String> {
    let value = member.value(text);
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("its `{field}` names no helper in quotes"))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unquoted(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}
