//! Recorded answers of Entra and Azure Container Registry, played to the program: `scenarios.md` is the table of what a person then reads.
//!
//! `answers/` holds one file for each answer, with its source. `ACRSCOPED_UPDATE_DOCS=1 cargo test --test recordings` fills in the table's
//! last four columns; which answer goes where is written by hand.

#[path = "../support/mod.rs"]
mod support;

mod answer;
mod play;
mod table;

use answer::Answers;
use std::collections::BTreeSet;
use support::run::in_parallel;
use table::Table;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
fn every_recorded_answer_reads_as_the_table_says() {
    let (answers, table) = (Answers::read(), Table::read());
    let played = in_parallel(table.rows(), |row| play::play(&answers, row));
    if std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some() {
        table.write(&played);
        return;
    }
    let wrong: Vec<String> = table
        .rows()
        .iter()
        .zip(&played)
        .filter(|(expected, played)| expected != played)
        .map(|(expected, played)| format!("expected {expected}\n  played {played}\n"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} rows of scenarios.md differ:\n{}",
        wrong.len(),
        played.len(),
        wrong.concat()
    );
}

#[test]
fn every_recorded_answer_has_a_row_in_the_table() {
    let (answers, table) = (Answers::read(), Table::read());
    let in_table: BTreeSet<&str> = table.rows().iter().map(|row| row.answer.as_str()).collect();
    let recorded: BTreeSet<&str> = answers.names().collect();
    assert_eq!(
        recorded.difference(&in_table).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "answers without a row in scenarios.md"
    );
    assert_eq!(
        in_table.difference(&recorded).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "rows without a file in answers/"
    );
}

#[test]
fn every_recorded_answer_names_its_source_and_announces_its_own_length() {
    for (name, answer) in Answers::read().all() {
        assert!(
            ["recording", "log", "document"].contains(&answer.kind.as_str()),
            "{name}: {}",
            answer.kind
        );
        for text in [&answer.source, &answer.recorded, &answer.substituted] {
            assert!(!text.is_empty(), "{name}: say `unknown` or `nothing`");
        }
        if let Some(length) = answer
            .header("content-length")
            .and_then(|length| length.parse::<usize>().ok())
        {
            assert_eq!(length, answer.body.len(), "{name}");
        }
    }
}
