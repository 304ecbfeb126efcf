//! Steps of an application's plan.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::did_you_mean;
use crate::plan::host::limits::host_limit;
use crate::plan::limits::parse_duration;
use crate::plan::tagged::{self, StepFlaw, StepTable};

/// Longest wait of one step.
const WITHIN_MAX: Duration = Duration::from_secs(600);
/// Longest window of an `idle` step.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Most bytes of a text of a step: it must fit into one write to a pipe.
const TEXT_BYTES_MAX: usize = 1_024;
/// Signals that a program may use as a command. None of them is a request to end.
const SIGNALS: [&str; 5] = ["USR1", "USR2", "HUP", "CONT", "WINCH"];

/// One step: an action or a wait, and its limit.
#[derive(Debug, Clone, PartialEq)]
pub struct HostStep {
    /// The action or wait.
    pub does: HostDo,
    /// How long the step may take; `None`: the default of its limit.
    pub within: Option<Duration>,
    /// Line of the plan file, from 1; 0 for a step that is not from a file.
    pub line: usize,
}

/// The action of a step. A step that names no server means all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum HostDo {
    /// Waits until the application has listed enough tools, and each server has sent its last page.
    Tools {
        /// Number of tools of all these servers together.
        #[serde(default = "one")]
        at_least: u32,
        /// Only this server; `None`: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// Count only lists since the last step that made the application do something.
        #[serde(default, skip_serializing_if = "is_false")]
        again: bool,
    },
    /// Waits until a call of a tool has arrived.
    Call {
        /// Which call to wait for, counted from 1.
        #[serde(default = "one")]
        nth: u32,
        /// Count only calls to this server; `None`: to all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// Count only calls of this tool; `None`: of all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// Count only calls since the last step that made the application do something.
        #[serde(default, skip_serializing_if = "is_false")]
        again: bool,
    },
    /// Waits for a number of connections: processes over stdio, sessions over HTTP.
    Connections {
        /// Least number of connections opened since the start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<u32>,
        /// Number of connections open now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open: Option<u32>,
        /// Count only connections to this server; `None`: to all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    /// Repeats a GET until the application answers it. `again` of later steps does not count from here.
    Ready {
        /// Absolute URL on loopback; placeholders are filled in.
        url: String,
        /// HTTP status to wait for.
        #[serde(default = "ok")]
        status: u16,
    },
    /// Sends one HTTP request to the application and expects a status.
    Request {
        /// HTTP method, in capital letters.
        #[serde(default = "get")]
        method: String,
        /// Absolute URL on loopback; placeholders are filled in.
        url: String,
        /// Body of the request. It is sent as JSON if it parses as JSON, else as plain text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /// HTTP status that the step expects.
        #[serde(default = "ok")]
        status: u16,
    },
    /// Sends a signal to the application's process, as a command.
    Signal {
        /// `USR1`, `USR2`, `HUP`, `CONT` or `WINCH`.
        signal: String,
    },
    /// Writes a line to the application's stdin.
    Line {
        /// The line, without its newline.
        text: String,
    },
    /// Kills a server of the application and waits for the end of its process.
    KillServer {
        /// Name of the server.
        server: String,
    },
    /// Waits until a server waits at a gate of its script.
    Gate {
        /// Name of the gate.
        gate: String,
    },
    /// Opens a gate, so that the held action continues.
    OpenGate {
        /// Name of the gate.
        gate: String,
    },
    /// Leaves the application alone for a while, and measures its CPU time.
    Idle {
        /// Length of the window, such as `500ms`.
        #[serde(rename = "for")]
        window: String,
    },
    /// Acts on a page in a browser.
    Page {
        /// The action on the page.
        action: PageAction,
        /// The tab, by a name that the plan chooses.
        #[serde(default = "first_tab")]
        tab: String,
        /// The URL to open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// The text to click, to find, or not to find.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// A text that must appear afterwards.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<String>,
        /// A text that makes the wait for `expect` fail at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        absent: Option<String>,
    },
    /// Closes the application's stdin, and gives it a moment to end by itself, as many do.
    CloseStdin {},
    /// Interrupts the application as Ctrl-C does: SIGINT to its process group.
    Interrupt {},
    /// Ends the application as a service manager does: SIGTERM to its process.
    Terminate {},
    /// Waits for the end of the application.
    Exit {
        /// Expected exit status; `None`: 0, or death by the signal that an earlier step sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<i32>,
    },
}

/// An action on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageAction {
    /// Opens a URL in the named tab, which is made if it does not exist.
    Open,
    /// Loads the page again.
    Reload,
    /// Clicks the element with this text.
    Click,
    /// Waits until a text appears.
    Expect,
    /// Checks that a text is not there.
    Absent,
    /// Closes the tab.
    Close,
}

fn one() -> u32 {
    1
}

fn ok() -> u16 {
    200
}

