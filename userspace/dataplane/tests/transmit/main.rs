//! Events sent by AF_XDP across a veth pair.

mod capture;
mod refusals;
mod trouble;
mod vectors;

use std::net::SocketAddr;

use capture::PORT;
use xdpsar_dataplane::{OutgoingEvent, Payload, SendBackend, SendConfig, Sender};
use xdpsar_tests::Lab;

/// To the lab's other host, by AF_XDP.
fn config(lab: &Lab, v6: bool) -> SendConfig {
    let to = SocketAddr::new(lab.receiver.address(v6), PORT);
    SendConfig { backend: SendBackend::Xdp, ..SendConfig::new(to) }
}

fn send(sender: &mut Sender, event: &OutgoingEvent, bytes: &[u8]) {
    sender.send(event, Payload::whole(bytes)).expect("sent");
}

fn pattern(length: usize) -> Vec<u8> {
    xdpsar_tests::payload::bytes(1, length)
}
