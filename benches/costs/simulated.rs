//! The CPU time of a simulated life with one server, next to that of rmcp alone: the same messages on a fresh thread and runtime.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use mcp_lifecheck::check::PlanVerdict;
use mcp_lifecheck::explore::{Lives, Narrowing, Palette, Shard, Source};
use mcp_lifecheck::life::{Lived, RunEnvironment};
use mcp_lifecheck::plan::Tier;
use mcp_lifecheck::run::select::{Selected, plans, scenario_file, targets};
use mcp_lifecheck::run::{Checkout, Chosen, JudgedHistory, Variants};
use mcp_lifecheck::simulate::{SimulatedLife, live_here};
use mcp_lifecheck::supervise::OrphanReaper;
use mcp_lifecheck_specimens as _;
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::clock::{CpuTime, own};
use crate::ledger::{Ledger, at_most, is_wanted};

/// Load, call, close.
const LIFE: &str = r#"
about = "One server."
transports = ["memory"]
revisions = ["2025-11-25"]
servers = [{ name = "files", script = "polite" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
tool = "read"
[[step]]
do = "close"
"#;
/// The answers of the server of the bare life: to `initialize`, `tools/list` and `tools/call`, around their ids.
const ANSWERS: [&str; 3] = [
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#,
    r#"{"tools":[{"name":"read","inputSchema":{"type":"object"}}]}"#,
    r#"{"content":[{"type":"text","text":"read"}],"isError":false}"#,
];
/// Longest a simulated life may take, in bare lives.
const TIMES_MAX: f64 = 1.5;

/// Measures the bare life, the parts of a simulated one, and the whole.
pub fn measure(ledger: &Ledger) {
    if !is_wanted("simulated") {
        return;
    }
    let mut criterion = Criterion::default().with_measurement(CpuTime::new()).configure_from_args();
    let mut group = criterion.benchmark_group("simulated");
    group.sample_size(20).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(5));
    let subject = Simulated::new();
    let parts: [(&'static str, &dyn Fn()); 5] = [
        ("simulated/bare", &bare_life),
        ("simulated/drawn", &|| drop(black_box(subject.lives.life(7)))),
        ("simulated/planned", &|| drop(black_box(subject.plan()))),
        ("simulated/lived", &|| drop(black_box(subject.live(subject.life())))),
        ("simulated/whole", &|| subject.whole()),
    ];
    for (name, work) in parts {
        group.bench_function(name.trim_start_matches("simulated/"), |bencher| {
            bencher.iter_custom(|n_rounds| {
                let before = own();
                for _ in 0..n_rounds {
                    work();
                }
                ledger.add(name, own() - before, n_rounds)
            });
        });
    }
    group.finish();
}

/// Holds what was measured against the bound, and tells the parts.
pub fn bounds(ledger: &Ledger) -> bool {
    let Some(bare) = ledger.mean("simulated/bare") else { return true };
    for name in ["simulated/bare", "simulated/drawn", "simulated/planned", "simulated/lived", "simulated/whole"] {
        if let Some(mean) = ledger.mean(name) {
            println!("        {name}: {:.1} us", mean.as_secs_f64() * 1e6);
        }
    }
    let Some(whole) = ledger.mean("simulated/whole") else { return true };
    let times = whole.as_secs_f64() / bare.as_secs_f64();
    at_most("a simulated life, drawn, planned, lived and judged, against rmcp alone", times, TIMES_MAX, "times")
}

/// What simulated lives share.
struct Simulated {
    environment: RunEnvironment,
    chosen: Chosen,
    selected: Selected,
    lives: Lives,
    _interrupt: watch::Sender<bool>,
}

impl Simulated {
    fn new() -> Self {
        let (interrupt, interrupted) = watch::channel(false);
        let environment = RunEnvironment {
            executable: env!("CARGO_BIN_EXE_mcp-lifecheck").into(),
            run_id: "bench".to_owned(),
            reaper: OrphanReaper::without_adopting(),
            interrupted,
        };
        let nothing = |_: std::fmt::Arguments<'_>| {};
        let targets = targets(&["reference".to_owned()], &Checkout::default(), &nothing).expect("it is shipped");
        let narrowing = Narrowing { tier: Some(Tier::Simulated), ..Narrowing::default() };
        let palettes = vec![Palette::of(&targets[0], &narrowing).expect("it speaks the transport")];
        let lives = Lives::new(Source::Drawn { palettes, seed: 7 }, Shard::WHOLE, None);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("one-server.toml");
        std::fs::write(&file, LIFE).expect("the folder is new");
        let chosen = scenario_file(&file).expect("the scenario is valid");
        let variants = Variants { tier: Some(Tier::Simulated), ..Variants::default() };
        let selected = plans(std::slice::from_ref(&chosen), &targets, &variants).expect("it applies").remove(0);
        Self { environment, chosen, selected, lives, _interrupt: interrupt }
    }

    /// The plan of one life.
    fn plan(&self) -> Selected {
        let variants = Variants { tier: Some(Tier::Simulated), ..Variants::default() };
        let chosen = std::slice::from_ref(&self.chosen);
        plans(chosen, std::slice::from_ref(&self.selected.target), &variants).expect("it applies").remove(0)
    }

    fn life(&self) -> SimulatedLife {
        self.selected.simulated().expect("the loader is a Rust loader")
    }

    fn live(&self, life: SimulatedLife) -> Lived {
        let environment = self.environment.clone();
        let lived = thread::spawn(move || live_here(&life, &environment)).join().expect("nothing panics");
        lived.expect("the system has a thread")
    }

    fn whole(&self) {
        black_box(self.lives.life(7));
        let life = self.plan().simulated().expect("the loader is a Rust loader");
        let judged = JudgedHistory::new(self.live(life).history, String::new());
        assert_eq!(judged.verdict(), PlanVerdict::Pass);
    }
}

/// rmcp's client through the same messages, against a server that knows its answers by heart.
fn bare_life() {
    let life = thread::spawn(|| {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let (client, server) = tokio::io::duplex(64 * 1_024);
            let serving = tokio::spawn(serve(server));
            let client = ().serve(client).await.expect("the server answers");
            let tools = client.list_all_tools().await.expect("the server answers");
            assert_eq!(tools.len(), 1);
            let called = client.call_tool(CallToolRequestParams::new("read")).await.expect("the server answers");
            assert_eq!(called.is_error, Some(false));
            client.cancel().await.expect("nothing panics");
            serving.await.expect("nothing panics");
        });
    });
    life.join().expect("nothing panics");
}

async fn serve(stream: DuplexStream) {
    let (input, mut output) = tokio::io::split(stream);
    let mut lines = BufReader::new(input).lines();
    let mut answers = ANSWERS.into_iter();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: serde_json::Value = serde_json::from_str(&line).expect("the client writes JSON");
        let Some(id) = message.get("id") else { continue };
        let answer = answers.next().expect("the client asks three times");
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{answer}}}\n");
        output.write_all(line.as_bytes()).await.expect("the client reads");
    }
}
