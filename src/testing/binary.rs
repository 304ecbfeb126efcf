//! What this test binary is to a verification: where its results go, how a user repeats a test, and which loader it is about.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::catalogue::shipped_loader;
use crate::loader::registered::Registered;
use crate::plan::{Descriptor, Promises, Transport};
use crate::run::{Launch, RunError, RunFolder, Target};

/// The variable that names the only plan to run. The command that repeats a failure sets it.
pub(super) const PLAN_VARIABLE: &str = "MCP_LIFECHECK_PLAN";

/// Does some work on a thread of its own, so that a runtime may call it. Only one piece of work runs at a time in a process, because
/// each uses every core.
pub(super) fn in_turn<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    drop(turn);
    // A panic there is a defect of this library and must not pass for a verdict.
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The bound on plans at once, where the machine does not set it.
pub(super) fn requested_jobs(jobs: Option<usize>) -> Option<usize> {
    // nextest runs one process for each core by itself.
    let one_under_nextest = || std::env::var_os("NEXTEST").map(|_| 1);
    jobs.map(|jobs| jobs.max(1)).or_else(one_under_nextest)
}

/// A registered loader as the subject of a run.
///
/// # Errors
/// `Usage` when another loader has the same name.
pub(super) fn target_of(
    loader: &Registered,
    promises: &Promises,
    transports: &[Transport],
) -> Result<Target, RunError> {
    let name = loader.name();
    if loader.n_of_its_name() != 1 || shipped_loader(name)?.is_some() {
        let message =
            format!("found a loader named {name:?} that is not the only one of its name, expected another name");
        return Err(RunError::usage(message));
    }
    let descriptor = Descriptor::of_rust(name, promises, transports)?;
    let launch = Ok(Launch::PlanProcess(name.to_owned()));
    Ok(Target { name: name.to_owned(), descriptor, stack: None, file: None, checkout: Vec::new(), launch })
}

/// The command line that repeats the calling test.
pub(super) fn test_command(loader: &Registered) -> String {
    let mut command = format!("cargo test -p {}", loader.package());
    // Under libtest, the thread of a test has the test's name, unless tests run one by one in the main thread.
    let current = std::thread::current();
    if let Some(name) = current.name().filter(|name| *name != "main") {
        command.push_str(&format!(" {name} -- --exact"));
    }
    command
}

/// The target folder of this test binary, which has cargo's tag file. Without the tag, the default folder of runs.
pub(super) fn target_folder() -> Result<PathBuf, RunError> {
    let executable = std::env::current_exe().map_err(RunError::system("the path of this executable"))?;
    let tagged = executable.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    tagged.map(|target: &Path| Ok(target.join("mcp-lifecheck"))).unwrap_or_else(RunFolder::usual_base)
}
