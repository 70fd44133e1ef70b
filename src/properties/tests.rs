//! Tries the properties with random inputs, made from the parts that matter. `tests/fuzz` tries more.

use super::{AzureCli, VARIABLES};
use crate::protocol::docker::Verb;
use crate::registry::CLOUDS;
use crate::token::{AccessToken, Audience};
use azure_core::base64::encode;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The seconds since 1970 that tokens and clocks show, and the ends of the range.
fn seconds() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..200_000_u64,
        1_791_000_000..1_791_200_000_u64,
        any::<u64>(),
        Just(253_402_300_799)
    ]
}

/// Parts of server URLs, of registries and of what is made to look like them.
fn server_url() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        select(vec![
            "contoso",
            "12345",
            "abcd",
            "a-b",
            "contoso-abc123",
            "xn--contoso",
            "eastus",
            "geo",
            "data",
            "azurecr",
            "io"
        ]),
        select(vec![
            ".", "..", "-", "/", "//", ":", "@", "?", "#", "%", "%2e", "\\", " ", "\t", "\n", "\0",
            "[", "]", "*"
        ]),
        select(vec![
            "http://",
            "https://",
            "HTTPS://",
            "ftp://",
            "oci:",
            ":443",
            ":80",
            ":0443",
            "user:pass@",
            "evil.example"
        ]),
        select(vec![
            "\u{3002}", "\u{ff0e}", "\u{130}", "\u{a0}", "\u{3000}", "\u{200b}", "\u{feff}",
            "\u{212a}", "ß", "о"
        ]),
        select(
            CLOUDS
                .iter()
                .map(|cloud| &*cloud.suffix)
                .collect::<Vec<_>>()
        ),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// Lines of a config file, good and nearly good.
fn config_line() -> impl Strategy<Value = String> {
    let name = select(vec![
        "tenant",
        "client_id",
        "source",
        "cache",
        "timeout",
        "audience",
        "authority",
        "username",
        "suffix",
        "tenent",
    ]);
    let value = prop_oneof![
        select(vec![
            "'t'",
            "'none'",
            "'azure-cli'",
            "7",
            "true",
            "''",
            "'https://login.example'",
            "'registries.example'",
            "[1]",
            "{}"
        ])
        .prop_map(str::to_owned),
        "\"https://management\\.[a-z.]{0,20}\"",
        "'[ -&(-~]{0,12}'",
    ];
    let header = select(vec![
        "[registry.\"*.azurecr.io\"]",
        "[registry.\"contoso.azurecr.io\"]",
        "[registry.\"*.eastus.geo.azurecr.us\"]",
        "[registry.\"contoso.*.geo.azurecr.us\"]",
        "[cloud.f]",
        "[cloud]",
        "[registry]",
    ]);
    prop_oneof![3 => (name, value).prop_map(|(name, value)| format!("{name} = {value}")), 1 => header.prop_map(str::to_owned)]
}

/// A server URL that is a registry's, or would be but for one insertion.
fn nearly_a_registry() -> impl Strategy<Value = String> {
    let scheme = select(vec!["", "http://", "https://", "HtTpS://"]);
    let registry = "[a-zA-Z0-9]{4,12}(-[a-z0-9]{0,6})?(\\.[a-z0-9]{1,12}\\.geo)?";
    let cloud = select(
        CLOUDS
            .iter()
            .map(|cloud| &*cloud.suffix)
            .collect::<Vec<_>>(),
    );
    let end = select(vec![
        "", ".", ":443", ".:443", "/", "/v2/", "/a@b", "/?#\\", "\r\n", "\u{3000}", "\u{85}",
    ]);
    let odd =
        prop_oneof![3 => Just(None), 1 => any::<(prop::sample::Index, char)>().prop_map(Some)];
    (scheme, registry, cloud, end, odd).prop_map(|(scheme, registry, cloud, end, odd)| {
        let text = format!("{scheme}{registry}.{cloud}{end}");
        let Some((at, c)) = odd else { return text };
        let mut characters: Vec<char> = text.chars().collect();
        characters.insert(at.index(characters.len() + 1), c);
        characters.into_iter().collect()
    })
}

/// Any JSON, objects with the claims that matter more often than others.
fn claims() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        seconds().prop_map(Value::from),
        audience().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let claim = select(vec!["aud", "tid", "exp", "iat", "x"]);
    let tree = leaf.prop_recursive(3, 16, 4, |inner| {
        let key = select(vec!["aud", "tid", "exp", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    });
    let object = prop::collection::hash_map(claim.prop_map(str::to_owned), tree.clone(), 0..5);
    prop_oneof![1 => tree, 4 => object.prop_map(|map| map.into_iter().collect())]
}

fn audience() -> impl Strategy<Value = &'static str> {
    select(vec![
        "https://containerregistry.azure.net",
        "https://containerregistry.azure.net/",
        "6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26",
        "https://management.azure.com",
        "https://management.core.windows.net/",
        "https://containerregistry.azure.net.evil.example",
        "",
    ])
}

/// A string inside of any JSON.
fn wrapped(text: &'static str) -> impl Strategy<Value = Value> {
    Just(Value::from(text)).prop_recursive(4, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| json!([inner])),
            inner.clone().prop_map(|inner| json!([7, inner, null])),
            inner.prop_map(|inner| json!({"aud": inner, "x": []})),
        ]
    })
}

