//! The Python helper on every Python of this machine from 3.10 on, without a package; and as a package itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::lanes::unavailable;
use crate::rig::{Rig, few_at_once, root};
use crate::stability::is_thorough;

/// The minor versions of Python 3 that the helper is for.
const MINORS: std::ops::RangeInclusive<u32> = 10..=15;

/// The types of the helper.
const STUBS: &str = "mcp_lifecheck_adapter-stubs/__init__.pyi";

/// A client of its own for servers that are child processes: tasks, futures, subprocesses and context managers of the
/// standard library alone.
pub const LOADER: &str = r#"
import mcp_lifecheck_adapter as lifecheck

import asyncio
import contextlib
import json
import os


class Server:
    def __init__(self):
        self.waiting = {}

    async def read(self):
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            waiter = self.waiting.pop(message.get("id"), None)
            if waiter is not None and not waiter.done():
                waiter.set_result(message["result"])

    def send(self, method, params, **more):
        message = {"jsonrpc": "2.0", "method": method, "params": params, **more}
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def request(self, method, params):
        number = self.last = getattr(self, "last", 0) + 1
        self.waiting[number] = asyncio.get_running_loop().create_future()
        self.send(method, params, id=number)
        try:
            return await self.waiting[number]
        except asyncio.CancelledError:
            self.send("notifications/cancelled", {"requestId": number, "reason": "the caller gave up"})
            raise


@contextlib.asynccontextmanager
async def connected(entry):
    server, pipe = Server(), asyncio.subprocess.PIPE
    env = {**os.environ, **(entry.get("env") or {})}
    server.process = await asyncio.create_subprocess_exec(entry["command"], *entry["args"], env=env, stdin=pipe, stdout=pipe)
    reader = asyncio.ensure_future(server.read())
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    await server.request("initialize", about)
    server.send("notifications/initialized", {})
    server.tools = [tool["name"] for tool in (await server.request("tools/list", {}))["tools"]]
    try:
        yield server
    finally:
        server.process.stdin.close()
        await reader
        await server.process.wait()


class Loader:
    def __init__(self):
        self.servers = {}
        self.stack = contextlib.AsyncExitStack()

    async def load(self, config):
        for name, entry in config["mcpServers"].items():
            if name not in self.servers:
                self.servers[name] = await self.stack.enter_async_context(connected(entry))
        return await self.list()

    async def list(self):
        return {name: server.tools for name, server in self.servers.items()}

    async def call(self, server, tool, arguments):
        result = await self.servers[server].request("tools/call", {"name": tool, "arguments": arguments})
        return result["content"][0]["text"], result["isError"]

    async def close(self):
        self.servers = {}
        await self.stack.aclose()


if __name__ == "__main__":
    lifecheck.serve(Loader, adapter="plain", contexts=["task"], owned=["__main__"])
"#;

/// Interpreters by minor version: those in `PATH`, and those of pyenv, whose names in `PATH` mostly lead nowhere.
fn pythons() -> BTreeMap<u32, PathBuf> {
    let mut candidates: Vec<PathBuf> = MINORS.map(|minor| PathBuf::from(format!("python3.{minor}"))).collect();
    candidates.push(PathBuf::from("python3"));
    let home = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = home.and_then(|home| fs::read_dir(home.join("versions")).ok()).into_iter().flatten().flatten();
    candidates.extend(versions.map(|version| version.path().join("bin").join("python3")));
    let mut found = BTreeMap::new();
    for candidate in candidates {
        let Ok(ran) = Command::new(&candidate).args(["-Ic", "import sys; print(sys.version_info.minor)"]).output()
        else {
            continue;
        };
        let minor = String::from_utf8_lossy(&ran.stdout).trim().parse().ok().filter(|minor| MINORS.contains(minor));
        if let Some(minor) = minor.filter(|_| ran.status.success()) {
            found.entry(minor).or_insert(candidate);
        }
    }
    found
}

