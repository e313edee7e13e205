//! Whoever competes sends the event, whole, in as many datagrams as it takes.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use xdpsar_bench::fragment::DATA_ID;
use xdpsar_reassembly::{Assembler, AssemblerConfig, Event, LostEvent, Pool, PoolConfig, Sink};
use xdpsar_tests::{Lab, LabConfig, pace::PATIENCE, payload, privilege, privileged};

use crate::{
    Effort,
    bare::Parts,
    compete,
    contestant::Contestant,
    course::{Case, Course, Sink as CourseSink, Way},
    stream::Stream,
};

/// Few enough datagrams for any receive buffer.
const LENGTHS: [usize; 3] = [1, 1000, 20_000];
const MTU: u32 = 1500;

#[derive(Default)]
struct Events(Vec<Event>);

impl Sink for Events {
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }

    fn lost(&mut self, lost: LostEvent) {
        panic!("{lost:?}");
    }
}

/// The next event, and its datagrams.
fn receive(socket: &UdpSocket) -> (Event, usize) {
    let pool = Pool::new(PoolConfig { budget: 16 << 20, max_event: 1 << 20 });
    let mut assembler = Assembler::new(AssemblerConfig::default(), pool);
    let (mut events, mut datagrams, mut buffer) = (Events::default(), 0, vec![0; 1 << 16]);
    loop {
        let len = socket.recv(&mut buffer).unwrap();
        assembler.ingest(0, buffer[..len].into(), 0, &mut events);
        datagrams += 1;
        if let Some(event) = events.0.pop() {
            return (event, datagrams);
        }
    }
}

/// Each contestant sends each event three times, the next one when the last
/// has come.
fn all_send_events(way: Way, to: SocketAddr, socket: &UdpSocket) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for length in LENGTHS {
        let sent = payload::bytes(length as u64, length);
        let stream = Stream::prepare(&sent, MTU, to.ip()).unwrap();
        let mut parts = Parts::of(&stream);
        let mut parts = Some(&mut parts);
        for contestant in Contestant::on(way) {
            let mut sender = contestant.open(to, MTU, &sent, &stream, &mut parts).unwrap();
            for _ in 0..3 {
                let calls = sender.calls();
                sender.send().unwrap();
                let (event, datagrams) = receive(socket);
                let context = format!("{contestant}, {length} bytes");
                assert!(event[..] == sent[..], "{context}");
                assert_eq!(
                    (event.data_id(), datagrams),
                    (DATA_ID, length.div_ceil(1436)),
                    "{context}"
                );
                assert!(sender.calls() > calls, "{context}");
            }
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv(&mut [0]).is_err(), "{contestant} sends more than the event");
            socket.set_nonblocking(false).unwrap();
        }
    }
}

#[test]
fn what_leaves_over_loopback_are_events() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    all_send_events(Way::Loopback, socket.local_addr().unwrap(), &socket);
}

#[test]
fn what_leaves_over_a_cable_are_events() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let to = SocketAddr::new(lab.receiver.address(false), 19522);
    let socket = lab.receiver.run(|| UdpSocket::bind(to).unwrap());
    lab.sender.run(|| all_send_events(Way::Veth, to, &socket));
    lab.sender.offload("tx-udp-segmentation", false);
    lab.sender.run(|| all_send_events(Way::VethCut, to, &socket));
}

/// What is measured ends where it should: nobody answers, nothing fails.
#[test]
fn every_case_runs_to_its_sink() {
    let effort = Effort { repeats: 1, least: Duration::ZERO, only: None };
    for sink in [CourseSink::Drop, CourseSink::Receive] {
        let mut course = Course::new(sink);
        for case in Case::all().into_iter().filter(|case| case.event == 10_000) {
            if case.way.is_cable() && privilege::missing().is_some() {
                continue;
            }
            let event = vec![1; case.event];
            let ran = course.run(case.way, |to| compete(case, &event, to, &effort));
            let outcome = ran.unwrap().unwrap();
            assert_eq!(outcome.runs.len(), Contestant::on(case.way).len());
            for (contestant, runs) in outcome.runs {
                assert!(runs[0].calls_per_gb > 0.0 && runs[0].gbps > 0.0, "{case} {contestant}");
            }
        }
    }
}
