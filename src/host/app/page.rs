//! The page driver: a program that controls a browser. It reads one request a line on its stdin and replies on its stdout.
//!
//! A supervisor starts it, so that every process below it ends with the run. Its stdout is a named pipe, because a supervisor gives
//! its child only files.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use tokio::net::unix::pipe;
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use crate::history::Header;
use crate::life::{PROCESSES_MAX, RunEnvironment};
use crate::plan::PageAction;
use crate::record::{Recorder, secret};
use crate::supervise::{LaunchSpec, StdinKind, SuperviseError, Supervised, Written};

/// How long the page driver may take to end once its stdin is closed.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How much longer than the limit of an action its reply may take.
const ANSWER_MARGIN: Duration = Duration::from_secs(10);
/// Longest line of a reply, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most bytes of the page driver's stderr that are kept.
const OUTPUT_BYTES_MAX: u64 = 8 << 20;

/// A running page driver.
pub(super) struct Page {
    files: Files,
    supervised: Supervised,
    answers: FramedRead<pipe::Receiver, LinesCodec>,
    n_requests: u64,
}

/// An action on a page.
pub(super) struct PageRequest<'a> {
    pub action: PageAction,
    pub tab: &'a str,
    pub url: Option<&'a str>,
    pub text: Option<&'a str>,
    pub expect: Option<&'a str>,
    pub absent: Option<&'a str>,
}

/// Why a page has no result. The experiment failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error("the browser's pipe cannot be made: {0}")]
    Pipe(#[source] io::Error),
    #[error("the folder of the browser's temporary files cannot be made: {0}")]
    Files(#[source] io::Error),
    #[error("the browser cannot be started: {0}")]
    Start(#[from] SuperviseError),
    #[error("the browser reads no more requests")]
    Deaf,
    #[error("{0}")]
    Lost(String),
    #[error("the browser ended; see page-stderr.txt")]
    Ended,
    #[error("the browser gave no answer within {} ms", limit.as_millis())]
    Mute { limit: Duration },
    #[error("the browser's answer cannot be read: {0}")]
    Line(#[from] LinesCodecError),
    #[error("found {0:?}, expected an answer of the browser: an object with `id`, and `ok` or `failed`")]
    Answer(String),
}

impl Page {
    /// Starts the page driver. `life` is the longest life of its process tree.
    pub(super) async fn start(
        command: &[String],
        directory: &Path,
        environment: &RunEnvironment,
        life: Duration,
    ) -> Result<Self, PageError> {
        let pipe = directory.join("page.pipe");
        let opened = open_pipe(&pipe).map_err(PageError::Pipe);
        let receiver = match opened {
            Ok(receiver) => receiver,
            Err(error) => {
                let _ = std::fs::remove_file(&pipe);
                return Err(error);
            }
        };
        let files = Files::make(directory).map_err(PageError::Files)?;
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let spec = LaunchSpec {
            command: command.to_vec(),
            directory: None,
            env: [
                ("MCP_LIFECHECK_RUN".to_owned(), environment.run_id.clone()),
                ("TMPDIR".to_owned(), files.0.display().to_string()),
            ]
            .into(),
            stdin: StdinKind::Pipe,
            stdout: pipe.clone(),
            stderr: directory.join("page-stderr.txt"),
            output_bytes_max: OUTPUT_BYTES_MAX,
            processes_max: PROCESSES_MAX,
            descriptors_soft: None,
            ports: Vec::new(),
            life_ms: ms(life),
            settle_ms: ms(crate::plan::Limits::default().settle),
            warm: None,
        };
        // The history of the host leaves out the page driver's process.
        let recorder = Recorder::in_memory(Header::new("page"));
        let started = Supervised::start(&environment.executable, spec, recorder, &environment.reaper).await;
        // Both ends are open now, or the start has failed.
        let _ = std::fs::remove_file(&pipe);
        let answers = FramedRead::new(receiver, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
        Ok(Self { files, supervised: started?, answers, n_requests: 0 })
    }

    /// Carries out an action on a page. The inner error says why the action failed there.
    pub(super) async fn ask(
        &mut self,
        request: PageRequest<'_>,
        limit: Duration,
    ) -> Result<Result<(), String>, PageError> {
        self.n_requests += 1;
        let PageRequest { action, tab, url, text, expect, absent } = request;
        let timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let mut line = json!({ "id": self.n_requests, "do": action.name(), "tab": tab, "timeout_ms": timeout_ms });
        for (name, value) in [("url", url), ("text", text), ("expect", expect), ("absent", absent)] {
            if let Some(value) = value {
                line[name] = value.into();
            }
        }
        match self.supervised.write_line(&line.to_string()).await? {
            Written::Done => {}
            Written::Gone => return Err(PageError::Ended),
            Written::Full => return Err(PageError::Deaf),
        }
        let limit = limit + ANSWER_MARGIN;
        let id = self.n_requests;
        tokio::select! {
            biased;
            answer = tokio::time::timeout(limit, answer_to(&mut self.answers, id)) => {
                answer.map_err(|_| PageError::Mute { limit })?
            }
            () = self.supervised.broken_or_ended() => Err(PageError::Ended),
        }
    }

    /// Ends the page driver and every process below it, by force if need be.
    pub(super) async fn end(self) {
        // The end by force below covers a page driver that does not listen.
        let _ = self.supervised.close_stdin().await;
        let _ = tokio::time::timeout(END_LIMIT, self.supervised.broken_or_ended()).await;
        self.supervised.end().await;
        drop(self.files);
    }
}

/// The folder of a browser's temporary files. Dropping it also removes files that a killed browser leaves.
struct Files(PathBuf);

/// Longest path of that folder, in bytes. Below a longer one, the names of a browser's sockets exceed the limit of the system.
const FILES_PATH_MAX: usize = 60;

impl Files {
    fn make(directory: &Path) -> io::Result<Self> {
        let folder = directory.join("page-files");
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if folder.as_os_str().len() > FILES_PATH_MAX {
            return Self::aside();
        }
        std::fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    /// A folder among the temporary files of the system.
    fn aside() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("mcp-lifecheck-{}", secret()?));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // A file that cannot be removed stays visible in the folder of the run.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a pipe and opens it for reading. Also for writing, so that it does not end before the page driver opens it.
fn open_pipe(path: &Path) -> io::Result<pipe::Receiver> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    pipe::OpenOptions::new().read_write(true).open_receiver(path)
}

async fn answer_to(
    answers: &mut FramedRead<pipe::Receiver, LinesCodec>,
    id: u64,
) -> Result<Result<(), String>, PageError> {
    loop {
        let line = answers.next().await.ok_or(PageError::Ended)??;
        let head = || PageError::Answer(line.chars().take(200).collect());
        let answer: Value = serde_json::from_str(&line).map_err(|_| head())?;
        // A late reply belongs to an earlier request.
        if answer.get("id").and_then(Value::as_u64).is_some_and(|found| found < id) {
            continue;
        }
        let message = |name: &str| answer.get(name).map(|failed| failed.get("message").and_then(Value::as_str));
        if let Some(lost) = message("lost") {
            return Err(PageError::Lost(lost.unwrap_or("the browser is lost").to_owned()));
        }
        let failed = message("failed");
        return match (answer.get("id").and_then(Value::as_u64) == Some(id), failed, answer.get("ok")) {
            (true, Some(message), None) => Ok(Err(message.unwrap_or("it failed").to_owned())),
            (true, None, Some(_)) => Ok(Ok(())),
            _ => Err(head()),
        };
    }
}