#[test]
fn a_loader_is_hosted_alike_by_every_python() {
    let pythons = pythons();
    if pythons.is_empty() {
        return unavailable("the Python helper", "no Python from 3.10 on");
    }
    for minor in MINORS.filter(|minor| !pythons.contains_key(minor)) {
        eprintln!("UNAVAILABLE: the Python helper was not tested on Python 3.{minor}: there is none");
    }
    few_at_once(2, pythons.into_iter(), |(minor, python)| {
        let rig = Rig::new();
        rig.file("adapter.py", LOADER);
        let command = format!("[\"{}\", \"adapter.py\"]", python.display());
        let description =
            format!("name = \"plain\"\nlane = \"python\"\ncommand = {command}\n[promises]\ncontexts = [\"task\"]\n");
        let description = rig.file("plain.toml", &description).display().to_string();
        let ran = rig.run(&["load-call-close", "cancel-in-flight", "--loader", &description]);
        let verdicts: Vec<_> = ran.plans().iter().map(|plan| plan["verdict"].clone()).collect();
        assert_eq!(
            (ran.code, verdicts),
            (0, vec!["pass".into(), "pass".into()]),
            "3.{minor}: {}{}",
            ran.stdout,
            ran.stderr
        );
        for plan in ran.plans() {
            let events = rig.events(plan["id"].as_str().unwrap());
            let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
            let language = of("loader.ready")[0]["language"].as_str().unwrap();
            assert!(language.starts_with(&format!("python 3.{minor}.")), "{language}");
            assert_eq!(of("loader.ready")[0].get("unobservable"), None, "3.{minor}");
            // One session a server, entered and left by the task that loaded.
            let (entered, left) = (of("scope.enter"), of("scope.exit"));
            assert!(!entered.is_empty() && entered.len() == left.len(), "3.{minor}: {entered:?} {left:?}");
            assert!(left.iter().all(|event| event["how"] == "explicit"), "3.{minor}: {left:?}");
        }
        rig.assert_nothing_left(std::time::Duration::from_secs(10));
    });
}

#[test]
fn the_folder_of_the_helper_is_a_package_without_needs() {
    if !is_thorough() {
        eprintln!("LEFT OUT: the Python helper as a package; MCP_LIFECHECK_REPEATS=1 tries it");
        return;
    }
    let helper = root().join("adapters/python");
    let pythons = pythons();
    let (Some((minor, python)), rig) = (pythons.iter().next(), Rig::new()) else {
        return unavailable("pip install of the Python helper", "no Python from 3.10 on");
    };
    // A copy, so that building it leaves nothing in the source.
    let copy = rig.out().with_file_name("package");
    for file in ["pyproject.toml", "mcp_lifecheck_adapter.py", STUBS] {
        fs::create_dir_all(copy.join(file).parent().unwrap()).unwrap();
        fs::copy(helper.join(file), copy.join(file)).unwrap();
    }
    let environment = rig.out().with_file_name("environment");
    let made = Command::new(python).args(["-m", "venv"]).arg(&environment).output().unwrap();
    if !made.status.success() {
        return unavailable("pip install of the Python helper", &String::from_utf8_lossy(&made.stderr));
    }
    let inside = environment.join("bin").join("python");
    let install = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input"];
    let installed = Command::new(&inside).args(install).arg(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&installed.stderr);
    // What builds a package is fetched; where there is no network, that is all that can be wrong.
    if said.contains("Could not find a version that satisfies") || said.contains("Temporary failure in name resolution")
    {
        return unavailable("pip install of the Python helper", &said);
    }
    assert!(installed.status.success(), "{said}");
    let look = "import importlib.metadata as m, mcp_lifecheck_adapter as v, pathlib\n\
                about = m.metadata('mcp-lifecheck-adapter')\n\
                assert about['Version'] == v.__version__, about['Version']\n\
                assert about['Requires-Python'] == '>=3.10', about['Requires-Python']\n\
                assert m.requires('mcp-lifecheck-adapter') in (None, []), m.requires('mcp-lifecheck-adapter')\n\
                assert pathlib.Path(v.__file__).with_name('mcp_lifecheck_adapter-stubs').joinpath('__init__.pyi').is_file()\n\
                assert not v._adapter.linked";
    let looked = Command::new(&inside).args(["-Ic", look]).output().unwrap();
    assert!(looked.status.success(), "3.{minor}: {}", String::from_utf8_lossy(&looked.stderr));
}
