//! The process edge: arguments, environment, clock, streams and the exit code.

use docker_credential_acrscoped::cli::{self, Command, PROGRAM, Stop};
use docker_credential_acrscoped::commands::{self, Context};
use docker_credential_acrscoped::config::{Settings, Variables};
use docker_credential_acrscoped::error::{Error, printable, visible};
use docker_credential_acrscoped::helper::Helper;
use docker_credential_acrscoped::log;
use docker_credential_acrscoped::protocol::{docker, kubelet};
use docker_credential_acrscoped::runtime::install_signal_handlers;
use docker_credential_acrscoped::terminal::Terminal;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::SystemTime;

fn main() -> ExitCode {
    let done = match cli::read(std::env::args_os()) {
        Ok(Command::Version) => say(&format!(
            "{PROGRAM} ({PROGRAM}) v{}",
            env!("CARGO_PKG_VERSION")
        )),
        Ok(Command::Docker(verb)) => {
            // Before the first token or password is read: `store` brings one along.
            take_charge(|line| docker::fail(line, io::stdout()));
            docker::serve(verb, Settings::from_env, helper, io::stdin().lock(), Stdout)
        }
        Ok(Command::Kubelet(arguments)) => {
            take_charge(|_| ());
            kubelet::serve(
                &arguments,
                Settings::from_env,
                helper,
                io::stdin().lock(),
                Stdout,
            )
        }
        Ok(Command::Person(command)) => {
            take_charge(|_| ());
            return person(command).unwrap_or_else(|error| unless_gone(&error));
        }
        Err(Stop::Help(text)) => {
            return say(text.trim_end()).unwrap_or_else(|error| unless_gone(&error));
        }
        Err(Stop::Misuse(line, explanation)) => {
            docker::fail(&line, io::stdout());
            return mistyped(&line, &explanation);
        }
        Err(Stop::Mistyped(line, explanation)) => return mistyped(&line, &explanation),
    };
    done.unwrap_or_else(|error| explained(&error))
}

/// What a program may do to its process, and a library may not.
fn take_charge(client: fn(&str)) {
    keep_memory_private();
    tell_panics(client);
    install_signal_handlers();
}

/// Libraries panic when the machine has no file, thread or memory left. A client is told so in one line all the same, where it looks.
#[expect(
    clippy::disallowed_methods,
    reason = "a panic must not go on to abort and dump core"
)]
fn tell_panics(client: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let reason = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(payload.downcast_ref::<&str>().copied());
        let reason = printable(reason.unwrap_or("no reason given"));
        let line =
            format!("the machine has too little left, or this program has a fault: {reason}");
        client(&line);
        tell(&mut io::stderr(), &format!("{PROGRAM}: {line}"));
        std::process::exit(1);
    }));
}

/// What a person asks. The answer goes to stdout; what went wrong to stderr alone, where no script takes it for the answer.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock is touched here and nowhere else"
)]
fn person(command: commands::Command) -> Result<ExitCode, Error> {
    let settings = Settings::from_env()?;
    log(&settings)?;
    let terminal = Terminal::new(
        settings.variables(),
        io::stdout().is_terminal() && is_drawn_to(),
        command.is_plain(),
    );
    let (program, is_watched) = (std::env::current_exe().ok(), io::stderr().is_terminal());
    let program = program.as_deref();
    let context = Context {
        settings: &settings,
        clock: SystemTime::now,
        terminal,
        tell: tell_at_once,
        is_watched,
        program,
    };
    command.run(&context, Stdout)
}

/// Whether what is drawn appears as such: a console of Windows must be told to take it for more than text.
#[cfg(windows)]
fn is_drawn_to() -> bool {
    anstyle_query::windows::enable_ansi_colors().unwrap_or(false)
}

#[cfg(not(windows))]
fn is_drawn_to() -> bool {
    true
}

/// A helper, and what it tells meanwhile. Called for hosts that are ours, and for `list`.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock is touched here and nowhere else"
)]
fn helper(settings: &Settings) -> Result<Helper<'_>, Error> {
    log(settings)?;
    Ok(Helper::new(settings, SystemTime::now))
}

fn log(settings: &Settings) -> Result<(), Error> {
    log::to_stderr(settings.log()?);
    for misspelling in settings.unknown_variables() {
        tracing::warn!("{misspelling}");
    }
    Ok(())
}

/// No core dump, and no look into our memory by other processes of the same user, from before the first token is read.
#[cfg(target_os = "linux")]
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // Where a sandbox forbids it, the token is no worse off than in any other program.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

#[cfg(not(target_os = "linux"))]
fn keep_memory_private() {}

fn say(text: &str) -> Result<ExitCode, Error> {
    writeln!(Stdout, "{text}").map_err(Error::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn mistyped(line: &str, explanation: &str) -> ExitCode {
    let line = stderr().wrap(&format!("{PROGRAM}: {line}"), 0);
    tell(&mut io::stderr(), &format!("{line}\n{explanation}"));
    ExitCode::FAILURE
}

/// All there is to say, unless a person's `| head` has read enough.
fn unless_gone(error: &Error) -> ExitCode {
    match error {
        Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe && !was_closed() => {
            ExitCode::FAILURE
        }
        _ => explained(error),
    }
}

/// All there is to say, on stderr.
fn explained(error: &Error) -> ExitCode {
    let terminal = stderr();
    let message = terminal.wrap(&format!("{PROGRAM}: {}", visible(&error.to_string())), 0);
    let details = error
        .details()
        .into_iter()
        .map(|detail| terminal.wrap(&visible(&detail), 2));
    let hint = error.hint().map(|hint| terminal.hint(&visible(&hint), 0));
    let lines: Vec<String> = [message].into_iter().chain(details).chain(hint).collect();
    tell(&mut io::stderr(), &lines.join("\n"));
    ExitCode::FAILURE
}

/// Stderr as a terminal, which breaks lines where words end; a file or another program is given them whole.
fn stderr() -> Terminal {
    let is_terminal = io::stderr().is_terminal();
    Terminal::new(&Variables::new(), is_terminal, !is_terminal)
}

/// Stdout, which knows when it was closed before we started.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if was_closed() {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "it is closed, or is /dev/null opened for reading and writing",
            ));
        }
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Rust's runtime opens `/dev/null` for reading and writing in place of a standard stream that is closed, so that a credential
/// would be lost without a word. A shell's `> /dev/null` opens it for writing only and is meant.
#[cfg(target_os = "linux")]
fn was_closed() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
    let stdout = io::stdout();
    let (Ok(is), Ok(null), Ok(flags)) = (fstat(&stdout), stat("/dev/null"), fcntl_getfl(&stdout))
    else {
        return false;
    };
    is.st_rdev == null.st_rdev && is.st_rdev != 0 && flags & OFlags::ACCMODE == OFlags::RDWR
}

#[cfg(not(target_os = "linux"))]
fn was_closed() -> bool {
    false
}

/// Text on stderr as it is, before the answer is there.
fn tell_at_once(text: &str) {
    let mut stderr = io::stderr();
    drop(
        stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush()),
    );
}

/// A stream that is closed cannot be told so.
fn tell(stream: &mut impl Write, text: &str) {
    drop(writeln!(stream, "{text}"));
}
