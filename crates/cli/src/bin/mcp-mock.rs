//! The mcp-mock command: runs one mock server of mcp-lifecheck without a run.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use mcp_lifecheck::foreign::shown;
use mcp_lifecheck::mock::{DriverKind, LinkedArgs, StandaloneArgs, load_script, run_linked, run_standalone};
use mcp_lifecheck::plan::{Revision, parse_duration};
use mcp_lifecheck::script::{framing_of, script_schema, shipped, shipped_names};

/// Mock MCP servers that misbehave on cue.
#[derive(Parser)]
#[command(name = "mcp-mock", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves a script over standard input and output, for any client's mcpServers file.
    Stdio(Stdio),
    /// Serves a script over streamable HTTP on loopback; prints its URL when it is ready.
    Http(Http),
    /// Serves a script over HTTP with server-sent events on loopback; prints its URL when it is ready.
    Sse(Http),
    /// Lists the scripts that are built in.
    List,
    /// Prints the JSON schema of script files.
    Schema,
}

#[derive(Args)]
struct Stdio {
    #[command(flatten)]
    served: Served,
}

#[derive(Args)]
struct Http {
    #[command(flatten)]
    served: Served,
    /// Loopback address to listen on; port 0 chooses a free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", conflicts_with = "link")]
    listen: SocketAddr,
}

#[derive(Args)]
struct Served {
    /// A built-in script by name, or a script file.
    #[arg(long, value_name = "NAME|FILE", required_unless_present = "link")]
    script: Option<String>,
    /// Write a history to this file. If the file exists, write to a new file with a number next to it.
    #[arg(long, value_name = "FILE", conflicts_with = "link")]
    journal: Option<PathBuf>,
    /// End after this time, with exit code 88.
    #[arg(long, value_name = "DURATION", default_value = "60m", value_parser = parse_duration)]
    max_life: Duration,
    /// Newest protocol revision of the mock, unless the script names an `era`.
    #[arg(long, default_value = "2025-11-25")]
    revision: Revision,
    /// For mcp-lifecheck: report to the recorder at this address, and take the script from it.
    #[arg(long, value_name = "ADDR", conflicts_with = "script", requires_all = ["token", "server"])]
    link: Option<SocketAddr>,
    /// For mcp-lifecheck: the token of the link.
    #[arg(long, requires = "link")]
    token: Option<String>,
    /// For mcp-lifecheck: name of the server in the scenario.
    #[arg(long, value_name = "NAME", requires = "link")]
    server: Option<String>,
}

fn main() -> ExitCode {
    // A linked mock is started by the thousand: no parser for it. Anything else about its arguments is clap's to say.
    if let Ok(linked) = LinkedArgs::from_args(std::env::args().skip(1)) {
        return run_linked(&linked);
    }
    match Cli::parse().command {
        Command::Stdio(Stdio { served }) => serve(DriverKind::Stdio, served, None),
        Command::Http(Http { served, listen }) => serve(DriverKind::Http, served, Some(listen)),
        Command::Sse(Http { served, listen }) => serve(DriverKind::Sse, served, Some(listen)),
        Command::List => list(),
        Command::Schema => print(&format!("{:#}\n", script_schema())),
    }
}

fn serve(driver: DriverKind, served: Served, listen: Option<SocketAddr>) -> ExitCode {
    if let Served { link: Some(link), token: Some(token), server: Some(server), .. } = served {
        return run_linked(&LinkedArgs { driver, link, token, server });
    }
    let Some(name) = served.script else { unreachable!("clap asks for --script where there is no --link") };
    let (oldest, found) = (Revision::R20250326, served.revision);
    if driver == DriverKind::Http && found < oldest {
        refuse(format!("found revision {found}, expected at least {oldest}: older ones have no streamable HTTP"));
    }
    if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback()) {
        refuse(format!("found listen address {listen}, expected a loopback address such as 127.0.0.1:0"));
    }
    let script = load_script(&name).map_err(|error| error.to_string()).and_then(|script| {
        let transport = driver.transport();
        script
            .fits(transport.home(), framing_of(transport, [&script]))
            .map(|()| script.clone())
            .map_err(|misfit| misfit.to_string())
    });
    match script {
        Ok(script) => {
            let (journal, max_life, revision) = (served.journal, served.max_life, served.revision);
            run_standalone(driver, &StandaloneArgs { script, journal, max_life, revision, listen })
        }
        Err(error) => {
            // A stderr that is gone is not a reason to fail differently.
            let _ = writeln!(io::stderr(), "mcp-mock: {}", shown(&error));
            ExitCode::from(2)
        }
    }
}

fn refuse(message: String) -> ! {
    Cli::command().error(ErrorKind::InvalidValue, message).exit()
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn list() -> ExitCode {
    let mut out = io::stdout().lock();
    for name in shipped_names() {
        let script = shipped(name).expect("a test reads every shipped script");
        if writeln!(out, "{name:<24}{}", script.about()).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
