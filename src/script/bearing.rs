//! What is impaired by what happens to the requests that only the modern era has.
//!
//! A client asks `server/discover` to learn the era of a server, and a server of the legacy era is not impaired by refusing it.
//! A subscription is beside everything else: whatever becomes of it, other requests are answered.
//!
//! Source: revision 2026-07-28, basic/transports/stdio and basic/transports/streamable-http, Backward Compatibility;
//! basic/versioning, Protocol Version Negotiation; basic/patterns/subscriptions.

use serde_json::Value;

use crate::history::Impact;
use crate::plan::Revision;
use crate::script::modern::{self, DISCOVER, LISTEN};
use crate::script::task::Cause;
use crate::script::{Action, Era, Family, Trigger};

/// What an action impairs that is done on this occasion by a server of this era; `usual`: what it does elsewhere.
pub(super) fn impairs(action: &Action, trigger: &Trigger, cause: &Cause, era: Era, usual: Impact) -> Impact {
    let Cause::Request { method, .. } = cause else { return usual };
    match (method.as_str(), era) {
        (DISCOVER, Era::Modern) => of_modern_opening(action, trigger, usual),
        (DISCOVER, Era::Legacy | Era::Dual) => of_legacy_opening(action, era, usual),
        (LISTEN, Era::Modern | Era::Dual) => of_subscription(action, usual),
        _ => usual,
    }
}

/// Silence, and whatever error is none of the modern era, leave `initialize` to a client.
fn of_legacy_opening(action: &Action, era: Era, usual: Impact) -> Impact {
    match action {
        Action::Drop => Impact::Timing,
        Action::AnswerError(error) if !modern::is_error_of_era(error.code) => Impact::Nothing,
        Action::NullId if era == Era::Legacy => Impact::Nothing,
        Action::Status(400 | 404 | 405) | Action::BareStatus(400 | 404 | 405) => Impact::Nothing,
        _ => usual,
    }
}

/// A client that is told of the revision it speaks goes on with it. Silence may be taken for a server of the legacy era.
fn of_modern_opening(action: &Action, trigger: &Trigger, usual: Impact) -> Impact {
    match action {
        Action::AlterResult(members) if members.len() == 1 && names_ours(members.get("supportedVersions")) => {
            Impact::Nothing
        }
        // One that is refused for ever has nothing to go on with.
        Action::AnswerError(error) if trigger.nth.is_some() && modern::is_refused_revision(error.code) => {
            let supported = error.data.as_ref().and_then(|data| data.get("supported"));
            if names_ours(supported) { Impact::Nothing } else { usual }
        }
        _ if action.family() == Family::Pause => Impact::Answers,
        _ => usual,
    }
}

fn of_subscription(action: &Action, usual: Impact) -> Impact {
    let ends = matches!(action, Action::Drop | Action::EndStream | Action::CutStream | Action::AnswerError(_));
    if ends || action.is_of_exchange() { Impact::Timing } else { usual }
}

/// Whether a list of revisions has the one of the modern era.
fn names_ours(versions: Option<&Value>) -> bool {
    let is_ours = |version: &Value| version.as_str() == Some(Revision::R20260728.as_str());
    versions.and_then(Value::as_array).is_some_and(|versions| versions.iter().any(is_ours))
}

#[cfg(test)]
mod tests {
    use crate::history::{EventKind, Impact};
    use crate::plan::Revision;
    use crate::script::{Effect, Input, Interpreter, Medium, Script, Setup};

    /// What a rule of a server of this era impairs that acts on a request.
    fn impaired(era: &str, nth: &str, method: &str, action: &str) -> Impact {
        let rule = format!("[[rule]]\non = {{ request = \"{method}\"{nth} }}\ndo = [{action}]\n");
        let script = Script::from_toml("s", "s.toml", &format!("about = \"x\"\nera = \"{era}\"\n{rule}")).unwrap();
        let mut mock = Interpreter::new(Setup::alone(script, Revision::R20260728, Medium::Lines));
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
    fn a_server_of_the_legacy_era_may_refuse_the_question_of_the_modern_one() {
        let (nothing, timing, answers) = (Impact::Nothing, Impact::Timing, Impact::Answers);
        for (action, legacy, modern) in [
            (refusal(-32_601, "{}").as_str(), nothing, answers),
            (&refusal(7, "{}"), nothing, answers),
            // This says of its server that it is of the modern era.
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
    fn a_server_of_the_modern_era_that_names_the_revision_can_be_talked_to() {
        let discovered = |nth: &str, action: &str| impaired("modern", nth, "server/discover", action);
        assert_eq!(discovered(", nth = 1", &refusal(-32_022, SUPPORTED)), Impact::Nothing);
        assert_eq!(discovered("", &refusal(-32_022, SUPPORTED)), Impact::Answers, "for ever");
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
    fn what_becomes_of_a_subscription_impairs_no_answer() {
        for action in [refusal(-32_601, "{}").as_str(), "\"drop\""] {
            for era in ["modern", "dual"] {
                assert_eq!(impaired(era, "", "subscriptions/listen", action), Impact::Timing, "{action}");
            }
        }
        assert_eq!(impaired("modern", "", "subscriptions/listen", "\"null-id\""), Impact::Answers);
    }
}
