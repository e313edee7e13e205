//! A worker's process, and the test's end of it.
//!
//! The process is this program again. The two speak in lines: the test says
//! `nap MILLISECONDS` (after each event), `status` and `stop`; the worker
//! `got NUMBER`, `bad WORDS`, `status JSON` and, at its end, `stats JSON`.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::net::{UnixListener, UnixStream},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use xdpsar::{
    Backend, EjfatUri, Gains, Overflow, Reassembler, RecvTimeoutError, Registration, TokenKind,
    load_balancer::Options,
};
use xdpsar_tests::{
    pace::{PATIENCE, eventually},
    payload,
    tool::{Signal, send_signal},
};

use crate::{
    site::Site,
    source::{Source, length, packets},
};

const SOCKET: &str = "XDPSAR_TEST_WORKER";
/// Events in a worker's queue, when its consumer naps. Beyond that they wait
/// in the socket's buffer: nothing overflows.
const QUEUE: usize = 256;

/// What a worker told of its events.
#[derive(Default)]
struct Told {
    got: Vec<u64>,
    packets: u64,
    bad: Vec<String>,
}

/// The test's end.
pub(crate) struct Worker {
    pub(crate) name: &'static str,
    /// It had these, the present one last.
    pub(crate) sessions: Vec<String>,
    child: Child,
    commands: UnixStream,
    answers: mpsc::Receiver<Value>,
    told: Arc<Mutex<Told>>,
}

impl Worker {
    /// Starts one that receives by sockets, and waits for it to be registered.
    pub(crate) fn start(
        site: &Site,
        source: &Source,
        name: &'static str,
        weight: f32,
        port: u16,
    ) -> Self {
        Self::start_with(site, source, name, format!("socket {weight}"), port)
    }

    /// As [`Worker::start`], but it receives by AF_XDP.
    pub(crate) fn start_xdp(site: &Site, source: &Source, name: &'static str, port: u16) -> Self {
        Self::start_with(site, source, name, "xdp 1".into(), port)
    }

