//! What the loader promises while a server misbehaves or a caller gives up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_lifecheck_specimens::reference::{CallError, Ending, RequestError, SessionError, ToolsLoader};
use serde_json::{Value, json};

use crate::support::*;

async fn loaded(world: &World, flags: &[&str]) -> Arc<ToolsLoader> {
    let loader = Arc::new(ToolsLoader::new(impatient()));
    let report = loader.load(&world.config(&[("a", flags), ("b", &[])])).await.unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    loader
}

#[test]
fn a_call_in_flight_fails_at_once_when_the_server_dies_or_shuts_stdout() {
    bounded(|| async {
        for (fault, flags) in [("die", &[][..]), ("shut-stdout", &[][..]), ("shut-stdout", &["stubborn"][..])] {
            let world = World::new();
            let loader = loaded(&world, flags).await;
            let other = {
                let loader = Arc::clone(&loader);
                tokio::spawn(async move { loader.call("a", "hang", Value::Null).await })
            };
            world.seen("a", "call hang 2").await;
            let begun = Instant::now();
            let error = loader.call("a", fault, Value::Null).await.unwrap_err();
            // The ladder alone takes 600 ms for the stubborn one.
            assert!(begun.elapsed() < ms(290), "{fault}: {:?}", begun.elapsed());
            let CallError::Unavailable { because, .. } = &error else { panic!("{error:?}") };
            match fault {
                "die" => assert_eq!(because.to_string(), "server exited with status 3"),
                _ => assert!(matches!(**because, SessionError::StdoutClosed), "{because:?}"),
            }
            assert!(matches!(other.await.unwrap(), Err(CallError::Unavailable { .. })));
            assert_eq!(loader.tools().len(), 1, "a dead server offers no tools");
            assert!(matches!(loader.call("a", "echo", Value::Null).await, Err(CallError::Unavailable { .. })));
            echo(&loader, "b").await;
            let report = loader.load(&world.config(&[("a", flags), ("b", &[])])).await.unwrap();
            assert_eq!((report.connected, report.kept), (vec!["a".to_owned()], vec!["b".to_owned()]));
            echo(&loader, "a").await;
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
        }
    });
}

#[test]
fn an_answer_before_the_exit_is_delivered() {
    bounded(|| async {
        for _ in 0..20 {
            let world = World::new();
            let loader = loaded(&world, &[]).await;
            let answer = loader.call("a", "last-words", Value::Null).await.unwrap();
            assert_eq!(text(&answer), "last words");
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
        }
    });
}

#[test]
fn a_dropped_call_is_cancelled_exactly_once_and_an_answered_one_never() {
    bounded(|| async {
        let world = World::new();
        let loader = loaded(&world, &[]).await;
        for _ in 0..5 {
            echo(&loader, "a").await;
        }
        let calling = {
            let loader = Arc::clone(&loader);
            tokio::spawn(async move { loader.call("a", "hang", Value::Null).await })
        };
        // initialize 0, tools/list 1, echo 2 to 6, so 7.
        world.seen("a", "call hang 7").await;
        calling.abort();
        world.seen("a", "cancelled 7").await;
        echo(&loader, "a").await;
        // Answered, but the future is dropped before it could be polled again.
        let mut answered = Box::pin(loader.call("a", "echo", json!({"text": "x"})));
        tokio::select! { biased; _ = &mut answered => {}, () = std::future::ready(()) => {} }
        world.seen("a", "call echo 9").await;
        tokio::time::sleep(ms(50)).await;
        drop(answered);
        echo(&loader, "a").await;
        // Never polled, so never begun.
        drop(loader.call("a", "hang", Value::Null));
        loader.cleanup().await.unwrap();
        assert_eq!(world.count("a", "cancelled"), 1, "{:?}", world.lines("a"));
        assert_eq!(world.count("a", "call hang"), 1);
    });
}

#[test]
fn many_dropped_calls_are_each_cancelled_once_in_order() {
    bounded(|| async {
        let world = World::new();
        let loader = loaded(&world, &[]).await;
        let calls = (0..100).map(|_| {
            let loader = Arc::clone(&loader);
            tokio::spawn(async move { loader.call("a", "hang", Value::Null).await })
        });
        let calls = calls.collect::<Vec<_>>();
        until("all have arrived", || world.count("a", "call hang") == 100).await;
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        until("all are cancelled", || world.count("a", "cancelled") >= 100).await;
        echo(&loader, "a").await;
        loader.cleanup().await.unwrap();
        let lines = world.lines("a");
        assert_eq!(world.count("a", "cancelled"), 100);
        for id in 2..102 {
            let call = lines.iter().position(|line| *line == format!("call hang {id}")).unwrap();
            let cancelled = lines.iter().position(|line| *line == format!("cancelled {id}")).unwrap();
            assert!(call < cancelled);
        }
    });
}

