//! The binary, as an operator uses it: a receiver in one namespace, a sender
//! in another, signals, kills, and foreign traffic in between.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Output, Stdio},
    thread,
    time::Instant,
};

use serde_json::Value;
use xdpsar_tests::{
    Host, Lab, LabConfig, binary,
    pace::{PATIENCE, until},
    privileged,
    tool::{Signal, send_signal},
};

/// A receiver that has said `ready`.
struct Receiver {
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: Value,
}

impl Receiver {
    fn start(host: &Host, arguments: &str) -> Self {
        let mut child = host
            .command(binary())
            .arg("recv")
            .args(arguments.split_ascii_whitespace())
            // However slow this machine is.
            .args(["--timeout", "60s", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("xdpsar recv starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let ready = next_of_type(&mut stdout, "ready");
        Self { child, stdout, ready }
    }

    /// Sends `events` events by runs of the command that send `at_once`
    /// each, as many as the rings hold: the next run waits until the last
    /// one's have been received.
    fn send(&mut self, host: &Host, arguments: &str, events: u64, at_once: u64) {
        for first in (0..events).step_by(at_once as usize) {
            send(host, &format!("{arguments} --event-start {first} --events {at_once} --quiet"));
            for _ in 0..at_once {
                next_of_type(&mut self.stdout, "event");
            }
        }
    }

    fn signal(&self, which: Signal) {
        send_signal(&self.child, which).expect("the receiver runs");
    }

    /// The summary and the exit status.
    fn finish(mut self) -> (Value, i32) {
        let summary = next_of_type(&mut self.stdout, "summary");
        let status = self.child.wait().expect("the receiver ends");
        (summary, status.code().expect("an exit status"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Ours, by pid, and only if a failed test left it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_of_type(lines: &mut impl BufRead, wanted: &str) -> Value {
    let mut line = String::new();
    loop {
        line.clear();
        let read = lines.read_line(&mut line).expect("a line");
        assert!(read > 0, "the output ended before a line of type {wanted:?}");
        let value: Value = serde_json::from_str(&line).expect("each line is one JSON object");
        if value["type"] == wanted {
            return value;
        }
    }
}

fn send(host: &Host, arguments: &str) -> Output {
    let output = host
        .command(binary())
        .arg("send")
        .args(arguments.split_ascii_whitespace())
        .output()
        .expect("xdpsar send runs");
    assert!(
        output.status.success(),
        "send {arguments}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn run(host: &Host, arguments: &str) -> (i32, String) {
    let output = host
        .command(binary())
        .args(arguments.split_ascii_whitespace())
        .output()
        .expect("xdpsar runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit status"), text)
}

fn count(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {value:#}"))
}

#[test]
fn four_workers_on_one_queue_each_get_their_lanes_and_foreign_traffic_flows() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 1500 });
    let mut receiver = Receiver::start(
        &lab.receiver,
        "--listen 10.77.0.2:19522 --ports 4 --workers 4 --backend xdp --attach native \
         --verify --per-event --events 800 --duration 300",
    );
    assert_eq!(receiver.ready["backend"], "xdp", "{:#}", receiver.ready);
    // A TCP service on the same address, as SSH would be.
    let listener = lab.receiver.run(|| std::net::TcpListener::bind("10.77.0.2:2222").unwrap());
    let echo = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut text = [0; 5];
        peer.read_exact(&mut text).unwrap();
        text
    });
    let udp = lab.receiver.run(|| std::net::UdpSocket::bind("10.77.0.2:19526").unwrap());
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            // Seven datagrams an event: a quarter of a worker's ring.
            receiver.send(&lab.sender, "--to 10.77.0.2:19522 --ports 4 --size 10k", 800, 20);
        });
        for _ in 0..5 {
            lab.sender.answered(lab.receiver.v4.into(), 1000);
            lab.sender.answered(lab.receiver.v6.into(), 1000);
        }
        lab.sender.run(|| {
            use std::io::Write;
            let mut peer = std::net::TcpStream::connect("10.77.0.2:2222").expect("TCP flows");
            peer.write_all(b"hello").unwrap();
        });
        // The first port beyond our range is not ours.
        lab.sender.send_udp("10.77.0.2:19526".parse().unwrap(), b"foreign");
    });
    assert_eq!(&echo.join().unwrap(), b"hello");
    let mut foreign = [0; 16];
    assert_eq!(udp.recv(&mut foreign).expect("a foreign datagram reaches its socket"), 7);
    let (summary, status) = receiver.finish();
    assert_eq!(status, 0, "{summary:#}");
    assert_eq!(count(&summary, "/events_ok"), 800, "{summary:#}");
    let workers = summary["workers"].as_array().expect("workers");
    assert_eq!(workers.len(), 4);
    let by_worker: Vec<u64> = workers.iter().map(|worker| count(worker, "/events")).collect();
    // Random entropy over four lanes: 200 each, ± 6 σ.
    assert!(by_worker.iter().all(|n| (126..=274).contains(n)), "{by_worker:?}");
    assert!(count(&summary, "/program/redirected") >= 800 * 7, "{summary:#}");
    println!("events by worker {by_worker:?}; ICMP, ICMPv6, TCP and foreign UDP passed");
}

