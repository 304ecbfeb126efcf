//! The impact of faults on requests that only the stateless generation has.
//!
//! A client sends `server/discover` to learn the generation of a server. A server of the handshake generation may refuse it
//! without harm. A subscription is independent of other requests: whatever happens to it, the server answers them.
//!
//! Source: revision 2026-07-28, basic/transports/stdio and basic/transports/streamable-http, Backward Compatibility;
//! basic/versioning, Protocol Version Negotiation; basic/patterns/subscriptions.

use serde_json::Value;

use crate::history::Impact;
use crate::plan::Revision;
use crate::script::family::{Answer, MalformedMessage, Response, Silence};
use crate::script::{Action, DISCOVER, Family, Generation, LISTEN, Trigger};
use crate::server::cause::Cause;
use crate::server::conforming::{is_error_of_generation, is_refused_revision};

/// The impact of `action` when `cause` triggers it on a server of this generation; by default `usual`.
pub(super) fn impairs(
    action: &Action,
    trigger: &Trigger,
    cause: &Cause,
    generation: Generation,
    usual: Impact,
) -> Impact {
    let Cause::Request { method, .. } = cause else { return usual };
    if generation != Generation::Handshake && is_allowed(action, method) {
        return Impact::Nothing;
    }
    match method.as_str() {
        DISCOVER => match generation {
            Generation::Stateless => of_stateless_opening(action, trigger, usual),
            Generation::Handshake | Generation::Both => of_handshake_opening(action, generation, usual),
        },
        LISTEN => match generation {
            Generation::Stateless | Generation::Both => of_subscription(action, usual),
            Generation::Handshake => usual,
        },
        _ => usual,
    }
}

/// After silence, or an error that is not of the stateless generation, a client can still send `initialize`.
fn of_handshake_opening(action: &Action, generation: Generation, usual: Impact) -> Impact {
    match action.family() {
        Family::Silence(Silence::Drop) => Impact::Timing,
        Family::Answer(Answer::AnswerError(error)) if !is_error_of_generation(error.code) => Impact::Nothing,
        Family::MalformedMessage(MalformedMessage::NullId) if generation == Generation::Handshake => Impact::Nothing,
        Family::Response(Response::Status(400 | 404 | 405) | Response::BareStatus(400 | 404 | 405)) => Impact::Nothing,
        // The client does not treat any other answer as a refusal.
        Family::Answer(_) | Family::MalformedMessage(_) | Family::LongMessage(_) | Family::MalformedLine(_) => usual,
        Family::MalformedEvent(_) | Family::Response(_) | Family::Raw(_) | Family::Endless(_) => usual,
        Family::Pause(_) | Family::Message(_) | Family::Line(_) | Family::Event(_) => usual,
        Family::Session(_) | Family::Process(_) => usual,
    }
}

/// A client continues with a revision that the answer names. It may treat silence as a server of the handshake
/// generation.
fn of_stateless_opening(action: &Action, trigger: &Trigger, usual: Impact) -> Impact {
    match action.family() {
        Family::MalformedMessage(MalformedMessage::AlterResult(members))
            if members.len() == 1 && names_ours(members.get("supportedVersions")) =>
        {
            Impact::Nothing
        }
        // A client that the server always refuses cannot continue.
        Family::Answer(Answer::AnswerError(error)) if trigger.nth.is_some() && is_refused_revision(error.code) => {
            let supported = error.data.as_ref().and_then(|data| data.get("supported"));
            if names_ours(supported) { Impact::Nothing } else { usual }
        }
        Family::Pause(_) => Impact::Answers,
        Family::Answer(_) | Family::MalformedMessage(_) | Family::LongMessage(_) | Family::MalformedLine(_) => usual,
        Family::MalformedEvent(_) | Family::Response(_) | Family::Raw(_) => usual,
        Family::Silence(_) | Family::Endless(_) | Family::Message(_) | Family::Line(_) => usual,
        Family::Event(_) | Family::Session(_) | Family::Process(_) => usual,
    }
}

