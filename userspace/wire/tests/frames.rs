//! From the Ethernet header to the verdict, frame by frame, written out.

use xdpsar_wire::{
    LbFraming, LbHeader, LbVersion, ReHeader,
    frame::{IpVersion, NotUdp, walk},
    steering::{DropCause, LaneMode, PassReason, SteerConfig, Verdict, decide},
};
use zerocopy::IntoBytes;

const PORT: u16 = 19_522;
const UDP: u8 = 17;

/// Ethernet with these tags (their EtherTypes, outermost first) and this
/// EtherType, then `rest`.
fn ethernet(tags: &[u16], ethertype: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0x00, 0x64]);
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(rest);
    frame
}

/// IPv4 from 10.0.0.1 to 10.0.0.2, with options of so many bytes.
fn ipv4(options: usize, flags_and_offset: u16, protocol: u8, rest: &[u8]) -> Vec<u8> {
    let header_len = 20 + options;
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0];
    packet.extend(((header_len + rest.len()) as u16).to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(flags_and_offset.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.resize(header_len, 1);
    packet.extend(rest);
    packet
}

/// IPv6 from fd77::1 to fd77::2; `next` is the first header behind it.
fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((rest.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    for host in [1, 2] {
        packet.extend([0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
    }
    packet.extend(rest);
    packet
}

/// An extension header of `8 × (units + 1)` bytes.
fn extension(next: u8, units: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = vec![next, units];
    header.resize((usize::from(units) + 1) * 8, 0);
    header.extend(rest);
    header
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = 40_000_u16.to_be_bytes().to_vec();
    datagram.extend(port.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// Both headers, and four bytes of an event.
fn payload(entropy: u16) -> Vec<u8> {
    let lb = LbHeader::new(LbVersion::V2, entropy, 7);
    let re = ReHeader::new(1, 0, 4, 7);
    [lb.as_bytes(), re.as_bytes(), &[1, 2, 3, 4]].concat()
}

fn config() -> SteerConfig {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[10, 0, 0, 2]);
    SteerConfig {
        address,
        max_ip_len: 1500,
        ip_version: 4,
        any_address: 0,
        lane_mode: LaneMode::Port as u8,
        framing: LbFraming::Auto as u8,
        base_port: PORT,
        ports: 4,
        lanes: 4,
        workers: 3,
    }
}

fn verdict(frame: &[u8], config: &SteerConfig) -> Verdict {
    decide(frame, frame.len(), config)
}

/// A frame that is ours under [`config`], to be spoilt.
fn ours() -> Vec<u8> {
    ethernet(&[], 0x0800, &ipv4(0, 0, UDP, &udp(PORT + 2, &payload(0xbeef))))
}

#[test]
fn udp_is_found_behind_every_header_that_is_walked_over() {
    let datagram = udp(PORT, b"payload");
    for (tags, tags_len) in [
        (&[][..], 0),
        (&[0x8100], 4),
        (&[0x88a8], 4),
        (&[0x9100], 4),
        (&[0x88a8, 0x8100], 8),
        (&[0x8100, 0x8100], 8),
        (&[0x9100, 0x8100], 8),
    ] {
        let at = 14 + tags_len;
        for options in [0, 4, 20, 40] {
            let found = walk(&ethernet(tags, 0x0800, &ipv4(options, 0x4000, UDP, &datagram))[..]);
            let found = found.unwrap();
            assert_eq!((found.ip, found.ip_offset), (IpVersion::V4, at));
            assert_eq!((found.ip_len, found.udp_offset), (35 + options, at + 20 + options));
            assert_eq!((found.dst_port, found.udp_len), (PORT, 15));
            assert_eq!(found.payload_offset(), at + 28 + options);
            assert_eq!(found.payload_len(at + 35 + options), Some(7));
        }
        // Hop-by-hop, routing, destination options: alone and in a row, the
        // longest that there can be.
        let one = |kind| (kind, extension(UDP, 2, &datagram), 24);
        let three = extension(43, 0, &extension(60, 1, &extension(UDP, 0, &datagram)));
        let four = extension(0, 0, &three);
        for (next, rest, extended) in [
            (UDP, datagram.clone(), 0),
            one(0),
            one(43),
            one(60),
            (0, three, 32),
            (60, four, 40),
            (60, extension(UDP, 255, &datagram), 2048),
        ] {
            let found = walk(&ethernet(tags, 0x86dd, &ipv6(next, &rest))[..]).unwrap();
            assert_eq!((found.ip, found.ip_offset), (IpVersion::V6, at));
            assert_eq!((found.ip_len, found.udp_offset), (55 + extended, at + 40 + extended));
            assert_eq!((found.dst_port, found.udp_len), (PORT, 15));
        }
    }
}

#[test]
fn what_is_not_udp_is_said_to_be_what_it_is() {
    let datagram = udp(PORT, b"payload");
    let v4 = |rest: &[u8]| ethernet(&[], 0x0800, rest);
    let v6 = |next, rest: &[u8]| ethernet(&[], 0x86dd, &ipv6(next, rest));
    let five =
        (0..5).fold(datagram.clone(), |rest, n| extension(if n == 0 { UDP } else { 60 }, 0, &rest));
    let with = |mut packet: Vec<u8>, at: usize, to: u8| {
        packet[at] = to;
        v4(&packet)
    };
    let plain = ipv4(0, 0, UDP, &datagram);
    for (frame, reason) in [
        // ARP, an 802.3 length, one tag too many.
        (ethernet(&[], 0x0806, &[0; 28]), NotUdp::NotIp),
        (ethernet(&[], 0x002e, &[0x42; 46]), NotUdp::NotIp),
        (ethernet(&[0x88a8, 0x8100, 0x8100], 0x0800, &plain), NotUdp::NotIp),
        // TCP, ICMP, ICMPv6, ESP, authentication header, no next header.
        (v4(&ipv4(0, 0, 6, &datagram)), NotUdp::NotUdp),
        (v4(&ipv4(0, 0, 1, &datagram)), NotUdp::NotUdp),
        (v6(58, &datagram), NotUdp::NotUdp),
        (v6(50, &datagram), NotUdp::NotUdp),
        (v6(51, &extension(UDP, 1, &datagram)), NotUdp::NotUdp),
        (v6(59, &[]), NotUdp::NotUdp),
        (v6(60, &five), NotUdp::NotUdp),
        // First, middle and last fragment; IPv6, also behind another header,
        // and "atomic" (a fragment of everything).
        (v4(&ipv4(0, 0x2000, UDP, &datagram)), NotUdp::IpFragment),
        (v4(&ipv4(8, 0x2001, UDP, &datagram)), NotUdp::IpFragment),
        (v4(&ipv4(0, 0x00b9, UDP, &datagram)), NotUdp::IpFragment),
        (v6(44, &extension(UDP, 0, &datagram)), NotUdp::IpFragment),
        (v6(0, &extension(44, 0, &extension(UDP, 0, &datagram))), NotUdp::IpFragment),
        // A fragment is the kernel's whatever it is a fragment of.
        (v4(&ipv4(0, 0x2000, 6, &datagram)), NotUdp::IpFragment),
        // Wrong version, header of less than 20 bytes, or longer than the
        // datagram.
        (with(plain.clone(), 0, 0x65), NotUdp::Unreadable),
        (with(plain.clone(), 0, 0x44), NotUdp::Unreadable),
        (with(plain.clone(), 3, 19), NotUdp::Unreadable),
        (ethernet(&[], 0x86dd, &plain), NotUdp::Unreadable),
        (ethernet(&[], 0x0800, &ipv6(UDP, &datagram)), NotUdp::Unreadable),
        (vec![], NotUdp::Unreadable),
    ] {
        assert_eq!(walk(&frame[..]), Err(reason), "{frame:02x?}");
    }
}

#[test]
fn a_frame_that_ends_before_its_udp_header_does_is_unreadable() {
    for (frame, headers) in [
        (ethernet(&[0x88a8, 0x8100], 0x0800, &ipv4(40, 0, UDP, &udp(PORT, b"x"))), 22 + 60 + 8),
        (ethernet(&[], 0x86dd, &ipv6(0, &extension(UDP, 3, &udp(PORT, b"x")))), 14 + 40 + 32 + 8),
    ] {
        for len in 0..headers {
            assert_eq!(walk(&frame[..len]), Err(NotUdp::Unreadable), "{len} of {headers}");
        }
        assert!(walk(&frame[..headers]).is_ok());
    }
}

#[test]
fn lengths_must_nest() {
    let frame = ours();
    let found = walk(&frame[..]).unwrap();
    let payload = frame.len() - 42;
    assert_eq!(found.payload_len(frame.len()), Some(payload));
    // Padding behind the IP datagram is nothing to us.
    assert_eq!(found.payload_len(frame.len() + 18), Some(payload));
    assert_eq!(found.payload_len(frame.len() - 1), None);
    let changed = |udp_len: u16, ip_len: usize| {
        let mut changed = found;
        (changed.udp_len, changed.ip_len) = (udp_len, ip_len);
        changed.payload_len(frame.len())
    };
    assert_eq!(changed(found.udp_len - 1, found.ip_len), Some(payload - 1));
    assert_eq!(changed(8, found.ip_len), Some(0));
    assert_eq!(changed(7, found.ip_len), None);
    assert_eq!(changed(0, found.ip_len), None);
    assert_eq!(changed(found.udp_len + 1, found.ip_len), None);
    assert_eq!(changed(found.udp_len, found.ip_len - 1), None);
    assert_eq!(changed(u16::MAX, 65_535), None);
}

#[test]
fn what_is_not_ours_passes() {
    let udp4 = |to| ethernet(&[], 0x0800, &ipv4(0, 0, UDP, &udp(to, &payload(0))));
    let pass = |frame: &[u8]| match verdict(frame, &config()) {
        Verdict::Pass(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(pass(&ethernet(&[], 0x0806, &[0; 28])), PassReason::NotIp);
    assert_eq!(pass(&ethernet(&[], 0x0800, &ipv4(0, 0, 6, &[0; 20]))), PassReason::NotUdp);
    assert_eq!(
        pass(&ethernet(&[], 0x0800, &ipv4(0, 0x2000, UDP, &udp(PORT, &[])))),
        PassReason::IpFragment
    );
    assert_eq!(pass(&ours()[..30]), PassReason::Unreadable);
    for port in [0, 22, PORT - 1, PORT + 4, u16::MAX] {
        assert_eq!(pass(&udp4(port)), PassReason::OtherPort);
    }
    // A neighbour's address, and the other IP version.
    let mut foreign = ours();
    foreign[33] = 3;
    assert_eq!(pass(&foreign), PassReason::OtherAddress);
    let v6 = ethernet(&[], 0x86dd, &ipv6(UDP, &udp(PORT, &payload(0))));
    assert_eq!(pass(&v6), PassReason::OtherAddress);
    // Malformed, but on a port that is not ours.
    assert_eq!(
        pass(&ethernet(&[], 0x0800, &ipv4(0, 0, UDP, &udp(22, b"LB")))),
        PassReason::OtherPort
    );
}

#[test]
fn any_address_still_means_one_ip_version() {
    let mut foreign = ours();
    foreign[33] = 3;
    let v6 = ethernet(&[], 0x86dd, &ipv6(UDP, &udp(PORT + 1, &payload(0))));
    let any4 = SteerConfig { any_address: 1, ..config() };
    assert_eq!(verdict(&foreign, &any4), Verdict::Lane(2));
    assert_eq!(verdict(&v6, &any4), Verdict::Pass(PassReason::OtherAddress));
    let any6 = SteerConfig { ip_version: 6, ..any4 };
    assert_eq!(verdict(&v6, &any6), Verdict::Lane(1));
    assert_eq!(verdict(&foreign, &any6), Verdict::Pass(PassReason::OtherAddress));
    let mut address = [0; 16];
    (address[0], address[1], address[15]) = (0xfd, 0x77, 2);
    assert_eq!(verdict(&v6, &SteerConfig { any_address: 0, address, ..any6 }), Verdict::Lane(1));
    address[8] = 1;
    assert_eq!(
        verdict(&v6, &SteerConfig { any_address: 0, address, ..any6 }),
        Verdict::Pass(PassReason::OtherAddress)
    );
}

#[test]
fn what_is_ours_and_malformed_is_dropped_with_its_cause() {
    let drop = |frame: &[u8]| match verdict(frame, &config()) {
        Verdict::Drop(cause) => cause,
        other => panic!("{other:?}"),
    };
    let with = |payload: &[u8]| ethernet(&[], 0x0800, &ipv4(0, 0, UDP, &udp(PORT, payload)));
    let changed = |at: usize, to: u8| {
        let mut frame = ours();
        frame[at] = to;
        frame
    };
    assert_eq!(drop(&ours()[..ours().len() - 1]), DropCause::LengthMismatch);
    assert_eq!(drop(&changed(39, 0xff)), DropCause::LengthMismatch);
    assert_eq!(drop(&changed(39, 7)), DropCause::LengthMismatch);
    assert_eq!(drop(&with(&[])), DropCause::Short);
    assert_eq!(drop(&with(b"LB")), DropCause::Short);
    assert_eq!(drop(&with(&payload(0)[..35])), DropCause::Short);
    assert_eq!(drop(&changed(42 + 2, 4)), DropCause::BadLbHeader);
    assert_eq!(drop(&changed(42 + 3, 2)), DropCause::BadLbHeader);
    // Not "LB", so it would have to be an RE header.
    assert_eq!(drop(&changed(42, b'l')), DropCause::BadReHeader);
    assert_eq!(drop(&changed(42 + 16, 0x20)), DropCause::BadReHeader);
    assert_eq!(drop(&changed(42 + 17, 0x01)), DropCause::BadReHeader);
    // The IP datagram counts, not the frame: 18 bytes are Ethernet and tag.
    let mut long = payload(0);
    long.resize(1472, 0);
    let tagged =
        |payload: &[u8]| ethernet(&[0x8100], 0x0800, &ipv4(0, 0, UDP, &udp(PORT, payload)));
    assert_eq!(verdict(&tagged(&long), &config()), Verdict::Lane(0));
    long.push(0);
    assert_eq!(drop(&tagged(&long)), DropCause::Oversized);
}

#[test]
fn the_framing_that_is_asked_for_is_insisted_on() {
    let framed = |framing: LbFraming| SteerConfig { framing: framing as u8, ..config() };
    let with_lb = ours();
    let without = payload(0)[16..].to_vec();
    let without = ethernet(&[], 0x0800, &ipv4(0, 0, UDP, &udp(PORT + 2, &without)));
    for (framing, lb, re_only) in [
        (LbFraming::Auto, Verdict::Lane(2), Verdict::Lane(2)),
        (LbFraming::Keep, Verdict::Lane(2), Verdict::Drop(DropCause::BadLbHeader)),
        (LbFraming::None, Verdict::Drop(DropCause::BadReHeader), Verdict::Lane(2)),
    ] {
        assert_eq!(verdict(&with_lb, &framed(framing)), lb, "{framing:?}");
        assert_eq!(verdict(&without, &framed(framing)), re_only, "{framing:?}");
    }
    // The entropy is in the LB header or nowhere.
    let by_entropy = |framing: LbFraming| SteerConfig {
        lane_mode: LaneMode::Entropy as u8,
        lanes: 64,
        ..framed(framing)
    };
    assert_eq!(verdict(&with_lb, &by_entropy(LbFraming::Auto)), Verdict::Lane(0xbeef & 63));
    assert_eq!(verdict(&with_lb, &by_entropy(LbFraming::Keep)), Verdict::Lane(0xbeef & 63));
    for framing in [LbFraming::Auto, LbFraming::None] {
        assert_eq!(verdict(&without, &by_entropy(framing)), Verdict::Drop(DropCause::NoEntropy));
    }
}

#[test]
fn lanes_and_slots() {
    // The last ports there are.
    let last = SteerConfig { base_port: 65_532, ..config() };
    for lane in 0..4 {
        let datagram = udp(65_532 + lane, &payload(0));
        let frame = ethernet(&[], 0x0800, &ipv4(0, 0, UDP, &datagram));
        assert_eq!(verdict(&frame, &last), Verdict::Lane(lane));
    }
    // Port 0 is 4 beyond the last, and no lane.
    let frame = ethernet(&[], 0x0800, &ipv4(0, 0, UDP, &udp(0, &payload(0))));
    assert_eq!(verdict(&frame, &last), Verdict::Pass(PassReason::OtherPort));
    // Three workers: lane 3 is worker 0's again; queue 2 has slots 6 to 8.
    let slots: Vec<u32> = (0..4).map(|lane| config().slot(2, lane)).collect();
    assert_eq!(slots, [6, 7, 8, 6]);
    assert_eq!(SteerConfig { workers: 0, ..config() }.slot(5, 3), 5);
}

#[test]
fn every_verdict_has_a_counter_of_its_own() {
    use DropCause::{BadLbHeader, BadReHeader, LengthMismatch, NoEntropy, Oversized, Short};
    use PassReason::{IpFragment, NotIp, NotUdp, OtherAddress, OtherPort, Unreadable};
    let pass = [NotIp, NotUdp, IpFragment, Unreadable, OtherAddress, OtherPort].map(Verdict::Pass);
    let drop =
        [LengthMismatch, Oversized, Short, BadLbHeader, BadReHeader, NoEntropy].map(Verdict::Drop);
    let names: Vec<&str> = [&[Verdict::Lane(3)][..], &pass, &drop]
        .concat()
        .into_iter()
        .map(|verdict| Verdict::COUNTER_NAMES[verdict.counter()])
        .collect();
    assert_eq!(names, Verdict::COUNTER_NAMES);
}
