//! Runs the built `xdpsar` and reads what it says.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod config;

use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, without the environment's say in its logs and options.
pub(crate) fn xdpsar(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdpsar"));
    command.args(arguments).stdin(Stdio::null());
    command.env_remove("RUST_LOG").env_remove("EJFAT_URI").env("XDPSAR_CONFIG", "/dev/null");
    command
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    xdpsar(arguments).output().unwrap()
}

/// The JSON objects of an output.
pub(crate) fn records(stdout: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// `count` UDP ports in a row on loopback that were free a moment ago.
pub(crate) fn free_ports(count: u16) -> SocketAddr {
    loop {
        let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = first.local_addr().unwrap();
        let free = |i| {
            let port = address.port().checked_add(i)?;
            UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()
        };
        if (1..count).all(|i| free(i).is_some()) {
            return address;
        }
    }
}

/// A running `xdpsar recv --json`, killed if a test ends without it.
pub(crate) struct Recv {
    child: Child,
    lines: Receiver<Value>,
    stderr: Option<JoinHandle<String>>,
}

/// A child process that a failed test does not leave behind.
pub(crate) struct Guarded(pub(crate) Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `xdpsar recv --out -` and waits until its sockets are bound. Its
/// text goes to standard error; the rest of that comes back with it.
pub(crate) fn stream(listen: SocketAddr, more: &[&str]) -> (Guarded, ChildStderr) {
    let mut child = xdpsar(&["recv", "--listen", &listen.to_string(), "--backend", "socket"])
        .args(["--out", "-", "--timeout", "60s"])
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    wait_until_ready(&mut stderr);
    (Guarded(child), stderr)
}

/// Reads the first line of text, which says that the sockets are bound.
pub(crate) fn wait_until_ready(text: &mut ChildStderr) {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut byte = [0];
        text.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
        // A log line may come first.
        if line.ends_with(b"\n") && !line.starts_with(b"ready") {
            line.clear();
        }
    }
}

/// How it ended and what it had said.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) records: Vec<Value>,
    pub(crate) stderr: String,
}

impl Recv {
    /// Starts one and waits until its sockets are bound.
    pub(crate) fn start(listen: SocketAddr, more: &[&str]) -> Self {
        Self::start_with(listen, more, |_| {})
    }

    /// The same, with a look at what it says then.
    pub(crate) fn start_with(listen: SocketAddr, more: &[&str], look: impl Fn(&Value)) -> Self {
        let listen = listen.to_string();
        let mut arguments = vec!["recv", "--listen", &listen, "--json", "--backend", "socket"];
        arguments.extend(more);
        if !more.contains(&"--timeout") {
            // However slow this machine is.
            arguments.extend(["--timeout", "60s"]);
        }
        let mut child =
            xdpsar(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let record = serde_json::from_str(&line.unwrap()).unwrap();
                if sender.send(record).is_err() {
                    return;
                }
            }
        });
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut recv = Self { child, lines, stderr: Some(stderr) };
        let ready = recv.wait_for("ready");
        assert_eq!(ready["backend"], "socket", "{ready}");
        assert_eq!(ready["listen"], listen, "{ready}");
        look(&ready);
        recv
    }

    /// Waits for a record of this type.
    pub(crate) fn wait_for(&mut self, kind: &str) -> Value {
        self.wait_until(|record| record["type"] == kind)
    }

    /// Waits for a record that is so.
    pub(crate) fn wait_until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(record) if is(&record) => return record,
                Ok(_) => {}
                Err(error) => {
                    let _ = self.child.kill();
                    let stderr = self.stderr.take().map(|thread| thread.join().unwrap());
                    panic!("recv does not say what it should ({error}): {stderr:?}");
                }
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let mut records = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(record) => records.push(record),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("recv does not end"),
            }
        }
        let status: ExitStatus = self.child.wait().unwrap();
        let stderr = self.stderr.take().map(|thread| thread.join().unwrap()).unwrap_or_default();
        Ended { status: status.code(), records, stderr }
    }
}

impl Drop for Recv {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The last record, which must be the summary.
    pub(crate) fn summary(&self) -> &Value {
        let summary = self.records.last().unwrap();
        assert_eq!(summary["type"], "summary", "{summary}");
        summary
    }

    pub(crate) fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["type"] == kind).collect()
    }
}

/// Sends to `to`, which should be no more than the smallest receive buffer
/// holds: nobody says how fast it is emptied. Returns the summary.
pub(crate) fn send(to: SocketAddr, more: &[&str]) -> Value {
    let to = to.to_string();
    let mut arguments = vec!["send", "--to", &to, "--json"];
    arguments.extend(more);
    let output = run(&arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let summary = records(&output.stdout).pop().unwrap();
    assert_eq!(summary["type"], "summary");
    summary
}

/// One fragment without LB header, by hand (`data-plane.md` §1.4).
pub(crate) fn fragment(
    event: u64,
    data_id: u16,
    offset: u32,
    length: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut datagram = vec![0x10, 0];
    datagram.extend(data_id.to_be_bytes());
    datagram.extend(offset.to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend(event.to_be_bytes());
    datagram.extend(payload);
    datagram
}

/// A socket that throws datagrams at `to`.
pub(crate) fn thrower(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(to).unwrap();
    socket
}
