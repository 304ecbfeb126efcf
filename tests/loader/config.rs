//! Configuration: every format, the order of the file, and the place of every mistake.

use mcp_lifecheck_specimens::reference::{Config, ConfigError, ConfigFormat, Endpoint, HttpKind, ToolsLoader};
use serde_json::json;

use crate::support::*;

const JSON: &str = r#"{"other": 1, "mcpServers": {
  "z": {"command": "zed", "args": ["-v"], "env": {"A": "b"}, "type": "stdio", "icon": "tolerated"},
  "off": {"command": "x", "disabled": true},
  "a": {"url": "http://localhost/mcp", "type": "streamable-http", "headers": {"Authorization": "secret"}}
}}"#;

const YAML: &str = "mcpServers:
  z: {command: zed, args: ['-v'], env: {A: b}}
  off: {command: x, disabled: true}
  a:
    url: http://localhost/mcp
    headers: {Authorization: secret}
";

const TOML: &str = r#"[mcpServers.z]
command = "zed"
args = ["-v"]
env = { A = "b" }
[mcpServers.off]
command = "x"
disabled = true
[mcpServers.a]
url = "http://localhost/mcp"
headers = { Authorization = "secret" }
"#;

#[test]
fn the_three_formats_say_the_same_in_the_order_of_the_file() {
    let formats = [(JSON, ConfigFormat::Json), (YAML, ConfigFormat::Yaml), (TOML, ConfigFormat::Toml)];
    let configs = formats.map(|(text, format)| Config::from_text(text, format).unwrap());
    assert!(configs.iter().all(|config| *config == configs[0]));
    let names: Vec<_> = configs.map(|config| config.servers().keys().cloned().collect::<Vec<_>>()).into();
    assert!(names.iter().all(|names| names == &["z", "a"]), "{names:?}");
    let config = Config::from_text(JSON, ConfigFormat::Json).unwrap();
    let Endpoint::Command(line) = &config.servers()["z"] else { panic!() };
    assert_eq!((line.program.as_str(), line.args.len(), line.env["A"].as_str()), ("zed", 1, "b"));
    let Endpoint::Http(address) = &config.servers()["a"] else { panic!() };
    assert_eq!(address.kind, HttpKind::Streamable);
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn a_mistake_has_file_line_and_column_and_says_what_was_found_and_expected() {
    let world = World::new();
    let cases = [
        (
            "a.json",
            "{\"mcpServers\": {\n  \"x\": {\"command\": 3}}}",
            "2:20: invalid type: integer `3`, expected a string",
        ),
        ("b.json", "{\"mcpServers\": {\n  \"x\": {\"args\": []}}}", "2:20: found neither `command` nor `url`"),
        (
            "c.json",
            "{\"mcpServers\": {\"x\": {\"command\": \"a\", \"url\": \"b\"}}}",
            "1:50: found both `command` and `url`",
        ),
        (
            "d.json",
            "{\"mcpServers\": {\"x\": {\"command\": \"a\"},\n \"x\": {\"command\": \"b\"}}}",
            "2:4: server \"x\" occurs twice",
        ),
        ("e.json", "{\"servers\": {}}", "1:15: missing field `mcpServers`"),
        ("f.json", "{\"mcpServers\": {", "1:16: EOF while parsing"),
        (
            "g.json",
            "{\"mcpServers\": {\"x\": {\"url\": \"u\", \"type\": \"carrier-pigeon\"}}}",
            "unknown variant `carrier-pigeon`, expected",
        ),
        ("h.yaml", "mcpServers:\n  x:\n    command: [1]\n", "3:"),
        ("i.yml", "mcpServers:\n  x:\n    args: []\n", "found neither `command` nor `url`"),
        ("j.toml", "[mcpServers.x]\ncommand = 3\n", "2:11: invalid type: integer `3`, expected a string"),
        ("k.toml", "[mcpServers.x]\nargs = []\n", "1:1: found neither `command` nor `url`"),
        (
            "l.toml",
            "[mcpServers.x]\ncommand = \"a\"\nenv = { A = 1 }\n",
            "3:13: invalid type: integer `1`, expected a string",
        ),
        (
            "m.json",
            "{\"mcpServers\": {\"x\": {\"command\": \"a\", \"type\": \"sse\"}}}",
            "found an HTTP type with `command`",
        ),
        ("n.json", "{\"mcpServers\": []}", "invalid type: sequence, expected a map from server names to servers"),
    ];
    let mut wrong = Vec::new();
    for (name, content, expected) in cases {
        std::fs::write(world.path(name), content).unwrap();
        let error = Config::from_path(world.path(name)).unwrap_err();
        let message = error.to_string();
        if !message.contains(expected) {
            wrong.push(message.clone());
        }
        assert!(message.contains(name), "{message}");
        assert!(!message.contains('\n'), "{message}");
        assert!(matches!(error, ConfigError::InText { position: Some(_), file: Some(_), .. }), "{error:?}");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_value_a_missing_file_an_odd_name_and_an_unset_variable_are_told_apart() {
    let world = World::new();
    let value = json!({"mcpServers": {"x": {"command": "a", "args": "b"}}});
    let error = Config::from_value(&value).unwrap_err().to_string();
    assert_eq!(error, "mcpServers.x: invalid type: string \"b\", expected a sequence");
    let error = Config::from_value(&json!({})).unwrap_err().to_string();
    assert_eq!(error, "(top level): missing field `mcpServers`");
    assert!(matches!(Config::from_path(world.path("none.json")), Err(ConfigError::Unreadable { .. })));
    assert!(matches!(Config::from_path(world.path("a.ini")), Err(ConfigError::UnknownExtension { .. })));
    // Tests share their environment, so only the unset variable is looked at here.
    if std::env::var_os("MCP_FILE").is_none() {
        assert!(matches!(Config::from_env(), Err(ConfigError::VariableUnset { variable: "MCP_FILE" })));
    }
}

#[test]
fn a_configuration_error_changes_nothing() {
    bounded(|| async {
        use mcp_lifecheck::loader::target::Loader;
        let world = World::new();
        let loader = ToolsLoader::new(options());
        Loader::load(&loader, &world.config_json(&[("a", &[])])).await.unwrap();
        let bad = json!({"mcpServers": {"a": {"command": 1}}});
        let failure = Loader::load(&loader, &bad).await.unwrap_err();
        assert_eq!(failure.kind, "ConfigError");
        echo(&loader, "a").await;
        assert_eq!(world.count("a", "start"), 1);
        Loader::close(&loader).await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn the_variable_names_the_file() {
    let world = World::new();
    std::fs::write(world.path("servers.toml"), "[mcpServers.x]\ncommand = \"from the variable\"\n").unwrap();
    // The environment of this process is shared by all tests, so the reading is done in another one.
    let me = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new(me);
    child.args(["config::reads_the_variable_if_told_to", "--exact", "--nocapture"]);
    let output = child.env("MCP_FILE", world.path("servers.toml")).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("from the variable"), "{printed}");
}

#[test]
fn reads_the_variable_if_told_to() {
    if std::env::var_os("MCP_FILE").is_some() {
        eprintln!("{:?}", Config::from_env().unwrap());
    }
}
