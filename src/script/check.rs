//! Refuses scripts that could not do what they say.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::script::modern::LISTEN;
use crate::script::source::{Rule, RuleFile};
use crate::script::trigger::TriggerFile;
use crate::script::{Action, Defect, When};

/// Longest delay of an action.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// Something and the offset in its file at which it stands.
pub(super) type At<T> = (usize, T);

/// Checks rules as they were written. `tools` are those offered from the start.
pub(super) fn check_rules(
    files: Vec<RuleFile<At<TriggerFile>, At<Action>>>,
    tools: &[String],
) -> Result<Vec<Rule>, At<Defect>> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut places = Vec::new();
    for file in files {
        let (place, trigger) = file.on;
        let on = trigger.check().map_err(|defect| (place, defect))?;
        let actions = check_actions(&on.when, place, file.actions)?;
        let rule = Rule { on, actions, optional: file.optional };
        if let Some(index) = rules.iter().position(|earlier| earlier.ends_before(&rule)) {
            return Err((place, Defect::NeverReached { rule: index + 1 }));
        }
        rules.push(rule);
        places.push(place);
    }
    check_carriages(&rules, &places)?;
    let offered = offered_tools(&rules, tools);
    for (rule, place) in rules.iter().zip(places) {
        if let When::Request { tool: Some(tool), .. } = &rule.on.when
            && !offered.contains(tool.as_str())
        {
            return Err((place, Defect::ToolNotOffered(tool.clone())));
        }
    }
    Ok(rules)
}