    fn start_with(
        site: &Site,
        source: &Source,
        name: &'static str,
        how: String,
        port: u16,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("worker");
        let listener = UnixListener::bind(&path).expect("a socket");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let listen = SocketAddr::new(site.workers_host(), port);
        let mut child = site
            .lab
            .receiver
            .command(env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "worker::process", "--nocapture"])
            .env(SOCKET, &path)
            .env("EJFAT_URI", site.uri().reveal())
            .env("WORKER", format!("{name} {how} {listen}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        let connected = Mutex::new(None);
        let found = eventually(|| {
            *connected.lock().expect("no panic") = listener.accept().ok();
            connected.lock().expect("no panic").is_some()
        });
        if !found {
            let _ = child.kill();
            panic!("worker {name} does not come: {:?}", child.wait());
        }
        let stream = connected.into_inner().expect("no panic").expect("it is there").0;
        stream.set_nonblocking(false).expect("a socket that blocks");
        let told = Arc::new(Mutex::new(Told::default()));
        let (answer, answers) = mpsc::channel();
        let (lines, there) = (stream.try_clone().expect("the other half"), told.clone());
        let room = source.room;
        thread::spawn(move || listen_to(lines, &there, &answer, room));
        let mut worker =
            Self { name, sessions: Vec::new(), child, commands: stream, answers, told };
        worker.status();
        worker
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers of its events.
    pub(crate) fn got(&self) -> Vec<u64> {
        let told = self.told();
        assert!(told.bad.is_empty(), "worker {}: {:?}", self.name, told.bad);
        told.got.clone()
    }

    /// How many events it has got.
    pub(crate) fn events(&self) -> u64 {
        self.told().got.len() as u64
    }

    /// Of how many packets these were.
    pub(crate) fn packets(&self) -> u64 {
        self.told().packets
    }

    fn say(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("the worker listens");
    }

    /// After each event its consumer sleeps for so long.
    pub(crate) fn nap(&mut self, time: Duration) {
        self.say(&format!("nap {}", time.as_millis()));
    }

    /// How it stands with the load balancer, in its own words.
    pub(crate) fn status(&mut self) -> Value {
        self.say("status");
        let status = self.answers.recv_timeout(PATIENCE).expect("a status");
        let session = status["session_id"].as_str().expect("a session").to_owned();
        if self.sessions.last() != Some(&session) {
            self.sessions.push(session);
        }
        status
    }

    /// How many entries the process has there: `fd`, `task`.
    pub(crate) fn entries(&self, of: &str) -> usize {
        fs::read_dir(format!("/proc/{}/{of}", self.child.id())).expect("it runs").count()
    }

    /// As the machine does it.
    pub(crate) fn kill(&mut self) {
        send_signal(&self.child, Signal::SIGKILL).expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Its orderly end: nothing was lost on its side.
    pub(crate) fn stop(mut self) {
        self.say("stop");
        let stats = self.answers.recv_timeout(PATIENCE).expect("statistics");
        assert!(self.child.wait().expect("it ends").success());
        assert_eq!(stats["events_ok"].as_u64(), Some(self.events()), "{stats}");
        for cause in ["kernel_drops", "duplicates", "late", "in_progress"] {
            assert_eq!(stats[cause], 0, "{cause}: {stats}");
        }
        for group in ["events_lost", "dropped"] {
            let causes = stats[group].as_object().expect("causes");
            assert!(causes.values().all(|count| *count == 0), "{group}: {stats}");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Of a failed test: it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen_to(lines: UnixStream, told: &Mutex<Told>, answer: &mpsc::Sender<Value>, room: usize) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        match (word, rest.parse()) {
            ("got", Ok(number)) => {
                told.packets += packets(number, room);
                told.got.push(number);
            }
            ("status" | "stats", _) => {
                let value = serde_json::from_str(rest).expect("JSON");
                // A test that fails asks no more.
                let _ = answer.send(value);
            }
            _ => told.bad.push(line),
        }
    }
}

/// The process.
#[test]
#[ignore = "a worker's process, which other tests start"]
fn process() {
    let Ok(path) = env::var(SOCKET) else { return };
    let test = UnixStream::connect(path).expect("the test");
    let words = env::var("WORKER").expect("who it is");
    let [name, backend, weight, listen] = words.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{words}");
    };
    let uri = EjfatUri::from_env("EJFAT_URI", TokenKind::Instance).expect("a URI");
    let registration = Registration {
        options: Options { timeout: PATIENCE, ..Options::default() },
        weight: weight.parse().expect("a number"),
        gains: Gains { kp: 200.0, ..Gains::default() },
        linger: Duration::from_secs(2),
        ..Registration::new(uri, name)
    };
    let receiver = Reassembler::builder(listen.parse().expect("an address"))
        .backend(if backend == "xdp" { Backend::Xdp } else { Backend::Socket })
        .timeout(PATIENCE)
        .queue(QUEUE)
        .overflow(Overflow::Block)
        .register(registration)
        .start()
        .expect("registered");
    let nap = AtomicU64::new(0);
    let out = Mutex::new(&test);
    let say = |line: String| {
        let mut out = out.lock().expect("no panic");
        // A test that fails listens no more.
        let _ = out.write_all(line.as_bytes());
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            obey(&test, &nap, || {
                let status = receiver.registration().expect("a registration");
                say(format!("status {}\n", serde_json::to_string(&status).expect("JSON")));
            });
            receiver.stop();
        });
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(event) => {
                    let number = event.event_number();
                    match payload::first_difference(number, length(number), &event) {
                        None => say(format!("got {number}\n")),
                        Some(at) => say(format!("bad event {number} differs at {at}\n")),
                    }
                    thread::sleep(Duration::from_millis(nap.load(Relaxed)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(_) => break,
            }
        }
    });
    receiver.join();
    say(format!("stats {}\n", serde_json::to_string(&receiver.stats()).expect("JSON")));
}

/// Until the test says `stop`, or is gone.
fn obey(test: &UnixStream, nap: &AtomicU64, tell_status: impl Fn()) {
    for line in BufReader::new(test).lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("nap", time)) => nap.store(time.parse().expect("a number"), Relaxed),
            _ if line == "status" => tell_status(),
            _ => return,
        }
    }
}