/// Whether the changed answer is one that a conforming server of the stateless generation may give: a result without a type,
/// other capabilities, a list with a time to live, or a list in pages.
fn is_allowed(action: &Action, method: &str) -> bool {
    match action.family() {
        Family::MalformedMessage(MalformedMessage::OmitResult(names)) => names.iter().all(|name| name == "resultType"),
        Family::MalformedMessage(MalformedMessage::AlterResult(members)) => {
            let is_right = |(name, value): (&String, &Value)| match (method, name.as_str()) {
                (DISCOVER, "capabilities") => value.get("tools").is_some_and(Value::is_object),
                ("tools/list", "tools") => value.as_array().is_some_and(|tools| tools.iter().all(is_tool)),
                ("tools/list", "nextCursor") => value.is_string(),
                ("tools/list", "ttlMs") => value.is_u64(),
                ("tools/list", "cacheScope") => value == "private" || value == "public",
                _ => false,
            };
            members.iter().all(is_right)
        }
        Family::MalformedMessage(MalformedMessage::AnswerResult(result)) => {
            let tools = result.get("tools").and_then(Value::as_array);
            let is_complete = result.get("resultType").is_some_and(|kind| kind == "complete");
            method == "tools/list" && is_complete && tools.is_some_and(|tools| tools.iter().all(is_tool))
        }
        Family::Answer(_) | Family::MalformedMessage(_) | Family::LongMessage(_) | Family::MalformedLine(_) => false,
        Family::MalformedEvent(_) | Family::Response(_) | Family::Raw(_) | Family::Endless(_) => false,
        Family::Silence(_) | Family::Pause(_) | Family::Message(_) | Family::Line(_) => false,
        Family::Event(_) | Family::Session(_) | Family::Process(_) => false,
    }
}

fn is_tool(tool: &Value) -> bool {
    tool.get("name").is_some_and(Value::is_string) && tool.get("inputSchema").is_some_and(Value::is_object)
}

fn of_subscription(action: &Action, usual: Impact) -> Impact {
    let ends = matches!(
        action,
        Action::Drop | Action::EndStream | Action::CutStream | Action::AnswerError(_) | Action::CancelRequest
    );
    if ends || action.is_of_exchange() { Impact::Timing } else { usual }
}

/// Whether a list of revisions has that of the stateless generation.
fn names_ours(versions: Option<&Value>) -> bool {
    let is_ours = |version: &Value| version.as_str() == Some(Revision::R20260728.as_str());
    versions.and_then(Value::as_array).is_some_and(|versions| versions.iter().any(is_ours))
}

#[cfg(test)]
mod tests {
    use crate::history::{EventKind, Impact};
    use crate::plan::Revision;
    use crate::script::Script;
    use crate::server::{Effect, Endpoint, Input, Machine, Setup};

    /// The impact of a rule that acts on a request, on a server of this generation.
    fn impaired(generation: &str, nth: &str, method: &str, action: &str) -> Impact {
        let rule = format!("[[rule]]\non = {{ request = \"{method}\"{nth} }}\ndo = [{action}]\n");
        let script =
            Script::from_toml("s", "s.toml", &format!("about = \"x\"\nera = \"{generation}\"\n{rule}")).unwrap();
        let mut mock = Machine::new(Setup::alone(script, Revision::R20260728, Endpoint::Lines));
        mock.handle(Input::Started);
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
        let delivered = mock.handle(Input::Line(request.into_bytes())).into_iter().find_map(|effect| match effect {
            Effect::Journal(EventKind::FaultDelivered { impairs, .. }) => Some(impairs),
            _ => None,
        });
        delivered.unwrap_or_else(|| panic!("{action} on {method} was not delivered"))
    }

    const SUPPORTED: &str = "{ supported = [\"2099-01-01\", \"2026-07-28\"] }";

    fn refusal(code: i64, data: &str) -> String {
        format!("{{ answer-error = {{ code = {code}, message = \"x\", data = {data} }} }}")
    }

