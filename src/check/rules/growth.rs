//! Growth: resources that increase while the driver repeats a step.
//!
//! The driver takes samples between the operations of a repeated step, and the rules judge their slope. Caches fill and
//! pools warm up, so the first samples do not count. A single jump is not growth, and neither is a rise that comes to an end:
//! growth continues, so it shows in both halves of the samples.

use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{Action, Event, EventKind, Header, Kind, LinkPeer, OpId, Outcome, Seq};
use crate::plan::Promise;

const KINDS: &[Kind] = &[Kind::SampleTaken];
const HEARS: Hears = Hears::only(&[
    (Kind::OperationInvoked, &[Of::Action(Action::Collect)]),
    (Kind::OperationCompleted, &[Of::Action(Action::Collect)]),
]);
const VACUOUS: &str = "no step was repeated often enough to separate growth from noise";
const SOURCE: &str = "VG-17: the resources of a program do not grow with the number of its runs";

const fn growth(
    id: &'static str,
    claim: &'static str,
    kinds: &'static [Kind],
    explain: &'static str,
    start: fn(&Header) -> Box<dyn Monitor>,
) -> Invariant {
    Invariant {
        id,
        property: Property::Safety,
        level: Level::OwnResource,
        claim,
        source: SOURCE,
        requirement: &["VG-17"],
        applies: AppliesTo::ALL,
        needs: Promise::None,
        witness: Witness::Always,
        kinds,
        hears: HEARS,
        vacuous: VACUOUS,
        explain,
        start,
    }
}

/// Counter-example: a pool that opens its second socket late is one step up, not a slope.
pub(super) const REPEATS_KEEP_DESCRIPTORS: Invariant = growth(
    "repeats-keep-descriptors",
    "the loader's process has no more open descriptors after many reruns than after a few",
    KINDS,
    "Each rerun left a descriptor open: a pipe of a server that has exited, a socket, or the self-pipe of an event \
     loop that was never closed. At 1,024 descriptors the program cannot open another one, and it fails in code that \
     is unrelated to the cause.\n\n\
     Look at the kinds of descriptors in the samples. To fix it, close loops and pipes where you close sessions.",
    |_| {
        Box::new(Growth::new("descriptors", 0.05, 3.0, |kind| match kind {
            EventKind::SampleTaken { fds, .. } => Some(fds.values().map(|n| f64::from(*n)).sum()),
            _ => None,
        }))
    },
);

/// Counter-example: a runtime starts threads for blocking work on first use.
pub(super) const REPEATS_KEEP_THREADS: Invariant = growth(
    "repeats-keep-threads",
    "the loader's process has no more threads after many reruns than after a few",
    KINDS,
    "Each rerun left a thread behind: a background loop for each run, or an executor that was never shut down. Each \
     holds a stack, and together they slow the exit of the program, which waits for them.\n\n\
     Look at the thread counts in the samples. To fix it, keep one owner thread for all runs, and end it in cleanup.",
    |_| {
        Box::new(Growth::new("threads", 0.05, 3.0, |kind| match kind {
            EventKind::SampleTaken { threads, .. } => Some(f64::from(*threads)),
            _ => None,
        }))
    },
);

/// Counter-examples: An allocator takes memory in steps of 1 MiB, so less than two steps are no growth. A collector lets
/// garbage grow for hundreds of runs, so only a sample behind a collection counts, or one of a language without a collector.
pub(super) const REPEATS_KEEP_MEMORY: Invariant = growth(
    "repeats-keep-memory",
    "the loader's process needs no more memory after many reruns than after a few",
    &[Kind::SampleTaken, Kind::LoaderReady, Kind::OperationInvoked, Kind::OperationCompleted],
    "Each rerun left something in memory: a session table that only grows, tool lists of old runs, or callbacks that \
     keep a closed session alive. Programs that run for days are restarted because of this.\n\n\
     Look at the resident memory in the samples. To fix it, drop the objects of a run with its session.",
    |_| Box::new(KeptMemory::new()),
);

/// Counter-example: between two runs one server may be ending while its successor starts.
pub(super) const REPEATS_KEEP_SERVERS: Invariant = growth(
    "repeats-keep-servers",
    "no more servers are running after many reruns than after a few",
    &[Kind::SampleTaken, Kind::LinkOpened, Kind::LinkClosed],
    "Each rerun started servers and left the old ones running. These servers serve no client, but hold their locks and \
        ports, and appear in the user's task manager.\n\n\
     Look at which servers have no EOF in their journal. To fix it, close a session before you replace it, or keep \
     it.",
    |_| Box::new(RunningServers { n_running: 0, growth: Growth::new("servers", 0.05, 3.0, |_| None) }),
);

/// Number of first samples that do not count, because a program sets up its caches then.
const WARM_UP: u32 = 2;
/// Least number of counted samples for a slope.
const SAMPLES_MIN: u32 = 5;
/// Each half of the samples has half of a steady rise. Steps of an allocator move some of it to the other half.
const SHARE_OF_A_HALF: f64 = 0.25;
/// Operations between two samples.
const OPERATIONS_PER_SAMPLE: f64 = 10.0;

