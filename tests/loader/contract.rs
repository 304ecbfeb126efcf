//! What the loader promises while everything is well.

use std::sync::Arc;
use std::time::Instant;

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck_specimens::reference::{
    CallError, Ending, Freshness, LoaderError, LookupError, Options, Revision, SessionError, ToolsLoader,
};
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn load_call_cleanup_leaves_nothing_polite_or_stubborn() {
    bounded(|| async {
        for (flags, ending) in [(&[][..], Ending::Eof), (&["stubborn"][..], Ending::Kill)] {
            let world = World::new();
            let loader = ToolsLoader::new(impatient());
            let report = loader.load(&world.config(&[("files", flags)])).await.unwrap();
            assert!(report.errors.is_empty(), "{:?}", report.errors);
            assert_eq!(report.connected, ["files"]);
            echo(&loader, "files").await;
            let closed = loader.cleanup().await.unwrap();
            assert_eq!(closed.endings["files"], ending);
            world.assert_nothing_left();
            assert_eq!(loader.cleanup().await.unwrap(), closed);
        }
    });
}

#[test]
fn calls_before_load_and_after_cleanup_fail_at_once_and_load_works_again() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(options());
        assert!(matches!(loader.call("a", "echo", Value::Null).await, Err(CallError::NotLoaded)));
        loader.cleanup().await.unwrap();
        let config = world.config(&[("a", &[])]);
        for _ in 0..3 {
            loader.load(&config).await.unwrap();
            echo(&loader, "a").await;
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
            let begun = Instant::now();
            assert!(matches!(loader.call("a", "echo", Value::Null).await, Err(CallError::Closed)));
            assert!(begun.elapsed() < ms(50));
            assert!(loader.tools().is_empty());
        }
        assert_eq!(world.count("a", "start"), 3);
    });
}

#[test]
fn load_is_incremental() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(options());
        loader.load(&world.config(&[("a", &[]), ("b", &[]), ("c", &[])])).await.unwrap();
        let (a, b) = (pid(&loader, "a").await, pid(&loader, "b").await);
        let report = loader.load(&world.config(&[("d", &[]), ("b", &["changed"]), ("a", &[])])).await.unwrap();
        assert_eq!((report.kept, report.connected), (vec!["a".into()], vec!["d".to_owned(), "b".to_owned()]));
        assert_eq!(report.removed, ["c"]);
        let order: Vec<_> = loader.tools().into_iter().map(|each| each.server).collect();
        assert_eq!(order, ["d", "b", "a"]);
        assert_eq!(pid(&loader, "a").await, a);
        assert_ne!(pid(&loader, "b").await, b);
        assert!(alive(b).is_none(), "the replaced server is gone when load returns");
        assert!(matches!(loader.call("c", "echo", Value::Null).await, Err(CallError::UnknownServer { .. })));
        assert_eq!((world.count("a", "start"), world.count("c", "start")), (1, 1));
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn removing_any_of_three_spares_the_others() {
    bounded(|| async {
        for gone in 0..3 {
            let world = World::new();
            let loader = ToolsLoader::new(options());
            let all: [(&str, &[&str]); 3] = [("a", &[]), ("b", &[]), ("c", &[])];
            loader.load(&world.config(&all)).await.unwrap();
            let mut rest = all.to_vec();
            rest.remove(gone);
            loader.load(&world.config(&rest)).await.unwrap();
            for (name, _) in rest {
                echo(&loader, name).await;
                assert_eq!(world.count(name, "start"), 1);
            }
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
        }
    });
}

#[test]
fn a_failing_server_is_reported_and_retried_once_per_load() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(options());
        let config = world.config(&[("bad", &["exit=7"]), ("good", &[])]);
        for n in 1..=3 {
            let report = loader.load(&config).await.unwrap();
            let because = &report.errors["bad"];
            assert!(matches!(**because, SessionError::ServerExited { .. }), "{because:?}");
            assert_eq!(because.to_string(), "server exited with status 7");
            echo(&loader, "good").await;
            assert_eq!((world.count("bad", "start"), world.count("good", "start")), (n, 1));
        }
        let error = loader.call("bad", "echo", Value::Null).await.unwrap_err();
        assert!(matches!(error, CallError::Unavailable { .. }), "{error:?}");
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn a_program_that_does_not_exist_is_an_error_of_its_server() {
    bounded(|| async {
        let loader = ToolsLoader::new(options());
        let value = json!({"mcpServers": {"x": {"command": "/does/not/exist"}, "y": {"url": "ftp://[::1]/sse", "type": "sse"}}});
        let report =
            loader.load(&mcp_lifecheck_specimens::reference::Config::from_value(&value).unwrap()).await.unwrap();
        assert!(matches!(*report.errors["x"], SessionError::Spawn { .. }));
        assert!(matches!(*report.errors["y"], SessionError::Http { .. }));
        assert_eq!(loader.cleanup().await.unwrap().endings["x"], Ending::NeverStarted);
    });
}