fn get() -> String {
    "GET".to_owned()
}

fn first_tab() -> String {
    "first".to_owned()
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl HostStep {
    /// A step that is not from a file.
    #[must_use]
    pub fn new(does: HostDo) -> Self {
        Self { does, within: None, line: 0 }
    }

    /// Reads one step of a plan; `line` is its line in the file, from 1.
    pub(super) fn read(mut table: StepTable<'_>, line: usize) -> Result<Self, StepFlaw> {
        let offset = table.offset;
        let within = table.take::<String>("within")?;
        let does: HostDo = table.read()?;
        does.check().map_err(|message| StepFlaw::new(offset, message))?;
        let Some(within) = within else { return Ok(Self { does, within: None, line }) };
        let wrong = |message: &dyn fmt::Display| StepFlaw::new(within.span().start, message);
        let limit = parse_duration(within.get_ref()).map_err(|error| wrong(&error))?;
        if does.limit_name().is_none() {
            return Err(wrong(&"found `within` in a step that waits for nothing, expected none"));
        }
        if limit > WITHIN_MAX {
            return Err(wrong(&format_args!("found a longer wait, expected at most {} s", WITHIN_MAX.as_secs())));
        }
        Ok(Self { does, within: Some(limit), line })
    }

    /// The table that reads as this step.
    pub(super) fn to_table(&self) -> toml::Table {
        let mut table = tagged::to_table(&self.does);
        if let Some(within) = self.within {
            table.insert("within".to_owned(), format!("{}ms", within.as_millis()).into());
        }
        table
    }

    /// How long the step may take. `exit` is the value of the limit `exit` in this run.
    #[must_use]
    pub fn limit(&self, exit: Duration) -> Duration {
        let usual = || {
            self.does.limit_name().map_or(Duration::ZERO, |name| if name == "exit" { exit } else { host_limit(name) })
        };
        self.within.unwrap_or_else(usual)
    }
}

impl HostDo {
    /// The server that the step names.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        match self {
            Self::Tools { of, .. } | Self::Call { of, .. } | Self::Connections { of, .. } => of.as_deref(),
            Self::KillServer { server } => Some(server),
            Self::Ready { .. } | Self::Request { .. } | Self::Signal { .. } | Self::Line { .. } => None,
            Self::Gate { .. } | Self::OpenGate { .. } | Self::Idle { .. } | Self::Page { .. } => None,
            Self::CloseStdin {} | Self::Interrupt {} | Self::Terminate {} | Self::Exit { .. } => None,
        }
    }

    /// Name of its limit; `None` for a step that does not wait.
    #[must_use]
    pub fn limit_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Tools { .. } => "host-tools",
            Self::Call { .. } => "host-call",
            Self::Connections { .. } => "host-connections",
            Self::Ready { .. } => "host-ready",
            Self::Request { .. } => "host-answer",
            Self::KillServer { .. } => "host-server-end",
            Self::Gate { .. } => "host-gate",
            Self::Page { .. } => "host-page",
            Self::Exit { .. } => "exit",
            Self::Signal { .. }
            | Self::Line { .. }
            | Self::OpenGate { .. }
            | Self::Idle { .. }
            | Self::CloseStdin {}
            | Self::Interrupt {}
            | Self::Terminate {} => return None,
        })
    }

    /// The texts of the step in which placeholders are filled in.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::Ready { url, .. } => vec![url],
            Self::Request { url, body, .. } => std::iter::once(url.as_str()).chain(body.as_deref()).collect(),
            Self::Line { text } => vec![text],
            Self::Page { url, text, expect, absent, .. } => {
                [url, text, expect, absent].into_iter().filter_map(Option::as_deref).collect()
            }
            Self::Tools { .. } | Self::Call { .. } | Self::Connections { .. } | Self::Signal { .. } => Vec::new(),
            Self::KillServer { .. } | Self::Gate { .. } | Self::OpenGate { .. } | Self::Idle { .. } => Vec::new(),
            Self::CloseStdin {} | Self::Interrupt {} | Self::Terminate {} | Self::Exit { .. } => Vec::new(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(text) = self.texts().into_iter().find(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(format!("found a text of {} bytes, expected at most {TEXT_BYTES_MAX}", text.len()));
        }
        match self {
            Self::Signal { signal } if !SIGNALS.contains(&signal.as_str()) => Err(format!(
                "found signal {signal:?}, expected one of {}; `interrupt` and `terminate` end an application{}",
                SIGNALS.join(", "),
                did_you_mean(signal, SIGNALS)
            )),
            Self::Ready { url, .. } => check_url(url),
            Self::Request { url, method, .. } => {
                if method.is_empty() || !method.chars().all(|c| c.is_ascii_uppercase()) {
                    return Err(format!("found method {method:?}, expected one such as POST"));
                }
                check_url(url)
            }
            Self::Line { text } if text.contains(['\n', '\r']) => {
                Err(format!("found text {text:?}, expected one line"))
            }
            Self::Idle { window } => {
                let window = parse_duration(window).map_err(|error| error.to_string())?;
                if window > IDLE_MAX {
                    return Err(format!("found a longer window, expected at most {} s", IDLE_MAX.as_secs()));
                }
                Ok(())
            }
            Self::Connections { at_least: None, open: None, .. } => {
                Err("found neither, expected `at-least` or `open`".to_owned())
            }
            Self::Page { action, expect: None, absent: Some(_), .. } if *action != PageAction::Expect => {
                Err("found `absent` without `expect`, expected `expect` as well".to_owned())
            }
            Self::Page { action, url, text, .. } => action.check(url.as_deref(), text.as_deref()),
            Self::Tools { .. } | Self::Call { .. } | Self::Connections { .. } | Self::Signal { .. } => Ok(()),
            Self::Line { .. } | Self::KillServer { .. } | Self::Gate { .. } | Self::OpenGate { .. } => Ok(()),
            Self::CloseStdin {} | Self::Interrupt {} | Self::Terminate {} | Self::Exit { .. } => Ok(()),
        }
    }

    /// The window of an `idle` step; zero for every other.
    #[must_use]
    pub fn window(&self) -> Duration {
        if let Self::Idle { window } = self { parse_duration(window).unwrap_or_default() } else { Duration::ZERO }
    }
}

