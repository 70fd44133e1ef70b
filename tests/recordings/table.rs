//! `scenarios.md`: the table that says which answer is played where, and what is then read.

use std::fmt;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/scenarios.md");
const COLUMNS: usize = 8;

/// One scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The name of the recorded answer.
    pub(crate) answer: String,
    /// Which request it answers: see [`crate::play::play`].
    pub(crate) to: String,
    /// The host that is typed.
    pub(crate) host: String,
    /// What is typed: `get`, or `doctor` with its options.
    pub(crate) command: String,
    /// The line that says what is wrong, or what came of it.
    pub(crate) read: String,
    /// The hint.
    pub(crate) hint: String,
    /// The correlation id that is shown, its first eight characters.
    pub(crate) id: String,
    /// The exit code.
    pub(crate) exit: String,
}

impl Row {
    fn cells(&self) -> [&str; COLUMNS] {
        [
            &self.answer,
            &self.to,
            &self.host,
            &self.command,
            &self.read,
            &self.hint,
            &self.id,
            &self.exit,
        ]
    }

    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<String> = line.split(" | ").map(str::to_owned).collect();
        let cells: [String; COLUMNS] = cells
            .try_into()
            .unwrap_or_else(|cells| panic!("{COLUMNS} cells, not {cells:?}"));
        let [answer, to, host, command, read, hint, id, exit] = cells;
        Some(Self {
            answer,
            to,
            host,
            command,
            read,
            hint,
            id,
            exit,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} |",
            self.cells()
                .map(|cell| cell.replace('|', "\\|"))
                .join(" | ")
        )
    }
}

/// The page, and its rows.
pub(crate) struct Table {
    head: String,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn read() -> Self {
        let page = std::fs::read_to_string(FILE).expect("tests/recordings/scenarios.md");
        let rule = page.find("| ---").expect("a table");
        let end = rule + page[rule..].find('\n').expect("rows") + 1;
        Self {
            head: page[..end].to_owned(),
            rows: page[end..].lines().filter_map(Row::parse).collect(),
        }
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Writes the page with these rows.
    pub(crate) fn write(&self, rows: &[Row]) {
        let page = rows.iter().fold(self.head.clone(), |page, row| {
            page + &row.to_string() + "\n"
        });
        std::fs::write(FILE, page).expect("the folder of the table");
    }
}
