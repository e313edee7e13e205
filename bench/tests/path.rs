//! `bench-path` as a person runs it: over a real cable.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;
use xdpsar_tests::{lab, privileged};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bench-path");
const ONE_SENDER: [&str; 4] = ["--senders", "gso", "--lossless", "never"];

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

#[test]
fn two_contestants_give_rows_that_can_be_read_again() {
    privileged!();
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("path.json");
    let output = Command::new(PROGRAM)
        .args(["--quick", "--only", "xdp-1,socket", "--datagram", "1400"])
        .args(ONE_SENDER)
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let runs = report["runs"].as_array().unwrap();
    let names: Vec<_> = runs.iter().map(|run| run["contestant"].as_str().unwrap()).collect();
    assert_eq!(names, ["xdp-1", "socket"]);
    for run in runs {
        for positive in ["events_per_s", "gbps", "mpps", "receiver_rss_mib"] {
            assert!(run[positive].as_f64().unwrap() > 0.0, "{positive}: {run}");
        }
    }
    let again = Command::new(PROGRAM).arg("--from").arg(&json).output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(again.stdout, output.stdout, "{}", said(&again));
}

#[test]
fn what_fails_is_named_and_quoted_and_leaves_nothing_behind() {
    privileged!();
    let program = Command::new("sh")
        // The sender's event does not fit.
        .args(["-c", r#"ulimit -v 300000 && exec "$0" "$@""#, PROGRAM])
        .args(["--only", "socket", "--datagram", "8900", "--event", "800000000"])
        .args(ONE_SENDER)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let own = format!("xdpsar-{}-", program.id());
    let output = program.wait_with_output().unwrap();
    assert!(!output.status.success(), "{}", said(&output));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("send gso"), "{error}");
    assert!(error.contains("memory allocation of"), "{error}");
    let left: Vec<_> = lab::names().into_iter().filter(|name| name.starts_with(&own)).collect();
    assert!(left.is_empty(), "{left:?}");
}
