//! Within tokio's runtimes, and outside of them.

mod common;

use std::time::Instant;

use common::{PATIENCE, options, server, uri};
use tokio::runtime::Builder;
use xdpsar_control::{ErrorKind, LoadBalancer, Reserve, blocking};

#[test]
fn many_calls_at_once_over_one_connection() {
    let server = server();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lb = LoadBalancer::new(uri(&server.uri(None)), &options(&server)).unwrap();
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let lb = lb.clone();
                tokio::spawn(async move { lb.version().await })
            })
            .collect();
        for call in calls {
            call.await.expect("no panic").expect("an answer");
        }
    });
    assert_eq!((server.calls("Version"), server.connections()), (50, 1));
}

/// Dropped in a task, a guard frees by another one.
#[test]
fn a_guard_frees_in_the_background() {
    let server = server();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lb = LoadBalancer::new(uri(&server.uri(None)), &options(&server)).unwrap();
        drop(lb.reserve_guarded(&Reserve::new("guarded")).await.unwrap());
        let begin = Instant::now();
        while !lb.overview().await.unwrap().is_empty() {
            assert!(begin.elapsed() < PATIENCE, "it stays reserved");
        }
        let guard = lb.reserve_guarded(&Reserve::new("freed")).await.unwrap();
        guard.free().await.unwrap();
        assert!(lb.overview().await.unwrap().is_empty());
    });
}

#[test]
fn each_kind_says_where_it_belongs() {
    let server = server();
    let error =
        LoadBalancer::new(uri(&server.uri(None)), &options(&server)).expect_err("no runtime");
    assert_eq!(error.kind, ErrorKind::Logic, "{error}");
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lb = blocking::LoadBalancer::new(uri(&server.uri(None)), &options(&server)).unwrap();
        let error = lb.version().expect_err("it would stop the runtime");
        assert_eq!(error.kind, ErrorKind::Logic, "{error}");
    });
}

/// A connection goes with the last clone of its client.
#[test]
fn nothing_stays_behind() {
    let server = server();
    let lb = blocking::LoadBalancer::new(uri(&server.uri(None)), &options(&server)).unwrap();
    let shared = lb.clone();
    lb.version().unwrap();
    drop(lb);
    shared.version().expect("a clone goes on");
    assert_eq!(server.connections(), 1);
    drop(shared);
    let begin = Instant::now();
    while server.connections() > 0 {
        assert!(begin.elapsed() < PATIENCE, "a connection stays");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
