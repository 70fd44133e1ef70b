//! What would change, as a unified diff. Values that are not ours are masked: they may be passwords.

use super::json::Object;
use std::fmt::Write as _;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// The members of the root whose values are shown.
const SHOWN: [&str; 2] = ["credHelpers", "credsStore"];

/// A JSON text in which every text under other members than ours is `"…"`. Its lines stay.
pub(super) fn masked(text: &str) -> String {
    let Ok(root) = Object::parse(text) else {
        return text.to_owned();
    };
    let mut masked = text.to_owned();
    for member in root.members.iter().rev().filter(|member| {
        !SHOWN
            .iter()
            .any(|shown| member.name.eq_ignore_ascii_case(shown))
    }) {
        masked.replace_range(member.value.clone(), &mask(&text[member.value.clone()]));
    }
    masked
}

/// Names, which are followed by a colon, stay.
fn mask(value: &str) -> String {
    let mut masked = String::new();
    let mut rest = value;
    while let Some(start) = rest.find('"') {
        let mut is_escaped = false;
        let end = rest[start + 1..].find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let end = end.map_or(rest.len(), |length| start + length + 2);
        let is_name = rest[end..].trim_start().starts_with(':');
        masked.push_str(&rest[..start]);
        masked.push_str(if is_name {
            &rest[start..end]
        } else {
            "\"…\""
        });
        rest = &rest[end..];
    }
    masked + rest
}

/// The lines that differ, with those around them. A change of these files is in few places, and is shown as one piece.
pub(super) fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    let name = |text: Option<&str>| {
        if text.is_some() {
            path.to_owned()
        } else {
            "/dev/null".to_owned()
        }
    };
    let (old, new): (Vec<&str>, Vec<&str>) = (lines(before), lines(after));
    let pairs = || old.iter().zip(&new);
    let same_first = pairs().take_while(|(one, other)| one == other).count();
    let most = old.len().min(new.len()) - same_first;
    let same_last = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(most)
        .take_while(|(one, other)| one == other)
        .count();
    let first = same_first.saturating_sub(CONTEXT);
    let last = same_last.min(CONTEXT);
    let (old_end, new_end) = (old.len() - same_last, new.len() - same_last);
    let start = |count: usize| if count == 0 { 0 } else { first + 1 };
    let (old_count, new_count) = (old_end + last - first, new_end + last - first);
    let mut text = format!("--- {}\n+++ {}\n", name(before), name(after));
    let _ = writeln!(
        text,
        "@@ -{},{old_count} +{},{new_count} @@",
        start(old_count),
        start(new_count)
    );
    let pieces = [
        (' ', &old[first..same_first]),
        ('-', &old[same_first..old_end]),
        ('+', &new[same_first..new_end]),
        (' ', &old[old_end..old_end + last]),
    ];
    for (sign, lines) in pieces {
        for line in lines {
            let _ = writeln!(text, "{sign}{}", line.strip_suffix('\n').unwrap_or(line));
            if !line.ends_with('\n') {
                text.push_str("\\ No newline at end of file\n");
            }
        }
    }
    text
}

fn lines(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split_inclusive('\n').collect()
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
            "--- /dev/null\n+++ /f\n@@ -0,0 +1,1 @@\n+{}\n"
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let text = r#"{"auths":{"a":{"auth":"c2\"Vj","n":1}},"credHelpers":{"a":"ecr-login"},"proxy":"http://u:p@h"}"#;
        let shown =
            r#"{"auths":{"a":{"auth":"…","n":1}},"credHelpers":{"a":"ecr-login"},"proxy":"…"}"#;
        assert_eq!(masked(text), shown);
    }
}
