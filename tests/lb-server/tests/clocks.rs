//! Clocks that are apart are warned of. Alone in its program: the log is that
//! of all threads, and whether somebody listens to it is remembered by all.

mod common;

use std::time::Duration;

use common::{Log, client, server, worker};

/// By each client once.
#[test]
fn clocks_apart_are_warned_of() {
    let log = Log::default();
    let subscriber = log.subscriber(tracing::Level::WARN);
    tracing::subscriber::set_global_default(subscriber).expect("the first one");
    let warnings = || log.text().matches("let both follow NTP").count();
    let server = server();
    let lb = worker(&server);
    lb.status(None).unwrap();
    assert_eq!(warnings(), 0);
    server.advance(Duration::from_secs(100));
    for _ in 0..3 {
        lb.status(None).unwrap();
        lb.overview().unwrap();
    }
    assert_eq!(warnings(), 1);
    client(&server).overview().unwrap();
    assert_eq!(warnings(), 2, "another client's own");
}
