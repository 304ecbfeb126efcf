//! Contexts that come and go: threads, runtimes, panics, drops.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck_specimens::reference::{CallError, Config, LoaderError, Options, ToolsLoader};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::support::*;

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The least executor there is: no runtime, no timer, no I/O.
fn poll_alone<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn on_a_thread<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(step).join().unwrap()
}

#[test]
fn each_step_in_a_runtime_of_its_own_that_is_dropped() {
    bounded(|| async {
        let world = Arc::new(World::new());
        let loader = Arc::new(ToolsLoader::new(options()));
        for _ in 0..3 {
            let (l, w) = (Arc::clone(&loader), Arc::clone(&world));
            on_a_thread(move || current_thread().block_on(l.load(&w.config(&[("a", &[])])).into_future()).unwrap());
            let l = Arc::clone(&loader);
            on_a_thread(move || poll_alone(echo(&l, "a")));
            let l = Arc::clone(&loader);
            on_a_thread(move || l.call_blocking("a", "echo", Value::Null).unwrap());
            let l = Arc::clone(&loader);
            on_a_thread(move || Runtime::new().unwrap().block_on(echo(&l, "a")));
        }
        assert_eq!(world.count("a", "start"), 1);
        let l = Arc::clone(&loader);
        on_a_thread(move || poll_alone(l.cleanup()).unwrap());
        world.assert_nothing_left();
        assert!(matches!(loader.call_blocking("a", "echo", Value::Null), Err(CallError::Closed)));
    });
}

#[test]
fn blocking_methods_work_inside_a_runtime() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(options());
        loader.load_blocking(&world.config(&[("a", &[])])).unwrap();
        loader.call_blocking("a", "echo", Value::Null).unwrap();
        loader.cleanup_blocking().unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn a_drop_closes_everything_in_async_context_outside_and_on_panic() {
    bounded(|| async {
        for flags in [&[][..], &["stubborn"][..]] {
            let world = Arc::new(World::new());
            let config = world.config(&[("a", flags), ("b", flags)]);
            let loader = ToolsLoader::new(impatient());
            loader.load(&config).await.unwrap();
            drop(loader);
            world.assert_nothing_left();

            let c = config.clone();
            on_a_thread(move || {
                let loader = ToolsLoader::new(impatient());
                current_thread().block_on(async { loader.load(&c).await.unwrap() });
            });
            world.assert_nothing_left();

            let c = config.clone();
            let panicking = thread::spawn(move || {
                let loader = ToolsLoader::new(impatient());
                loader.load_blocking(&c).unwrap();
                let _calling = loader.call_blocking("a", "echo", Value::Null);
                std::panic::resume_unwind(Box::new("a panic of the caller"));
            });
            assert!(panicking.join().is_err());
            world.assert_nothing_left();

            // In a task of a current-thread runtime, the worst place to wait in.
            let c = config.clone();
            on_a_thread(move || {
                current_thread().block_on(async move {
                    let loader = ToolsLoader::new(impatient());
                    loader.load(&c).await.unwrap();
                    tokio::spawn(async move { drop(loader) }).await.unwrap();
                });
            });
            world.assert_nothing_left();
        }
    });
}

#[test]
fn a_drop_during_a_load_leaves_nothing() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(impatient());
        let config = world.config(&[("mute", &["mute", "stubborn"]), ("a", &[])]);
        let loading = tokio::time::timeout(ms(300), loader.load(&config)).await;
        assert!(loading.is_err());
        drop(loader);
        world.assert_nothing_left();
    });
}

#[test]
fn on_a_handle_sessions_live_on_that_runtime() {
    bounded(|| async {
        let world = World::new();
        let log = ScopeLog::default();
        let scopes = Scopes::reported_to(Box::new(log.clone()));
        let loader = Arc::new(ToolsLoader::on(Handle::current(), Options { scopes, ..impatient() }));
        let config = world.config(&[("a", &[]), ("s", &["stubborn"])]);
        for _ in 0..3 {
            loader.load(&config).await.unwrap();
            let l = Arc::clone(&loader);
            tokio::task::spawn_blocking(move || poll_alone(echo(&l, "a"))).await.unwrap();
            let l = Arc::clone(&loader);
            tokio::task::spawn_blocking(move || l.call_blocking("s", "echo", Value::Null).unwrap()).await.unwrap();
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
        }
        loader.load(&config).await.unwrap();
        drop(loader);
        until("the owner tasks have closed everything", || world.living().is_empty()).await;
        until("all scopes are left", || log.lines().len() == 16).await;
        assert!(!log.lines().iter().any(|line| line.contains("Finaliser")), "{:?}", log.lines());
    });
}

