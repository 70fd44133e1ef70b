//! Every source of an identity, in every cloud, when it works and when it does not: through the shipped binary, proved by the
//! simulator's journal.
//!
//! A [row](rows) says for one source how it is set up, which requests its sign-in is made of, and how it is refused;
//! [`conditions`] holds that against every [cloud](stage::CLOUDS). Every request of a run is compared, so that nothing else was
//! asked of anybody.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

#[path = "../support/mod.rs"]
mod support;

mod arc;
mod certificates;
mod clouds;
mod command_lines;
mod conditions;
mod login;
mod long_jobs;
mod rows;
mod source;
mod stage;

use docker_credential_acrscoped::{Registry, Settings};
use rows::Row;
use serde_json::Value;
use source::SourceName;
use std::collections::BTreeSet;

/// A test for each row, and the list of all rows.
macro_rules! in_every_cloud {
    ($($(#[$attribute:meta])* $test:ident: $row:expr;)*) => {
        $($(#[$attribute])* #[test] fn $test() { conditions::hold(&$row) })*

        fn all() -> Vec<Row> {
            vec![$($row),*]
        }
    };
}

in_every_cloud! {
    a_workload_identity_signs_in_or_tells_why_not: rows::workload_identity();
    a_client_secret_signs_in_or_tells_why_not: rows::client_secret();
    #[ignore = "needs openssl: run tests/run"]
    a_certificate_in_pem_signs_in_or_tells_why_not: certificates::pem();
    #[ignore = "needs openssl: run tests/run"]
    a_certificate_in_encrypted_pem_with_its_chain_signs_in_or_tells_why_not: certificates::encrypted_pem_with_chain();
    #[ignore = "needs openssl: run tests/run"]
    a_certificate_in_pkcs12_signs_in_or_tells_why_not: certificates::pkcs12();
    a_job_of_github_actions_signs_in_or_tells_why_not: rows::github_actions();
    a_job_of_azure_pipelines_signs_in_or_tells_why_not: rows::azure_pipelines();
    app_service_signs_in_or_tells_why_not: rows::app_service();
    app_service_signs_in_by_client_id: rows::app_service().by_client_id();
    app_service_signs_in_by_object_id: rows::app_service().by_object_id();
    app_service_signs_in_by_resource_id: rows::app_service().by_resource_id();
    azure_machine_learning_signs_in_or_tells_why_not: rows::machine_learning();
    azure_machine_learning_signs_in_by_client_id: rows::machine_learning().by_client_id();
    azure_machine_learning_signs_in_as_the_identity_it_announces: rows::machine_learning_with_a_default();
    cloud_shell_signs_in_or_tells_why_not: rows::cloud_shell();
    #[ignore = "needs namespaces: run tests/run"]
    azure_arc_signs_in_or_tells_why_not: arc::row();
    a_virtual_machine_signs_in_or_tells_why_not: rows::virtual_machine();
    a_virtual_machine_signs_in_by_client_id: rows::virtual_machine().by_client_id();
    a_virtual_machine_signs_in_by_object_id: rows::virtual_machine().by_object_id();
    a_virtual_machine_signs_in_by_resource_id: rows::virtual_machine().by_resource_id();
    a_virtual_machine_of_another_cloud_signs_in_or_tells_why_not: rows::virtual_machine_elsewhere();
    a_virtual_machine_of_another_cloud_signs_in_by_client_id: rows::virtual_machine_elsewhere().by_client_id();
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    who_signed_in_with_us_signs_in_or_tells_why_not: login::row();
    #[ignore = "needs user namespaces and keyutils: run tests/run"]
    who_signed_in_with_us_signs_in_to_the_tenant_that_is_named: login::in_a_tenant();
    #[ignore = "needs python3: run tests/run"]
    the_azure_cli_signs_in_or_tells_why_not: command_lines::azure_cli();
    #[ignore = "needs python3: run tests/run"]
    the_azure_cli_signs_in_to_the_tenant_that_is_named: command_lines::azure_cli_in_a_tenant();
    #[ignore = "needs python3: run tests/run"]
    the_azure_cli_signs_in_with_the_subscription_that_is_named: command_lines::azure_cli_with_a_subscription();
    #[ignore = "needs python3: run tests/run"]
    the_azure_developer_cli_signs_in_or_tells_why_not: command_lines::developer_cli();
    #[ignore = "needs python3: run tests/run"]
    the_azure_developer_cli_signs_in_to_the_tenant_that_is_named: command_lines::developer_cli_in_a_tenant();
}

/// Fails when a source is added and not tested here. The schema is made from the table of settings.
#[test]
fn every_source_has_its_row() {
    let schema: Value =
        serde_json::from_str(include_str!("../../packaging/config.schema.json")).expect("JSON");
    let words: Vec<&str> = schema["properties"]["source"]["enum"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let named: Vec<&str> = SourceName::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(words, named);
    for &source in SourceName::ALL {
        assert!(
            all().iter().any(|row| row.source == source),
            "{} has no row",
            source.as_str()
        );
    }
}

/// Fails when a cloud is added and not tested here. The error of an unknown name lists the known ones.
#[test]
fn every_cloud_has_its_row() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.toml");
    std::fs::write(
        &file,
        format!("identity_cloud = 'nowhere'\n{}", stage::CONFIG),
    )
    .expect("ours");
    let variables = [("ACRSCOPED_CONFIG".to_owned(), file.into_os_string())].into();
    let error = Settings::read(variables, None, None, None).expect_err("no such cloud");
    let message = error.to_string();
    let (_, names) = message
        .split_once("allowed values are ")
        .expect("the names");
    let known: BTreeSet<&str> = names
        .split([',', ' '])
        .filter(|it| !it.is_empty())
        .collect();
    let tested: BTreeSet<&str> = stage::CLOUDS.iter().map(|cloud| cloud.name).collect();
    assert_eq!(known, tested, "{message}");
    for cloud in stage::CLOUDS.iter().filter(|it| it.name != stage::PRIVATE) {
        let registry = Registry::parse(&format!("contoso.{}", cloud.suffix), &[]);
        assert_eq!(registry.expect("a registry").cloud().cli_name, cloud.name);
    }
}
