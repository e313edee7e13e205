//! The demo's sending side: events through the library's segmenter, no more
//! on the way than the window lets.

use std::{
    io::{self, Stdout},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread,
};

use xdpsar::{EventOptions, Segmenter};

use super::{
    DATA_ID,
    link::{self, Pings},
    message::{FromSide, Sent, ToSide, read, write},
    mix::{LARGEST, Mix},
    window::{self, Window},
};
use crate::{args::demo::SideArgs, payload::Payload, status::Failure};

/// Sends everything, as fast as the receiver acknowledges it.
///
/// # Errors
/// Set-up failures; the network or the command is gone.
pub(super) fn run(args: &SideArgs, out: &mut Stdout) -> Result<(), Failure> {
    let address = if let Some(peer) = args.peer {
        link::make_pair(peer, args.run.mtu)?;
        link::ADDRESS
    } else {
        Ipv4Addr::LOCALHOST
    };
    write(out, &FromSide::Linked).map_err(Failure::telling)?;

    let window = Arc::new(Window::new(window::limit(args)));
    let (told, orders) = mpsc::channel();
    let acknowledged = Arc::clone(&window);
    thread::spawn(move || {
        for order in read::<ToSide>(io::stdin().lock()) {
            match order {
                ToSide::Placed(fragments) => acknowledged.acknowledge(fragments),
                order => {
                    if told.send(order).is_err() {
                        return;
                    }
                }
            }
        }
    });
    if !matches!(orders.recv(), Ok(ToSide::Send)) {
        return Err(Failure::OutputGone);
    }
    let pings = args.isolate.then(Pings::start).flatten();
    let to = SocketAddr::new(IpAddr::V4(address), args.port);
    let mut sent = send_all(args, to, &window)?;
    sent.pings = pings.and_then(Pings::finish);
    write(out, &FromSide::Sent(sent)).map_err(Failure::telling)
}

fn send_all(args: &SideArgs, to: SocketAddr, window: &Window) -> Result<Sent, Failure> {
    let mix = Mix::new(args.run.mtu);
    let mut segmenter = Segmenter::builder(to)
        .ports(super::ports(args.run.workers))
        .sockets(4)
        .mtu(args.run.mtu)
        .data_id(DATA_ID)
        .open()?;
    let mut buffer = vec![0; LARGEST];
    let mut sent = Sent { window: window.limit(), ..Sent::default() };
    let mut gate = window.gate(args.run.mtu);
    for number in 0..args.run.events {
        let event = &mut buffer[..mix.size(number)];
        Payload::Pattern.fill(number, DATA_ID, event);
        let options = EventOptions { event_number: Some(number), ..EventOptions::default() };
        segmenter.send_paced(event, options, &mut gate)?;
        if gate.is_stalled() {
            sent.stalled = true;
            break;
        }
        sent.events += 1;
        sent.bytes += event.len() as u64;
    }
    sent.datagrams = segmenter.counters().fragments;
    Ok(sent)
}
