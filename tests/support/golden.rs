//! Transcripts: what was typed and all that was said. What differs from run to run is named and not told, the rest is compared with a
//! file; `ACRSCOPED_UPDATE_DOCS=1` writes it anew.

use super::{Answer, Home, ZERO_GUID, binary};
use simulator::Simulator;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// What ends colour (ECMA-48, "SGR").
const RESET: &str = "\x1b[0m";

/// The files of one test target, and what did not agree with them.
pub(crate) struct Golden {
    folder: PathBuf,
    problems: String,
}

impl Golden {
    /// The files of `tests/<target>/golden`.
    pub(crate) fn of(target: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests")
            .join(target)
            .join("golden");
        Self {
            folder,
            problems: String::new(),
        }
    }

    /// Compares a transcript with its file.
    pub(crate) fn keep(&mut self, name: &str, transcript: &str) {
        let file = self.folder.join(format!("{name}.txt"));
        if std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some() {
            std::fs::write(&file, transcript).expect("the folder of transcripts");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        if kept != transcript {
            self.refuse(&format!(
                "{name} is not as in {}; it says:\n{transcript}",
                file.display()
            ));
        }
    }

    /// Notes what else is wrong.
    pub(crate) fn refuse(&mut self, problem: &str) {
        let _ = writeln!(self.problems, "{problem}");
    }

    /// Fails with everything that did not agree.
    #[track_caller]
    pub(crate) fn finish(self) {
        assert!(self.problems.is_empty(), "{}", self.problems);
    }
}

/// What was typed and what came of it. What is told on stderr is mostly told before the answer, and stands first.
pub(crate) fn transcript(
    typed: &str,
    answer: &Answer,
    home: &Home,
    simulator: &Simulator,
) -> String {
    let stderr = normalised(&answer.stderr, home, simulator);
    let stderr = stderr.lines().fold(String::new(), |text, line| {
        text + format!("stderr: {line}").trim_end() + "\n"
    });
    let stdout = normalised(&answer.stdout, home, simulator);
    format!("$ {typed}\n{stderr}{stdout}exit code: {}\n", answer.code())
}

/// A time zone in which it is about noon: a token that ends after midnight would be told with its day.
pub(crate) fn noon() -> String {
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let hour = i64::try_from(seconds / 3_600 % 24).expect("below 24");
    // POSIX counts westwards.
    format!("NOON{:+}", hour - 12)
}

fn normalised(text: &str, home: &Home, simulator: &Simulator) -> String {
    let program = binary().canonicalize().expect("the program under test");
    let text = text
        .replace(&simulator.folder().display().to_string(), "…")
        .replace(&home.root().display().to_string(), "…")
        .replace(
            &program.parent().expect("a folder").display().to_string(),
            "…",
        )
        .replace(
            simulator.origin().trim_start_matches("http://"),
            "127.0.0.1:N",
        )
        // The words of musl for what glibc says in three.
        .replace(
            "Network unreachable (os error 101)",
            "Network is unreachable (os error 101)",
        );
    text.lines()
        .map(line)
        .fold(String::new(), |text, line| text + &line + "\n")
}

/// A line with its time, its ids, its tokens and its hours named and not told.
fn line(line: &str) -> String {
    let (time, rest) = match line.split_once(" ms  ") {
        // Mark, name and time are a table.
        Some((head, rest)) if width(head) == 22 => (
            head.trim_end_matches(|c: char| c.is_ascii_digit())
                .trim_end(),
            rest,
        ),
        _ => ("", line),
    };
    let time = if time.is_empty() {
        String::new()
    } else {
        format!("{time}{}N ms  ", " ".repeat(21 - width(time)))
    };
    let mut previous = "";
    let words = rest.split(' ').map(|word| {
        let told = self::word(previous, word);
        previous = word;
        told
    });
    time + &words.collect::<Vec<_>>().join(" ")
}

/// The columns of a text in a terminal: what paints its mark takes none.
fn width(text: &str) -> usize {
    let painted = text
        .split('\x1b')
        .skip(1)
        .filter_map(|part| part.find('m'))
        .map(|end| end + 2)
        .sum::<usize>();
    text.chars().count() - painted
}

fn word(previous: &str, word: &str) -> String {
    // What is in colour ends with a reset.
    if let Some(painted) = word.strip_suffix(RESET) {
        return self::word(previous, painted) + RESET;
    }
    // A token of three parts in base64url (RFC 7515, 7.1), as the JSON of its header begins.
    if let Some((before, token)) = word.split_once("eyJ") {
        let after =
            token.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-_.".contains(c));
        return format!("{before}TOKEN{after}");
    }
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = bare.len() == 36
        && bare != ZERO_GUID
        && bare
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_hour = bare.len() == 5
        && bare
            .split_once(':')
            .is_some_and(|(hour, minute)| is_digits(hour) && is_digits(minute));
    let is_moment = previous == "Timestamp:"
        || bare.len() == 9 && bare.ends_with('Z') && bare.matches(':').count() == 2;
    // RFC 3339, in UTC.
    let is_time = bare.len() >= 20
        && bare.as_bytes()[10] == b'T'
        && bare.ends_with('Z')
        && bare.matches(':').count() == 2;
    let is_day = previous == "until"
        && bare.len() == 10
        && bare
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let is_part = matches!(previous, "(in" | "h") || word.starts_with('(');
    match bare {
        _ if is_id => word.replace(bare, "ID"),
        _ if is_moment => "…".to_owned(),
        _ if is_time => word.replace(bare, "TIME"),
        _ if bare.len() >= 9 && is_digits(bare) => word.replace(bare, "N"),
        _ if is_day => word.replace(bare, "DAY"),
        _ if is_hour => word.replace(bare, "HH:MM"),
        _ if is_part && is_digits(bare) => word.replace(bare, "N"),
        _ => word.to_owned(),
    }
}
