//! Everything that reads wire bytes, on any bytes: no panic, and the parsers
//! agree with each other, with what they build, and with a reading by hand.
//!
//! Input: 11 bytes of steering configuration (`config`), then a frame.

use xdpsar_wire::{
    DatagramError, Headers, LbFraming, LbHeader, ReHeader, SyncMessage, datagram,
    frame::{self, IpVersion, NotUdp, UdpDatagram},
    lb::LB_HEADER_LEN,
    re::RE_HEADER_LEN,
    steering::{DropCause, LaneMode, PassReason, SteerConfig, Verdict, decide},
};
use zerocopy::IntoBytes;

use crate::decode::Bytes;

const FRAMINGS: [LbFraming; 3] = [LbFraming::Auto, LbFraming::Keep, LbFraming::None];

/// Bytes of an input that are configuration.
pub const CONFIG_LEN: usize = 11;

/// Checks all laws.
///
/// # Panics
/// Where one is broken.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let config = config(&mut bytes);
    let frame = bytes.0;
    // The payload of a frame, and any bytes at all.
    let at = frame::walk(frame).map_or(frame.len(), |udp| udp.payload_offset());
    for bytes in [frame, &frame[at..]] {
        headers(bytes);
        sync(bytes);
    }
    built(data);
    walk(frame);
    steering(frame, &config);
}

/// Byte 0: bit 0 lane mode, bits 1-2 framing, bit 3 any address, bits 4-7
/// lanes as a power of two. Then base port (2), ports (1), MTU (2), IP
/// version and the first bytes of our address (5).
fn config(bytes: &mut Bytes<'_>) -> SteerConfig {
    let flags = bytes.u8();
    let lanes = 1 << (flags >> 4).min(14);
    let entropy = flags & 1 != 0;
    let (base_port, ports) = (bytes.u16(), u16::from(bytes.u8()));
    let max_ip_len = u32::from(bytes.u16());
    let version: u8 = if bytes.u8() & 1 == 0 { 4 } else { 6 };
    let mut address = [0; 16];
    let [first, second, third, last] = bytes.array();
    if version == 4 {
        address[..4].copy_from_slice(&[first, second, third, last]);
    } else {
        (address[0], address[1], address[14], address[15]) = (first, second, third, last);
    }
    SteerConfig {
        address,
        max_ip_len,
        ip_version: version,
        any_address: flags >> 3 & 1,
        lane_mode: if entropy { LaneMode::Entropy } else { LaneMode::Port } as u8,
        framing: flags >> 1 & 3,
        base_port,
        ports,
        lanes: if entropy { lanes } else { ports },
        workers: u16::from(flags >> 4),
    }
}

/// What `Headers::parse` must say, read by hand.
fn expected(bytes: &[u8], framing: LbFraming) -> Result<usize, DatagramError> {
    let lb = match framing {
        LbFraming::Auto => bytes.starts_with(b"LB"),
        LbFraming::Keep => true,
        LbFraming::None => false,
    };
    match (bytes, lb) {
        (bytes, _) if bytes.len() < 20 => Err(DatagramError::Short),
        ([0x10, 0, ..], false) => Ok(0),
        (_, false) => Err(DatagramError::BadReHeader),
        ([b'L', b'B', 2 | 3, 1, ..], true) if bytes.len() < 36 => Err(DatagramError::Short),
        ([b'L', b'B', 2 | 3, 1, rest @ ..], true) if rest[12..14] == [0x10, 0] => Ok(16),
        ([b'L', b'B', 2 | 3, 1, ..], true) => Err(DatagramError::BadReHeader),
        (_, true) => Err(DatagramError::BadLbHeader),
    }
}