/// No script needs two carriages at once.
fn check_carriages(rules: &[Rule], places: &[usize]) -> Result<(), At<Defect>> {
    let mut needed = None;
    for (rule, place) in rules.iter().zip(places) {
        for (second, second_needs) in rule.needs() {
            match needed {
                None => needed = Some((second, second_needs)),
                Some((first, first_needs)) if first_needs != second_needs => {
                    return Err((*place, Defect::NoTransport { first, first_needs, second, second_needs }));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Checks a list of tool names.
pub(super) fn check_tools(tools: &[String]) -> Result<(), Defect> {
    let mut seen = BTreeSet::new();
    match tools.iter().find(|tool| tool.is_empty() || !seen.insert(tool.as_str())) {
        Some(tool) => Err(Defect::ToolTwice(tool.clone())),
        None => Ok(()),
    }
}

fn offered_tools<'a>(rules: &'a [Rule], tools: &'a [String]) -> BTreeSet<&'a str> {
    let mut offered: BTreeSet<&str> = tools.iter().map(String::as_str).collect();
    for action in rules.iter().flat_map(|rule| &rule.actions) {
        if let Action::Tools(tools) = action {
            offered.extend(tools.iter().map(String::as_str));
        }
    }
    offered
}

impl Rule {
    /// Whether the process has surely ended before `later`, which has to act, could act for the first time.
    fn ends_before(&self, later: &Self) -> bool {
        let ends = self.actions.iter().any(Action::ends) && !self.actions.iter().any(Action::holds);
        let same_or_start = self.on.when == When::Start || self.on.when == later.on.when;
        // The n-th occasion of the earlier rule comes at or before the first one of the later rule.
        ends && !later.optional && same_or_start && self.on.nth.unwrap_or(1) <= later.on.nth.unwrap_or(1)
    }
}

fn check_actions(when: &When, place: usize, found: Vec<At<Action>>) -> Result<Vec<Action>, At<Defect>> {
    if found.is_empty() {
        return Err((place, Defect::NoAction));
    }
    let mut actions: Vec<Action> = Vec::new();
    for (place, action) in found {
        check_action(when, &action, &actions).map_err(|defect| (place, defect))?;
        actions.push(action);
    }
    Ok(actions)
}

fn check_action(when: &When, action: &Action, earlier: &[Action]) -> Result<(), Defect> {
    let occasion = || when.detail().to_owned();
    let name = action.name();
    if let Some(end) = earlier.iter().find(|earlier| earlier.ends()) {
        return Err(Defect::AfterTheEnd { end: end.name(), next: name });
    }
    if action.answers() {
        if !when.is_answered_by(action) {
            return Err(Defect::NothingToAnswer { action: name, occasion: occasion() });
        }
        if let Some(first) = earlier.iter().find(|earlier| earlier.answers())
            && !when.stays_open(first, action)
        {
            return Err(Defect::AnswerSettled { first: first.name(), second: name });
        }
    }
    check_http(when, action, earlier)?;
    let is_closed = earlier.contains(&Action::CloseStdout);
    match action {
        action if is_closed && action.writes() => Err(Defect::OutputClosed(name)),
        Action::Hold(gate) if gate.is_empty() => Err(Defect::GateWithoutName),
        Action::Delay(delay) if *delay > DELAY_MAX => {
            Err(Defect::DelayTooLong { found_ms: delay.as_millis(), max_ms: DELAY_MAX.as_millis() })
        }
        Action::Ask(method) if method.is_empty() || method.starts_with("notifications/") => {
            Err(Defect::NotARequest(method.clone()))
        }
        Action::Notify(method) if !method.starts_with("notifications/") => {
            Err(Defect::NotANotification(method.clone()))
        }
        Action::Noise(text) if text.contains('\n') => Err(Defect::NoiseOfManyLines),
        Action::Tools(tools) => check_tools(tools),
        Action::Ignore if !matches!(when, When::Eof | When::Signal(_)) => Err(Defect::NothingToIgnore(occasion())),
        Action::Exit(_) | Action::Die(_) | Action::Ignore if earlier.contains(&Action::Ignore) => {
            Err(Defect::IgnoreAndEnd(name))
        }
        _ => Ok(()),
    }
}

/// Whether an exchange is still open after these actions is known before; whether a stream is, too.
fn check_http(when: &When, action: &Action, earlier: &[Action]) -> Result<(), Defect> {
    let occasion = || when.detail().to_owned();
    let name = action.name();
    let is_before_answer = !earlier.iter().any(Action::answers);
    let has_begun = earlier.contains(&Action::Sse) || *when == When::Get && earlier.contains(&Action::Answer);
    match action {
        Action::Status(status) if !(400..=599).contains(status) => Err(Defect::StatusNoFailure(*status)),
        Action::ContentType(kind) if kind.is_empty() || !kind.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Err(Defect::ContentType(kind.clone()))
        }
        Action::Status(_) | Action::ContentType(_) if has_begun => {
            Err(Defect::ExchangeOver { first: "sse", second: name })
        }
        Action::Sse if !matches!(when, When::Request { .. }) => Err(Defect::NoStreamOfAnswers(occasion())),
        Action::Sse if !is_before_answer => Err(Defect::ExchangeOver { first: "the answer", second: name }),
        Action::Sse if earlier.contains(&Action::Sse) => Err(Defect::AnswerSettled { first: name, second: name }),
        Action::EndStream | Action::CutStream => match when {
            When::Start | When::Signal(_) | When::Eof | When::Delete => {
                Err(Defect::NoStream { action: name, occasion: occasion() })
            }
            When::Get if !has_begun => Err(Defect::StreamNotBegun(name)),
            When::Get | When::Request { .. } | When::Notification(_) | When::Initialized => Ok(()),
        },
        Action::ExpireSession => match when {
            When::Request { method, .. } if method == "initialize" && is_before_answer => Err(Defect::NoSessionYet),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

impl When {
    /// Whether what the first action began is there for the second to end: a subscription.
    fn stays_open(&self, first: &Action, second: &Action) -> bool {
        let is_listen = matches!(self, Self::Request { method, .. } if method == LISTEN);
        is_listen && *first == Action::Answer && *second == Action::AnswerAnyway
    }

    /// Whether there is something that this action can answer.
    fn is_answered_by(&self, action: &Action) -> bool {
        let is_http_only = matches!(action, Action::Status(_) | Action::Reset);
        match self {
            Self::Request { .. } => true,
            Self::Notification(_) => is_http_only,
            Self::Get | Self::Delete => is_http_only || matches!(action, Action::Answer | Action::Drop),
            Self::Start | Self::Initialized | Self::Eof | Self::Signal(_) => false,
        }
    }
}
