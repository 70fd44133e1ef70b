//! Shows a change as a unified diff. Values that are not ours are masked, because they may be passwords.

use super::cred_helpers::{CRED_HELPERS, CREDS_STORE, parse};
use jsonc_parser::ast::Value;
use jsonc_parser::common::{Range, Ranged};
use similar::{Algorithm, udiff};

/// The number of lines that are shown around a change.
const CONTEXT_LINES: usize = 3;

/// Returns a client's JSON text with `"…"` for every string except names and helpers. Its lines stay.
fn masked(text: &str) -> String {
    let Ok(root) = parse(text) else {
        return text.to_owned();
    };
    let mut strings = Vec::new();
    for property in root.properties {
        let name = property.name.as_str();
        let is_shown = [CRED_HELPERS, CREDS_STORE]
            .iter()
            .any(|shown| name.eq_ignore_ascii_case(shown));
        if !is_shown {
            collect_strings(&property.value, &mut strings);
        }
    }
    let mut masked = text.to_owned();
    for string in strings.iter().rev() {
        masked.replace_range(string.start..string.end, "\"…\"");
    }
    masked
}

/// Collects the positions of the strings of a value, in order.
fn collect_strings(value: &Value<'_>, strings: &mut Vec<Range>) {
    match value {
        Value::StringLit(string) => strings.push(string.range()),
        Value::Object(object) => {
            for property in &object.properties {
                collect_strings(&property.value, strings);
            }
        }
        Value::Array(array) => {
            for element in &array.elements {
                collect_strings(element, strings);
            }
        }
        _ => (),
    }
}

/// Returns the masked lines that differ, with those around them.
pub(super) fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    let name = |text: Option<&str>| if text.is_some() { path } else { "/dev/null" }.to_owned();
    udiff::unified_diff(
        Algorithm::Myers,
        &masked(before.unwrap_or_default()),
        &masked(after.unwrap_or_default()),
        CONTEXT_LINES,
        Some((&name(before), &name(after))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_is_shown() {
        let diff = unified("/f", Some("{\n1\n2\n3\n4\n}"), Some("{\n1\n2\n3\n4,\n5\n}"));
        assert_eq!(
            diff,
            "--- /f\n+++ /f\n@@ -2,5 +2,6 @@\n 1\n 2\n 3\n-4\n+4,\n+5\n }\n\\ No newline at end of file\n"
        );
        assert_eq!(
            unified("/f", None, Some("{}\n")),
            "--- /dev/null\n+++ /f\n@@ -0,0 +1 @@\n+{}\n"
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let text = r#"{"auths":{"a":{"auth":"c2\"Vj","n":1}},"credHelpers":{"a":"ecr-login"},"proxy":["http://u:p@h"]}"#;
        let shown =
            r#"{"auths":{"a":{"auth":"…","n":1}},"credHelpers":{"a":"ecr-login"},"proxy":["…"]}"#;
        assert_eq!(masked(text), shown);
    }
}