#[test]
fn all_pages_are_listed_and_duplicates_refused() {
    bounded(|| async {
        let world = World::new();
        let mut few_pages = options();
        few_pages.bounds.n_pages_max = 50;
        let loader = ToolsLoader::new(few_pages);
        let config = world.config(&[
            ("paged", &["pages=7"]),
            ("endless", &["pages=1000000"]),
            ("twice", &["tools=a,b,a"]),
            ("one", &["tools=shared,own"]),
            ("two", &["tools=shared"]),
        ]);
        let report = loader.load(&config).await.unwrap();
        assert_eq!(report.tools[0].tools.len(), 7);
        assert!(matches!(*report.errors["endless"], SessionError::EndlessList { n_pages_max: 50 }));
        assert!(matches!(&*report.errors["twice"], SessionError::DuplicateTool { tool } if tool == "a"));
        assert_eq!(report.duplicates[0].owners, ["one", "two"]);
        let refused = loader.tool("shared").unwrap_err();
        assert_eq!(refused, LookupError::Ambiguous { name: "shared".into(), owners: vec!["one".into(), "two".into()] });
        assert_eq!(loader.tool("own").unwrap().server, "one");
        assert_eq!(loader.tool("none").unwrap_err(), LookupError::Unknown { name: "none".into() });
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn the_offered_revision_is_the_option() {
    bounded(|| async {
        for revision in Revision::ALL {
            let world = World::new();
            let loader = ToolsLoader::new(Options { revision, ..options() });
            loader.load(&world.config(&[("a", &[])])).await.unwrap();
            assert_eq!(world.count("a", &format!("offered {revision}")), 1);
            loader.cleanup().await.unwrap();
        }
    });
}

#[test]
fn a_counter_offer_is_taken_if_known_and_refused_without_initialized_otherwise() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(options());
        let flags: [(&str, &[&str]); 3] =
            [("old", &["version=2024-11-05"]), ("new", &["version=2026-07-28"]), ("odd", &["version=1.0"])];
        let report = loader.load(&world.config(&flags)).await.unwrap();
        echo(&loader, "old").await;
        for name in ["new", "odd"] {
            assert!(matches!(*report.errors[name], SessionError::UnsupportedRevision { .. }), "{:?}", report.errors);
            assert_eq!(world.count(name, "got notifications/initialized"), 0);
        }
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn concurrent_loads_are_serialised_and_start_each_server_once() {
    bounded(|| async {
        let world = World::new();
        let loader = Arc::new(ToolsLoader::new(options()));
        let config = Arc::new(world.config(&[("a", &[]), ("b", &[])]));
        let loads = (0..10).map(|_| {
            let (loader, config) = (Arc::clone(&loader), Arc::clone(&config));
            tokio::spawn(async move { loader.load(&config).await.unwrap() })
        });
        for load in loads.collect::<Vec<_>>() {
            assert_eq!(load.await.unwrap().tools.len(), 2);
        }
        assert_eq!((world.count("a", "start"), world.count("b", "start")), (1, 1));
        let closes = (0..10).map(|_| {
            let loader = Arc::clone(&loader);
            tokio::spawn(async move { loader.cleanup().await.unwrap() })
        });
        for close in closes.collect::<Vec<_>>() {
            close.await.unwrap();
            world.assert_nothing_left();
        }
    });
}

#[test]
fn loads_and_cleanups_that_race_end_with_nothing_left() {
    bounded(|| async {
        let world = World::new();
        let loader = Arc::new(ToolsLoader::new(impatient()));
        let config = Arc::new(world.config(&[("a", &[]), ("s", &["stubborn"])]));
        let racing = (0..12).map(|n| {
            let (loader, config) = (Arc::clone(&loader), Arc::clone(&config));
            tokio::spawn(async move {
                tokio::time::sleep(ms(n * 7)).await;
                if n % 3 == 2 {
                    loader.cleanup().await.unwrap();
                } else {
                    let outcome = loader.load(&config).await;
                    assert!(matches!(outcome, Ok(_) | Err(LoaderError::Closed)), "{outcome:?}");
                }
            })
        });
        for each in racing.collect::<Vec<_>>() {
            each.await.unwrap();
        }
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn cleanup_during_a_load_that_hangs_ends_it() {
    bounded(|| async {
        let world = World::new();
        let loader = Arc::new(ToolsLoader::new(impatient()));
        let config = world.config(&[("mute", &["mute", "stubborn"]), ("a", &[])]);
        let load = {
            let loader = Arc::clone(&loader);
            tokio::spawn(async move { loader.load(&config).await })
        };
        until("the mute server has been asked", || world.count("mute", "got initialize") == 1).await;
        let begun = Instant::now();
        loader.cleanup().await.unwrap();
        // Two legs of 300 ms each and a kill, far from the connect bound of 10 s.
        assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
        world.assert_nothing_left();
        assert!(matches!(load.await.unwrap(), Err(LoaderError::Closed)));
    });
}

#[test]
fn a_load_whose_future_is_dropped_is_finished_by_the_owner() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(options());
        let config = world.config(&[("a", &[]), ("b", &[])]);
        let given_up = tokio::time::timeout(ms(1), loader.load(&config)).await;
        drop(given_up);
        let report = loader.load(&config).await.unwrap();
        assert!(report.errors.is_empty());
        assert_eq!((world.count("a", "start"), world.count("b", "start")), (1, 1));
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn a_mute_server_is_abandoned_without_delaying_its_end_or_its_siblings() {
    bounded(|| async {
        for flags in [&["mute"][..], &["mute-list"][..], &["mute", "stubborn"][..]] {
            let world = World::new();
            let mut brief = impatient();
            brief.ladder.eof_grace = ms(1000);
            brief.bounds.connect = ms(1000);
            let loader = ToolsLoader::new(brief);
            let begun = Instant::now();
            let report = loader.load(&world.config(&[("mute", flags), ("a", &[])])).await.unwrap();
            assert!(begun.elapsed() < ms(3000), "{:?}", begun.elapsed());
            assert!(report.errors.contains_key("mute"));
            assert_eq!(report.connected, ["a"]);
            loader.cleanup().await.unwrap();
            world.assert_nothing_left();
            // `initialize` must not be cancelled, `tools/list` must.
            assert_eq!(world.count("mute", "cancelled 0"), 0);
            assert_eq!(world.count("mute", "cancelled 1"), usize::from(flags == ["mute-list"]));
        }
    });
}

#[test]
fn list_changed_replaces_the_tools_and_a_storm_costs_few_requests() {
    bounded(|| async {
        let world = World::new();
        let loader = ToolsLoader::new(options());
        loader.load(&world.config(&[("a", &[])])).await.unwrap();
        loader.call("a", "grow", Value::Null).await.unwrap();
        until("the new tool is listed", || loader.tool("grown").is_ok()).await;
        let n_lists = world.count("a", "got tools/list");
        loader.call("a", "storm", Value::Null).await.unwrap();
        until("the list is current", || {
            world.count("a", "got tools/list") > n_lists && loader.tools()[0].freshness == Freshness::Current
        })
        .await;
        let n_more = world.count("a", "got tools/list") - n_lists;
        assert!(n_more <= 10, "{n_more} requests for 200 announcements");
        loader.cleanup().await.unwrap();
        world.assert_nothing_left();
    });
}

#[test]
fn every_scope_is_left_explicitly_in_its_own_task() {
    bounded(|| async {
        let world = World::new();
        let log = ScopeLog::default();
        let scopes = Scopes::reported_to(Box::new(log.clone()));
        let loader = ToolsLoader::new(Options { scopes, ..options() });
        loader.load(&world.config(&[("a", &[]), ("bad", &["exit=1"])])).await.unwrap();
        loader.load(&world.config(&[("b", &[])])).await.unwrap();
        loader.cleanup().await.unwrap();
        let lines = log.lines().clone();
        for enter in lines.iter().filter(|line| line.starts_with("enter")) {
            let mut words = enter.split(' ');
            let (number, task) = (words.nth(1).unwrap(), enter.split(" in ").nth(1).unwrap());
            let leave = format!("leave {number} Explicit in {task}");
            assert!(lines.contains(&leave), "{leave:?} not in {lines:?}");
        }
        assert_eq!(lines.len(), 6, "{lines:?}");
    });
}

#[test]
fn configured_environment_wins() {
    bounded(|| async {
        let world = World::new();
        let mut config = world.config_json(&[("a", &[])]);
        config["mcpServers"]["a"]["env"] = json!({"HOME": "/configured", "NEW": "value"});
        let loader = ToolsLoader::new(options());
        loader.load(&mcp_lifecheck_specimens::reference::Config::from_value(&config).unwrap()).await.unwrap();
        for (name, value) in [("HOME", "/configured"), ("NEW", "value"), ("PATH", &std::env::var("PATH").unwrap())] {
            assert_eq!(text(&loader.call("a", "env", json!({"name": name})).await.unwrap()), value);
        }
        loader.cleanup().await.unwrap();
    });
}
