//! What people see in a browser: the sign-in page, and the one for device codes. Buttons have ids for those who press them by program.

use super::Desk;
use crate::wire::{self, Reply};

/// Both ways to end it.
const BUTTONS: &str = "<button id=\"approve\" name=\"answer\" value=\"approve\">Continue</button> \
                       <button id=\"deny\" name=\"answer\" value=\"deny\">Cancel</button>";

/// Asks somebody who is about to sign in; the form goes back to the address it came from.
pub(super) fn sign_in() -> Reply {
    page(
        200,
        &format!(
            "<h1>Pick an account</h1><form method=\"post\"><p>alice@contoso.example</p>{BUTTONS}</form>"
        ),
    )
}

impl Desk<'_> {
    /// `https://microsoft.com/devicelogin`: asks for a code, and what to do about it.
    pub(super) fn device_login(&self) -> Reply {
        let Some(form) = self.call.form() else {
            let input = "<input id=\"code\" name=\"code\" autocomplete=\"off\">";
            return page(
                200,
                &format!("<h1>Enter code</h1><form method=\"post\">{input} {BUTTONS}</form>"),
            );
        };
        let approves = form.get("answer") == Some("approve");
        if !self
            .world
            .sessions
            .answer_device(form.get("code").unwrap_or_default(), approves)
        {
            return page(400, "<h1>That code did not work</h1>");
        }
        page(200, "<h1 id=\"done\">You can close this window</h1>")
    }
}

pub(super) fn page(status: u16, body: &str) -> Reply {
    wire::reply(
        status,
        "text/html; charset=utf-8",
        format!("<!DOCTYPE html><title>Sign in</title>{body}\n"),
    )
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