#[test]
fn jumbo_frames_come_through_multi_buffer_in_native_mode() {
    privileged!();
    let lab = Lab::new(LabConfig { queues: 1, mtu: 9000 });
    let mut receiver = Receiver::start(
        &lab.receiver,
        "--listen [fd77::2]:19522 --workers 1 --backend xdp --attach native --verify \
         --per-event --events 100 --duration 300",
    );
    // 113 datagrams an event, of three frames each: a third of the ring.
    receiver.send(&lab.sender, "--to [fd77::2]:19522 --size 1M --mtu 9000", 100, 4);
    let (summary, status) = receiver.finish();
    assert_eq!(status, 0, "{summary:#}");
    assert_eq!(count(&summary, "/events_ok"), 100);
    // ⌈10⁶ / 8916⌉ fragments an event: they did come in jumbo frames.
    assert_eq!(count(&summary, "/datagrams"), 100 * 113, "{summary:#}");
}

#[test]
fn nothing_stays_attached_after_sigkill_and_a_new_receiver_binds() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let arguments = "--listen 10.77.0.2:19522 --backend xdp --workers 2 --ports 2 --duration 60";
    let mut receiver = Receiver::start(&lab.receiver, arguments);
    assert_eq!(lab.receiver.xdp_programs().len(), 1);
    receiver.child.kill().expect("SIGKILL");
    let killed = Instant::now();
    receiver.child.wait().expect("it is dead");
    until("no program is attached", || lab.receiver.xdp_programs().is_empty());
    let detached = killed.elapsed();
    let again = Receiver::start(&lab.receiver, arguments);
    let rebound = killed.elapsed();
    again.signal(Signal::SIGTERM);
    let (summary, status) = again.finish();
    assert_eq!(status, 0, "{summary:#}");
    assert!(lab.receiver.xdp_programs().is_empty());
    println!("detached {detached:?} after SIGKILL, a new receiver was ready after {rebound:?}");
}

#[test]
fn another_program_on_the_hook_is_named_and_left_alone() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let first = Receiver::start(
        &lab.receiver,
        "--listen 10.77.0.2:19522 --backend xdp --attach native --duration 60",
    );
    let holder = lab.receiver.xdp_programs();
    let (status, text) = run(
        &lab.receiver,
        "recv --listen 10.77.0.2:20000 --backend xdp --attach native --duration 5",
    );
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("xdpsar_steer") && text.contains("vb"), "{text}");
    assert_eq!(lab.receiver.xdp_programs(), holder, "the holder keeps the hook");
    first.signal(Signal::SIGINT);
    let (_, status) = first.finish();
    assert_eq!(status, 0);
}

#[test]
fn what_cannot_be_set_up_is_explained_and_leaves_nothing_attached() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let taken = lab.receiver.run(|| std::net::UdpSocket::bind("10.77.0.2:19523").unwrap());
    let cases = [
        ("--listen 10.77.0.2:19522 --interface nosuch0 --backend xdp", 1, "nosuch0"),
        ("--listen 10.9.9.9:19522 --backend socket", 1, "10.9.9.9"),
        ("--listen 10.77.0.2:19522 --ports 2 --backend socket", 1, "19523"),
        ("--listen 10.77.0.2:19522 --workers 0", 2, "worker"),
        ("--listen 10.77.0.2:65535 --ports 2", 2, "65535"),
        ("--listen 10.77.0.2:19522 --ports 3", 2, "power"),
        ("--listen 10.77.0.2:19522 --cores 4096", 1, "4096"),
        ("--listen 10.77.0.2:19522 --backend xdp --copy zerocopy", 1, "zero-copy"),
    ];
    for (arguments, status, word) in cases {
        let (found, text) = run(&lab.receiver, &format!("recv {arguments} --duration 5"));
        assert_eq!(found, status, "recv {arguments}: {text}");
        assert!(text.contains(word), "recv {arguments}: {text}");
        assert!(!text.contains("panicked"), "recv {arguments}: {text}");
        assert!(lab.receiver.xdp_programs().is_empty(), "recv {arguments} left a program");
    }
    drop(taken);
}

#[test]
fn without_privileges_sockets_serve_and_the_reason_is_given() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    // Root's, into which nobody else may look, and which stays in HOME.
    let home = tempfile::tempdir().unwrap();
    // `setpriv` drops root the way an ordinary login would look like.
    let unprivileged = |arguments: &str| {
        let output = lab
            .receiver
            .command("setpriv")
            .env("HOME", home.path())
            .env_remove("XDG_CONFIG_HOME")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"])
            .arg(binary_for_everyone().as_os_str())
            .args(arguments.split_ascii_whitespace())
            .output()
            .expect("setpriv runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (status, text) = unprivileged("recv --listen 10.77.0.2:19522 --duration 1 --json");
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("\"socket\"") && text.contains("CAP_"), "{text}");
    let (status, text) = unprivileged("recv --listen 10.77.0.2:19522 --backend xdp --duration 1");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("CAP_") && !text.contains("panicked"), "{text}");
}

/// The binary where `nobody` may run it: the build tree may be private.
fn binary_for_everyone() -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::env::temp_dir().join(format!("xdpsar-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.join("xdpsar");
    if !copy.exists() {
        std::fs::copy(binary(), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    copy
}