#[test]
fn a_call_that_times_out_is_cancelled_and_the_session_stays_usable() {
    bounded(|| async {
        let world = World::new();
        let mut brief = options();
        brief.bounds.call = ms(200);
        let loader = ToolsLoader::new(brief);
        loader.load(&world.config(&[("a", &[])])).await.unwrap();
        let begun = Instant::now();
        let error = loader.call("a", "hang", Value::Null).await.unwrap_err();
        assert!(matches!(error, CallError::Request { source: RequestError::TimedOut { .. }, .. }), "{error:?}");
        assert!(begun.elapsed() >= ms(200) && begun.elapsed() < ms(2000), "{:?}", begun.elapsed());
        world.seen("a", "cancelled 2").await;
        echo(&loader, "a").await;
        loader.cleanup().await.unwrap();
        assert_eq!(world.count("a", "cancelled"), 1);
    });
}

#[test]
fn cleanup_with_calls_in_flight_fails_them_at_once_and_announces_it() {
    bounded(|| async {
        for flags in [&[][..], &["stubborn"][..]] {
            let world = World::new();
            let loader = loaded(&world, flags).await;
            let calls = (0..3).map(|_| {
                let loader = Arc::clone(&loader);
                tokio::spawn(async move { (loader.call("a", "hang", Value::Null).await, Instant::now()) })
            });
            let calls = calls.collect::<Vec<_>>();
            until("all have arrived", || world.count("a", "call hang") == 3).await;
            let begun = Instant::now();
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
            for call in calls {
                let (result, ended) = call.await.unwrap();
                assert!(matches!(result, Err(CallError::Closed)), "{result:?}");
                assert!(ended - begun < ms(250), "{:?}", ended - begun);
            }
            assert_eq!(world.count("a", "cancelled"), 3, "{:?}", world.lines("a"));
        }
    });
}

#[test]
fn a_server_that_does_not_read_causes_no_delay_beyond_the_bounds() {
    bounded(|| async {
        let world = World::new();
        let mut brief = impatient();
        brief.bounds.call = ms(300);
        let loader = ToolsLoader::new(brief);
        loader.load(&world.config(&[("a", &["stubborn"])])).await.unwrap();
        // Every one is larger than what a pipe holds.
        let big = json!({"text": "x".repeat(200_000)});
        let _ = loader.call("a", "deaf", Value::Null).await;
        for _ in 0..3 {
            let begun = Instant::now();
            let error = loader.call("a", "echo", big.clone()).await.unwrap_err();
            assert!(matches!(error, CallError::Request { source: RequestError::TimedOut { .. }, .. }), "{error:?}");
            assert!(begun.elapsed() < ms(2000), "{:?}", begun.elapsed());
        }
        let begun = Instant::now();
        assert_eq!(loader.cleanup().await.unwrap().endings["a"], Ending::Kill);
        // 200 + 500 ms for the polite close, 300 + 300 ms of the ladder.
        assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
        world.assert_nothing_left();
    });
}

#[test]
fn a_grandchild_that_outlives_the_leader_goes_with_the_group() {
    bounded(|| async {
        let world = World::new();
        let loader = loaded(&world, &["grandchild"]).await;
        until("the grandchild lives", || world.count("a", "start") == 2).await;
        echo(&loader, "a").await;
        let ending = loader.cleanup().await.unwrap().endings["a"];
        assert_eq!(ending, Ending::Kill);
        world.assert_nothing_left();
    });
}

