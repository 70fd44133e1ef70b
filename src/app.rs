//! The process edge: arguments, environment, clock, streams and the exit code.

use crate::cli::{self, CliError, Command, Options, PROGRAM};
use crate::commands::{self, Context};
use crate::config::{Settings, Variables};
use crate::deadline::Clock;
use crate::error::{Error, ErrorKind, sanitize, sanitize_line};
use crate::log;
use crate::protocol::docker::{self, Verb};
use crate::protocol::kubelet;
use crate::runtime::install_signal_handlers;
use crate::service::TokenService;
use crate::terminal::Terminal;
use std::error::Error as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::SystemTime;

#[expect(
    clippy::disallowed_methods,
    reason = "the clock is read here and nowhere else"
)]
const CLOCK: Clock = SystemTime::now;

/// Runs the program `docker-credential-acrscoped`, and returns its exit code.
///
/// It reads the arguments, the environment and stdin of this process, handles its signals, and writes to stdout and stderr. Call it from a
/// program's `main` only, for example from one with another allocator:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     docker_credential_acrscoped::run()
/// }
/// ```
pub fn run() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok((command, options)) => run_command(command, options),
        Err(CliError::Help(text)) => finish_for_person(print(text.trim_end())),
        Err(CliError::Usage {
            message,
            explanation,
            caller,
        }) => {
            let is_terminal = io::stdout().is_terminal();
            if caller.reads_stdout() && !is_terminal {
                docker::write_failure(&message, io::stdout());
            }
            let line = stderr_terminal().wrap(&format!("{PROGRAM}: {message}"), 0);
            print_error(&format!("{line}\n{explanation}\n"));
            ExitCode::from(caller.exit_code(is_terminal))
        }
    }
}

fn run_command(command: Command, options: Options) -> ExitCode {
    match command {
        Command::Version | Command::ShortVersion => {
            let is_short = command == Command::ShortVersion;
            finish_for_person(print(&version(is_short, options.json)))
        }
        Command::Help { .. } => unreachable!("it is an error of the parser"),
        Command::Docker(verb) => {
            // Before stdin is read: the message of `store` holds a password.
            init(|line| docker::write_failure(line, io::stdout()));
            match verb {
                Verb::Get | Verb::Erase => explain_stdin(
                    "a registry",
                    &format!("echo contoso.azurecr.io | {PROGRAM} {}", verb.as_str()),
                ),
                Verb::Store => explain_stdin("JSON", &format!("{PROGRAM} store --help")),
                Verb::List => (),
            }
            let input = io::stdin().lock();
            let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
            let settings = Settings::from_env;
            finish(docker::serve(
                verb,
                settings,
                service,
                input,
                Stdout,
                is_terminal,
            ))
        }
        Command::Kubelet(arguments) => {
            init(|_| ());
            explain_stdin("JSON", &format!("{PROGRAM} kubelet --help"));
            let input = io::stdin().lock();
            let answer = kubelet::serve(&arguments, Settings::from_env, service, input, Stdout);
            finish(answer)
        }
        Command::Interactive(command) => {
            init(|_| ());
            finish_for_person(run_interactive(command, options))
        }
    }
}

/// Reports an error to the client of a protocol, which expects exit code 1.
fn finish(result: Result<ExitCode, Error>) -> ExitCode {
    result.unwrap_or_else(|error| {
        report_error(&error);
        ExitCode::FAILURE
    })
}

fn finish_for_person(result: Result<ExitCode, Error>) -> ExitCode {
    result.unwrap_or_else(|error| {
        // A reader such as `| head` closes the pipe when it has read enough.
        if !is_broken_pipe(&error) {
            report_error(&error);
        }
        ExitCode::from(exit_code(error.kind()))
    })
}

/// Returns the exit code of a command for people (`help exit-codes`).
fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Input => 2,
        ErrorKind::NoIdentity | ErrorKind::SignIn => 3,
        ErrorKind::Denied { .. } | ErrorKind::NetworkRule | ErrorKind::InvalidToken => 4,
        ErrorKind::Interrupted => 130,
        _ => 1,
    }
}

/// Returns what `version` prints: for people if it is short, else as container clients expect it.
fn version(is_short: bool, is_json: bool) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if is_json {
        // Packaging and `install.sh` set the variables.
        let commit = option_env!("ACRSCOPED_COMMIT").filter(|commit| !commit.is_empty());
        let target = option_env!("ACRSCOPED_TARGET").map_or_else(target, str::to_owned);
        let answer = serde_json::json!({ "name": PROGRAM, "version": version, "commit": commit, "target": target });
        return answer.to_string();
    }
    if is_short {
        return format!("{PROGRAM} {version}");
    }
    format!("{PROGRAM} ({PROGRAM}) v{version}")
}

/// Returns the target triple, as far as the compiler shows it to a program.
fn target() -> String {
    let system = match std::env::consts::OS {
        "macos" => "apple-darwin",
        "windows" if cfg!(target_env = "gnu") => "pc-windows-gnu",
        "windows" => "pc-windows-msvc",
        "linux" if cfg!(target_env = "musl") => "unknown-linux-musl",
        "linux" => "unknown-linux-gnu",
        other => other,
    };
    format!("{}-{system}", std::env::consts::ARCH)
}

