//! Arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use mcp_lifecheck::plan::{
    DurationError, HOST_LIMITS, LIMITS, LimitInfo, Limits, Revision, Tier, Transport, did_you_mean, parse_duration,
};
use mcp_lifecheck::report::Format;
use mcp_lifecheck::run::{Checkout, RunError, Temperaments, Variants};

use crate::explore::ExploreArgs;
use crate::format::{check_format, host_format, run_format};
use crate::merge::MergeArgs;

/// Test harness and lifecycle verifier for programs that use MCP servers.
#[derive(Debug, Parser)]
#[command(name = "mcp-lifecheck", version, about = "Verify how programs live with their MCP servers")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verify loaders.
    Run(RunArgs),
    /// Search for lives in which a loader fails, and show the smallest ones.
    Explore(ExploreArgs),
    /// Join the results of a campaign that ran in several parts.
    Merge(MergeArgs),
    /// Repeat the plan of a finding, or run a scenario file.
    Replay(ReplayArgs),
    /// Run an official conformance client against mocks.
    Client(ClientArgs),
    /// Run a finished application against mocks.
    Host(HostArgs),
    /// Judge recorded histories.
    Check(CheckArgs),
    /// List the built-in loaders, scenarios, suites, scripts, faults, invariants and more.
    List(ListArgs),
    /// Explain a scenario, suite, script, fault, invariant, requirement, promise, limit, transport, loader or word of
    /// the glossary.
    Explain(ExplainArgs),
    /// Show which lanes and stacks this machine can run, and why it cannot run the others.
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Names of scenarios or suites, or scenario files.
    #[arg(value_name = "SCENARIO|SUITE", default_value = "standard")]
    pub scenarios: Vec<String>,
    /// Name of a loader, with or without @STACK, or a loader description file; repeatable.
    #[arg(long, value_name = "NAME|FILE", default_value = "reference")]
    pub loader: Vec<String>,
    /// Every shipped loader whose lane is available, except the known-broken ones.
    #[arg(long, conflicts_with_all = ["loader", "checkout"])]
    pub all_available: bool,
    /// A second loader to compare with, such as the same one before a change. It runs as well, but its findings do not count.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "all_available")]
    pub against: Option<String>,
    /// Accept the known findings of shipped loaders: apply the baselines that ship with them.
    #[arg(long)]
    pub shipped_baselines: bool,
    /// Start a new process for each plan of a Python loader. By default, one process imports the program, and each plan
    /// runs in a fork of that process.
    #[arg(long)]
    pub fresh: bool,
    #[command(flatten)]
    pub checkout: CheckoutArgs,
    #[command(flatten)]
    pub variants: VariantArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The packages that replace the locked packages of shipped loaders.
#[derive(Debug, Args, Clone)]
#[group(id = "checkout", multiple = true)]
pub(crate) struct CheckoutArgs {
    /// Run the shipped Python loaders of --loader on this interpreter or virtual environment.
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    /// Install this package over the loader's stack, in a separate environment: NAME==VERSION, a folder or a wheel; repeatable.
    // It may have no value: `--with -e PATH` means `-e PATH`.
    #[arg(long, value_name = "PIP_SPEC", num_args = 0..)]
    pub with: Option<Vec<String>>,
    /// Like --with, for a checkout whose modules Python imports from its own folder; repeatable.
    #[arg(short = 'e', long, value_name = "PATH")]
    pub editable: Vec<String>,
    /// Run the shipped Node loaders of --loader on the packages of this folder.
    #[arg(long, value_name = "DIR")]
    pub node_modules: Option<PathBuf>,
}

impl CheckoutArgs {
    /// The checkout that these arguments select.
    pub(crate) fn checkout(&self) -> Result<Checkout, RunError> {
        Checkout::new(self.python.as_deref(), self.with.as_deref(), &self.editable, self.node_modules.as_deref())
    }
}