fn headers(bytes: &[u8]) {
    for framing in FRAMINGS {
        let parsed = Headers::parse(bytes, framing);
        let re_offset = parsed.map(|headers| headers.len - RE_HEADER_LEN);
        assert_eq!(re_offset, expected(bytes, framing), "{framing:?}");

        // The same anywhere in a packet, and whatever follows.
        let shape = datagram::check(bytes, 0, bytes.len(), framing);
        let mut packet = vec![0xa5; 3];
        packet.extend_from_slice(&bytes[..bytes.len().min(64)]);
        packet.extend([0x10; 40]);
        assert_eq!(datagram::check(&packet[..], 3, bytes.len().min(64), framing), shape);
        assert_eq!(shape.map(|shape| shape.re_offset), re_offset);

        let Ok(headers) = parsed else { continue };
        let re = headers.re;
        assert_eq!(re.check(), Ok(()));
        let again = ReHeader::new(re.data_id(), re.offset(), re.length(), re.event_number());
        assert_eq!(again.as_bytes(), &bytes[headers.len - RE_HEADER_LEN..headers.len]);
        let entropy = shape.ok().and_then(|shape| shape.entropy());
        assert_eq!(entropy, headers.lb.map(LbHeader::entropy));
        if let Some(lb) = headers.lb {
            let again = match lb.check() {
                Ok(version) if version.number() == 3 => {
                    LbHeader::v3(lb.slot(), lb.entropy(), lb.tick())
                }
                Ok(_) => LbHeader::v2(lb.entropy(), lb.tick()),
                Err(error) => panic!("parsed, but {error}"),
            };
            let mut theirs = *bytes.first_chunk::<LB_HEADER_LEN>().expect("parsed");
            if theirs[2] == 2 {
                // Reserved there, and not looked at.
                theirs[4..6].fill(0);
            }
            assert_eq!(again.as_bytes(), theirs);
        }

        // Nothing behind the headers was looked at; nothing of them is
        // dispensable.
        let alone = Headers::parse(&bytes[..headers.len], framing).expect("all there");
        assert_eq!((alone.len, alone.re, alone.lb), (headers.len, re, headers.lb));
        let cut = Headers::parse(&bytes[..headers.len - 1], framing);
        assert_eq!(cut.err(), Some(DatagramError::Short));
    }
}

fn sync(bytes: &[u8]) {
    match SyncMessage::parse(bytes) {
        Ok(message) => {
            let again = SyncMessage::new(
                message.source_id(),
                message.event_number(),
                message.rate_hz(),
                message.unix_time_ns(),
            );
            assert_eq!(again.as_bytes(), bytes);
        }
        Err(_) => assert!(bytes.len() != 28 || bytes[..4] != *b"LC\x02\x00"),
    }
}

/// Headers with fields of any value, read again.
fn built(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (data_id, offset, length) = (bytes.u16(), bytes.u32(), bytes.u32());
    let number = u64::from_be_bytes(bytes.array());
    let (slot, entropy) = (bytes.u16(), bytes.u16());
    let re = ReHeader::new(data_id, offset, length, number);
    for lb in [LbHeader::v2(entropy, number), LbHeader::v3(slot, entropy, number)] {
        let datagram = [lb.as_bytes(), re.as_bytes()].concat();
        for framing in [LbFraming::Auto, LbFraming::Keep] {
            let headers = Headers::parse(&datagram, framing).expect("as built");
            assert_eq!((headers.lb, headers.re, headers.len), (Some(&lb), &re, 36));
        }
    }
    assert_eq!(
        (re.data_id(), re.offset(), re.length(), re.event_number()),
        (data_id, offset, length, number)
    );
    let message = SyncMessage::new(offset, number, length, number);
    assert_eq!(SyncMessage::parse(message.as_bytes()), Ok(message));
}

fn walk(frame: &[u8]) {
    let found = frame::walk(frame);
    let longer = [frame, &[0x11; 4]].concat();
    match found {
        Ok(udp) => {
            within(frame, &udp);
            assert_eq!(frame::walk(&longer[..]), Ok(udp), "padding is not looked at");
            let headers = &frame[..udp.payload_offset()];
            assert_eq!(frame::walk(headers), Ok(udp), "nor is the payload");
            assert_eq!(
                frame::walk(&headers[..headers.len() - 1]),
                Err(NotUdp::Unreadable),
                "but every header is"
            );
        }
        // What cannot be read is the only thing that more bytes may change.
        Err(NotUdp::Unreadable) => {}
        Err(reason) => assert_eq!(frame::walk(&longer[..]), Err(reason)),
    }
}

