//! Fifty lives of one loader and of fifty, with nothing growing. These tests run alone in their process.

use std::sync::{Arc, PoisonError};

use mcp_lifecheck_specimens::reference::{Config, ToolsLoader};
use serde_json::Value;

use crate::support::*;
use crate::web::Web;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Held {
    fds: usize,
    threads: usize,
    children: usize,
}

fn held() -> Held {
    let n_entries = |path: &str| std::fs::read_dir(path).unwrap().count();
    let mut children = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let path = task.path().join("children");
        children += std::fs::read_to_string(path).unwrap_or_default().split_whitespace().count();
    }
    Held { fds: n_entries("/proc/self/fd"), threads: n_entries("/proc/self/task"), children }
}

/// The owner thread ends right after it has told so; give it the moment.
async fn back_to(first: &Held) {
    until(&format!("{:?} is no more than {first:?}", held()), || {
        let now = held();
        now.fds <= first.fds && now.threads <= first.threads && now.children <= first.children
    })
    .await;
}

#[test]
fn fifty_reruns_grow_nothing() {
    let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    bounded_alone(|| async {
        let world = World::new();
        let loader = Arc::new(ToolsLoader::new(impatient()));
        let config = world.config(&[("a", &[]), ("b", &[])]);
        life(&loader, &config).await;
        loader.cleanup().await.unwrap();
        let first = held();
        for _ in 0..50 {
            life(&loader, &config).await;
            loader.cleanup().await.unwrap();
        }
        back_to(&first).await;
        loader.load(&config).await.unwrap();
        let open = held();
        for _ in 0..50 {
            life(&loader, &config).await;
        }
        back_to(&open).await;
        loader.cleanup().await.unwrap();
        for _ in 0..50 {
            let loader = ToolsLoader::new(impatient());
            life(&loader, &config).await;
        }
        back_to(&first).await;
        world.assert_nothing_left();
    });
}

#[test]
fn fifty_lives_over_http_grow_nothing() {
    let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    bounded_alone(|| async {
        let web = Web::conforming();
        let loader = ToolsLoader::new(impatient());
        fifty_lives(&loader, &web).await;
        let first = held();
        fifty_lives(&loader, &web).await;
        back_to(&first).await;
        assert_eq!((web.count("initialize"), web.count("DELETE")), (100, 100));
    });
}

async fn fifty_lives(loader: &ToolsLoader, web: &Web) {
    for _ in 0..50 {
        loader.load(&web.config()).await.unwrap();
        echo(loader, "a").await;
        // The stream may still be on its way.
        loader.cleanup().await.unwrap();
        web.all_closed().await;
        web.clear();
    }
}

async fn life(loader: &ToolsLoader, config: &Config) {
    loader.load(config).await.unwrap();
    echo(loader, "a").await;
    let given_up = loader.call("b", "hang", Value::Null);
    let _ = tokio::time::timeout(ms(1), given_up).await;
}