/// What all plans of a command have in common.
#[derive(Debug, Args, Clone)]
pub(crate) struct PlanArgs {
    /// Transport to test; repeatable. By default, every transport except sse that the loader and the scripts support.
    #[arg(long, value_name = "TRANSPORT", value_parser = transport())]
    pub transport: Vec<Transport>,
    /// Protocol revision. By default, the newest with a handshake that the scenario supports.
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<Revision>,
    /// How many plans run at once [default: one for each core, and while a core is idle up to 4 for each].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub jobs: Option<u32>,
    /// Seed of random choices.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Change a limit, such as operation=5s; repeatable.
    #[arg(long, value_name = "NAME=DURATION", value_parser = limit)]
    pub limit: Vec<(String, Duration)>,
}

impl PlanArgs {
    /// The default limits with the changes of the user.
    pub(crate) fn limits(&self) -> Limits {
        limits_with(&self.limit)
    }
}

#[derive(Debug, Args, Clone)]
pub(crate) struct VariantArgs {
    #[command(flatten)]
    pub plans: PlanArgs,
    /// Kind of loaders: in Rust (real), or behind the adapter protocol (foreign). Or loaders in Rust as tasks of one thread, with virtual time (simulated).
    #[arg(long, value_name = "TIER")]
    pub tier: Option<TierArg>,
    /// Run only polite servers.
    #[arg(long, conflicts_with = "stubborn_too")]
    pub polite_only: bool,
    /// Also run servers that ignore the end of their input and SIGTERM.
    #[arg(long)]
    pub stubborn_too: bool,
    /// How often each plan runs.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeat: u32,
}

impl VariantArgs {
    /// The variants that these arguments select.
    pub(crate) fn variants(&self) -> Variants {
        let limits = self.plans.limits();
        let temperaments = match (self.polite_only, self.stubborn_too) {
            (true, _) => Temperaments::PoliteOnly,
            (false, true) => Temperaments::StubbornToo,
            (false, false) => Temperaments::Usual,
        };
        let tier = self.tier.map(TierArg::tier);
        let transports = self.plans.transport.clone();
        let (revision, repeat, seed) = (self.plans.revision, self.repeat, self.plans.seed);
        Variants { transports, revision, tier, temperaments, repeat, seed, limits, ..Variants::default() }
    }
}

#[derive(Debug, Args, Clone)]
pub(crate) struct OutputArgs {
    /// Report format to print instead of a table; repeatable. The first is printed, and all are written to the results folder.
    #[arg(long, value_name = "FORMAT", value_parser = run_format())]
    pub format: Vec<&'static Format>,
    #[command(flatten)]
    pub results: ResultArgs,
}

