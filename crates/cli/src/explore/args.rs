//! Arguments of `mcp-lifecheck explore`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use mcp_lifecheck::explore::{Shard, SweepEvent};
use mcp_lifecheck::plan::{DurationError, parse_duration};

use crate::args::{CheckoutArgs, JsonArg, PlanArgs, TierArg};

#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// Name of a loader, with or without @STACK, or a loader description file; repeatable.
    #[arg(long, value_name = "NAME|FILE", default_value = "reference")]
    pub loader: Vec<String>,
    #[command(flatten)]
    pub checkout: CheckoutArgs,
    /// Scenario whose life is varied, by name or file; repeatable. Without it, lives are drawn at random.
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Vec<String>,
    /// Events to put at every position of the scenarios [default: all of them].
    #[arg(long, value_name = "EVENT", value_delimiter = ',', value_parser = sweep_event(), requires = "scenario")]
    pub sweep: Vec<SweepEvent>,
    /// Events in one life of a sweep: one, or each pair.
    #[arg(long, value_name = "1|2", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2), requires = "scenario")]
    pub depth: u32,
    /// Most lives [default: 200 at random, or every position of a sweep; with --time: no bound].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub cases: Option<u64>,
    /// Time after which no further lives start, such as 60s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub time: Option<Duration>,
    /// Run the I-th of N parts of the lives [default: the part of this CI job, or 1/1].
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// File of known findings: a baseline, or the explore.json of an earlier campaign.
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Script that servers of drawn lives may have; repeatable. By default, every shipped one that fits.
    #[arg(long, value_name = "SCRIPT")]
    pub script: Vec<String>,
    /// Where the lives run: `simulated` is a Rust loader as tasks of one thread, with virtual time and servers in memory, some thousands of lives a second.
    #[arg(long, value_name = "TIER")]
    pub tier: Option<TierArg>,
    /// Draw only servers that end when they are asked to.
    #[arg(long)]
    pub polite_only: bool,
    #[command(flatten)]
    pub plans: PlanArgs,
    /// Start a new process for each plan of a Python loader.
    #[arg(long)]
    pub fresh: bool,
    /// Start anew in a folder whose campaign ended early. By default, the same command with the same --out goes on there.
    #[arg(long, requires = "out")]
    pub restart: bool,
    /// Print explore.json instead of text.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<JsonArg>,
    /// Folder for the results. With it, the history of every life is kept.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A warning is a finding as well.
    #[arg(long)]
    pub strict: bool,
    /// Print nothing but findings.
    #[arg(long)]
    pub quiet: bool,
}

/// Reads the name of an event of a sweep.
fn sweep_event() -> impl TypedValueParser<Value = SweepEvent> {
    let named = |name: String| SweepEvent::ALL.into_iter().find(|event| event.name() == name);
    let named = move |name: String| named(name).expect("the parser takes names of events only");
    PossibleValuesParser::new(SweepEvent::ALL.map(SweepEvent::name)).map(named)
}

/// Reads a time, such as 60s.
fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}
