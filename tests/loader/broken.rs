//! The broken loaders are broken in the way that they say, and in no other.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::{Called, Failure, Loader};
use mcp_lifecheck_specimens::broken::{ClosedEarly, DropOutsideRuntime, RmcpReadme, RunPerStep, RuntimeNotDriven};
use mcp_lifecheck_specimens::reference::ToolsLoader;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::task::JoinError;

use crate::support::*;

/// Where a step runs: in a task of the main runtime, or in `block_on` on a thread of its own.
#[derive(Clone, Copy)]
enum Place {
    Task,
    Thread,
}

const PLACES: [Place; 2] = [Place::Task, Place::Thread];

struct Case {
    world: World,
    loader: Arc<dyn Loader>,
    scopes: ScopeLog,
    place: Place,
}

type Call = Result<Result<Called, Failure>, JoinError>;

impl Case {
    fn new<L: Loader + 'static>(place: Place, make: impl FnOnce(Scopes) -> L) -> Self {
        let scopes = ScopeLog::default();
        let loader = Arc::new(make(Scopes::reported_to(Box::new(scopes.clone()))));
        Self { world: World::new(), loader, scopes, place }
    }

    async fn step<T, F, S>(&self, step: S) -> Result<T, JoinError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
        S: FnOnce(Arc<dyn Loader>) -> F + Send + 'static,
        F: 'static,
    {
        let loader = Arc::clone(&self.loader);
        match self.place {
            Place::Task => tokio::spawn(step(loader)).await,
            Place::Thread => {
                let blocked =
                    move || Builder::new_current_thread().enable_all().build().unwrap().block_on(step(loader));
                tokio::task::spawn_blocking(blocked).await
            }
        }
    }

    async fn load(&self, flags: &[&str]) -> usize {
        let config = self.world.config_json(&[("a", flags)]);
        let loaded = self.step(|loader| async move { loader.load(&config).await }).await.unwrap().unwrap();
        assert!(loaded.errors.is_empty(), "{loaded:?}");
        loaded.tools.len()
    }

    async fn call(&self) -> Call {
        self.step(|loader| async move { loader.call("a", "echo", json!({"text": "hello"})).await }).await
    }

    async fn close(&self) -> Result<Result<(), Failure>, JoinError> {
        self.step(|loader| async move { loader.close().await }).await
    }

    fn n_left(&self, how: &str) -> usize {
        self.scopes.lines().iter().filter(|line| line.contains(how)).count()
    }

    /// Ends by pid what the loader left behind.
    fn end_orphans(&self) -> usize {
        let pids = self.world.pids().into_iter().filter(|pid| alive(*pid).is_some());
        let pids = pids.filter_map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()));
        pids.filter(|pid| kill_process(*pid, Signal::KILL).is_ok()).count()
    }
}

fn kind<T: std::fmt::Debug>(outcome: Result<Result<T, Failure>, JoinError>) -> String {
    outcome.unwrap().unwrap_err().kind
}

#[test]
fn closed_early_keeps_the_tools_and_loses_the_session() {
    bounded(|| async {
        for place in PLACES {
            let case = Case::new(place, ClosedEarly::new);
            assert!(case.load(&[]).await > 0);
            assert_eq!(kind(case.call().await), "ServiceError::TransportClosed");
            assert_eq!(case.n_left("Explicit"), 1);
            case.close().await.unwrap().unwrap();
        }
    });
}

#[test]
fn the_readme_loader_works_while_its_runtime_does() {
    bounded(|| async {
        for flags in [&[][..], &["stubborn"][..]] {
            let case = Case::new(Place::Task, RmcpReadme::new);
            case.load(flags).await;
            assert_eq!(case.call().await.unwrap().unwrap().text, "hello");
            case.close().await.unwrap().unwrap();
            case.world.assert_nothing_left();
            assert_eq!(case.n_left("Explicit"), 1);
        }
    });
}

#[test]
fn a_call_of_the_readme_loader_waits_for_the_whole_ladder_when_stdout_ends() {
    bounded(|| async {
        let case = Case::new(Place::Task, RmcpReadme::new);
        case.load(&["stubborn"]).await;
        let call = |tool: &'static str| {
            let loader = Arc::clone(&case.loader);
            tokio::spawn(async move { loader.call("a", tool, json!({})).await })
        };
        let hanging = call("hang");
        case.world.seen("a", "call hang 2").await;
        let begun = Instant::now();
        drop(call("shut-stdout"));
        assert_eq!(kind(hanging.await), "ServiceError::TransportClosed");
        // 3 s from EOF to SIGTERM and 3 s from there to SIGKILL, though nothing can be answered from the start.
        assert!(begun.elapsed() >= ms(6000), "{:?}", begun.elapsed());
        case.close().await.unwrap().unwrap();
        case.world.assert_nothing_left();
    });
}

#[test]
fn run_per_step_loses_the_session_with_the_runtime_and_orphans_the_stubborn() {
    bounded(|| async {
        for place in PLACES {
            let case = Case::new(place, RunPerStep::new);
            case.load(&["stubborn"]).await;
            assert_eq!(kind(case.call().await), "ServiceError::TransportClosed");
            assert_eq!(case.n_left("Finaliser"), 1);
            assert_eq!(kind(case.close().await), "JoinError");
            assert_eq!(case.end_orphans(), 1);
        }
    });
}

#[test]
fn runtime_not_driven_waits_for_ever() {
    bounded(|| async {
        for place in PLACES {
            let case = Case::new(place, RuntimeNotDriven::new);
            assert!(case.load(&[]).await > 0);
            let step = |loader: Arc<dyn Loader>| async move {
                let call = tokio::time::timeout(ms(300), loader.call("a", "echo", json!({}))).await.is_err();
                let close = tokio::time::timeout(ms(300), loader.close()).await.is_err();
                (call, close)
            };
            assert_eq!(case.step(step).await.unwrap(), (true, true));
            assert_eq!(case.n_left("leave"), 0);
            // The runtime is not driven, so even a polite server stays until the loader is dropped.
            assert_eq!(case.world.living().len(), 1);
            let Case { world, loader, .. } = case;
            drop(loader);
            until("the polite server has gone or is a zombie", || world.count("a", "eof") == 1).await;
        }
    });
}

#[test]
fn drop_outside_runtime_panics_and_orphans_the_stubborn() {
    bounded(|| async {
        for place in PLACES {
            let case = Case::new(place, DropOutsideRuntime::new);
            case.load(&["stubborn"]).await;
            assert_eq!(case.call().await.unwrap().unwrap().text, "hello");
            assert!(case.close().await.unwrap_err().is_panic());
            thread::sleep(ms(100));
            assert_eq!(case.end_orphans(), 1);
        }
    });
}

#[test]
fn the_reference_loader_passes_where_they_fail() {
    bounded(|| async {
        for place in PLACES {
            for flags in [&[][..], &["stubborn"][..]] {
                let case = Case::new(place, |scopes| {
                    ToolsLoader::new(mcp_lifecheck_specimens::reference::Options { scopes, ..impatient() })
                });
                case.load(flags).await;
                assert_eq!(case.call().await.unwrap().unwrap().text, "hello");
                assert_eq!(case.n_left("leave"), 0);
                case.close().await.unwrap().unwrap();
                assert_eq!((case.n_left("Explicit"), case.n_left("leave")), (1, 1));
                case.world.assert_nothing_left();
                assert_eq!(kind(case.call().await), "CallError::Closed");
            }
        }
    });
}