/// The results folder, and the findings that count.
#[derive(Debug, Args, Clone)]
pub(crate) struct ResultArgs {
    /// Folder for the results.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// File of known findings to accept.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Exit with code 1 for a Warn as well.
    #[arg(long)]
    pub strict: bool,
    /// Print nothing but failures.
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A scenario file, a verdict.json, or a plan folder of an --out directory.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A loader for a scenario file [default: reference], or the description file that a recorded plan names.
    #[arg(long, value_name = "NAME|FILE")]
    pub loader: Vec<String>,
    #[command(flatten)]
    pub checkout: CheckoutArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// The client and its arguments, split on spaces. The URL of the server is appended.
    #[arg(long, value_name = "CMD")]
    pub command: String,
    /// Name of a scenario; repeatable. Without it, the suite runs.
    #[arg(long, value_name = "SCENARIO", conflicts_with = "suite")]
    pub scenario: Vec<String>,
    /// Which scenarios to run: lifecycle (every one of one revision), all, core or draft; other suites of the official runner have no
    /// scenario here [default: lifecycle].
    #[arg(long, value_name = "SUITE")]
    pub suite: Option<String>,
    /// Protocol revision [default: 2025-11-25, or that of the scenario].
    #[arg(long, value_name = "REVISION")]
    pub spec_version: Option<Revision>,
    /// Run every scenario that this revision has: short for `--suite all --spec-version REVISION`.
    #[arg(long, value_name = "REVISION", conflicts_with_all = ["suite", "spec_version", "scenario"])]
    pub requirements: Option<Revision>,
    /// Run a scenario although it does not apply to the revision.
    #[arg(long)]
    pub force: bool,
    /// File of expected failures: `client:` with `scenario` or `scenario:check-id`.
    #[arg(long, value_name = "FILE")]
    pub expected_failures: Option<PathBuf>,
    /// Time limit of each scenario. After it, the client is killed with all its processes.
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub timeout: u64,
    /// How many scenarios run at once, at most one for each core.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub jobs: u32,
    /// Folder for the results.
    #[arg(short = 'o', long = "output-dir", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Also show the checks that passed.
    #[arg(long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// Shape of the configuration for the application [default: claude].
    #[arg(long, value_name = "SHAPE", conflicts_with = "config_template")]
    pub config_shape: Option<ConfigShapeArg>,
    /// Your own configuration file, with placeholders such as {servers}, {url:NAME}, {command:NAME} and {args:NAME}.
    #[arg(long, value_name = "FILE")]
    pub config_template: Option<PathBuf>,
    /// Servers with their scripts [default: those of the plan, or server=polite].
    #[arg(long, value_name = "NAME=SCRIPT", value_delimiter = ',')]
    pub servers: Vec<String>,
    /// Transport to the servers [default: http if a {url} placeholder is used, else stdio].
    #[arg(long, value_name = "TRANSPORT", value_parser = host_transport())]
    pub transport: Option<Transport>,
    /// Run servers that ignore the end of their input and SIGTERM.
    #[arg(long)]
    pub stubborn: bool,
    /// Protocol revision of the servers [default: 2025-11-25].
    #[arg(long, value_name = "REVISION")]
    pub revision: Option<Revision>,
    /// The steps to carry out: name of a shipped plan, or a file [default: default].
    #[arg(long, value_name = "NAME|FILE")]
    pub plan: Option<String>,
    /// Command of the page driver, split on spaces. The variable MCP_LIFECHECK_PAGE_DRIVER sets it as well.
    #[arg(long, value_name = "CMD")]
    pub page_driver: Option<String>,
    /// Change a limit for all steps without their own, such as exit=5s or host-tools=90s; repeatable.
    #[arg(long, value_name = "NAME=DURATION", value_parser = host_limit)]
    pub limit: Vec<(String, Duration)>,
    /// Report format to print instead of a table; repeatable. The first is printed, and all are written to the results folder.
    #[arg(long, value_name = "FORMAT", value_parser = host_format())]
    pub format: Vec<&'static Format>,
    #[command(flatten)]
    pub results: ResultArgs,
    /// The application and its arguments. The placeholders {config}, {port}, {url} and {url:NAME} are replaced.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigShapeArg {
    Claude,
    Vscode,
    Langchain,
    Fastmcp,
}

impl ConfigShapeArg {
    /// The name of the shape on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Vscode => "vscode",
            Self::Langchain => "langchain",
            Self::Fastmcp => "fastmcp",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Histories, journals or traces, or plan folders.
    #[arg(value_name = "HISTORY", required = true)]
    pub histories: Vec<PathBuf>,
    /// What recorded the files, if mcp-lifecheck did not. By default, the first line of each file shows it.
    #[arg(long, value_name = "KIND")]
    pub from: Option<FromArg>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", value_parser = check_format())]
    pub format: Option<&'static Format>,
    /// Exit with code 1 for a Warn as well.
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Kind of things to list.
    #[arg(value_name = "WHAT")]
    pub what: ListWhat,
    /// Output format.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<JsonArg>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Id or name to explain.
    #[arg(value_name = "ID")]
    pub id: String,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Install the missing stacks.
    #[arg(long, conflicts_with = "adapter")]
    pub provision: bool,
    /// Test an adapter against the adapter protocol. Takes the description file of its loader, or the name of a shipped one.
    #[arg(long, value_name = "FILE|NAME")]
    pub adapter: Option<String>,
    /// Print the JSON schema of the adapter protocol.
    #[arg(long, conflicts_with_all = ["adapter", "provision"])]
    pub adapter_schema: bool,
    /// Change a limit, such as operation=5s; repeatable.
    #[arg(long, value_name = "NAME=DURATION", value_parser = limit, requires = "adapter")]
    pub limit: Vec<(String, Duration)>,
    /// Folder for the output of the adapter.
    #[arg(long, value_name = "DIR", requires = "adapter")]
    pub out: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", requires = "adapter")]
    pub format: Option<JsonArg>,
}

