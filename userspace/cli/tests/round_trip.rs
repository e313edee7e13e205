//! `send` and `recv` on loopback: what goes in comes out.

mod support;

use std::{
    fs,
    io::{Read, Write},
};

use support::{Recv, fragment, free_ports, run, send, stream, thrower};

#[test]
fn mixed_sizes_verify_over_several_ports_and_workers() {
    let to = free_ports(4);
    let recv = Recv::start(
        to,
        &["--ports", "4", "--workers", "2", "--events", "60", "--verify", "--per-event"],
    );
    let sent = send(to, &["--ports", "4", "--events", "60", "--size", "0,1,1k..20k"]);
    assert_eq!(sent["events_sent"], 60);
    let ended = recv.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!(summary["status"], 0);
    assert_eq!(summary["delivered"], 60);
    assert_eq!(summary["delivered_bytes"], sent["bytes"]);
    assert_eq!(summary["verified"]["events"], 60);
    assert_eq!(summary["verified"]["bytes"], sent["bytes"]);
    assert_eq!(summary["verified"]["mismatched"], 0);
    assert_eq!(summary["fragments"], sent["fragments"]);
    assert_eq!(summary["kernel_drops"], 0);
    assert_eq!(summary["workers"].as_array().unwrap().len(), 2);

    let events = ended.of_type("event");
    let mut numbers: Vec<_> = events.iter().map(|e| e["event_number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    let workers = |n: u64| events.iter().filter(|event| event["worker"] == n).count();
    assert!(workers(0) > 0 && workers(1) > 0, "one worker got everything");
}

#[test]
fn every_lb_version_and_payload_is_understood() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), b"any bytes at all").unwrap();
    let file = file.path().to_str().unwrap();
    for lb_version in ["2", "3", "none"] {
        for payload in [
            &["--payload", "pattern"][..],
            &["--payload", "e2sar"],
            &["--payload", "zero"],
            &["--payload", "file", "--payload-file", file],
        ] {
            let to = free_ports(1);
            let mut expect = vec!["--events", "5", "--verify"];
            expect.extend(payload);
            let recv = Recv::start(to, &expect);
            let mut make = vec!["--events", "5", "--size", "20k", "--lb-version", lb_version];
            make.extend(payload);
            send(to, &make);
            let ended = recv.end();
            assert_eq!(ended.status, Some(0), "{lb_version} {payload:?}: {}", ended.stderr);
            assert_eq!(ended.summary()["verified"]["events"], 5);
        }
    }
}

#[test]
fn files_arrive_as_files() {
    let dir = tempfile::tempdir().unwrap();
    let contents: Vec<Vec<u8>> =
        [0, 1, 1436, 100_000].iter().map(|&n| (0..n).map(|i| (i * 7) as u8).collect()).collect();
    let inputs: Vec<_> = contents
        .iter()
        .enumerate()
        .map(|(i, bytes)| {
            let path = dir.path().join(format!("input{i}"));
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    let out = dir.path().join("out");
    let to = free_ports(1);
    let recv = Recv::start(
        to,
        &["--events", "5", "--out", out.to_str().unwrap(), "--prefix", "run", "--extension", "dat"],
    );
    let mut arguments = vec!["--data-id", "9", "--event-start", "7", "--input"];
    arguments.extend(inputs.iter().map(String::as_str));
    send(to, &arguments);
    thrower(to).send(&fragment(99, 9, 0, 3, b"abc")).unwrap();
    let ended = recv.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for (i, bytes) in contents.iter().enumerate() {
        let name = format!("run_{}_9.dat", 7 + i);
        assert_eq!(&fs::read(out.join(&name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(fs::read(out.join("run_99_9.dat")).unwrap(), b"abc");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 5, "hidden files were left");
}

#[test]
fn a_stream_carries_whole_events() {
    let to = free_ports(1);
    let (mut recv, mut stderr) = stream(to, &["--events", "3"]);
    let thrower = thrower(to);
    thrower.send(&fragment(1, 2, 0, 3, b"abc")).unwrap();
    thrower.send(&fragment(u64::MAX, 3, 0, 0, b"")).unwrap();
    thrower.send(&fragment(3, 4, 0, 2, b"xy")).unwrap();
    let mut frames = Vec::new();
    recv.0.stdout.take().unwrap().read_to_end(&mut frames).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(recv.0.wait().unwrap().code(), Some(0), "{rest}");
    let mut expected = Vec::new();
    for (number, data_id, payload) in
        [(1_u64, 2_u16, &b"abc"[..]), (u64::MAX, 3, b""), (3, 4, b"xy")]
    {
        expected.write_all(&number.to_be_bytes()).unwrap();
        expected.write_all(&data_id.to_be_bytes()).unwrap();
        expected.write_all(&[0, 0]).unwrap();
        expected.write_all(&(payload.len() as u32).to_be_bytes()).unwrap();
        expected.write_all(payload).unwrap();
    }
    assert_eq!(frames, expected);
    assert!(rest.contains("received 3 events"), "{rest}");
}

#[test]
fn people_get_text() {
    let to = free_ports(1).to_string();
    let output = run(&["recv", "--listen", &to, "--backend", "socket", "--duration", "300ms"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with(&format!("ready: {to}")), "{text}");
    assert!(text.contains("received 0 events"), "{text}");
    let output = run(&["send", "--to", &to, "--events", "3", "--size", "1k"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with(&format!("ready: to {to}")), "{text}");
    assert!(text.contains("\nsent 3 events, 3.00 kB"), "{text}");
}
