//! The frame that all frames begin as: a full datagram of an event.

use anyhow::{Context, ensure};
use xdpsar_bench::fragment;

use crate::role::{PORT, Point, RECEIVER, SENDER};

const FROM_PORT: u16 = 40_000;
const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
/// Where the datagram's payload begins: the LB header.
const PAYLOAD: usize = ETHERNET + IP + UDP;
const PROTOCOL_UDP: u8 = 17;

/// The frame, all of it but what the program writes: 0 there.
pub(super) struct Template {
    frame: Vec<u8>,
    /// Bytes of the last datagram of an event.
    last: usize,
}

impl Template {
    /// Of full datagrams from `interface`.
    ///
    /// # Errors
    /// Events are less than that, or the kernel does not know the neighbour's
    /// hardware address.
    pub(super) fn new(interface: &str, point: &Point) -> anyhow::Result<Self> {
        let address = std::fs::read_to_string(format!("/sys/class/net/{interface}/address"))?;
        let (from, to) = (mac(address.trim())?, mac(&neighbour(interface)?)?);
        ensure!(point.event >= point.share(), "events of a full datagram at least");
        let mut frame = Vec::with_capacity(PAYLOAD + point.datagram);
        frame.extend([to, from].concat());
        frame.extend([0x08, 0x00]);
        // Not to be fragmented, 64 hops.
        frame.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, PROTOCOL_UDP, 0, 0]);
        frame.extend([SENDER.octets(), RECEIVER.octets()].concat());
        frame.extend([FROM_PORT.to_be_bytes(), PORT.to_be_bytes(), [0; 2], [0; 2]].concat());
        frame.extend(fragment::header(0, u32::try_from(point.event)?, 0, 0, 0));
        frame.extend((0..point.share()).map(|index| index as u8));
        let rest = point.event % point.share();
        let last = point.datagram - if rest == 0 { 0 } else { point.share() - rest };
        Ok(Self { frame, last })
    }

    pub(super) fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Sum of the IPv4 header's words.
    pub(super) fn ip_sum(&self) -> u32 {
        words(&self.frame[ETHERNET..ETHERNET + IP])
    }

    /// Sums of what the UDP checksum covers, of a full datagram and of an
    /// event's last.
    pub(super) fn udp_sums(&self) -> [u32; 2] {
        [self.frame.len() - PAYLOAD, self.last].map(|payload| {
            let addresses = words(&[SENDER.octets(), RECEIVER.octets()].concat());
            // Both in the pseudo-header and in the header.
            let len = 2 * (UDP + payload) as u32;
            let datagram = words(&self.frame[ETHERNET + IP..PAYLOAD + payload]);
            addresses + u32::from(PROTOCOL_UDP) + len + datagram
        })
    }
}

/// Sum of the words of 16 bits; the last may lack a byte, which is then 0.
fn words(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

/// The hardware address of [`RECEIVER`], as the kernel has learnt it.
fn neighbour(interface: &str) -> anyhow::Result<String> {
    // Address, type, flags, hardware address, mask, interface; of the
    // namespace that this thread is in.
    let table = std::fs::read_to_string("/proc/thread-self/net/arp")?;
    let known = table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_it = fields.first() == Some(&RECEIVER.to_string().as_str());
        (is_it && fields.last() == Some(&interface)).then(|| fields[3].to_owned())
    });
    known
        .with_context(|| format!("{RECEIVER} is no neighbour on {interface} so far: ping it first"))
}

fn mac(text: &str) -> anyhow::Result<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
    let bytes = bytes.ok().and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    bytes.with_context(|| format!("{text:?} is no hardware address"))
}
