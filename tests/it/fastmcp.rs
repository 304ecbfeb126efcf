//! The Python adapter of the examples: it is short, and it runs. `docs` compares it with the page that shows it.

use std::path::PathBuf;

use crate::lanes::unavailable;
use crate::rig::{Rig, root};
use crate::stability::is_thorough;

const PAGE: &str = include_str!("../../docs/src/adapters/python.md");
const ADAPTER: &str = include_str!("../../examples/python-adapter/adapter.py");
const LOADER: &str = include_str!("../../examples/python-adapter/loader.toml");
const REQUIREMENTS: &str = include_str!("../../examples/python-adapter/requirements.txt");
/// Bound on the lines of the adapter that are neither blank nor comments.
const LINES_MAX: usize = 46;

#[test]
fn the_page_shows_the_adapter_and_its_description() {
    for (language, text) in [("python", ADAPTER), ("toml,loader", LOADER)] {
        assert!(PAGE.contains(&format!("```{language}\n{text}```\n")), "the page does not show:\n{text}");
    }
    let pinned = REQUIREMENTS.lines().find(|line| line.starts_with("fastmcp==")).unwrap();
    let version = pinned.trim_start_matches("fastmcp==").split(' ').next().unwrap();
    assert!(PAGE.contains(&format!("FastMCP {version}")), "the page names another version than {version}");
}

#[test]
fn the_adapter_is_short() {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let n_lines = ADAPTER.lines().filter(is_code).count();
    assert!(n_lines <= LINES_MAX, "{n_lines} lines, at most {LINES_MAX}");
}

/// Stands for FastMCP and the helper, and drives the adapter: a call after close and a second close must reach the client.
const STANDS_FOR_FASTMCP: &str = r#"
import asyncio, sys, types
reached = []
class Client:
    def __init__(self, config): self.is_open = False
    async def __aenter__(self): self.is_open = True
    async def ping(self): return self.is_open
    async def list_tools(self): return []
    async def close(self):
        self.is_open = False
        reached.append("close")
    async def call_tool(self, *_, **__):
        reached.append("call")
        if not self.is_open: raise RuntimeError("not connected")
        return types.SimpleNamespace(content=[types.SimpleNamespace(text="done")], is_error=False)
made = []
sys.modules["fastmcp"] = types.SimpleNamespace(Client=Client)
sys.modules["mcp_lifecheck_adapter"] = types.SimpleNamespace(serve=lambda loader, *_, **__: made.append(loader))
exec(compile(open(sys.argv[1]).read(), "adapter.py", "exec"), {"__name__": "__main__"})
async def drive():
    loader, config = made[0](), {"mcpServers": {"files": {"command": "x"}}}
    await loader.load(config)
    await loader.close()
    try:
        await loader.call("files", "read", {})
    except RuntimeError:
        reached.append("refused")
    await loader.close()
    await loader.load(config)
    await loader.call("files", "read", {})
asyncio.run(drive())
print(*reached)
"#;

#[test]
fn the_adapter_hands_on_what_is_asked_of_a_closed_loader() {
    let rig = Rig::new();
    let adapter = root().join("examples/python-adapter/adapter.py");
    let Ok(python) = std::process::Command::new("python3").arg("--version").output() else {
        return unavailable("the FastMCP adapter", "python3 is not installed");
    };
    assert!(python.status.success());
    let ran = rig.finish(rig.program("python3", &["-c", STANDS_FOR_FASTMCP, adapter.to_str().unwrap()]));
    // The second load closes what does not answer any more.
    assert_eq!(ran.stdout.trim(), "close call refused close close call", "{}", ran.stderr);
}

/// The environment of the example, if this script made it: `examples/python-adapter/provision`.
fn environment() -> Option<PathBuf> {
    let folder = root().join("target/fastmcp");
    let lock = std::fs::read_to_string(folder.join("requirements.txt")).unwrap_or_default();
    (lock == REQUIREMENTS).then(|| folder.join("bin"))
}

#[test]
fn the_adapter_runs_and_the_known_faults_of_its_client_are_found() {
    if !is_thorough() {
        eprintln!("LEFT OUT: the adapter of the examples; MCP_LIFECHECK_REPEATS=1 tries it");
        return;
    }
    let Some(programs) = environment() else {
        return unavailable("the FastMCP adapter", "bash examples/python-adapter/provision makes its environment");
    };
    let rig = Rig::new();
    let path = std::env::var("PATH").unwrap_or_default();
    let loader = format!("{}/examples/python-adapter/loader.toml", root().display());
    let with_path = |mut command: std::process::Command| {
        command.env("PATH", format!("{}:{path}", programs.display()));
        rig.finish(command)
    };
    let tested = with_path({
        let mut command = rig.command(&["doctor", "--adapter", &loader, "--out"]);
        command.arg(rig.out());
        command
    });
    assert_eq!(tested.code, 0, "{}{}", tested.stdout, tested.stderr);
    assert!(tested.stdout.contains("0 failed, 0 not offered, 0 not reached"), "{}", tested.stdout);
    let limits = ["--limit", "operation=3s", "--jobs", "4"];
    let scenarios = ["core", "load-concurrently", "close-concurrently", "dies-while-idle", "dies-in-handshake"];
    let arguments = ["--transport", "stdio", "--loader", &loader];
    let ran = with_path(rig.run_command(&[&scenarios[..], &arguments, &limits].concat()));
    let plans = ran.plans_by_loader();
    // It promises tasks alone, and everything runs in the loop that opened the client.
    for (scenario, plan) in &plans["my-fastmcp"] {
        let expected = if scenario == "interrupt" { "fail" } else { "pass" };
        assert_eq!(plan["verdict"], expected, "{scenario}: {}", ran.stdout);
    }
    assert_eq!(ran.invariants("fail"), ["scope-exit-explicit"], "{}", ran.stdout);
}
