//! Whatever a file holds, and however it is written: what is done to it and undone leaves it as it was.

use super::HELPER;
use super::json::Object;
use super::wire::{Done, Draft};
use proptest::prelude::*;
use serde_json::{Map, Value};

const HOSTS: [&str; 3] = ["contoso.azurecr.io", "fabrikam.azurecr.us", "gcr.io"];

fn space() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ \t\r\n]{0,4}",
        Just("\n  ".into()),
        Just("\r\n\t".into())
    ]
}

/// An object of these members, with some space at each of the places where JSON allows it.
fn object(members: &[(String, String)], spaces: &[String]) -> String {
    let mut spaces = spaces.iter().cycle();
    let mut space = || spaces.next().map_or("", String::as_str).to_owned();
    let mut text = "{".to_owned();
    for (at, (name, value)) in members.iter().enumerate() {
        text += if at == 0 { "" } else { "," };
        for piece in [
            space(),
            Value::from(name.as_str()).to_string(),
            space(),
            ":".into(),
            space(),
            value.clone(),
            space(),
        ] {
            text += &piece;
        }
    }
    if members.is_empty() {
        text += &space();
    }
    text + "}"
}

fn other_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("-1.5e3".to_owned()),
        any::<String>().prop_map(|s| Value::from(s).to_string())
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), space())
                .prop_map(|(items, space)| format!("[{space}{}]", items.join(","))),
            (
                prop::collection::btree_map(any::<String>(), inner, 0..4),
                prop::collection::vec(space(), 1..5)
            )
                .prop_map(|(members, spaces)| object(
                    &members.into_iter().collect::<Vec<_>>(),
                    &spaces
                )),
        ]
    })
}

fn helpers() -> impl Strategy<Value = String> {
    let helper = prop_oneof![Just(HELPER), Just("pass"), Just("ecr-login")];
    let members = prop::collection::btree_map(prop::sample::select(HOSTS.to_vec()), helper, 0..4);
    let object = (members, prop::collection::vec(space(), 1..5)).prop_map(|(members, spaces)| {
        let members = members
            .into_iter()
            .map(|(host, helper)| (host.to_owned(), Value::from(helper).to_string()));
        object(&members.collect::<Vec<_>>(), &spaces)
    });
    prop_oneof![9 => object, 1 => Just("null".to_owned())]
}

fn file() -> impl Strategy<Value = String> {
    let others = prop::collection::btree_map("[a-z\"\\\\é]{0,6}", other_value(), 0..4);
    let store = prop_oneof![
        Just("\"desktop\""),
        Just("\"acrscoped\""),
        Just("null"),
        Just("\"\"")
    ];
    let parts = (
        others,
        prop::option::of(helpers()),
        prop::option::of(store),
        any::<bool>(),
    );
    (parts, prop::collection::vec(space(), 1..9)).prop_map(
        |((others, helpers, store, is_last), spaces)| {
            let mut members: Vec<(String, String)> = others.into_iter().collect();
            let at = if is_last { members.len() } else { 0 };
            members.splice(
                at..at,
                helpers.map(|helpers| ("credHelpers".into(), helpers)),
            );
            members.splice(
                at..at,
                store.map(|store| ("credsStore".into(), store.to_owned())),
            );
            format!(
                "{}{}{}",
                spaces[0],
                object(&members, &spaces),
                spaces[spaces.len() - 1]
            )
        },
    )
}

/// Everything that is not a name of this helper, or of the one before it.
fn rest(text: &str) -> Map<String, Value> {
    let Ok(Value::Object(mut object)) = serde_json::from_str(text) else {
        return Map::new();
    };
    object.remove("credsStore");
    if let Some(helpers) = object.get_mut("credHelpers").and_then(Value::as_object_mut) {
        helpers.retain(|host, _| !HOSTS[..2].contains(&host.as_str()));
    }
    object.retain(|name, value| {
        name != "credHelpers" || value.as_object().is_some_and(|helpers| !helpers.is_empty())
    });
    object
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_done_and_undone_leaves_no_trace(
        text in file(),
        steps in Just(vec![0, 1, 2]).prop_shuffle(),
        back in Just(vec![0, 1, 2]).prop_shuffle(),
    ) {
        prop_assert!(Object::parse(&text).is_ok(), "{text}");
        let mut draft = Draft::new(&text, Done::default()).unwrap();
        for step in steps {
            match step {
                0 => draft.name_for_all(),
                _ => draft.name(HOSTS[step - 1]),
            }
            .unwrap();
        }
        prop_assert_eq!(rest(&draft.text), rest(&text));
        let value: Value = serde_json::from_str(&draft.text).unwrap();
        prop_assert_eq!(&value["credsStore"], HELPER);
        prop_assert_eq!(&value["credHelpers"][HOSTS[0]], HELPER);
        prop_assert_eq!(&value["credHelpers"][HOSTS[1]], HELPER);
        // Only what was noted is undone; that is read again from the disk.
        let done: Done = serde_json::from_str(&serde_json::to_string(&draft.done).unwrap()).unwrap();
        let recorded: Vec<String> = done.hosts().map(str::to_owned).collect();
        let has_store = done.has_store();
        let mut draft = Draft::new(&draft.text, done).unwrap();
        for step in back {
            if step == 0 && has_store {
                draft.forget_for_all().unwrap();
            } else if step > 0 && recorded.iter().any(|host| host == HOSTS[step - 1]) {
                draft.forget(HOSTS[step - 1]).unwrap();
            }
        }
        draft.finish();
        prop_assert_eq!(draft.text, text);
        prop_assert!(draft.done.is_empty());
    }

    #[test]
    fn no_text_is_too_odd_to_be_refused_or_read(text in "[\\[\\]{}:,\"\\\\ \nae1é-]{0,40}") {
        if let Ok(mut draft) = Draft::new(&text, Done::default()) && draft.name("contoso.azurecr.io").is_ok() {
            prop_assert!(Object::parse(&draft.text).is_ok());
        }
    }
}
