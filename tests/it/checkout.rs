//! One's own checkout: shipped Python loaders on another interpreter, and with something installed over their stack.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcp_lifecheck::catalogue::cache_folder;
use mcp_lifecheck::stack::python_stack;

use crate::lanes::{typescript_client, unavailable};
use crate::rig::{Ran, Rig};
use crate::stability::is_thorough;

/// A loader and its stack, which is small.
const LOADER: &str = "python-owner-task@mcp-2.3";
const STACK: &str = "mcp-2.3";

/// The interpreter of the stack, where that is installed.
fn interpreter() -> Option<PathBuf> {
    match python_stack(STACK).unwrap().interpreter() {
        Ok(interpreter) => Some(interpreter),
        Err(error) => {
            unavailable("a checkout", &error.to_string());
            None
        }
    }
}

/// `run` of one plan over stdio, with these arguments.
fn run_with(rig: &Rig, cache: Option<&Path>, more: &[&str]) -> Ran {
    let mut command = rig.run_command(&["load-call-close", "--transport", "stdio", "--loader", LOADER]);
    command.args(more);
    if let Some(cache) = cache {
        command.env("MCP_LIFECHECK_CACHE", cache);
    }
    rig.finish(command)
}

/// A checkout that builds itself, with no package from anywhere: it leaves its mark in a file whenever Python starts.
fn write_checkout(rig: &Rig, mark: &str) -> PathBuf {
    let folder = rig.out().with_file_name("checkout");
    fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("pyproject.toml", "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n");
    write(
        "backend.py",
        "import os, zipfile\n\
         def build_wheel(folder, settings=None, metadata=None):\n\
         \x20   return make(folder, 'sitecustomize.py', open('sitecustomize.py').read())\n\
         def build_editable(folder, settings=None, metadata=None):\n\
         \x20   return make(folder, 'marked.pth', os.getcwd())\n\
         def make(folder, name, text):\n\
         \x20   about = 'Metadata-Version: 2.1\\nName: marked\\nVersion: 1\\n'\n\
         \x20   kind = 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'\n\
         \x20   files = {name: text, 'marked-1.dist-info/METADATA': about, 'marked-1.dist-info/WHEEL': kind,\n\
         \x20            'marked-1.dist-info/RECORD': f'{name},,\\nmarked-1.dist-info/RECORD,,\\n'}\n\
         \x20   with zipfile.ZipFile(os.path.join(folder, 'marked-1-py3-none-any.whl'), 'w') as wheel:\n\
         \x20       for name, text in files.items():\n\
         \x20           wheel.writestr(name, text)\n\
         \x20   return 'marked-1-py3-none-any.whl'\n",
    );
    set_mark(rig, mark);
    folder
}

/// Changes a module of the checkout.
fn set_mark(rig: &Rig, mark: &str) {
    let told = rig.out().with_file_name("mark").display().to_string();
    let module = rig.out().with_file_name("checkout").join("sitecustomize.py");
    fs::write(module, format!("open({told:?}, 'w').write({mark:?})\n")).unwrap();
}

fn mark(rig: &Rig) -> String {
    fs::read_to_string(rig.out().with_file_name("mark")).unwrap_or_default()
}

#[test]
fn a_shipped_loader_runs_on_the_users_own_interpreter_and_is_run_again_there() {
    let Some(interpreter) = interpreter() else { return };
    let rig = Rig::new();
    // As the folder of a virtual environment, and by its interpreter.
    let environment = interpreter.parent().unwrap().parent().unwrap().display().to_string();
    let interpreter = interpreter.display().to_string();
    let ran = run_with(&rig, None, &["--python", &environment]);
    assert_eq!(
        (ran.code, &ran.report()["loaders"]),
        (0, &serde_json::json!(["python-owner-task@python"])),
        "{}",
        ran.stdout
    );
    let plan = rig.out().join(ran.id()).display().to_string();
    let replay = |more: &[&str]| {
        let again = rig.out().with_file_name("again").display().to_string();
        rig.finish(rig.command(&[&["replay", &plan, "--out", &again, "--format", "json"], more].concat()))
    };
    let refused = replay(&[]);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(refused.stderr.contains(&format!("--python {interpreter}")), "{}", refused.stderr);
    let again = replay(&["--python", &interpreter]);
    assert_eq!((again.code, again.id()), (0, ran.id()), "{}", again.stderr);
}

#[test]
fn an_interpreter_that_lacks_a_package_makes_its_plans_unavailable() {
    let Ok(found) = Command::new("python3").args(["-Ic", "import sys; print(sys.executable)"]).output() else {
        unavailable("an interpreter without packages", "no python3");
        return;
    };
    let rig = Rig::new();
    let environment = rig.out().with_file_name("bare");
    let path = String::from_utf8(found.stdout).unwrap();
    // Without pip: nothing but the standard library is in it.
    let made = Command::new(path.trim()).args(["-m", "venv", "--without-pip"]).arg(&environment).status().unwrap();
    assert!(made.success());
    let ran = run_with(&rig, None, &["--python", &environment.display().to_string()]);
    let plan = &ran.report()["plans"][0];
    assert_eq!((ran.code, &plan["verdict"]), (3, &"unavailable".into()), "{}", ran.stdout);
    let because = plan["because"].as_str().unwrap();
    assert!(because.contains("owner_task.py") && because.contains("ModuleNotFoundError: No module named"), "{because}");
}

