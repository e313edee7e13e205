//! Frames by hand, layer by layer.

/// First of our UDP ports.
pub(crate) const PORT: u16 = 19_522;

/// Ethernet with these tags (their EtherTypes, outermost first).
pub(crate) fn ethernet(tags: &[u16], ethertype: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 100]);
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(rest);
    frame
}

pub(crate) fn ipv4(options: u8, flags_and_offset: u16, protocol: u8, rest: &[u8]) -> Vec<u8> {
    let header_len = 20 + options;
    let mut packet = vec![0x40 | (header_len / 4), 0];
    packet.extend((u16::from(header_len) + rest.len() as u16).to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(flags_and_offset.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.resize(usize::from(header_len), 1);
    packet.extend(rest);
    packet
}

pub(crate) fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((rest.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([[0xfd; 16], [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]].concat());
    packet.extend(rest);
    packet
}

pub(crate) fn extension(next: u8, rest: &[u8]) -> Vec<u8> {
    [&[next, 0, 0, 0, 0, 0, 0, 0], rest].concat()
}

pub(crate) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = 40_000_u16.to_be_bytes().to_vec();
    datagram.extend(port.to_be_bytes());
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}
