//! Files, directories and streams through `send` and `recv`.

mod support;

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
};

use serde_json::Value;
use support::{Guarded, Recv, fragment, free_ports, records, run, send, stream, thrower, xdpsar};

/// A tree of small files: all of it fits the smallest receive buffer.
fn tree(dir: &Path) {
    fs::create_dir_all(dir.join("deep/er")).unwrap();
    for (name, bytes) in [
        ("a", &b"one"[..]),
        ("empty", b""),
        ("with blank \u{e4}\u{2603}", &[7; 30_000]),
        ("deep/er/b", &[0xff; 8937]),
        ("deep/script", b"#!/bin/sh\n"),
    ] {
        fs::write(dir.join(name), bytes).unwrap();
    }
    fs::set_permissions(dir.join("deep/script"), fs::Permissions::from_mode(0o755)).unwrap();
}

const NAMES: [&str; 5] = ["a", "empty", "with blank \u{e4}\u{2603}", "deep/er/b", "deep/script"];

fn assert_same(one: &Path, other: &Path) {
    for name in NAMES {
        let (one, other) = (one.join(name), other.join(name));
        assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap(), "{name}");
        let [one, other] = [one, other].map(|path| fs::metadata(path).unwrap());
        assert_eq!(one.modified().unwrap(), other.modified().unwrap(), "{name}");
        // The umask may take some.
        assert_eq!(one.permissions().mode() & 0o700, other.permissions().mode() & 0o700, "{name}");
    }
}

fn restore(to: std::net::SocketAddr, out: &Path, more: &[&str]) -> Recv {
    let mut arguments = vec!["--out", out.to_str().unwrap(), "--manifest"];
    arguments.extend(more);
    Recv::start(to, &arguments)
}

#[test]
fn a_tree_is_restored_under_its_names() {
    for more in [&["--workers", "2", "--rate", "0.5"][..], &["--manifest=7", "--mtu", "1500"]] {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("run7");
        tree(&input);
        let out = dir.path().join("out");
        let to = free_ports(1);
        let own = more.first().filter(|first| first.starts_with("--manifest"));
        let mut wanted = vec!["--until-complete"];
        let mut arguments = vec!["--input", input.to_str().unwrap()];
        match own {
            Some(own) => wanted.push(own),
            None => arguments.push("--manifest"),
        }
        let mut recv = vec!["--out", out.to_str().unwrap()];
        recv.extend(&wanted);
        if own.is_none() {
            recv.push("--manifest");
        }
        let recv = Recv::start(to, &recv);
        arguments.extend(more);
        let sent = send(to, &arguments);
        assert_eq!(sent["events_sent"], NAMES.len() as u64 + 1);
        let ended = recv.end();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let restored = &ended.summary()["restored"];
        assert_eq!(restored["files"], NAMES.len() as u64, "{restored}");
        assert_eq!((&restored["missing"], &restored["unlisted"]), (&0.into(), &0.into()));
        assert_same(&input, &out.join("run7"));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "nothing else is left");
    }
}

#[test]
fn a_tampered_event_and_one_that_is_missing_are_3() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    tree(&input);
    let out = dir.path().join("out");
    // Taken off a pipe, changed, and sent on.
    let through = free_ports(1);
    let (mut tap, _stderr) = stream(through, &["--events", "6"]);
    send(through, &["--input", input.to_str().unwrap(), "--manifest"]);
    let mut frames = Vec::new();
    tap.0.stdout.take().unwrap().read_to_end(&mut frames).unwrap();
    let first = 16 + fs::metadata(input.join("a")).unwrap().len() as usize;
    frames[first - 1] ^= 1;
    // The second event, deep/er/b, goes missing.
    let second = first + 16 + 8937;
    frames.drain(first..second);
    let to = free_ports(1);
    let recv = restore(to, &out, &["--events", "5"]);
    let (status, summary, _) = send_stream(to, &frames, &[]);
    assert_eq!((status, &summary["events_sent"]), (Some(0), &5.into()), "{summary}");
    let ended = recv.end();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let restored = &ended.summary()["restored"];
    assert_eq!(
        [&restored["files"], &restored["mismatched"], &restored["missing"]],
        [3, 1, 1].map(Value::from).each_ref(),
        "{restored}"
    );
    let told: Vec<_> =
        ended.of_type("unrestored").iter().map(|file| (&file["name"], &file["cause"])).collect();
    assert_eq!(
        told,
        [
            (&Value::from("in/a"), &Value::from("mismatched")),
            (&Value::from("in/deep/er/b"), &Value::from("missing")),
        ]
    );
    assert_eq!(fs::read(out.join("event_0_4321.bin")).unwrap().len(), 3);
}

