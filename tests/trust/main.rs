//! Trust comes from protected places: what a hostile checkout cannot do, and the set-ups that keep working.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod set_ups;

/// Every test that `SECURITY.md` names is there: a test that is renamed would leave its claim without one.
#[test]
fn each_claim_of_the_security_page_names_a_test_that_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("SECURITY.md")).expect("the page");
    // The name of a test is a sentence, and that of a setting is not.
    let named = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.matches('_').count() >= 4 && !code.contains(' '));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 20, "{named:?}");
    let sources = [
        sources_of(&root.join("src")),
        sources_of(&root.join("tests")),
    ]
    .concat();
    for name in named {
        assert!(
            sources.contains(&format!("fn {name}()")),
            "{name} is no test"
        );
    }
}

fn sources_of(folder: &std::path::Path) -> String {
    let entries = std::fs::read_dir(folder)
        .expect("a folder of the sources")
        .map(|entry| entry.expect("an entry").path());
    let text = |path: std::path::PathBuf| match path.extension() {
        _ if path.is_dir() => sources_of(&path),
        Some(kind) if kind == "rs" => std::fs::read_to_string(path).expect("a source"),
        _ => String::new(),
    };
    entries.map(text).collect()
}