#[test]
fn the_end_of_the_given_runtime_kills_its_servers_and_is_reported() {
    bounded(|| async {
        for flags in [&[][..], &["stubborn"][..]] {
            for runtime in
                [current_thread(), Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()]
            {
                let world = World::new();
                let config = world.config(&[("a", flags)]);
                let loader = Arc::new(ToolsLoader::on(runtime.handle().clone(), impatient()));
                let (l, c) = (Arc::clone(&loader), config.clone());
                let calling = on_a_thread(move || {
                    runtime.block_on(async {
                        l.load(&c).await.unwrap();
                        echo(&l, "a").await;
                    });
                    let l = Arc::clone(&l);
                    let calling = thread::spawn(move || l.call_blocking("a", "hang", Value::Null));
                    drop(runtime);
                    calling
                });
                world.assert_nothing_left();
                let begun = Instant::now();
                let error = calling.join().unwrap().unwrap_err();
                assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
                assert!(begun.elapsed() < ms(500));
                let error = loader.call("a", "echo", Value::Null).await.unwrap_err();
                assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
                assert!(loader.tools().is_empty());
                let outcome = loader.load(&config).await;
                assert!(matches!(outcome, Err(LoaderError::OwnerLost)), "{outcome:?}");
                loader.cleanup().await.unwrap();
                loader.cleanup_blocking().unwrap();
                world.assert_nothing_left();
            }
        }
    });
}

#[test]
fn a_given_runtime_that_is_not_driven_is_an_error_for_blocking_callers_and_no_leak() {
    bounded(|| async {
        for flags in [&[][..], &["stubborn"][..]] {
            let world = World::new();
            let config = world.config(&[("a", flags)]);
            on_a_thread(move || {
                let runtime = current_thread();
                let mut brief = impatient();
                brief.bounds.owner_slack = ms(200);
                brief.bounds.call = ms(300);
                let loader = ToolsLoader::on(runtime.handle().clone(), brief);
                runtime.block_on(loader.load(&config)).unwrap();
                let begun = Instant::now();
                let error = loader.call_blocking("a", "echo", Value::Null).unwrap_err();
                assert!(matches!(error, CallError::OwnerSilent { .. }), "{error:?}");
                assert!(begun.elapsed() < ms(2000));
                drop(loader);
                world.assert_nothing_left();
                drop(runtime);
            });
        }
    });
}

#[test]
fn a_call_polled_on_a_foreign_runtime_that_dies_is_cancelled() {
    bounded(|| async {
        let world = World::new();
        let loader = Arc::new(ToolsLoader::new(options()));
        loader.load(&world.config(&[("a", &[])])).await.unwrap();
        let (send, arrived) = std::sync::mpsc::channel::<()>();
        let l = Arc::clone(&loader);
        let foreign = thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            runtime.spawn(async move { l.call("a", "hang", Value::Null).await });
            arrived.recv().unwrap();
            drop(runtime);
        });
        world.seen("a", "call hang 2").await;
        send.send(()).unwrap();
        world.seen("a", "cancelled 2").await;
        foreign.join().unwrap();
        loader.cleanup().await.unwrap();
        assert_eq!(world.count("a", "cancelled"), 1);
    });
}

#[test]
fn a_panic_of_the_caller_inside_block_on_leaves_the_loader_usable() {
    bounded(|| async {
        let world = World::new();
        let loader = Arc::new(ToolsLoader::new(options()));
        let config = world.config(&[("a", &[])]);
        let l = Arc::clone(&loader);
        on_a_thread(move || {
            let panicking = AssertUnwindSafe(|| {
                current_thread().block_on(async {
                    l.load(&config).await.unwrap();
                    std::panic::resume_unwind(Box::new("a panic of the caller"));
                });
            });
            assert!(catch_unwind(panicking).is_err());
        });
        echo(&loader, "a").await;
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
        let empty = Config::from_value(&json!({"mcpServers": {}})).unwrap();
        assert!(loader.load(&empty).await.unwrap().tools.is_empty());
    });
}
