//! How a host is started: its command, its configuration and its environment.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use crate::host::config::ServerEntry;
use crate::host::input::{Application, ConfigSource, HostInput, LIFE_MARGIN};
use crate::host::template::{Strictness, Template, Values};
use crate::life::{MockCommand, PROCESSES_MAX, Servers, Stage, ms};
use crate::supervise::{LaunchSpec, StdinKind};

/// Most bytes of a host's stdout or stderr that are kept. An application may write a long log.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// How a conformance client is started. The URL of each server is appended to its command.
pub(super) fn client_spec(input: &HostInput, stage: &Stage<'_>, servers: &Servers) -> LaunchSpec {
    let command = input.command.iter().cloned().chain(servers.urls().map(str::to_owned)).collect();
    launch_spec(input, stage, servers, command, StdinKind::Null)
}

/// How an application is started. Placeholders in its command are filled in.
pub(super) fn application_spec(input: &HostInput, stage: &Stage<'_>, servers: &Servers, values: &Values) -> LaunchSpec {
    let fill = |text: &String| {
        Template::parse(text, Strictness::Lenient).map_or_else(|_| text.clone(), |template| template.fill(values))
    };
    let command = input.command.iter().map(fill).collect();
    let mut spec = launch_spec(input, stage, servers, command, StdinKind::Pipe);
    spec.env.insert("MCP_LIFECHECK_CONFIG".to_owned(), values.config.clone());
    spec
}

fn launch_spec(
    input: &HostInput,
    stage: &Stage<'_>,
    servers: &Servers,
    command: Vec<String>,
    stdin: StdinKind,
) -> LaunchSpec {
    let mut env = input.env.clone();
    env.insert("MCP_LIFECHECK_RUN".to_owned(), stage.environment.run_id.clone());
    LaunchSpec {
        command,
        directory: None,
        env,
        stdin,
        stdout: input.directory.join("stdout.txt"),
        stderr: input.directory.join("stderr.txt"),
        output_bytes_max: OUTPUT_BYTES_MAX,
        processes_max: PROCESSES_MAX,
        descriptors_soft: None,
        ports: servers.addresses().iter().map(std::net::SocketAddr::port).collect(),
        life_ms: ms(input.life + LIFE_MARGIN),
        settle_ms: ms(input.limits.settle),
        warm: None,
    }
}

/// Writes the configuration of an application. Returns the values of all placeholders.
pub(super) fn write_configuration(
    input: &HostInput,
    application: &Application,
    stage: &Stage<'_>,
    servers: &Servers,
) -> io::Result<Values> {
    let entries = input.servers.keys().map(|name| (name.clone(), entry(stage, servers, name))).collect();
    let (name, template) = match &application.config {
        ConfigSource::Shape(_) => ("mcp.json", None),
        ConfigSource::Template { text, file } => (file.as_str(), Template::parse(text, Strictness::Strict).ok()),
    };
    let path = input.directory.join(name);
    // The port is free now. If another program takes it before the host does, the host reports that it cannot listen.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let values = Values { config: path.display().to_string(), port, servers: entries };
    let text = match (&application.config, template) {
        (_, Some(template)) => template.fill(&values),
        (ConfigSource::Shape(shape), None) => format!("{:#}\n", shape.config(&values.servers)),
        (ConfigSource::Template { text, .. }, None) => text.clone(),
    };
    std::fs::write(&path, text)?;
    Ok(values)
}

/// How the host reaches a server.
fn entry(stage: &Stage<'_>, servers: &Servers, name: &str) -> ServerEntry {
    if let Some(url) = servers.url(name) {
        return ServerEntry::Url(url.to_owned());
    }
    let MockCommand { command, args, env } = stage.mock_link().child(name);
    ServerEntry::Command { command, args, env }
}
