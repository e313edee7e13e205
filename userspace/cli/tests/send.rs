//! `send`: what it refuses, what it counts, how it stops.

mod support;

use std::{
    io::Read,
    net::{Ipv4Addr, UdpSocket},
    process::{ChildStdout, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Guarded, Recv, free_ports, records, run, send, xdpsar};
use xdpsar_wire::sync::{SYNC_LEN, SyncMessage};

/// A socket that nobody reads: what does not fit is dropped, and nothing is
/// answered.
fn silence() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = socket.local_addr().unwrap().to_string();
    (socket, to)
}

#[test]
fn what_cannot_be_done_is_explained() {
    let (_socket, to) = silence();
    // Unroutable wherever this runs: 240.0.0.0/4 is reserved, and a route of
    // one's own address family is needed for the second.
    for (arguments, status, word) in [
        (&["--to", "255.255.255.255:1"][..], 1, "send to"),
        (&["--to", &to, "--mtu", "70000"], 1, "65535"),
        (&["--to", &to, "--mtu", "40"], 1, "headers alone"),
        (&["--to", &to, "--source", "192.0.2.77"], 1, "no such address"),
        (&["--to", &to, "--source", "::1"], 2, "both addresses"),
        (&["--to", &to, "--dscp", "64"], 2, "6 bits"),
        (&["--to", &to, "--rate", "1e9"], 2, "no rate"),
        (&["--to", &to, "--rate", "1", "--burst", "2s"], 2, "400µs"),
        (&["--to", "127.0.0.1:0"], 2, "nowhere"),
        (&["--to", "127.0.0.1:65535", "--ports", "2"], 2, "65535"),
        (&["--to", &to, "--sockets", "1000"], 2, "1000"),
        (&["--to", &to, "--workers", "1000"], 2, "1000"),
        (&["--to", &to, "--cores", "4096"], 1, "4096"),
        (&["--to", &to, "--workers", "2", "--cores", "0"], 2, "2 cores"),
        (&["--to", &to, "--backend", "xdp"], 1, "AF_XDP"),
        (&["--to", &to, "--backend", "gso", "--mtu", "65535"], 2, "one datagram"),
        (&["--to", &to, "--sync", "127.0.0.1:0", "--source-id", "1"], 2, "Sync"),
        (&["--to", &to, "--sync", &to, "--source-id", "1", "--sync-period", "11s"], 2, "10s"),
    ] {
        let mut all = vec!["send", "--json"];
        all.extend(arguments);
        let output = run(&all);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        let error = records(&output.stdout).pop().expect("an error record");
        assert_eq!(error["type"], "error", "{arguments:?}: {error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{arguments:?}: {error}");
        for part in ["asked", "found", "remedy"] {
            assert!(error[part].is_string(), "{arguments:?}: no {part} in {error}");
        }
    }
}

#[test]
fn what_is_open_is_told_before_the_first_event() {
    let (_socket, to) = silence();
    for (backend, says) in [("mmsg", "mmsg"), ("gso", "gso"), ("auto", "gso")] {
        let output = run(&[
            "send",
            "--to",
            &to,
            "--json",
            "--events",
            "1",
            "--mtu",
            "1500",
            "--backend",
            backend,
        ]);
        let ready = records(&output.stdout).remove(0);
        assert_eq!(ready["type"], "ready");
        assert_eq!(ready["backend"], says, "{ready}");
        assert!(!ready["reason"].as_str().unwrap().is_empty());
        assert_eq!((&ready["mtu"], &ready["max_payload"]), (&1500.into(), &1436.into()));
        assert_eq!(ready["workers"], 0);
    }
}

#[test]
fn sync_messages_say_what_was_asked() {
    let (_socket, to) = silence();
    for (words, rate) in [("", 1_000_000), (" --sync-rate zero", 0)] {
        let (control_plane, sync) = silence();
        control_plane.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let line = format!(
            "send --to {to} --events 1 --sync {sync} --source-id 7 --sync-period 10s \
             --sync-warm-up 0{words}"
        );
        let output = run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut datagram = [0; SYNC_LEN + 1];
        let len = control_plane.recv(&mut datagram).unwrap();
        let message = SyncMessage::parse(&datagram[..len]).unwrap();
        assert_eq!((message.source_id(), message.rate_hz()), (7, rate));
    }
}

