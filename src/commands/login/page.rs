//! What the browser shows when the sign-in has come to its end: a page of its own, which loads nothing and tells no secret.

/// The whole page, with words in its places.
const PAGE: &str = include_str!("page.html");

/// The page after a sign-in that succeeded.
pub(super) fn success() -> String {
    page(
        "200 OK",
        "good",
        "You are signed in",
        "You can close this window and return to the terminal.",
    )
}

/// The page after one that did not, with the reason.
pub(super) fn failure(reason: &str) -> String {
    let words = format!(
        "{}. The terminal tells what to do.",
        reason.trim_end_matches('.')
    );
    page("400 Bad Request", "bad", "You are not signed in", &words)
}

/// What is answered to everybody else.
pub(super) fn not_found() -> String {
    answer(
        "404 Not Found",
        "text/plain; charset=utf-8",
        "there is nothing here\n",
    )
}

fn page(status: &str, kind: &str, heading: &str, words: &str) -> String {
    let places = [
        ("{kind}", kind.to_owned()),
        ("{heading}", escaped(heading)),
        ("{words}", escaped(words)),
    ];
    // The words come last: what they hold is not looked at for places.
    let body = places.iter().fold(PAGE.to_owned(), |page, (place, words)| {
        page.replace(place, words)
    });
    answer(status, "text/html; charset=utf-8", &body)
}

/// A whole answer of HTTP/1.1. The address of the page holds the code: it is given to nobody and not written down.
fn answer(status: &str, content_type: &str, body: &str) -> String {
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

fn escaped(text: &str) -> String {
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
    fn a_page_shows_a_reason_and_does_not_believe_it() {
        let page = failure("<script>alert('x')</script>");
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;")
                && !page.contains("<script")
        );
    }

    #[test]
    fn a_page_loads_nothing_and_is_not_kept() {
        for page in [success(), failure("reason")] {
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
