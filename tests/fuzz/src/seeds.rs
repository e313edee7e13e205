//! Hand-made inputs that the corpora grew from: one of each kind of thing, so
//! that the fuzzer need not guess a magic number or a length field.
//! `sh scripts/fuzz.sh corpus` writes them to files.

use xdpsar_wire::{LbHeader, ReHeader, SyncMessage};
use zerocopy::IntoBytes;

use crate::{
    frames::{PORT, ethernet, extension, ipv4, ipv6, udp},
    parser::CONFIG_LEN,
};

/// For [`crate::parser::run`]: a configuration and a frame.
pub fn parser() -> Vec<Vec<u8>> {
    let frames = frames();
    // Lane by port, any address; by entropy, framing Keep, four lanes; by
    // port, framing None.
    let flags = [0x08, 0x2b, 0x0c];
    let with = |(nth, frame): (usize, &Vec<u8>)| {
        // The ports' first, how many, MTU 1500, version, our address.
        let mut input = vec![flags[nth % flags.len()]];
        input.extend(PORT.to_be_bytes());
        input.extend([4, 0x05, 0xdc]);
        input.push(u8::from(frame.get(14).is_some_and(|byte| byte >> 4 == 6)));
        input.extend([10, 0, 0, 2]);
        assert_eq!(input.len(), CONFIG_LEN);
        input.extend(frame);
        input
    };
    let mut seeds: Vec<_> = frames.iter().enumerate().map(with).collect();
    let sync = SyncMessage::new(1, 2, 1_000_000, 3);
    seeds.push([&[0; CONFIG_LEN][..], sync.as_bytes()].concat());
    seeds
}

/// For [`crate::core_vs_oracle::run`]: settings, then operations.
pub fn core_vs_oracle() -> Vec<Vec<u8>> {
    // Refuse with plenty; evict with a small budget; refuse with few places.
    let settings =
        [[2, 0, 0, 0, 0, 0, 0, 0], [5, 9, 9, 0, 0, 0, 0, 1], [0x3a, 0, 0, 7, 9, 2, 0, 2]];
    // Each operation by itself, some of them in twos to complete an event.
    let operations: &[&[u8]] = &[
        &[0, 1, 193, 193, 0, 7, 0, 1, 193, 193, 1, 7],
        &[0, 0x41, 99, 99, 1, 7, 1, 0x41, 99, 99, 0, 8],
        &[8, 2, 64, 0, 9, 33, 1, 9, 2, 64, 0, 0, 16, 2],
        &[10, 3, 192, 129, 5, 0, 10, 3, 192, 129, 5, 1],
        &[11, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        &[12, 3, 13, 7, 12, 0x82],
        &[14, 1],
        &[15, 0],
        &[15, 1, 4, 130, 0, 0, 9],
        &[15, 3, 5],
        &[15, 4, 6, 255, 255, 255, 255, 0, 0, 0, 9, 20, 1],
    ];
    let mut seeds = Vec::new();
    for settings in settings {
        seeds.extend(operations.iter().map(|operation| [&settings[..], operation].concat()));
        seeds.push([&settings[..], &operations.concat()].concat());
    }
    seeds
}

/// For [`crate::packet_step::run`]: settings, then operations.
pub fn packet_step() -> Vec<Vec<u8>> {
    // By port, checksums off, nothing lent; by entropy, LB header kept, all
    // lent that is whole; small budget, evicting, two frames to lend.
    let settings = [[0, 0, 255, 255, 255], [0x0b, 0x43, 255, 255, 0], [0x28, 0x12, 9, 0, 2]];
    let operations: &[&[u8]] = &[
        // Two fragments that make an event, one that is an event by itself.
        &[0, 1, 19, 9, 0, 0, 0, 0, 1, 19, 9, 1, 0, 0],
        &[1, 0xa2, 29, 200, 0, 0x25, 0],
        &[2, 0x63, 200, 199, 0, 0x11, 70, 3, 0x63, 200, 199, 1, 0x13, 77],
        // Spoilt: a byte changed, cut off.
        &[7, 1, 19, 9, 0, 0, 0, 23, 1, 0],
        &[7, 1, 19, 9, 0, 0, 0, 0, 0, 12],
        &[8, 20, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 8, 0, 69, 0],
        &[10, 12],
        &[12, 5],
        &[13, 0],
        &[14, 3],
        &[15],
    ];
    let mut seeds = Vec::new();
    for settings in settings {
        seeds.extend(operations.iter().map(|operation| [&settings[..], operation].concat()));
        seeds.push([&settings[..], &operations.concat()].concat());
    }
    seeds
}

/// A sound frame of each kind, then unsound ones.
fn frames() -> Vec<Vec<u8>> {
    let ours = udp(PORT + 1, &payload(true));
    let stripped = udp(PORT, &payload(false));
    let plain = ethernet(&[], 0x0800, &ipv4(0, 0, 17, &ours));
    let mut frames = vec![
        plain.clone(),
        ethernet(&[], 0x0800, &ipv4(0, 0, 17, &stripped)),
        ethernet(&[0x8100], 0x0800, &ipv4(8, 0, 17, &ours)),
        ethernet(&[0x88a8, 0x8100], 0x86dd, &ipv6(17, &ours)),
        ethernet(&[], 0x86dd, &ipv6(17, &stripped)),
        ethernet(&[], 0x86dd, &ipv6(0, &extension(60, &extension(43, &extension(17, &ours))))),
        // Not ours: TCP, fragments, ARP, another port, too many tags.
        ethernet(&[], 0x0800, &ipv4(0, 0, 6, &ours)),
        ethernet(&[], 0x0800, &ipv4(0, 0x2000, 17, &ours)),
        ethernet(&[], 0x86dd, &ipv6(44, &extension(17, &ours))),
        ethernet(&[], 0x0806, &[0, 1, 8, 0, 6, 4]),
        ethernet(&[], 0x0800, &ipv4(0, 0, 17, &udp(53, b"query"))),
        ethernet(&[0x8100, 0x8100, 0x8100], 0x0800, &[]),
        ethernet(&[], 0x0800, &ipv4(0, 0, 17, &udp(PORT, b"short"))),
    ];
    frames.push(plain[..plain.len() - 3].to_vec());
    frames.push([&plain[..], &[0; 9]].concat());
    frames
}

/// The first six of ten bytes of an event.
fn payload(lb: bool) -> Vec<u8> {
    let re = ReHeader::new(1, 0, 10, 7);
    let plain = [re.as_bytes(), b"bytes!"].concat();
    if lb { [LbHeader::v3(3, 0xbeef, 7).as_bytes(), &plain].concat() } else { plain }
}
