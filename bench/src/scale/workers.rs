//! The whole way, with one worker and with two.
//!
//! Core 0 is the sender's; all of the receiver, its consumer included, is on
//! the other one. Two workers are then no faster than one: what can be told on
//! such a machine is what the second one costs.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use xdpsar::{Backend, EventOptions, Overflow, Reassembler, Segmenter, Wait};
use xdpsar_bench::cpu;
use xdpsar_dataplane::pin;
use xdpsar_tests::{Lab, LabConfig, pace::Window};

use crate::{
    curve::{Key, Point, Sample},
    partner::{MTU, PAYLOAD, PORT},
};

/// Bytes of an event: ten datagrams.
const EVENT: usize = 10 * PAYLOAD;
/// Events on the way at most: fewer datagrams than the RX rings hold.
const ON_THE_WAY: u64 = 64;
/// An event that takes longer than this is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// How fast the sender is, and how workers wait.
#[derive(Clone, Copy)]
struct Course {
    name: &'static str,
    rate_gbps: Option<f64>,
    wait: Wait,
}

const COURSES: [Course; 3] = [
    Course { name: "unpaced", rate_gbps: None, wait: Wait::Adaptive },
    Course { name: "2 Gb/s", rate_gbps: Some(2.0), wait: Wait::Adaptive },
    Course { name: "2 Gb/s, sleeping", rate_gbps: Some(2.0), wait: Wait::Sleep },
];

/// What an event costs its receiver by how many workers it has.
pub(crate) fn workers(lab: &Lab, milliseconds: u64) -> Vec<Point<'_>> {
    let mut points = Vec::new();
    for course in COURSES {
        for workers in [1, 2] {
            let key = Key {
                curve: "workers",
                series: course.name.to_owned(),
                count: workers,
                of: "workers",
                per: "event",
            };
            let measure =
                move || run(lab, course, workers as usize, Duration::from_millis(milliseconds));
            points.push(Point { key, measure: Box::new(measure) });
        }
    }
    points
}

/// Room for all points: one after the other.
pub(crate) fn lab() -> Lab {
    Lab::new(LabConfig { queues: 1, mtu: MTU })
}

fn run(lab: &Lab, course: Course, workers: usize, time: Duration) -> anyhow::Result<Sample> {
    pin::pin_current_thread(1).context("the receiver's core")?;
    let to = SocketAddr::new(lab.receiver.address(false), PORT);
    let receiver = lab.receiver.run(|| {
        let builder = Reassembler::builder(to).backend(Backend::Xdp).ports(2);
        let builder = builder.workers(workers).cores(vec![1; workers]).wait(course.wait);
        builder.overflow(Overflow::Block).start()
    })?;
    let window = Arc::new(Window::new(ON_THE_WAY));
    let (ready, started) = mpsc::channel();
    let (go, going) = mpsc::channel();
    let for_sender = Arc::clone(&window);
    let sending = lab.sender.spawn(move || -> anyhow::Result<(u64, Duration)> {
        pin::pin_current_thread(0).context("the sender's core")?;
        let builder = Segmenter::builder(to).ports(2).mtu(MTU).rate_gbps(course.rate_gbps);
        let mut sender = builder.open()?;
        let payload = vec![0x5a; EVENT];
        ready.send(())?;
        going.recv()?;
        let (start, before) = (Instant::now(), cpu::thread());
        let mut sent = 0;
        while start.elapsed() < time {
            for_sender.admit(sent);
            let options = EventOptions {
                event_number: Some(sent),
                entropy: Some(sent as u16),
                ..EventOptions::default()
            };
            sender.send_with(&payload, options)?;
            sent += 1;
        }
        Ok((sent, cpu::thread() - before))
    });
    started.recv().context("the sender ended")?;
    let (start, before) = (Instant::now(), cpu::process());
    go.send(())?;
    let mut batch = Vec::with_capacity(64);
    let (mut events, mut last) = (0, Instant::now());
    let (mut sending, mut all) = (Some(sending), None);
    while all.is_none_or(|(sent, _)| events < sent) {
        let count = receiver.recv_batch(&mut batch, 64, Duration::from_millis(20));
        ensure!(batch.iter().all(|event| event.len() == EVENT), "an event of another length");
        batch.clear();
        events += count as u64;
        (0..count).for_each(|_| window.arrived());
        if count > 0 {
            last = Instant::now();
        }
        ensure!(last.elapsed() < PATIENCE, "{:?}", receiver.stats());
        if let Some(over) = sending.take_if(|sending| sending.is_finished()) {
            all = Some(over.join().ok().context("the sender panicked")??);
        }
    }
    let (sent, sender_cpu) = all.context("the sender never ended")?;
    let cpu = cpu::process().saturating_sub(before).saturating_sub(sender_cpu);
    let elapsed = last - start;
    receiver.join();
    let stats = receiver.stats();
    ensure!(events == sent && stats.is_clean(), "{events} of {sent}: {stats:?}");
    let bytes = (events * EVENT as u64) as f64;
    let also = vec![
        ("receiver_cpu_s_per_gb", cpu.as_secs_f64() / bytes * 1e9),
        ("gbps", bytes * 8.0 / elapsed.as_secs_f64() / 1e9),
        ("receiver_syscalls_per_event", stats.syscalls as f64 / events as f64),
    ];
    Ok(Sample { ns: cpu.as_nanos() as f64 / events as f64, also })
}
