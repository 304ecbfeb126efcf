//! Contexts that a loader does not promise: what a scenario does instead, or why it does not apply.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{ContextKind, Place, PlaceKind, Promises, Scenario};

impl Scenario {
    /// The promise without which the scenario is pointless for a loader, as a sentence; `None` if nothing is missing.
    #[must_use]
    pub fn lacks(&self, promises: &Promises) -> Option<String> {
        let missing = self.contexts.iter().find(|kind| !promises.contexts.contains(kind));
        if let Some(kind) = missing {
            return Some(format!("the scenario is about contexts of kind `{kind}`, which the loader does not promise"));
        }
        let missing = self.needs.iter().find(|promise| !promise.is_given(promises))?;
        Some(format!("the scenario needs the promise {}, which the loader does not give", missing.id()))
    }

    /// The threads and runtimes that its steps name and the loader does not promise, each with the task that takes its place.
    ///
    /// Every loader has tasks: a program with one loop does in tasks what another one does in threads.
    #[must_use]
    pub fn moves(&self, promised: &[ContextKind]) -> BTreeMap<Place, Place> {
        let mut taken: BTreeSet<Place> = self.steps.iter().map(|step| step.place.clone()).collect();
        let mut moves = BTreeMap::new();
        for step in &self.steps {
            let is_to_move = match step.place.promise() {
                ContextKind::Task => false,
                kind @ (ContextKind::Thread | ContextKind::Loop) => !promised.contains(&kind),
            };
            if !is_to_move || moves.contains_key(&step.place) {
                continue;
            }
            // Two contexts of the scenario stay two.
            let mut task = Place { kind: PlaceKind::Task, name: step.place.name.clone() };
            while !taken.insert(task.clone()) {
                task.name.push_str("-too");
            }
            moves.insert(step.place.clone(), task);
        }
        moves
    }

    /// The same scenario with its steps in other contexts.
    #[must_use]
    pub fn moved(&self, moves: &BTreeMap<Place, Place>) -> Self {
        let mut moved = self.clone();
        for step in &mut moved.steps {
            if let Some(place) = moves.get(&step.place) {
                step.place = place.clone();
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOPS: &str = r#"
        about = "x"
        servers = [{ name = "files", script = "polite" }, { name = "search", script = "polite" }]
        [[step]]
        do = "load"
        in = "task:a"
        [[step]]
        do = "call"
        server = "*"
        in = "task:a"
        [[step]]
        do = "call"
        server = "files"
        in = "thread:a"
        [[step]]
        do = "close"
        in = "runtime:r1"
    "#;

    fn places(scenario: &Scenario) -> Vec<String> {
        scenario.steps.iter().map(|step| step.place.to_string()).collect()
    }

    #[test]
    fn steps_stay_in_promised_contexts_and_run_in_tasks_instead_of_others() {
        use ContextKind::{Loop, Task, Thread};
        let scenario = Scenario::from_toml("x", "x.toml", HOPS).unwrap();
        assert!(scenario.moves(&[Task, Thread, Loop]).is_empty());
        let moves = scenario.moves(&[Task]);
        assert_eq!(
            places(&scenario.moved(&moves)),
            ["task:a", "task:a-files", "task:a-search", "task:main", "task:main", "task:a-too", "task:r1"]
        );
        // Threads alone are promised: the runtime is not.
        let moves = scenario.moves(&[Thread]);
        let moved: Vec<_> = moves.iter().map(|(from, to)| format!("{from} {to}")).collect();
        assert_eq!(moved, ["runtime:r1 task:r1"]);
        assert_eq!(scenario.moved(&BTreeMap::new()), scenario);
    }

    #[test]
    fn a_scenario_says_what_it_is_about_and_what_it_needs() {
        let head = "contexts = [\"loop\"]\nneeds = [\"sends-delete\"]\n";
        let scenario = Scenario::from_toml("x", "x.toml", &format!("{head}{HOPS}")).unwrap();
        let lacks = |promises: &Promises| scenario.lacks(promises).unwrap_or_default();
        assert_eq!(lacks(&Promises::default()), "");
        let tasks = Promises { contexts: vec![ContextKind::Task], ..Promises::default() };
        assert!(lacks(&tasks).contains("`loop`"), "{}", lacks(&tasks));
        let without = Promises { sends_delete: false, ..Promises::default() };
        assert!(lacks(&without).contains("sends-delete"), "{}", lacks(&without));
        for wrong in
            ["contexts = []", "contexts = [\"loops\"]", "needs = [\"none\"]", "needs = [\"persistent-session\"]"]
        {
            assert!(Scenario::from_toml("x", "x.toml", &format!("{wrong}\n{HOPS}")).is_err(), "{wrong}");
        }
    }
}