/// Values of settings: the known words, parts of URLs, and any bytes.
fn setting() -> impl Strategy<Value = OsString> {
    let words = vec![
        "auto",
        "none",
        "keyutils",
        "debug",
        "guid",
        "30",
        "0",
        "601",
        "-1",
        "https://login.example",
        "http://[::1]:1",
    ];
    let parts = vec![
        "https://",
        "http://",
        "login.example",
        "@",
        "user:",
        "/",
        ":443",
        "?",
        "#",
        ":",
        "/usr/bin",
        "é",
        "\u{202e}",
        "\n",
    ];
    prop_oneof![
        select(words).prop_map(OsString::from),
        prop::collection::vec(select(parts), 0..6).prop_map(|parts| parts.concat().into()),
        prop::collection::vec(1..=255_u8, 0..20).prop_map(OsString::from_vec),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_a_host_that_a_url_parser_reads_the_same_is_a_registry(
        url in server_url(),
        near in nearly_a_registry(),
        any in ".*",
    ) {
        for text in [url, near, any] {
            super::host(&text);
        }
    }

    #[test]
    fn an_input_of_a_client_starts_no_service_for_another_host(
        text in prop_oneof![server_url(), nearly_a_registry()],
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        username in prop_oneof![
            select(vec!["", "<token>", "00000000-0000-0000-0000-000000000000"]).prop_map(str::to_owned),
            ".*",
        ],
    ) {
        let stored = json!({"ServerURL": text, "Username": username, "Secret": super::CANARY}).to_string();
        for verb in [Verb::Get, Verb::Store, Verb::Erase, Verb::List] {
            for input in [text.as_bytes(), stored.as_bytes(), &bytes] {
                super::docker(verb, input);
            }
        }
    }

    #[test]
    fn a_request_of_kubelet_starts_no_service_for_another_image(
        host in prop_oneof![server_url(), nearly_a_registry()],
        path in select(vec!["", "/", "/app", "/team/app:v1", "/app@sha256:0a", "//app", "/@evil.example", "/app\n", "/\u{202e}app"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        super::image(&(host + path));
        super::kubelet(&bytes);
    }

    #[test]
    fn no_claims_make_a_token_eternal_or_take_it_to_another_service(claims in claims(), now in seconds(), at in seconds()) {
        super::token(claims.to_string().as_bytes(), now, at);
    }

    #[test]
    fn a_config_file_is_read_whole_or_refused(
        lines in prop::collection::vec(config_line(), 0..6),
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        super::config_file(folder.path(), lines.join("\n").as_bytes());
        super::config_file(folder.path(), &[lines.join("\n").as_bytes(), &bytes].concat());
    }

    #[test]
    fn a_certificate_file_is_read_whole_or_refused(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), select(vec![0x30, 0x80, 0x02, 0x04, 0x06, 0xa0, 0])], 0..100),
        label in select(vec!["CERTIFICATE", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY"]),
    ) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let archive = [&[0x30, 0x80, 0x02, 0x01, 0x03][..], &bytes].concat();
        let section = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encode(&bytes));
        for file in [&bytes[..], &archive, section.as_bytes()] {
            super::certificate(folder.path(), file);
        }
    }

    #[test]
    fn bytes_that_are_no_token_are_never_cached(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        text in "[a-zA-Z0-9._=-]{0,60}",
        now in seconds(),
    ) {
        super::token(&bytes, now, now);
        super::refresh_token(&text, now, now);
    }

    #[test]
    fn an_audience_of_resource_manager_is_refused_in_any_json(
        audience in wrapped("https://management.azure.com"),
        rest in claims(),
    ) {
        let mut claims = if rest.is_object() { rest } else { json!({}) };
        claims["aud"] = audience;
        let payload = azure_core::base64::encode_url_safe(claims.to_string());
        let token = format!("e30.{payload}.c2ln");
        prop_assert!(AccessToken::new(token.into(), &Audience::default()).is_err());
    }

    #[test]
    fn no_variable_is_quoted_with_a_secret(
        rows in prop::collection::hash_map(select(VARIABLES).prop_map(str::to_owned), setting(), 0..8),
    ) {
        super::config(rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn foreign_text_is_shown_on_one_line_and_drives_no_terminal(
        any in ".*",
        parts in prop::collection::vec(
            prop_oneof![select(vec!["\u{1b}", "\u{202e}", "\r", " ", "eyJ"]).prop_map(str::to_owned), "."],
            0..30,
        ),
        times in 1..200_usize,
    ) {
        super::shown(&any);
        super::shown(&parts.concat().repeat(times));
    }

    #[test]
    fn another_account_has_another_fingerprint(
        accounts in prop::collection::vec(
            (any::<bool>(), "[a-z-]{0,8}", prop_oneof![Just(Value::Null), ".*".prop_map(Value::from)]),
            0..4,
        ),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let azure_cli = AzureCli::new(folder.path());
        let accounts: Vec<Value> = accounts
            .into_iter()
            .map(|(default, tenant, name)| json!({"isDefault": default, "tenantId": tenant, "user": {"name": name}}))
            .collect();
        azure_cli.account(format!("\u{feff}{}", json!({"subscriptions": accounts})).as_bytes());
        azure_cli.account(&bytes);
    }
}
