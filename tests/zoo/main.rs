//! The zoo: clients that break one rule each, their twins that break none, and clients of other designs that break none.
//!
//! `cargo test --test zoo` gives the mutation score and the false alarms; a name behind it filters. Each life is a process
//! against a mock, whose journal is judged as `mcp-lifecheck check` does.

#![expect(clippy::unwrap_used, reason = "a bench of tests fails by panicking")]

mod bench;
mod score;
mod specimens;

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use bench::{Kind, ThisLife, live};
use score::{Row, Score};
use specimens::{BROKEN, CORRECT, Life};

/// Lives at once for each processor: a life spends most of its time waiting.
const LIVES_PER_PROCESSOR: usize = 4;
/// Most lives at once.
const LIVES_MAX: usize = 16;

fn main() -> ExitCode {
    if let Some(life) = ThisLife::of_this_process() {
        be(&life);
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters = filters(&arguments);
    let rows: Vec<Row> =
        rows().filter(|row| filters.is_empty() || filters.iter().any(|filter| row.name.contains(*filter))).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        rows.iter().for_each(|row| println!("{}: test", row.name));
        return ExitCode::SUCCESS;
    }
    if rows.is_empty() {
        println!("no specimen has a name with {filters:?}");
        return ExitCode::SUCCESS;
    }
    let n_rounds = std::env::var("MCP_LIFECHECK_REPEATS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let score = Score::of(&rows, &observe(&rows, n_rounds), filters.is_empty());
    print!("{score}");
    if score.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The arguments that are not flags of `cargo test`, nor values of such flags.
fn filters(arguments: &[String]) -> Vec<&String> {
    let has_value =
        |flag: &str| matches!(flag, "--test-threads" | "--skip" | "--format" | "--color" | "--logfile" | "-Z");
    let is_value = |index: usize| index > 0 && has_value(&arguments[index - 1]);
    let words = arguments.iter().enumerate().filter(|(index, word)| !word.starts_with('-') && !is_value(*index));
    words.map(|(_, word)| word).collect()
}

/// Every life of the zoo.
fn rows() -> impl Iterator<Item = Row> {
    let broken = BROKEN.iter().copied().flatten().flat_map(|specimen| {
        [Kind::Broken, Kind::Twin].map(|kind| Row {
            name: specimen.name,
            about: specimen.about,
            kind,
            stage: specimen.stage,
            breaks: specimen.breaks,
            caught_by: Some(specimen.caught_by),
            loader: match specimen.life {
                Life::Wire(_) => None,
                Life::Loader(name) => Some(name),
            },
        })
    });
    let correct = CORRECT.iter().copied().flatten().map(|specimen| Row {
        name: specimen.name,
        about: specimen.about,
        kind: Kind::Correct,
        stage: specimen.stage,
        breaks: &[],
        caught_by: None,
        loader: None,
    });
    broken.chain(correct)
}

/// Lives one life as this process.
fn be(this: &ThisLife) {
    if let Some(specimen) = BROKEN.iter().copied().flatten().find(|specimen| specimen.name == this.name) {
        match specimen.life {
            Life::Wire(life) => live(this, &specimen.stage, |client| life(client, this.kind == Kind::Broken)),
            Life::Loader(_) => unreachable!("mcp-lifecheck hosts a loader"),
        }
    } else {
        let specimen = CORRECT.iter().copied().flatten().find(|specimen| specimen.name == this.name).unwrap();
        live(this, &specimen.stage, specimen.life);
    }
}

/// Lets every row live this often, a few at once; gives the observations of each row.
fn observe(rows: &[Row], n_rounds: usize) -> Vec<Vec<score::Observation>> {
    let found: Vec<Mutex<Vec<_>>> = rows.iter().map(|_| Mutex::default()).collect();
    let jobs = Mutex::new((0..n_rounds).flat_map(|_| rows.iter().enumerate()));
    let next = || jobs.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..n_at_once() {
            scope.spawn(|| {
                while let Some((index, row)) = next() {
                    let observation = bench::judged(row.name, row.kind, &row.stage, row.loader);
                    found[index].lock().unwrap().push(observation);
                }
            });
        }
    });
    found.into_iter().map(|observations| observations.into_inner().unwrap()).collect()
}

fn n_at_once() -> usize {
    let n_processors = thread::available_parallelism().map_or(1, NonZero::get);
    (LIVES_PER_PROCESSOR * n_processors).min(LIVES_MAX)
}