#[test]
fn what_is_installed_over_a_stack_is_as_new_as_its_checkout() {
    if !is_thorough() {
        eprintln!("LEFT OUT: what --with installs; MCP_LIFECHECK_REPEATS=1 tries it");
        return;
    }
    let Some(interpreter) = interpreter() else { return };
    let rig = Rig::new();
    // A cache of its own, for what this test installs; the stacks are those of the user's cache.
    let cache = rig.out().with_file_name("cache");
    fs::create_dir_all(&cache).unwrap();
    symlink(cache_folder().unwrap().join("stacks"), cache.join("stacks")).unwrap();
    let checkout = write_checkout(&rig, "first").display().to_string();
    let run = |more: &[&str]| {
        let ran = run_with(&rig, Some(&cache), more);
        assert_eq!(
            (ran.code, ran.report()["loaders"][0].as_str()),
            (0, Some("python-owner-task@mcp-2.3+with")),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        (mark(&rig), ran.stderr.contains("installing"))
    };
    assert_eq!(run(&["--with", &checkout]), ("first".to_owned(), true));
    if is_thorough() {
        assert_eq!(run(&["--with", &checkout]), ("first".to_owned(), false));
    }
    set_mark(&rig, "second");
    assert_eq!(run(&["--with", &checkout]), ("second".to_owned(), true));
    // Only the newest state of it is kept.
    let family = fs::read_dir(cache.join("with")).unwrap().next().unwrap().unwrap().path();
    let kept = fs::read_dir(&family).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    assert_eq!(kept, 1);
    // The stack below is what it was.
    fs::remove_file(rig.out().with_file_name("mark")).unwrap();
    assert!(Command::new(interpreter).args(["-c", "import mcp"]).status().unwrap().success());
    assert_eq!(mark(&rig), "");
    if is_thorough() {
        assert_eq!(run(&["--with", &format!("-e {checkout}")]), ("second".to_owned(), true));
        set_mark(&rig, "third");
        assert_eq!(run(&["-e", &checkout]), ("third".to_owned(), false));
    } else {
        eprintln!("LEFT OUT: editable checkouts; MCP_LIFECHECK_REPEATS=1 tries them");
    }
    // With installations forbidden, nothing is installed. A package that cannot be built is reported.
    fs::write(Path::new(&checkout).join("backend.py"), "raise RuntimeError('no backend today')").unwrap();
    for (variable, told) in
        [("MCP_LIFECHECK_OFFLINE", "MCP_LIFECHECK_OFFLINE"), ("MCP_LIFECHECK_ONLINE", "no backend today")]
    {
        let mut command = rig.run_command(&["load-call-close", "--transport", "stdio", "--loader", LOADER]);
        command.args(["--with", &checkout]).env("MCP_LIFECHECK_CACHE", &cache).env(variable, "1");
        let ran = rig.finish(command);
        assert_eq!(ran.code, 3, "{}", ran.stdout);
        assert!(ran.report()["plans"][0]["because"].as_str().unwrap().contains(told), "{}", ran.stdout);
    }
}

#[test]
fn a_shipped_node_loader_runs_on_the_users_own_modules_and_says_what_they_lack() {
    let Some(modules) = typescript_client("conformance.mjs").map(|file| file.with_file_name("node_modules")) else {
        return;
    };
    let rig = Rig::new();
    let on = |modules: &Path| {
        let folder = modules.to_str().unwrap();
        rig.run(&["load-call-close", "--transport", "stdio", "--loader", "typescript-sdk", "--node-modules", folder])
    };
    let ran = on(&modules);
    assert_eq!((ran.code, &ran.plans()[0]["loader"]), (0, &"typescript-sdk@node-modules".into()), "{}", ran.stdout);
    let shown = |history: &str| history.lines().find(|line| line.contains("loader.ready")).unwrap().to_owned();
    let ready = shown(&rig.history_text(&ran.id()));
    let version = std::fs::read_to_string(modules.join("@modelcontextprotocol/sdk/package.json")).unwrap();
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert!(ready.contains(version["version"].as_str().unwrap()), "{ready}");

    let empty = tempfile::tempdir().unwrap();
    let ran = on(empty.path());
    let plan = &ran.plans()[0];
    assert_eq!((ran.code, &plan["verdict"]), (3, &"unavailable".into()), "{}", ran.stdout);
    let because = plan["because"].as_str().unwrap();
    assert!(because.contains("import failed") && because.contains("@modelcontextprotocol/sdk"), "{because}");
}