    #[test]
    fn a_server_of_the_handshake_generation_may_refuse_the_question_of_the_stateless_one() {
        let (nothing, timing, answers) = (Impact::Nothing, Impact::Timing, Impact::Answers);
        for (action, legacy, modern) in [
            (refusal(-32_601, "{}").as_str(), nothing, answers),
            (&refusal(7, "{}"), nothing, answers),
            // This says of its server that it is of the modern generation.
            (&refusal(-32_022, "{}"), answers, answers),
            ("\"null-id\"", nothing, answers),
            ("\"drop\"", timing, answers),
            ("{ hold = \"g\" }", timing, answers),
            ("\"batch\"", answers, answers),
        ] {
            assert_eq!(impaired("legacy", "", "server/discover", action), legacy, "{action}");
            assert_eq!(impaired("modern", "", "server/discover", action), modern, "{action}");
            assert_ne!(impaired("modern", "", "tools/list", action), nothing, "{action}");
        }
        assert_eq!(impaired("dual", "", "server/discover", "\"drop\""), timing);
        assert_eq!(impaired("dual", "", "server/discover", "\"null-id\""), answers);
    }

    #[test]
    fn a_server_of_the_stateless_generation_that_names_the_revision_can_be_talked_to() {
        let discovered = |nth: &str, action: &str| impaired("modern", nth, "server/discover", action);
        assert_eq!(discovered(", nth = 1", &refusal(-32_022, SUPPORTED)), Impact::Nothing);
        assert_eq!(discovered("", &refusal(-32_022, SUPPORTED)), Impact::Answers, "forever");
        assert_eq!(discovered(", nth = 1", &refusal(-32_022, "{ supported = [] }")), Impact::Answers);
        for (versions, expected) in [
            ("[\"2099-01-01\", \"2026-07-28\"]", Impact::Nothing),
            ("[\"2099-01-01\"]", Impact::Answers),
            ("\"2026-07-28\"", Impact::Answers),
        ] {
            let action = format!("{{ alter-result = {{ supportedVersions = {versions} }} }}");
            assert_eq!(discovered("", &action), expected, "{versions}");
        }
    }

    #[test]
    fn an_answer_that_a_conforming_server_may_give_impairs_nothing() {
        let tool = "{ name = \"write\", inputSchema = {} }";
        let page = format!("{{ alter-result = {{ tools = [{tool}], nextCursor = \"2\", ttlMs = 60000 }} }}");
        let last = format!("{{ answer-result = {{ resultType = \"complete\", tools = [{tool}] }} }}");
        let announced = "{ alter-result = { capabilities = { tools = { listChanged = true } } } }";
        let untyped = "{ omit-result = [\"resultType\"] }";
        for (method, action, expected) in [
            ("tools/call", untyped, Impact::Nothing),
            ("tools/call", "{ omit-result = [\"resultType\", \"content\"] }", Impact::Answers),
            ("tools/list", page.as_str(), Impact::Nothing),
            ("tools/call", page.as_str(), Impact::Answers),
            ("tools/list", "{ alter-result = { tools = [{ name = 7 }] } }", Impact::Answers),
            ("tools/list", "{ alter-result = { ttlMs = -1 } }", Impact::Answers),
            ("tools/list", last.as_str(), Impact::Nothing),
            ("tools/call", last.as_str(), Impact::Answers),
            ("tools/list", "{ answer-result = { tools = [] } }", Impact::Answers),
            ("server/discover", announced, Impact::Nothing),
            ("server/discover", "{ alter-result = { capabilities = {} } }", Impact::Answers),
        ] {
            assert_eq!(impaired("modern", "", method, action), expected, "{action} on {method}");
        }
        assert_eq!(impaired("legacy", "", "tools/list", untyped), Impact::Answers);
    }

    #[test]
    fn what_becomes_of_a_subscription_impairs_no_answer() {
        for action in [refusal(-32_601, "{}").as_str(), "\"drop\"", "\"cancel-request\""] {
            for generation in ["modern", "dual"] {
                assert_eq!(impaired(generation, "", "subscriptions/listen", action), Impact::Timing, "{action}");
            }
        }
        assert_eq!(impaired("modern", "", "subscriptions/listen", "\"null-id\""), Impact::Answers);
    }
}
