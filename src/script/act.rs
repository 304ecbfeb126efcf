//! What each action does, by family.

use serde_json::{Value, json};

use crate::history::{ServerEnd, WireEnd};
use crate::script::interpreter::{Face, Flow, Interpreter};
use crate::script::task::{At, Cause, Step, Task, Wait};
use crate::script::{Action, Death, Effect, End, Family, Many, Span, TimerId, Told, forge, wire};

/// Bytes of a line that is written to stderr again and again.
const STDERR_LINE: &[u8] = b"mcp-mock: this line is written again and again, as a server in trouble does.\n";

impl Interpreter {
    /// Does one action.
    pub(super) fn act(&mut self, task: &mut Task, action: Action) -> Flow {
        match action.family() {
            Family::Pause => return self.pause(task.at, action),
            Family::Endless => return self.report_for_ever(task, action),
            Family::Server => return self.change(task, action),
            Family::Answer => self.give(task, action),
            Family::ForgedMessage | Family::ForgedText | Family::ForgedLine => self.answer_forged(&action, task),
            Family::Message => self.say(task, action),
            Family::Line => self.line_action(action),
            Family::Response | Family::Session | Family::Event | Family::ForgedEvent => self.http_action(action, task),
            Family::Raw => self.answer_raw(&action, task),
            Family::Silence => {}
        }
        Flow::On
    }

    fn pause(&mut self, at: At, action: Action) -> Flow {
        match (action, at.connection) {
            (Action::Hold(gate), _) => self.hold(gate),
            (Action::Delay(Span(after)), _) => {
                let timer = self.new_timer();
                self.push(Effect::SetTimer { timer, after });
                Flow::Hold(Wait::Timer(timer))
            }
            (Action::AwaitResponse, Some(number)) => Flow::Hold(Wait::Response(number)),
            (Action::Reorder, Some(number)) => Flow::Hold(Wait::Answer(number)),
            _ => Flow::On,
        }
    }

    pub(super) fn new_timer(&mut self) -> TimerId {
        let timer = TimerId(self.n_timers);
        self.n_timers += 1;
        timer
    }

    fn give(&mut self, task: &Task, action: Action) {
        match action {
            Action::Duplicate => self.answer_twice(&task.cause, task.at),
            Action::AnswerError(error) => {
                if let Cause::Request { id, .. } = &task.cause {
                    self.mark_status(task.at, error.code);
                    self.answer(task.at, wire::error_line(id, error.code, &error.message, error.data.as_ref()));
                }
            }
            _ => self.settle(&task.cause, task.at),
        }
    }

    /// Sends an answer that is not as it should be.
    fn answer_forged(&mut self, action: &Action, task: &Task) {
        let Cause::Request { params, .. } = &task.cause else { return };
        let Some(honest) = self.honest_answer(&task.cause, task.at) else { return };
        match action.family() {
            Family::ForgedLine => self.send_forged(action, &honest),
            Family::ForgedText => self.answer(task.at, forge::text(action, &honest)),
            _ => self.answer(task.at, forge::forged(action, &honest, params).to_string().into_bytes()),
        }
    }

    fn say(&mut self, task: &Task, action: Action) {
        match action {
            Action::Notify(method) => self.send_notification(task.at, &method, None),
            Action::NotifyWith(Told { method, params }) => {
                self.send_notification(task.at, &method, Some(&Value::Object(params)));
            }
            Action::NotifyMany(Many { method, params, times }) => {
                let params = params.map(Value::Object);
                (0..times).for_each(|_| self.send_notification(task.at, &method, params.as_ref()));
            }
            Action::Ask(method) => self.ask(task.at, &method, None, true),
            Action::AskWith(Told { method, params }) => self.ask(task.at, &method, Some(&Value::Object(params)), true),
            Action::AskAgain(method) => self.ask(task.at, &method, None, false),
            Action::Progress(times) => (1..=times).for_each(|done| self.report(task, u64::from(done))),
            Action::CancelRequest => {
                if let Cause::Request { id, .. } = &task.cause {
                    let params = json!({ "requestId": id, "reason": "the script says so" });
                    self.notify(task.at, &wire::notification_line("notifications/cancelled", Some(&params)));
                }
            }
            Action::StrayAnswer(id) => self.notify(task.at, &wire::result_line(&Value::from(id), &json!({}))),
            Action::StrayError => {
                self.notify(task.at, &wire::error_line(&Value::Null, wire::PARSE_ERROR, "Parse error", None));
            }
            _ => {}
        }
    }

    fn ask(&mut self, at: At, method: &str, params: Option<&Value>, is_new: bool) {
        let id = if is_new { self.n_asked } else { self.n_asked.saturating_sub(1) };
        self.n_asked = id + 1;
        let line = wire::request_line(id, method, params);
        match &self.face {
            // What is asked because of a request is asked on its own stream, where it has one.
            Face::Http(http) if at.exchange.is_some_and(|no| http.is_streaming(no)) => {
                at.exchange.into_iter().for_each(|no| self.stream_message(no, at, &line));
            }
            _ => self.notify(at, &line),
        }
    }

    /// Reports progress of the request of a task: over HTTP on a stream that is its response.
    fn report(&mut self, task: &Task, done: u64) {
        let Cause::Request { id, params, .. } = &task.cause else { return };
        // A client that asked for no progress is told all the same, under the id.
        let token = params.pointer("/_meta/progressToken").unwrap_or(id);
        let params = json!({ "progressToken": token, "progress": done });
        let line = wire::notification_line("notifications/progress", Some(&params));
        match (&self.face, task.at.exchange) {
            (Face::Http(_), Some(no)) if !self.is_sse() => self.stream_beside(no, task.at, &line),
            _ => self.notify(task.at, &line),
        }
    }

    fn report_for_ever(&mut self, task: &mut Task, action: Action) -> Flow {
        let Action::ProgressForever(Span(after)) = action else { return Flow::On };
        task.n_reports += 1;
        self.report(task, task.n_reports);
        let timer = self.new_timer();
        self.push(Effect::SetTimer { timer, after });
        task.steps.push_front(Step { action, fault: None });
        Flow::Hold(Wait::Timer(timer))
    }

    fn change(&mut self, task: &mut Task, action: Action) -> Flow {
        match action {
            Action::Tools(tools) => self.offer(task.at, &tools),
            Action::Stderr(text) => return self.write_stderr(format!("{text}\n").into_bytes()),
            Action::StderrFlood(n_bytes) => {
                return self.write_stderr(STDERR_LINE.iter().copied().cycle().take(n_bytes as usize).collect());
            }
            Action::Freeze => {
                self.is_frozen = true;
                return Flow::Over;
            }
            Action::Stop => self.push(Effect::Stop),
            Action::Grandchild(grandchild) => self.push(Effect::Spawn(grandchild)),
            Action::Exit(code) => {
                self.close_all(WireEnd::ByServer);
                self.end(Some(ServerEnd::Script), End::Exit(code));
            }
            Action::Die(Death::Code(code)) => self.end(None, End::Exit(code)),
            Action::Die(Death::Signal(signal)) => self.end(None, End::Signal(signal)),
            Action::Ignore => {
                self.note_ignored(&task.cause);
                task.settled = true;
            }
            _ => {}
        }
        Flow::On
    }

    fn write_stderr(&mut self, bytes: Vec<u8>) -> Flow {
        let then = self.new_timer();
        self.push(Effect::WriteStderr { bytes, then });
        Flow::Hold(Wait::Timer(then))
    }
}