#[test]
fn a_manifest_that_never_comes_is_3() {
    let dir = tempfile::tempdir().unwrap();
    let to = free_ports(1);
    let recv = restore(to, dir.path(), &["--events", "1"]);
    thrower(to).send(&fragment(1, 1, 0, 1, b"x")).unwrap();
    let ended = recv.end();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert_eq!(ended.summary()["restored"]["sets"], 0);
}

/// Sends a stream of frames; exit status, summary, standard error.
fn send_stream(
    to: std::net::SocketAddr,
    frames: &[u8],
    more: &[&str],
) -> (Option<i32>, Value, String) {
    let mut child = xdpsar(&["send", "--to", &to.to_string(), "--json", "--input", "-"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read all.
    let _ = child.stdin.take().unwrap().write_all(frames);
    let output = child.wait_with_output().unwrap();
    let summary = records(&output.stdout).into_iter().find(|record| record["type"] == "summary");
    let stderr = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), summary.unwrap_or_default(), stderr)
}

#[test]
fn a_chain_forwards_events_with_their_numbers_and_data_ids() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    tree(&input);
    let out = dir.path().join("out");
    let (middle, last) = (free_ports(1), free_ports(1));
    let recv = restore(last, &out, &["--until-complete", "--per-event"]);
    let (mut tap, _stderr) = stream(middle, &["--events", "6"]);
    let forward = xdpsar(&["send", "--to", &last.to_string(), "--input", "-", "--quiet"])
        .stdin(tap.0.stdout.take().unwrap())
        .stdout(Stdio::null())
        .spawn();
    let mut forward = Guarded(forward.unwrap());
    send(middle, &["--input", input.to_str().unwrap(), "--manifest", "--event-start", "100"]);
    assert_eq!(forward.0.wait().unwrap().code(), Some(0));
    let ended = recv.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_same(&input, &out.join("in"));
    let mut keys: Vec<_> = ended
        .of_type("event")
        .iter()
        .map(|event| (event["event_number"].as_u64(), event["data_id"].as_u64()))
        .collect();
    keys.sort_unstable();
    let expected: Vec<_> =
        (100..106).map(|n| (Some(n), Some(if n < 105 { 4321 } else { 65535 }))).collect();
    assert_eq!(keys, expected);
}

#[test]
fn a_stream_that_breaks_off_is_1_after_what_was_whole() {
    let mut frames = vec![0; 16 + 5];
    frames[15] = 5;
    frames.extend([0; 10]);
    for (more, word) in [(&[][..], "10 bytes of its header"), (&["--max-event", "4"], "5 bytes")] {
        let to = free_ports(1);
        let (status, summary, stderr) = send_stream(to, &frames, more);
        assert_eq!(status, Some(1), "{stderr}");
        assert!(stderr.contains("frame") && stderr.contains(word), "{stderr}");
        assert_eq!(summary["events_sent"], u64::from(more.is_empty()), "{summary}");
        assert_eq!(summary["status"], 1);
    }
}

#[test]
fn a_signal_ends_a_send_that_waits_for_its_input() {
    let to = free_ports(1);
    let mut child = xdpsar(&["send", "--to", &to.to_string(), "--json", "--input", "-"])
        .args(["--interval", "50ms"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Guarded)
        .unwrap();
    let mut stdout = child.0.stdout.take().unwrap();
    // It has said `ready`: the handlers are there.
    stdout.read_exact(&mut [0; 20]).unwrap();
    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("\"type\":\"summary\""), "{rest}");
}

#[test]
fn inputs_that_cannot_be_sent_are_refused_before_the_first_datagram() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("good"), "x").unwrap();
    fs::create_dir(path("sub")).unwrap();
    fs::write(path("sub/good"), "x").unwrap();
    fs::File::create(path("huge")).unwrap().set_len(1 << 32).unwrap();
    std::os::unix::fs::symlink("nowhere", path("sub/dangling")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let to = listener.local_addr().unwrap().to_string();
    for (inputs, status, word) in [
        (&["good", "nothing"][..], 1, "nothing: No such file"),
        (&["good", "sub"], 1, "dangling: No such file"),
        (&["good", "huge"], 2, "4294967296 bytes"),
        (&["good", "socket"], 2, "it is a socket"),
        (&["good", "sub/good"], 2, "same name"),
    ] {
        let inputs: Vec<_> = inputs.iter().map(|name| path(name)).collect();
        let mut arguments = vec!["send", "--to", &to, "--manifest", "--input"];
        arguments.extend(inputs.iter().map(String::as_str));
        let output = run(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{inputs:?}: {stderr}");
        assert!(stderr.contains(word), "{inputs:?}: {stderr}");
        assert!(listener.recv(&mut [0; 16]).is_err(), "{inputs:?}: something was sent");
    }
}