/// The offsets lie in the frame, in order, and the fields stand there.
fn within(frame: &[u8], udp: &UdpDatagram) {
    assert!(matches!(udp.ip_offset, 14 | 18 | 22));
    let header = match udp.ip {
        IpVersion::V4 => 20,
        IpVersion::V6 => 40,
    };
    assert!(udp.udp_offset >= udp.ip_offset + header);
    assert!(udp.payload_offset() <= frame.len());
    let be16 = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    assert_eq!(udp.dst_port, be16(udp.udp_offset + 2));
    assert_eq!(udp.udp_len, be16(udp.udp_offset + 4));
    let (version, ip_len) = match udp.ip {
        IpVersion::V4 => (4, usize::from(be16(udp.ip_offset + 2))),
        IpVersion::V6 => (6, 40 + usize::from(be16(udp.ip_offset + 4))),
    };
    assert_eq!((frame[udp.ip_offset] >> 4, udp.ip_len), (version, ip_len));
    match udp.payload_len(frame.len()) {
        Some(len) => {
            let end = udp.payload_offset() + len;
            assert!(end <= frame.len() && end <= udp.ip_offset + udp.ip_len);
            assert_eq!(udp.payload_len(frame.len() + 1), Some(len), "padding is no payload");
            assert_eq!(udp.payload_len(udp.ip_offset + udp.ip_len - 1), None);
        }
        None => assert!(
            udp.udp_len < 8
                || udp.udp_offset + usize::from(udp.udp_len) > udp.ip_offset + udp.ip_len
                || udp.ip_offset + udp.ip_len > frame.len()
        ),
    }
}

/// `decide`, from the walk and from `Headers::parse`.
fn steering(frame: &[u8], config: &SteerConfig) {
    let verdict = decide(frame, frame.len(), config);
    assert_eq!(verdict, verdict_by_parts(frame, config));
    assert!(verdict.counter() < Verdict::COUNTERS);
    let Verdict::Lane(lane) = verdict else { return };
    assert!(lane < config.lanes);
    let slot = config.slot(3, lane);
    assert!(slot / u32::from(config.workers.max(1)) == 3);
    // The program may have no more than the headers within reach.
    let udp = frame::walk(frame).expect("ours");
    let payload = &frame[udp.payload_offset()..];
    let framing = LbFraming::from_u8(config.framing);
    let headers = Headers::parse(payload, framing).expect("ours");
    let head = &frame[..udp.payload_offset() + headers.len];
    assert_eq!(decide(head, frame.len(), config), verdict);
}

fn verdict_by_parts(frame: &[u8], config: &SteerConfig) -> Verdict {
    let udp = match frame::walk(frame) {
        Ok(udp) => udp,
        Err(NotUdp::NotIp) => return Verdict::Pass(PassReason::NotIp),
        Err(NotUdp::NotUdp) => return Verdict::Pass(PassReason::NotUdp),
        Err(NotUdp::IpFragment) => return Verdict::Pass(PassReason::IpFragment),
        Err(NotUdp::Unreadable) => return Verdict::Pass(PassReason::Unreadable),
    };
    let (version, address) = match udp.ip {
        IpVersion::V4 => (4, &frame[udp.ip_offset + 16..][..4]),
        IpVersion::V6 => (6, &frame[udp.ip_offset + 24..][..16]),
    };
    if config.ip_version != version
        || (config.any_address == 0 && !config.address.starts_with(address))
    {
        return Verdict::Pass(PassReason::OtherAddress);
    }
    let ours = u32::from(config.base_port)..u32::from(config.base_port) + u32::from(config.ports);
    // A range that goes on at port 0 is refused before it gets here.
    let wrapped = u32::from(udp.dst_port) + (1 << 16);
    if !ours.contains(&u32::from(udp.dst_port)) && !ours.contains(&wrapped) {
        return Verdict::Pass(PassReason::OtherPort);
    }
    let Some(len) = udp.payload_len(frame.len()) else {
        return Verdict::Drop(DropCause::LengthMismatch);
    };
    if udp.ip_len > config.max_ip_len as usize {
        return Verdict::Drop(DropCause::Oversized);
    }
    let payload = &frame[udp.payload_offset()..][..len];
    let headers = match Headers::parse(payload, LbFraming::from_u8(config.framing)) {
        Ok(headers) => headers,
        Err(DatagramError::Short) => return Verdict::Drop(DropCause::Short),
        Err(DatagramError::BadLbHeader) => return Verdict::Drop(DropCause::BadLbHeader),
        Err(DatagramError::BadReHeader) => return Verdict::Drop(DropCause::BadReHeader),
    };
    match (config.lane_mode, headers.lb) {
        (0, _) => Verdict::Lane(udp.dst_port.wrapping_sub(config.base_port)),
        (_, Some(lb)) => Verdict::Lane(lb.entropy() % config.lanes),
        (_, None) => Verdict::Drop(DropCause::NoEntropy),
    }
}