impl DoctorArgs {
    /// The default limits with the changes of the user.
    pub(crate) fn limits(&self) -> Limits {
        limits_with(&self.limit)
    }
}

fn limits_with(changed: &[(String, Duration)]) -> Limits {
    let mut limits = Limits::default();
    for (name, value) in changed {
        limits.set(name, *value).expect("parsing the argument has looked the name up");
    }
    limits
}

/// Reads the name of a transport.
fn transport() -> impl TypedValueParser<Value = Transport> {
    one_of(Transport::ALL)
}

/// Reads the name of a transport that an application can have.
fn host_transport() -> impl TypedValueParser<Value = Transport> {
    one_of([Transport::Stdio, Transport::Http])
}

fn one_of<const N: usize>(transports: [Transport; N]) -> impl TypedValueParser<Value = Transport> {
    let named = |name: String| Transport::named(&name).expect("the parser takes names of transports only");
    PossibleValuesParser::new(transports.map(Transport::as_str)).map(named)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TierArg {
    Real,
    Foreign,
    Simulated,
}

impl TierArg {
    /// The tier that it names.
    pub(crate) fn tier(self) -> Tier {
        match self {
            Self::Real => Tier::Real,
            Self::Foreign => Tier::Foreign,
            Self::Simulated => Tier::Simulated,
        }
    }
}

/// The output format of a command without reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JsonArg {
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FromArg {
    /// A standalone mock, with `mcp-mock --journal`.
    Journal,
    /// Another program: JSON-RPC messages, one a line, each with its direction.
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListWhat {
    Loaders,
    Scenarios,
    Suites,
    Scripts,
    Faults,
    Invariants,
    Promises,
    Transports,
    Requirements,
}

fn limit(text: &str) -> Result<(String, Duration), LimitError> {
    let (name, value) = text.split_once('=').ok_or(LimitError::Shape)?;
    let value = parse_duration(value)?;
    let mut limits = Limits::default();
    limits.set(name, value).ok_or_else(|| LimitError::unknown(name, LIMITS))?;
    Ok((name.to_owned(), value))
}

/// Parses a limit of a run or of a host's plan.
fn host_limit(text: &str) -> Result<(String, Duration), LimitError> {
    match text.split_once('=') {
        Some((name, value)) if HOST_LIMITS.iter().any(|limit| limit.name == name) => {
            Ok((name.to_owned(), parse_duration(value)?))
        }
        Some((name, _)) if LIMITS.iter().all(|limit| limit.name != name) => {
            Err(LimitError::unknown(name, LIMITS.iter().chain(HOST_LIMITS)))
        }
        _ => limit(text),
    }
}

#[derive(Debug, thiserror::Error)]
enum LimitError {
    #[error("expected NAME=DURATION, such as operation=5s")]
    Shape,
    #[error("found limit {found:?}, expected one of {known}{near}")]
    Unknown { found: String, known: String, near: String },
    #[error(transparent)]
    Duration(#[from] DurationError),
}

impl LimitError {
    fn unknown<'a>(found: &str, known: impl IntoIterator<Item = &'a LimitInfo>) -> Self {
        let known: Vec<&str> = known.into_iter().map(|limit| limit.name).collect();
        let (near, known) = (did_you_mean(found, &known), known.join(", "));
        Self::Unknown { found: found.to_owned(), known, near }
    }
}