impl PageAction {
    fn check(self, url: Option<&str>, text: Option<&str>) -> Result<(), String> {
        match self {
            Self::Open if url.is_none() => Err("found no URL to open, expected `url`".to_owned()),
            Self::Click | Self::Expect | Self::Absent if text.is_none() => {
                Err(format!("found nothing to {}, expected `text`", self.name()))
            }
            Self::Open | Self::Click | Self::Expect | Self::Absent | Self::Reload | Self::Close => Ok(()),
        }
    }

    /// The name as plans write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reload => "reload",
            Self::Click => "click",
            Self::Expect => "expect",
            Self::Absent => "absent",
            Self::Close => "close",
        }
    }
}

/// Refuses a URL that leads to another machine.
fn check_url(url: &str) -> Result<(), String> {
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    match name {
        Some("127.0.0.1" | "localhost" | "[::1]") => Ok(()),
        _ => Err(format!("found URL {url:?}, expected http:// and a loopback address such as 127.0.0.1:{{port}}")),
    }
}

impl fmt::Display for HostStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |of: &Option<String>| of.as_ref().map_or_else(String::new, |of| format!(" of {of}"));
        let again = |again: &bool| if *again { " since then" } else { "" };
        match &self.does {
            HostDo::Tools { at_least, of: server, again: since } => {
                let noun = if *at_least == 1 { "tool" } else { "tools" };
                write!(f, "wait for {at_least} {noun}{}{}", of(server), again(since))
            }
            HostDo::Call { nth, of: server, tool, again: since } => {
                let tool = tool.as_deref().unwrap_or("any tool");
                write!(f, "wait for call {nth} of {tool}{}{}", of(server), again(since))
            }
            HostDo::Connections { at_least, open, of: server } => {
                f.write_str("wait for connections")?;
                at_least.iter().try_for_each(|n| write!(f, ", {n} at least"))?;
                open.iter().try_for_each(|n| write!(f, ", {n} open"))?;
                f.write_str(&of(server))
            }
            HostDo::Ready { url, status } => write!(f, "wait until {url} answers {status}"),
            HostDo::Request { method, url, status, .. } => write!(f, "{method} {url}, expecting {status}"),
            HostDo::Signal { signal } => write!(f, "signal {signal}"),
            HostDo::Line { text } => write!(f, "line {text:?} to stdin"),
            HostDo::KillServer { server } => write!(f, "kill server {server}"),
            HostDo::Gate { gate } => write!(f, "wait for gate {gate}"),
            HostDo::OpenGate { gate } => write!(f, "open gate {gate}"),
            HostDo::Idle { window } => write!(f, "ask nothing for {window}"),
            HostDo::Page { action, tab, url, text, expect, absent } => {
                write!(f, "page {tab}: {}", action.name())?;
                [url, text].into_iter().flatten().try_for_each(|text| write!(f, " {text:?}"))?;
                expect.iter().try_for_each(|text| write!(f, ", expecting {text:?}"))?;
                absent.iter().try_for_each(|text| write!(f, " and no {text:?}"))
            }
            HostDo::CloseStdin {} => f.write_str("close stdin"),
            HostDo::Interrupt {} => f.write_str("interrupt"),
            HostDo::Terminate {} => f.write_str("terminate"),
            HostDo::Exit { status: None } => f.write_str("wait for the end"),
            HostDo::Exit { status: Some(status) } => write!(f, "wait for the end with status {status}"),
        }
    }
}
