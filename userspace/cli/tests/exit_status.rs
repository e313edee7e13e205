//! 0 all good, 1 failure, 2 usage, 3 finished but with loss.

mod support;

use std::{fs, io::Read, net::UdpSocket, process::Stdio, thread, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use support::{Guarded, Recv, fragment, free_ports, records, run, send, stream, thrower, xdpsar};

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &[][..],
        &["recv"],
        &["recv", "--listen", "127.0.0.1:19522", "--ports", "3"],
        &["recv", "--listen", "127.0.0.1:19522", "--out", "-", "--json"],
        &["send", "--to", "nowhere"],
        // Only the library can tell that these make no sense.
        &["recv", "--listen", "127.0.0.1:65535", "--ports", "4"],
        &["recv", "--listen", "127.0.0.1:19522", "--workers", "2", "--cores", "0"],
    ] {
        let output = run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn help_and_version_are_0() {
    for arguments in
        [&["--help"][..], &["--version"], &["recv", "--help"], &["send", "-h"], &["demo", "--help"]]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn failures_are_1_and_say_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = free_ports(1).to_string();
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    for arguments in [
        &["recv", "--backend", "socket", "--listen", &address, "--json"][..],
        &["recv", "--backend", "socket", "--listen", &free, "--out", "/proc/nothing", "--json"],
        &[
            "recv",
            "--listen",
            &free,
            "--json",
            "--verify",
            "--payload",
            "file",
            "--payload-file",
            empty,
        ],
        &["recv", "--listen", &free, "--backend", "xdp", "--interface", "no-such-if0", "--json"],
        &["send", "--to", &free, "--input", "/no/such/file", "--json"],
    ] {
        let output = run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("error: "), "{arguments:?}: {stderr}");
        let record = records(&output.stdout).pop().unwrap();
        assert_eq!(record["type"], "error", "{arguments:?}");
        for part in ["kind", "message", "asked", "found", "remedy"] {
            assert!(record[part].is_string(), "{arguments:?}: no {part} in {record}");
        }
    }
}

#[test]
fn a_lost_event_is_3() {
    let to = free_ports(1);
    let mut recv = Recv::start(to, &["--timeout", "50"]);
    thrower(to).send(&fragment(5, 6, 0, 10, b"half ")).unwrap();
    let lost = recv.wait_for("lost");
    assert_eq!(lost["event_number"], 5);
    assert_eq!(lost["data_id"], 6);
    assert_eq!(lost["length"], 10);
    assert_eq!(lost["bytes"], 5);
    assert_eq!(lost["cause"], "timeout");
    recv.signal(Signal::TERM);
    let ended = recv.end();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert_eq!(ended.summary()["events_lost"]["timeout"], 1);
}

#[test]
fn a_wrong_byte_is_3() {
    let to = free_ports(1);
    let recv = Recv::start(to, &["--events", "2", "--verify", "--payload", "zero"]);
    let thrower = thrower(to);
    thrower.send(&fragment(1, 1, 0, 4, &[0, 0, 0, 0])).unwrap();
    thrower.send(&fragment(2, 1, 0, 4, &[0, 0, 7, 0])).unwrap();
    let ended = recv.end();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let mismatch = ended.of_type("mismatch").pop().unwrap();
    assert_eq!(mismatch["event_number"], 2);
    assert_eq!(mismatch["offset"], 2);
    assert_eq!(mismatch["found"], 7);
    assert_eq!(ended.summary()["verified"]["events"], 1);
    assert_eq!(ended.summary()["verified"]["mismatched"], 1);
}

#[test]
fn fewer_events_than_asked_for_is_3() {
    let to = free_ports(1);
    let recv = Recv::start(to, &["--events", "2", "--duration", "300ms"]);
    thrower(to).send(&fragment(1, 1, 0, 1, b"x")).unwrap();
    assert_eq!(recv.end().status, Some(3));
}

#[test]
fn garbage_is_dropped_by_cause() {
    let to = free_ports(1);
    let recv = Recv::start(to, &["--events", "1"]);
    let thrower = thrower(to);
    thrower.send(b"short").unwrap();
    thrower.send(&[0xff; 64]).unwrap();
    thrower.send(&fragment(1, 1, 9, 3, b"abc")).unwrap();
    thrower.send(&fragment(2, 1, 0, 3, b"abc")).unwrap();
    let ended = recv.end();
    let summary = ended.summary();
    assert_eq!(summary["dropped"]["short"], 1);
    assert_eq!(summary["dropped"]["bad_re_header"], 1);
    assert_eq!(summary["dropped"]["out_of_range"], 1);
    assert_eq!(summary["events_ok"], 1);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
}

#[test]
fn events_cut_off_by_the_stop_that_was_asked_for_are_no_loss() {
    let to = free_ports(1);
    let recv = Recv::start(to, &["--events", "1", "--timeout", "10s"]);
    let thrower = thrower(to);
    thrower.send(&fragment(1, 1, 0, 10, b"half ")).unwrap();
    thrower.send(&fragment(2, 1, 0, 1, b"x")).unwrap();
    let ended = recv.end();
    assert_eq!(ended.summary()["events_lost"]["stopped"], 1);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn a_signal_drains_what_has_arrived() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let to = free_ports(1);
        let recv = Recv::start(to, &["--out", dir.path().to_str().unwrap(), "--verify"]);
        let sent = send(to, &["--events", "20", "--size", "10k"]);
        // At once: most of it may still be in the socket.
        recv.signal(signal);
        let ended = recv.end();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(ended.summary()["delivered"], 20);
        assert_eq!(ended.summary()["fragments"], sent["fragments"]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 20);
    }
}

#[test]
fn a_full_pipe_does_not_hold_up_the_second_signal() {
    let to = free_ports(1);
    // Nobody reads: the pipe holds 64 KiB, then writing to it blocks for good.
    let (mut recv, _stderr) = stream(to, &[]);
    let pid = Pid::from_child(&recv.0);
    let thrower = thrower(to);
    for number in 0..200 {
        thrower.send(&fragment(number, 1, 0, 8000, &[7; 8000])).unwrap();
    }
    thread::sleep(Duration::from_millis(500));
    kill_process(pid, Signal::TERM).unwrap();
    thread::sleep(Duration::from_millis(300));
    assert!(recv.0.try_wait().unwrap().is_none(), "it should be blocked");
    // Again, should the first not have been seen yet: the two would be one.
    let status = loop {
        kill_process(pid, Signal::TERM).unwrap();
        thread::sleep(Duration::from_millis(100));
        if let Some(status) = recv.0.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let to = free_ports(1).to_string();
    let mut recv = xdpsar(&["recv", "--listen", &to, "--backend", "socket", "--json"])
        .args(["--interval", "50ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(recv.stdout.take());
    let output = recv.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_full_disk_is_1_with_a_summary_that_accounts_for_it() {
    let to = free_ports(1);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let recv = xdpsar(&["recv", "--listen", &to.to_string(), "--backend", "socket"])
        .args(["--out", "-", "--events", "3"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut recv = Guarded(recv);
    let mut stderr = recv.0.stderr.take().unwrap();
    support::wait_until_ready(&mut stderr);
    let thrower = thrower(to);
    for number in 0..3 {
        thrower.send(&fragment(number, 1, 0, 1, b"x")).unwrap();
    }
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    assert_eq!(recv.0.wait().unwrap().code(), Some(1), "{text}");
    assert!(text.contains("received 0 events") && text.contains("not delivered  "), "{text}");
    assert!(text.contains("error: writing events to standard output"), "{text}");
}
