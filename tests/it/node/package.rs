//! The helper as a package: installed from its folder, and imported from modules of both kinds.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::lanes::unavailable;
use crate::node::home::{Home, has_node};
use crate::rig::root;

const FROM_MODULE: &str = r#"
import lifecheck, { serve } from "mcp-lifecheck-adapter";
if (serve !== lifecheck.serve) throw new Error("two helpers");
await lifecheck.serve(() => ({ load: () => ({ files: ["read"] }), call: () => "from a module" }));
"#;

const FROM_COMMON_JS: &str = r#"
import("mcp-lifecheck-adapter").then(({ default: lifecheck }) =>
  lifecheck.serve({ load: () => new Map([["files", [{ name: "read" }]]]), call: () => "from a script" }));
"#;

#[test]
fn the_folder_is_installed_and_imported_from_modules_of_both_kinds() {
    if !has_node() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("package.json"), "{\"private\":true}").unwrap();
    let helper = root().join("adapters/typescript");
    let mut npm = Command::new("npm");
    npm.args(["install", "--offline", "--install-links", "--no-audit", "--no-fund"]).arg(helper);
    match npm.current_dir(folder.path()).output() {
        Ok(ran) => assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr)),
        Err(error) => return unavailable("npm install of the Node helper", &error.to_string()),
    }
    let installed = folder.path().join("node_modules/mcp-lifecheck-adapter");
    assert!(installed.join("mcp_lifecheck_adapter.d.mts").is_file(), "the types are installed as well");
    for (name, text, says) in [("a.mjs", FROM_MODULE, "from a module"), ("b.cjs", FROM_COMMON_JS, "from a script")] {
        std::fs::write(folder.path().join(name), text).unwrap();
        let mut node = Command::new("node");
        node.arg(folder.path().join(name)).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut home = Home::welcoming(node);
        let loaded = home.ask(&json!({ "id": 1, "do": "load", "config": {} })).pop().unwrap();
        assert_eq!(loaded["ok"]["tools"], json!([{ "server": "files", "name": "read" }]), "{name}");
        let called = home.ask(&json!({ "id": 2, "do": "call", "server": "files", "tool": "read" })).pop().unwrap();
        assert_eq!(called["ok"]["text"], says);
        home.ask(&json!({ "id": 3, "do": "exit" }));
        let ran = home.end();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    }
}
