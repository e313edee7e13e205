//! `xdpsar send` as an operator uses it: files to another host and back under
//! their names, by each backend; and an interface that goes away.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Stdio},
};

use serde_json::Value;
use xdpsar_tests::{Host, Lab, LabConfig, binary, privileged};

/// A running command, ended with the test.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts it with `--json`, and waits for `ready`.
    fn start(host: &Host, arguments: &[&str]) -> (Self, Value) {
        let mut child = host
            .command(binary())
            .args(arguments)
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("xdpsar starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut running = Self { child, stdout };
        let ready = running.next_of_type("ready");
        (running, ready)
    }

    fn next_of_type(&mut self, wanted: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line).expect("a line") == 0 {
                panic!("the output ended before {wanted:?}: {}", self.stderr());
            }
            let value: Value = serde_json::from_str(&line).expect("a JSON object");
            if value["type"] == wanted {
                return value;
            }
        }
    }

    fn stderr(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).expect("UTF-8");
        }
        text
    }

    /// The summary, the exit status, and standard error.
    fn finish(mut self) -> (Value, Option<i32>, String) {
        let summary = self.next_of_type("summary");
        let stderr = self.stderr();
        (summary, self.child.wait().expect("it ends").code(), stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Made-up bytes that no other part of the file has.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn same_below(one: &Path, other: &Path) -> usize {
    let names = |dir: &Path| {
        let entries = fs::read_dir(dir).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(one), names(other), "{}", one.display());
    names(one)
        .into_iter()
        .map(|name| match (one.join(&name), other.join(&name)) {
            (one, other) if one.is_dir() => same_below(&one, &other),
            (one, other) => {
                assert!(fs::read(&one).unwrap() == fs::read(other).unwrap(), "{}", one.display());
                1
            }
        })
        .sum()
}

/// Nobody says how fast datagrams are taken in. So the receive buffer holds
/// them all, and so does the queue before it, of 1000 packets
/// (`netdev_max_backlog`): by large packets, which GSO's messages are there.
#[test]
fn a_tree_crosses_a_cable_by_every_backend() {
    privileged!();
    let dir = tempfile::tempdir().unwrap();
    for (backend, mtu, long) in
        [("mmsg", 65_535, 20_000_000), ("gso", 9000, 20_000_000), ("xdp", 3400, 500_000)]
    {
        let input = dir.path().join(backend).join("run 7");
        fs::create_dir_all(input.join("deep/er")).unwrap();
        for (name, len) in [
            ("empty", 0),
            ("deep/er/long", long),
            ("deep/a\nb \u{2603}", 70_000),
            ("mapped just so", 1 << 20),
            ("read just so", (1 << 20) - 1),
        ] {
            fs::write(input.join(name), bytes(len)).unwrap();
        }
        let out = dir.path().join(backend).join("out");
        let lab = Lab::new(LabConfig { queues: 1, mtu });
        let (recv, _) = Running::start(
            &lab.receiver,
            &[
                &["recv", "--listen", "10.77.0.2:19522", "--backend", "socket"][..],
                &["--socket-buffer", "256M", "--timeout", "60s", "--duration", "120"],
                &["--manifest", "--until-complete", "--out", out.to_str().unwrap()],
            ]
            .concat(),
        );
        let (sender, ready) = Running::start(
            &lab.sender,
            &[
                &["send", "--to", "10.77.0.2:19522", "--backend", backend][..],
                &["--mtu", &mtu.to_string(), "--manifest", "--input", input.to_str().unwrap()],
            ]
            .concat(),
        );
        assert_eq!(ready["backend"], backend, "{ready}");
        let (sent, status, stderr) = sender.finish();
        assert_eq!(status, Some(0), "{backend}: {sent:#} {stderr}");
        let (received, status, stderr) = recv.finish();
        assert_eq!(status, Some(0), "{backend}: {received:#} {stderr}");
        assert_eq!(received["restored"]["files"], 5);
        assert_eq!(same_below(&input, &out.join("run 7")), 5);
    }
}

#[test]
fn an_interface_that_goes_away_is_named() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    for more in [&[][..], &["--workers", "1"]] {
        let mut arguments = vec![
            "send",
            "--to",
            "10.77.0.2:19522",
            "--events",
            "0",
            "--size",
            "1k",
            "--rate",
            "0.01",
            "--interval",
            "10ms",
            "--drain",
            "100ms",
        ];
        arguments.extend(more);
        let (mut sender, _) = Running::start(&lab.sender, &arguments);
        while sender.next_of_type("stats")["events_sent"] == 0 {}
        lab.sender.tool("ip link set va down");
        let (summary, status, stderr) = sender.finish();
        lab.sender.tool("ip link set va up");
        assert_eq!(status, Some(1), "{summary:#}");
        assert_eq!(summary["status"], 1);
        assert!(summary["events_failed"].as_u64() >= Some(1), "{summary:#}");
        assert!(stderr.contains("interface va is down"), "{stderr}");
    }
}

#[test]
fn datagrams_that_the_route_does_not_take_are_refused() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    let output = lab
        .sender
        .command(binary())
        .args(["send", "--to", "10.77.0.2:19522", "--mtu", "9000"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("takes 1500 at most"), "{stderr}");
    let nowhere = ["send", "--to", "192.0.2.9:19522", "--json"];
    let output = lab.sender.command(binary()).args(nowhere).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("no route"), "{stderr}");
}