#[test]
fn a_leader_that_dies_under_a_grandchild_that_holds_stdout_fails_calls_soon() {
    bounded(|| async {
        let world = World::new();
        let loader = loaded(&world, &["grandchild"]).await;
        until("the grandchild lives", || world.count("a", "start") == 2).await;
        let begun = Instant::now();
        let error = loader.call("a", "die", Value::Null).await.unwrap_err();
        assert!(begun.elapsed() < ms(1000), "{:?}", begun.elapsed());
        assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
        let of_a = world.lines("a");
        let pids = of_a.iter().filter_map(|line| line.strip_prefix("start ")?.parse().ok()).collect::<Vec<u32>>();
        until("both processes of a are gone", || pids.iter().all(|pid| alive(*pid).is_none())).await;
        echo(&loader, "b").await;
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn odd_answers_reach_the_caller_as_what_they_are() {
    bounded(|| async {
        let world = World::new();
        let loader = loaded(&world, &["ping-first"]).await;
        world.seen("a", r#"got answer "p1""#).await;
        let failed = loader.call("a", "fail", Value::Null).await.unwrap();
        assert_eq!((text(&failed).as_str(), failed.is_error), ("it failed", Some(true)));
        let refused = loader.call("a", "refuse", Value::Null).await.unwrap_err();
        assert!(matches!(refused, CallError::Request { source: RequestError::Refused(_), .. }), "{refused:?}");
        assert_eq!(text(&loader.call("a", "noise", Value::Null).await.unwrap()), "quiet");
        let bad = loader.call("a", "echo", json!([1])).await.unwrap_err();
        assert!(matches!(bad, CallError::BadArguments { found: "an array" }));
        loader.cleanup().await.unwrap();
        let report = loader.load(&world.config(&[("c", &["init-error"])])).await.unwrap();
        assert!(matches!(*report.errors["c"], SessionError::Handshake { .. }), "{:?}", report.errors);
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn too_many_calls_are_refused() {
    bounded(|| async {
        let world = World::new();
        let mut few = options();
        few.bounds.n_calls_max = 2;
        let loader = Arc::new(ToolsLoader::new(few));
        loader.load(&world.config(&[("a", &[])])).await.unwrap();
        let calls = (0..2).map(|_| {
            let loader = Arc::clone(&loader);
            tokio::spawn(async move { loader.call("a", "hang", Value::Null).await })
        });
        let calls = calls.collect::<Vec<_>>();
        until("both have arrived", || world.count("a", "call hang") == 2).await;
        let third = loader.call("a", "echo", Value::Null).await.unwrap_err();
        assert!(matches!(third, CallError::TooManyCalls { n_calls_max: 2, .. }), "{third:?}");
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        until("there is room again", || world.count("a", "cancelled") == 2).await;
        tokio::time::timeout(Duration::from_secs(5), async {
            while loader.call("a", "echo", Value::Null).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        loader.cleanup().await.unwrap();
    });
}

#[test]
fn a_cancellation_never_overtakes_its_request() {
    bounded(|| async {
        let world = World::new();
        let loader = Arc::new(ToolsLoader::on(tokio::runtime::Handle::current(), options()));
        loader.load(&world.config(&[("a", &[])])).await.unwrap();
        for n in 0..300_u64 {
            let loader = Arc::clone(&loader);
            let calling = tokio::spawn(async move { loader.call("a", "hang", Value::Null).await });
            (0..n % 4).for_each(|_| std::thread::yield_now());
            tokio::task::yield_now().await;
            calling.abort();
        }
        echo(&loader, "a").await;
        loader.cleanup().await.unwrap();
        let lines = world.lines("a");
        for (place, line) in lines.iter().enumerate() {
            let Some(id) = line.strip_prefix("cancelled ") else { continue };
            let call = lines.iter().position(|line| *line == format!("call hang {id}"));
            assert!(call.is_some_and(|call| call < place), "{line} at {place}, its call at {call:?}");
        }
        assert_eq!(world.count("a", "cancelled"), world.count("a", "call hang"));
    });
}

#[test]
fn calls_that_race_a_cleanup_all_end_at_once() {
    bounded(|| async {
        for _ in 0..5 {
            let world = World::new();
            let loader = loaded(&world, &["stubborn"]).await;
            let callers = (0..8).map(|_| {
                let loader = Arc::clone(&loader);
                std::thread::spawn(move || {
                    loop {
                        let begun = Instant::now();
                        let outcome = loader.call_blocking("a", "echo", Value::Null);
                        // The stubborn server takes 600 ms to go.
                        assert!(begun.elapsed() < ms(400), "{:?}", begun.elapsed());
                        match outcome {
                            Ok(_) => {}
                            Err(CallError::Closed) => return,
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                })
            });
            let callers = callers.collect::<Vec<_>>();
            until("calls are under way", || world.count("a", "call echo") > 20).await;
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
            for caller in callers {
                caller.join().unwrap();
            }
        }
    });
}

#[test]
fn a_server_without_the_tools_capability_is_not_asked_for_tools() {
    bounded(|| async {
        let world = World::new();
        let loader = loaded(&world, &["toolless"]).await;
        assert_eq!(world.count("a", "got tools/list"), 0);
        assert!(loader.tools()[0].tools.is_empty());
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}
