//! `testing::explore`: lives that a test of another crate draws, and the files that it keeps of them.

use std::fs;
use std::path::Path;

use mcp_lifecheck::loader_factory;
use mcp_lifecheck::testing::{
    BoxFuture, Called, ContextKind, ExploreOptions, Failure, Loaded, Loader, NotExplored, NotVerified, Options,
    Registered, RunVerdict, Temperaments, Transport, explore_with, verify_with,
};
use mcp_lifecheck_specimens::reference::ToolsLoader;
use mcp_lifecheck_specimens::registry::reference;
use serde_json::Value;

/// The reference loader with a mistake: it sends each call twice.
struct Repeating(ToolsLoader);

impl Loader for Repeating {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Loader::load(&self.0, config)
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Loader::list(&self.0)
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            Loader::call(&self.0, server, tool, arguments.clone()).await?;
            Loader::call(&self.0, server, tool, arguments).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Loader::close(&self.0)
    }
}

static BROKEN: &Registered = loader_factory!("it-repeating", |setup| Repeating(reference(setup)));
static FIXED: &Registered = loader_factory!("it-fixed", reference);

/// Lives with conforming servers in the process of the loader, of one seed.
fn options(folder: &Path) -> ExploreOptions {
    ExploreOptions {
        cases: 8,
        seed: Some(5),
        transports: vec![Transport::Memory],
        scripts: vec!["polite".to_owned()],
        temperaments: Temperaments::PoliteOnly,
        jobs: Some(2),
        regressions: Some(folder.join("kept")),
        out: Some(folder.join("out")),
        ..ExploreOptions::default()
    }
}

