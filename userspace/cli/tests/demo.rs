//! `xdpsar demo`: the whole path, verified, on whatever this host has.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use support::{records, run, xdpsar};

/// The demo's summary, after the checks that hold on every path.
fn demo(arguments: &[&str]) -> serde_json::Value {
    let mut all = vec!["demo", "--json", "--events", "1000"];
    all.extend(arguments);
    let output = run(&all);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let records = records(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stderr}\n{records:?}");
    assert_eq!(records[0]["type"], "ready");
    let summary = records.last().unwrap().clone();
    assert_eq!(summary["type"], "summary");
    assert_eq!(summary["status"], 0);
    assert_eq!(summary["verified"], 1000);
    assert_eq!(summary["verified_bytes"], summary["sent_bytes"]);
    assert_eq!(summary["receiver"]["fragments"], summary["sent_datagrams"]);
    for nothing in ["missing", "repeated", "wrong"] {
        assert_eq!(summary[nothing], 0, "{summary}");
    }
    summary
}

#[test]
fn on_loopback() {
    let summary = demo(&["--backend", "socket"]);
    assert_eq!(summary["backend"], "socket");
    assert!(summary["pings_sent"].is_null());
}

#[test]
fn in_network_namespaces_through_af_xdp() {
    let privileged = rustix::process::geteuid().is_root() && cfg!(feature = "xdp");
    if !privileged {
        assert!(
            std::env::var_os("XDPSAR_REQUIRE_PRIVILEGED").is_none(),
            "XDPSAR_REQUIRE_PRIVILEGED is set, but this needs root and the feature `xdp`"
        );
        println!("skipped: AF_XDP needs root and the feature `xdp`");
        return;
    }
    let summary = demo(&["--backend", "xdp", "--workers", "3"]);
    assert_eq!(summary["backend"], "xdp");
    assert_eq!(summary["pings_sent"], summary["pings_answered"]);
    assert_eq!(summary["receiver"]["program"]["redirected"], summary["sent_datagrams"]);
    let workers = summary["receiver"]["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 3);
    assert!(workers.iter().all(|worker| worker["events"].as_u64() > Some(0)), "{workers:?}");
}

#[test]
fn people_see_a_table() {
    let output = xdpsar(&["demo", "--backend", "socket", "--events", "100"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("verified   100 of 100 events"), "{text}");
    assert!(text.contains("lost 0, dropped 0, kernel drops 0"), "{text}");
}

#[test]
fn its_processes_end_with_it_even_when_it_is_killed() {
    let mut demo = xdpsar(&["demo", "--events", "100000000", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.contains("\"ready\""), "{ready}");
    let pid = demo.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children: Vec<_> = children.split_whitespace().collect();
    assert_eq!(children.len(), 2, "{children:?}");
    demo.kill().unwrap();
    demo.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    for child in children {
        // A zombie has no namespace any more; who reaps it is not our affair.
        let status = format!("/proc/{child}/status");
        while fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ")) {
            assert!(Instant::now() < deadline, "process {child} is still there");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
