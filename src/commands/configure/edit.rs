//! The smallest edits of a JSON text. Each has its opposite: what was inserted can be removed again to the byte.

use super::json::{Member, Object};

/// How a file is written where it gives no example at the very place.
struct Style {
    newline: &'static str,
    /// One step of indentation; none when everything stands on one line.
    step: Option<String>,
    /// The space inside the braces of an object on one line.
    pad: String,
    /// What stands between a name and its value.
    colon: String,
}

impl Style {
    fn of(text: &str, root: &Object) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let (Some(first), Some(last)) = (root.members.first(), root.members.last()) else {
            // docker and podman write tabs.
            return Self {
                newline,
                step: Some("\t".into()),
                pad: String::new(),
                colon: ": ".into(),
            };
        };
        let space = &text[root.inside.start..first.key.start];
        let step = space.rfind('\n').map(|at| space[at + 1..].to_owned());
        let pad = if step.is_none() {
            space.to_owned()
        } else {
            String::new()
        };
        Self {
            newline,
            step,
            pad,
            colon: colon(text, last),
        }
    }
}

fn colon(text: &str, member: &Member) -> String {
    let colon = &text[member.key.end..member.value.start];
    if colon.contains('\n') {
        ": ".into()
    } else {
        colon.to_owned()
    }
}

/// Inserts a member at the end of an object, as its other members are written. `depth` is 0 for the root.
pub(super) fn insert(
    text: &str,
    root: &Object,
    object: &Object,
    depth: usize,
    name: &str,
    value: &str,
) -> String {
    let name = serde_json::Value::from(name).to_string();
    let Some(last) = object.members.last() else {
        let style = Style::of(text, root);
        let (colon, pad) = (style.colon, style.pad);
        let inside = match style.step {
            Some(step) => {
                let (inner, outer) = (step.repeat(depth + 1), step.repeat(depth));
                format!(
                    "{newline}{inner}{name}{colon}{value}{newline}{outer}",
                    newline = style.newline
                )
            }
            None => format!("{pad}{name}{colon}{value}{pad}"),
        };
        return replace(text, object.inside.clone(), &inside);
    };
    // The space before the last member: after its comma, or after the brace.
    let before = match object.members.len() {
        1 => object.inside.start,
        count => object.members[count - 2].value.end,
    };
    let gap = &text[before..last.key.start];
    let space = gap.split_once(',').map_or(gap, |(_, space)| space);
    let member = format!(",{space}{name}{}{value}", colon(text, last));
    replace(text, last.value.end..last.value.end, &member)
}

/// Removes a member. What then lies between the braces of an object without members is `hollow`.
pub(super) fn remove(text: &str, object: &Object, index: usize, hollow: &str) -> String {
    let members = &object.members;
    let range = match (index.checked_sub(1), members.get(index + 1)) {
        (Some(before), _) => members[before].value.end..members[index].value.end,
        (None, Some(after)) => members[index].key.start..after.key.start,
        (None, None) => return replace(text, object.inside.clone(), hollow),
    };
    replace(text, range, "")
}

/// Puts something in the place of a part.
pub(super) fn replace(text: &str, range: std::ops::Range<usize>, by: &str) -> String {
    format!("{}{by}{}", &text[..range.start], &text[range.end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserted(text: &str) -> String {
        let root = Object::parse(text).unwrap();
        let edited = insert(text, &root, &root, 0, "k", "1");
        let again = Object::parse(&edited).unwrap();
        let hollow = &text[root.inside.clone()];
        assert_eq!(
            remove(&edited, &again, again.members.len() - 1, hollow),
            text
        );
        edited
    }

    #[test]
    fn a_member_is_written_like_those_beside_it_and_goes_without_a_trace() {
        for (text, edited) in [
            ("{}", "{\n\t\"k\": 1\n}"),
            ("{ \r\n}\r\n", "{\r\n\t\"k\": 1\r\n}\r\n"),
            ("{\"a\":1}", "{\"a\":1,\"k\":1}"),
            ("{ \"a\": 1 }", "{ \"a\": 1, \"k\": 1 }"),
            ("{\"a\": 1, \"b\": 2}\n", "{\"a\": 1, \"b\": 2, \"k\": 1}\n"),
            ("{\n  \"a\": 1\n}", "{\n  \"a\": 1,\n  \"k\": 1\n}"),
            (
                "{\r\n    \"a\" : {}\r\n}",
                "{\r\n    \"a\" : {},\r\n    \"k\" : 1\r\n}",
            ),
            (
                "{\n\t\"a\":\n\t\t1\n}",
                "{\n\t\"a\":\n\t\t1,\n\t\"k\": 1\n}",
            ),
            (
                "{ \"a\": 1\n, \"b\": 2\n}",
                "{ \"a\": 1\n, \"b\": 2, \"k\": 1\n}",
            ),
        ] {
            assert_eq!(inserted(text), edited);
        }
    }
}
