//! Receives events and sends one: `cargo run --example events -- 127.0.0.1:19522`.

use std::{net::SocketAddr, time::Duration};

use xdpsar::{EventOptions, Reassembler, Segmenter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("an address to listen on")?.parse()?;
    let receiver = Reassembler::builder(address)
        .ports(4)
        .workers(2)
        .memory(1 << 30) // everything in progress, queued and held by you
        .timeout(Duration::from_millis(500)) // without progress
        .start()?; // AF_XDP or sockets:
    println!("{}: {}", receiver.backend().kind, receiver.backend().reason);

    let mut segmenter = Segmenter::builder(address).ports(4).rate_gbps(10.0).open()?;
    segmenter.send(b"an event")?; // in this thread
    let ticket = segmenter.submit(vec![7; 1 << 20], EventOptions::default())?; // by a worker
    println!("event {} is out", ticket.wait()?);

    // Also recv_timeout, try_recv, recv_batch; from any thread.
    for event in receiver.iter().take(2) {
        println!("event {}: {} bytes", event.event_number(), event.len());
    } // Dropping an event gives its buffer back.
    Ok(())
}
