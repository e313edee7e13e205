//! `lb monitor`: rates, outages, the end, and a terminal.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::Value;
use xdpsar::{
    EjfatUri, LoadBalancer, TokenKind,
    load_balancer::{Counters, Options, State},
};

use crate::{
    World,
    documented::hold_against_the_page,
    support::{Guarded, xdpsar},
};

/// What must happen may take so long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(world: &World, uri: &str, words: &str, stdout: Stdio) -> Guarded {
    let command = world.command(words);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut command = xdpsar(&command);
    Guarded(command.env("EJFAT_URI", uri).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap())
}

fn end(child: &mut Child) -> (Option<i32>, String) {
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (status.code(), stderr)
}

/// Its records, as they come.
struct Records(BufReader<ChildStdout>);

impl Records {
    /// The next one that is so.
    fn until(&mut self, mut is: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "it ended");
            let record: Value = serde_json::from_str(&line).unwrap();
            hold_against_the_page(&record);
            if is(&record) {
                return record;
            }
        }
    }
}

/// A worker that has put so many events together.
fn say(world: &World, lb: &LoadBalancer, events: u64) {
    let counters = Counters {
        events_reassembled: events,
        bytes_received: events * 1000,
        packets_received: events * 2,
        ..Counters::default()
    };
    let at = world.server.now();
    lb.send_state(None, &State { at, counters, ..State::now(0.5, 0.0) }).unwrap();
}

fn client(uri: &str) -> LoadBalancer {
    let uri = EjfatUri::parse(uri, TokenKind::Session).unwrap();
    LoadBalancer::new(uri, &Options { timeout: PATIENCE, ..Options::default() }).unwrap()
}

#[test]
fn rates_outages_and_the_end() {
    let mut world = World::new(false);
    let uri = world.exported(&world.uri(), "reserve --name run7");
    let session = world.exported(&uri, "register --name node --address 10.0.0.7 --port 10000");
    let lb = client(&session);
    world.server.tick();
    let mut child = start(&world, &uri, "monitor --interval 50ms --json", Stdio::piped());
    let mut records = Records(BufReader::new(child.0.stdout.take().unwrap()));
    let mut events = 0;
    let fast = records.until(|record| {
        events += 1000;
        say(&world, &lb, events);
        record["workers"][0]["events_per_s"].as_f64().is_some_and(|rate| rate > 0.0)
    });
    assert_eq!(fast["type"], "monitor");
    let worker = &fast["workers"][0];
    let rate = |name: &str| worker[name].as_f64().unwrap();
    // Events of 1000 bytes in two packets.
    assert!((rate("packets_per_s") / rate("events_per_s") - 2.0).abs() < 1e-6, "{worker}");
    assert!((rate("gbps") / rate("events_per_s") - 8e-6).abs() < 1e-9, "{worker}");
    assert_eq!(
        (worker["fill"].as_f64(), worker["slots_assigned"].as_u64()),
        (Some(0.5), Some(512))
    );

    world.server.stop();
    let missed = records.until(|record| record["type"] == "missed");
    assert!(missed["found"].is_string() && missed["remedy"].is_string(), "{missed}");
    world.server.restart().unwrap();
    records.until(|record| record["type"] == "monitor");

    // Gone is gone: nobody waits for it.
    world.said(&uri, "free");
    let (status, stderr) = end(&mut child.0);
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("PERMISSION_DENIED"), "{stderr}");
}

#[test]
fn it_ends_by_count_and_by_signal() {
    let world = World::new(false);
    let uri = world.exported(&world.uri(), "reserve");
    let said = world.said(&uri, "monitor --interval 50ms --count 3");
    assert_eq!(said.matches("load balancer 1").count(), 3, "{said}");
    assert!(!said.contains('\u{1b}'), "no terminal is there: {said:?}");
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = start(&world, &uri, "monitor --json", Stdio::piped());
        let mut records = Records(BufReader::new(child.0.stdout.take().unwrap()));
        records.until(|_| true);
        kill_process(Pid::from_child(&child.0), signal).unwrap();
        let (status, stderr) = end(&mut child.0);
        assert_eq!(status, Some(0), "{stderr}");
    }
}

#[test]
fn on_a_terminal_each_sample_replaces_the_one_before() {
    let world = World::new(false);
    let uri = world.exported(&world.uri(), "reserve");
    world.said(&uri, "register --name a-worker --address 10.0.0.7 --port 10000");
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let size = Winsize { ws_row: 24, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let mut child = start(&world, &uri, "monitor --interval 50ms --count 2", theirs.into());
    // Reading ends with an error once the other side is closed.
    let (sender, screen) = mpsc::channel();
    thread::spawn(move || {
        let (mut ours, mut bytes) = (File::from(ours), [0; 4096]);
        while let Ok(read @ 1..) = ours.read(&mut bytes) {
            if sender.send(bytes[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    let (status, stderr) = end(&mut child.0);
    assert_eq!(status, Some(0), "{stderr}");
    let mut text = Vec::new();
    while let Ok(bytes) = screen.recv_timeout(PATIENCE) {
        text.extend(bytes);
    }
    let text = String::from_utf8(text).unwrap();
    // A title, the columns' titles, a worker: three lines up.
    let (first, second) = text.split_once("\u{1b}[3A").unwrap_or_else(|| panic!("{text:?}"));
    for sample in [first, second] {
        assert!(sample.contains("a-worker"), "{text:?}");
        for line in sample.split("\r\n") {
            let shown = line.replace("\u{1b}[K", "").replace("\u{1b}[J", "");
            assert!(shown.trim_start_matches('\r').chars().count() <= 40, "{line:?}");
        }
    }
}