#[test]
fn a_receiver_that_is_gone_is_counted_and_stops_nothing() {
    for more in [&["--workers", "2"][..], &[]] {
        let elsewhere = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = elsewhere.local_addr().unwrap();
        // Nobody else gets the port, and no datagram of ours is for this one.
        elsewhere.connect((Ipv4Addr::LOCALHOST, 1)).unwrap();
        let mut arguments = vec!["--events", "20", "--size", "20k", "--sockets", "1"];
        arguments.extend(more);
        let summary = send(to, &arguments);
        assert_eq!(summary["status"], 0, "{summary}");
        assert_eq!(summary["events_sent"], 20);
        assert_eq!(summary["bytes"], 20 * 20_000);
        assert_eq!(summary["events_failed"], 0);
        assert!(summary["refused"].as_u64().unwrap() > 0, "{summary}");
    }
}

#[test]
fn workers_send_every_event_once() {
    let to = free_ports(2);
    let recv = Recv::start(
        to,
        &["--ports", "2", "--workers", "2", "--events", "40", "--verify", "--per-event"],
    );
    let sent = send(
        to,
        &["--ports", "2", "--events", "40", "--size", "0,3k", "--cores", "0", "--rate", "1"],
    );
    assert_eq!(sent["events_queued"], 40);
    assert_eq!(sent["events_sent"], 40);
    let ended = recv.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let mut numbers: Vec<_> =
        ended.of_type("event").iter().map(|e| e["event_number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
}

#[test]
fn a_duration_ends_an_endless_stream_well() {
    let (_socket, to) = silence();
    let output =
        run(&["send", "--to", &to, "--json", "--duration", "600ms", "--interval", "100ms"]);
    let records = records(&output.stdout);
    let summary = records.last().unwrap();
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert!(summary["elapsed_s"].as_f64().unwrap() >= 0.6, "{summary}");
    let stats: Vec<_> = records.iter().filter(|record| record["type"] == "stats").collect();
    assert!(!stats.is_empty());
    for record in stats {
        for name in ["events_sent", "bytes", "fragments", "events_failed", "retried_full"] {
            assert!(record[name].is_u64(), "no {name} in {record}");
        }
        assert!(record["gbps"].is_f64() && record["events_per_s"].is_f64());
    }
}

#[test]
fn fewer_than_asked_for_is_3() {
    let (_socket, to) = silence();
    let output = run(&[
        "send",
        "--to",
        &to,
        "--events",
        "1000000",
        "--size",
        "1k",
        "--rate",
        "0.001",
        "--duration",
        "200ms",
    ]);
    assert_eq!(output.status.code(), Some(3));
}

/// Sends 100 MB at 10 Mb/s, has its first byte awaited, and stops it.
fn stopped_in_the_middle(more: &[&str]) -> (Option<i32>, Value) {
    let (socket, to) = silence();
    let mut child = xdpsar(&["send", "--to", &to, "--json", "--size", "100M", "--rate", "0.01"])
        .args(["--events", "3", "--drain", "100ms"])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .map(Guarded)
        .unwrap();
    let mut stdout: ChildStdout = child.0.stdout.take().unwrap();
    socket.recv(&mut [0; 16]).unwrap();
    kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
    let mut text = Vec::new();
    stdout.read_to_end(&mut text).unwrap();
    (child.0.wait().unwrap().code(), records(&text).pop().unwrap())
}

#[test]
fn a_signal_cuts_off_what_the_drain_does_not_hold() {
    for (more, at_least) in [(&[][..], 1), (&["--workers", "1"], 1)] {
        let started = Instant::now();
        let (status, summary) = stopped_in_the_middle(more);
        // Each event would take 80 s.
        assert!(started.elapsed().as_secs() < 60, "{summary}");
        assert_eq!(status, Some(3), "{summary}");
        assert_eq!(summary["events_sent"], 0);
        assert_eq!(summary["events_failed"], 0);
        assert!(summary["events_dropped"].as_u64().unwrap() >= at_least, "{summary}");
        assert!(summary["fragments_failed"].as_u64().unwrap() > 0, "{summary}");
        assert!(summary["fragments"].as_u64().unwrap() > 0, "{summary}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let (_socket, to) = silence();
    let mut child = xdpsar(&["send", "--to", &to, "--json", "--events", "0", "--rate", "0.1"])
        .args(["--interval", "20ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(1), ""));
}