const LIFE: &str = r#"about = "A load and a call."
servers = [{ name = "files", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
"#;

/// The text of an exploration that fails.
fn text_of(error: &NotExplored) -> &str {
    match error {
        NotExplored::Regression { text, .. }
        | NotExplored::Found { text, .. }
        | NotExplored::Inconclusive { text, .. } => text,
        other => panic!("{other}"),
    }
}

/// The names of the files that were kept.
fn kept(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("kept")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A folder with one regression file.
fn with_life(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("kept")).unwrap();
    fs::write(folder.path().join("kept/own.toml"), text).unwrap();
    folder
}

#[test]
fn a_mistake_is_found_kept_and_run_first_until_the_loader_is_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let found = explore_with(BROKEN, &options).unwrap_err();
    let NotExplored::Found { report, text, .. } = &found else { panic!("{found}") };
    let [row] = report.findings.as_slice() else { panic!("{text}") };
    assert_eq!((row.signature.as_str(), row.steps, row.again), ("call-sent-once/sent-twice", 2, 5), "{text}");
    let file = folder.path().join("kept/call-sent-once-sent-twice.toml");
    let scenario = fs::read_to_string(&file).unwrap();
    let me = "cargo test -p mcp-lifecheck-cli drawn_lives::a_mistake_is_found_kept_and_run_first_until_the_loader_is_fixed \
              -- --exact";
    for part in [
        "FAIL call-sent-once",
        "  the smallest life that shows it: 2 steps, at first ",
        "\n\n# call-sent-once/sent-twice of it-repeating: 5 of 5 repeats show it. Found in life case-5-",
        &scenario,
        &format!("kept in {}, which runs first", file.display()),
        "; seed 5\n",
        &format!("repeat:  {me}\n"),
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let start = "loader it-repeating does not keep its promises in a life that was drawn at random\n\nFAIL";
    assert!(found.to_string().starts_with(start), "{found}");

    // The text in the message is that of a scenario file: pasted into one, it shows the finding.
    let pasted = text[text.find("# call-sent-once/").unwrap()..].split("\n\n").next().unwrap();
    let life = folder.path().join("pasted.toml");
    fs::write(&life, pasted).unwrap();
    let verification = Options {
        scenarios: vec![life.display().to_string()],
        transports: vec![Transport::Memory],
        out: Some(folder.path().join("verified")),
        ..Options::default()
    };
    let Err(NotVerified::Violations { report, .. }) = verify_with(BROKEN, &verification) else { panic!("{pasted}") };
    assert!(report.plans.iter().flat_map(|plan| &plan.findings).any(|one| one.signature == row.signature), "{pasted}");

    // The second run shows it with the life that was kept, and draws none.
    let again = explore_with(BROKEN, &options).unwrap_err();
    let NotExplored::Regression { regressions, text, .. } = &again else { panic!("{again}") };
    assert_eq!(regressions.len(), 1);
    let plan = "MCP_LIFECHECK_PLAN=call-sent-once-sent-twice.it-repeating.memory.2025-11-25.polite cargo test";
    for part in ["FAIL call-sent-once", &scenario, plan, "1 of 1 life in regression files failed; no lives were drawn"]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }

    // A person may change the file. The fixed loader passes, and the file stays as it is.
    let edited = scenario.replace("\"search\"", "\"files\"").replace("A load", "The load");
    fs::write(&file, &edited).unwrap();
    let fixed = explore_with(FIXED, &options).unwrap();
    let [replayed] = fixed.regressions.as_slice() else { panic!("{fixed:?}") };
    assert_eq!((replayed.scenario.as_str(), replayed.verdict), ("call-sent-once-sent-twice", RunVerdict::Pass));
    assert_eq!(fixed.drawn.unwrap().counts.plans, 8);
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
    assert_eq!(kept(folder.path()), ["call-sent-once-sent-twice.toml"]);
}

#[test]
fn a_finding_that_is_accepted_fails_neither_a_kept_life_nor_a_drawn_one() {
    let folder = with_life(LIFE);
    let known = |signature: &str| ExploreOptions { known: vec![signature.to_owned()], ..options(folder.path()) };
    let explored = explore_with(BROKEN, &known("call-sent-once/sent-twice")).unwrap();
    assert_eq!(explored.regressions[0].verdict, RunVerdict::Fail);
    assert!(explored.drawn.unwrap().known["call-sent-once/sent-twice"] > 0);
    let refused = explore_with(BROKEN, &known("call-sent-onc/x")).unwrap_err().to_string();
    assert!(refused.ends_with("did you mean \"call-sent-once\"?"), "{refused}");
}

#[test]
fn a_damaged_regression_file_is_refused_with_its_position() {
    let folder = with_life(&LIFE.replace("server = \"files\"", "server = \"flies\""));
    let error = explore_with(FIXED, &options(folder.path())).unwrap_err();
    assert!(matches!(error, NotExplored::NotRun(_)), "{error}");
    let file = folder.path().join("kept/own.toml");
    assert_eq!(
        error.to_string(),
        format!(
            "the exploration cannot run: {}:5: found server \"flies\", expected one that `servers` declares; did you mean \
             \"files\"?",
            file.display()
        )
    );
}

#[test]
fn a_kept_life_that_cannot_be_judged_fails_the_test() {
    let folder = with_life(&format!("contexts = [\"thread\"]\n{LIFE}"));
    let mut options = options(folder.path());
    options.promises.contexts = vec![ContextKind::Task];
    let error = explore_with(FIXED, &options).unwrap_err();
    assert!(matches!(error, NotExplored::Inconclusive { .. }), "{error}");
    let text = text_of(&error);
    assert!(text.contains("own.toml: not applicable: the scenario is about contexts of kind `thread`"), "{text}");
    assert!(text.contains("change it, or remove it"), "{text}");
    // A file for another transport would not run at all.
    let folder = with_life(&format!("transports = [\"stdio\"]\n{LIFE}"));
    let error = explore_with(FIXED, &self::options(folder.path())).unwrap_err().to_string();
    assert!(error.ends_with("expected one that runs over a transport of the exploration (memory)"), "{error}");
}

#[test]
fn an_exploration_in_which_nothing_runs_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let error = explore_with(FIXED, &ExploreOptions { cases: 0, ..options(folder.path()) }).unwrap_err();
    assert!(matches!(error, NotExplored::Inconclusive { .. }), "{error}");
    let some = ExploreOptions { scripts: vec!["polit".to_owned()], ..options(folder.path()) };
    let error = explore_with(FIXED, &some).unwrap_err().to_string();
    assert!(error.ends_with("did you mean \"polite\"?"), "{error}");
}

#[test]
fn regression_files_are_beside_the_source_of_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let options = ExploreOptions { cases: 1, regressions: None, ..options(folder.path()) };
    let explored = explore_with(FIXED, &options).unwrap();
    let names: Vec<&str> = explored.regressions.iter().map(|row| row.scenario.as_str()).collect();
    // In tests/it/mcp-lifecheck-regressions/drawn_lives/it-fixed.
    assert_eq!(names, ["call-sent-once"]);
}
