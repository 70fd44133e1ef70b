//! The HTTP responses to the browser.

const PAGE: &str = include_str!("page.html");

/// Returns the page that ends a sign-in, with the reason if it failed. It loads nothing and shows no secret.
pub(super) fn response_page(failure: Option<&str>) -> String {
    let (status, class, heading, text) = match failure {
        None => (
            "200 OK",
            "good",
            "You are signed in",
            "You can close this window and return to the terminal.".to_owned(),
        ),
        Some(reason) => (
            "400 Bad Request",
            "bad",
            "You are not signed in",
            escape_html(reason.trim_end_matches('.')) + ". The terminal shows what to do.",
        ),
    };
    // The text comes last, because it could contain the other placeholders.
    let body = PAGE
        .replace("{kind}", class)
        .replace("{heading}", heading)
        .replace("{words}", &text);
    response(status, "text/html; charset=utf-8", &body)
}

/// Returns the response to all other requests.
pub(super) fn not_found() -> String {
    let text = "there is nothing here\n";
    response("404 Not Found", "text/plain; charset=utf-8", text)
}

/// The address of the page contains the code, so that no header lets the browser store it or send it on.
fn response(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n\
         Content-Type: {content_type}\r\n\
         Content-Length: {}\r\n\
         Cache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'none'\r\n\
         Referrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_shown_as_text() {
        let page = response_page(Some("<script>alert('x')</script>"));
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;")
                && !page.contains("<script")
        );
    }

    #[test]
    fn a_page_loads_nothing_and_is_not_stored() {
        for page in [None, Some("reason")].map(response_page) {
            assert!(
                page.contains("Cache-Control: no-store") && page.contains("default-src 'none'")
            );
            assert!(
                ["http://", "https://", "src=", "href="]
                    .iter()
                    .all(|word| !page.contains(word)),
                "{page}"
            );
            assert!(!page.contains("{kind}") && !page.contains("{words}"));
        }
    }
}