/// Says what is expected on stdin, and a command to try, if a person has to type it.
fn explain_stdin(expected: &str, command: &str) {
    if io::stdin().is_terminal() {
        print_error(&format!(
            "{PROGRAM}: waiting for {expected} on stdin. Try:\n  {command}\n"
        ));
    }
}

/// Prepares the process, which the library must not do. `report` shows a panic to a client.
fn init(report: fn(&str)) {
    protect_memory();
    install_panic_hook(report);
    install_signal_handlers();
}

/// Reports a panic in one line: libraries panic when the machine has no file, thread or memory left.
#[expect(
    clippy::disallowed_methods,
    reason = "a panic must not go on to abort and dump core"
)]
fn install_panic_hook(report: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let reason = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or(payload.downcast_ref::<&str>().copied());
        let reason = sanitize_line(reason.unwrap_or("no reason given"));
        let line =
            format!("the machine has too little left, or this program has a fault: {reason}");
        report(&line);
        print_error(&format!("{PROGRAM}: {line}\n"));
        std::process::exit(1);
    }));
}

/// Runs a command for people. The answer goes to stdout. Failures go to stderr only, so that no script reads them as an answer.
fn run_interactive(command: commands::Command, options: Options) -> Result<ExitCode, Error> {
    let (settings, config_error) = match Settings::from_env() {
        Ok(settings) => (settings, None),
        Err(error) if command.works_without_config() => {
            (Settings::from_env_without_file(), Some(error))
        }
        Err(error) => return Err(error),
    };
    log::start(&settings, options.log, CLOCK)?;
    let is_terminal = io::stdout().is_terminal() && enable_ansi_colors();
    let program = std::env::current_exe().ok();
    let context = Context {
        settings: &settings,
        config_error: config_error.as_ref(),
        clock: CLOCK,
        is_json: options.json,
        terminal: Terminal::new(settings.variables(), is_terminal, options.plain)
            .with_quiet(options.quiet)
            .with_home(settings.home()),
        print_error,
        is_stderr_terminal: io::stderr().is_terminal(),
        program: program.as_deref(),
    };
    if !options.quiet || options.json || !command.is_report() {
        return command.run(&context, Stdout);
    }
    let mut report = Vec::new();
    let result = command.run(&context, &mut report);
    if !matches!(result, Ok(ExitCode::SUCCESS)) {
        Stdout.write_all(&report).map_err(Error::output)?;
    }
    result
}

/// Enables colour and returns whether the terminal shows it. A console of Windows does not by default.
#[cfg(windows)]
fn enable_ansi_colors() -> bool {
    anstyle_query::windows::enable_ansi_colors().unwrap_or(false)
}

#[cfg(not(windows))]
fn enable_ansi_colors() -> bool {
    true
}

/// Starts the log and returns the service that answers clients. It is called for Azure's registries, and for `list`.
fn service(settings: &Settings) -> Result<TokenService<'_>, Error> {
    log::start(settings, None, CLOCK)?;
    Ok(TokenService::new(settings, CLOCK))
}

/// Prevents core dumps, and other processes of the user from reading the memory of this one.
#[cfg(target_os = "linux")]
fn protect_memory() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // A sandbox may forbid it. Then the token is as safe as in any other program.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let (current, maximum) = (Some(0), Some(0));
    let _ = setrlimit(Resource::Core, Rlimit { current, maximum });
}

#[cfg(not(target_os = "linux"))]
fn protect_memory() {}

fn print(text: &str) -> Result<ExitCode, Error> {
    writeln!(Stdout, "{text}").map_err(Error::output)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns whether the reader of stdout has closed the pipe since the program started.
fn is_broken_pipe(error: &Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref());
    source.is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe)
        && !is_stdout_closed()
}

/// Writes message, details and hint to stderr.
fn report_error(error: &Error) {
    let terminal = stderr_terminal();
    let message = format!("{PROGRAM}: {}", sanitize(&error.to_string()));
    let mut text = terminal.wrap(&message, 0) + "\n";
    for detail in error.details() {
        text += &(terminal.detail(detail, 2) + "\n");
    }
    if let Some(hint) = error.hint() {
        text += &(terminal.hint(hint, 0) + "\n");
    }
    print_error(&text);
}

/// Returns stderr as a terminal, where lines are wrapped; a file or another program gets them whole.
fn stderr_terminal() -> Terminal<'static> {
    let is_terminal = io::stderr().is_terminal();
    Terminal::new(&Variables::new(), is_terminal, !is_terminal)
}

/// Stdout, which fails if it was closed before the program started.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_stdout_closed() {
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

/// Returns whether stdout was closed before the program started. Rust's runtime then opens `/dev/null` for reading and writing instead, where
/// a credential would be lost. A shell's `> /dev/null` opens it for writing only.
#[cfg(target_os = "linux")]
fn is_stdout_closed() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};
    let stdout = io::stdout();
    let (Ok(is), Ok(null), Ok(flags)) = (fstat(&stdout), stat("/dev/null"), fcntl_getfl(&stdout))
    else {
        return false;
    };
    is.st_rdev == null.st_rdev && is.st_rdev != 0 && flags & OFlags::ACCMODE == OFlags::RDWR
}

#[cfg(not(target_os = "linux"))]
fn is_stdout_closed() -> bool {
    false
}

/// Writes text to stderr at once. Nothing can be done if that fails.
fn print_error(text: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