struct Growth {
    what: &'static str,
    slope_max: f64,
    rise_max: f64,
    measure: fn(&EventKind) -> Option<f64>,
    n_seen: u32,
    first: Option<(Seq, f64)>,
    last: Option<(Seq, f64)>,
    sums: Sums,
    counted: Vec<f64>,
}

/// Sums for a straight line through the samples.
#[derive(Default)]
struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Sums {
    fn add(&mut self, x: f64, y: f64) {
        self.n += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
    }

    /// Slope of the line, by least squares.
    fn slope(&self) -> f64 {
        let spread = self.n * self.xx - self.x * self.x;
        if spread > 0.0 { (self.n * self.xy - self.x * self.y) / spread } else { 0.0 }
    }
}

impl Growth {
    fn new(what: &'static str, slope_max: f64, rise_max: f64, measure: fn(&EventKind) -> Option<f64>) -> Self {
        Self {
            what,
            slope_max,
            rise_max,
            measure,
            n_seen: 0,
            first: None,
            last: None,
            sums: Sums::default(),
            counted: Vec::new(),
        }
    }

    fn sample(&mut self, seq: Seq, value: f64) {
        self.n_seen += 1;
        if self.n_seen <= WARM_UP {
            return;
        }
        self.sums.add(f64::from(self.n_seen) * OPERATIONS_PER_SAMPLE, value);
        self.counted.push(value);
        self.first.get_or_insert((seq, value));
        self.last = Some((seq, value));
    }

    fn judge(&self, tally: &mut Tally) {
        let (Some((first, from)), Some((last, to))) = (self.first, self.last) else { return };
        if self.n_seen < WARM_UP + SAMPLES_MIN {
            return;
        }
        let slope = self.sums.slope();
        if slope < self.slope_max || to - from < self.rise_max || !self.goes_on(from, to) {
            tally.held();
            return;
        }
        let because = format!("{} grew from {from} at {first} to {to} at {last}, by {slope:.2} a rerun", self.what);
        tally.broken(Violation::new("grew", because, &[first, last]));
    }
}

impl Growth {
    /// Whether each half of the counted samples has its share of the rise.
    fn goes_on(&self, from: f64, to: f64) -> bool {
        let middle = self.counted.get(self.counted.len() / 2).copied().unwrap_or(from);
        let least = (to - from) * SHARE_OF_A_HALF;
        middle - from >= least && to - middle >= least
    }
}

fn is_repeated(kind: &EventKind) -> bool {
    matches!(kind, EventKind::SampleTaken { label, .. } if label == "repeated")
}

impl Monitor for Growth {
    fn see(&mut self, event: &Event, _view: &View, _tally: &mut Tally) {
        if let Some(value) = (self.measure)(&event.kind).filter(|_| is_repeated(&event.kind)) {
            self.sample(event.seq, value);
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        self.judge(tally);
    }
}

/// The memory of the process, sampled behind collections.
struct KeptMemory {
    growth: Growth,
    /// Whether the language of the loader has no garbage.
    is_exact: bool,
    /// The collections that run, and whether one has completed since the last sample.
    collecting: Vec<OpId>,
    is_collected: bool,
}

impl KeptMemory {
    fn new() -> Self {
        let growth = Growth::new("KiB of memory", 20.0, 2_048.0, |_| None);
        Self { growth, is_exact: false, collecting: Vec::new(), is_collected: false }
    }
}

impl Monitor for KeptMemory {
    fn see(&mut self, event: &Event, _view: &View, _tally: &mut Tally) {
        match &event.kind {
            EventKind::LoaderReady { language, .. } => self.is_exact = language.starts_with("rust"),
            EventKind::OperationInvoked { operation, action: Action::Collect, .. } => self.collecting.push(*operation),
            EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } } => {
                self.is_collected |= self.collecting.contains(operation);
            }
            #[expect(clippy::cast_precision_loss, reason = "a process has less memory than 2^52 KiB")]
            EventKind::SampleTaken { rss_kib, .. } if is_repeated(&event.kind) => {
                if self.is_exact || self.is_collected {
                    self.growth.sample(event.seq, *rss_kib as f64);
                }
                self.collecting.clear();
                self.is_collected = false;
            }
            _ => {}
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        self.growth.judge(tally);
    }
}

struct RunningServers {
    n_running: u32,
    growth: Growth,
}

impl Monitor for RunningServers {
    fn see(&mut self, event: &Event, _view: &View, _tally: &mut Tally) {
        match &event.kind {
            EventKind::LinkOpened { peer: LinkPeer::Mock { .. } } => self.n_running += 1,
            EventKind::LinkClosed { peer: LinkPeer::Mock { .. }, .. } => {
                self.n_running = self.n_running.saturating_sub(1)
            }
            kind if is_repeated(kind) => self.growth.sample(event.seq, f64::from(self.n_running)),
            _ => {}
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        self.growth.judge(tally);
    }
}
