//! From a frame to a datagram: the pure step between the RX ring and the
//! worker.

use xdpsar_wire::{
    LbFraming, Pieces, datagram,
    frame::{self, UdpDatagram},
    steering::LaneMode,
};

use super::checksum;
use crate::{
    config::{Checksum, ReceiveConfig},
    source::Datagram,
};

/// What a frame must be to be handed over. The steering program has decided
/// already that it is ours; here its payload and lane are found again, and
/// nothing is believed that was not checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judge {
    base_port: u16,
    ports: u16,
    lanes: u16,
    lane_mode: LaneMode,
    framing: LbFraming,
    checksum: Checksum,
}

/// Why a frame is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsound {
    /// The steering program should not have let it through.
    Frame,
    /// Wrong UDP checksum.
    Checksum,
}

impl Judge {
    pub(crate) const fn new(config: &ReceiveConfig) -> Self {
        Self {
            base_port: config.base_port,
            ports: config.ports,
            lanes: config.lanes,
            lane_mode: config.lane_mode,
            framing: config.framing,
            checksum: config.xdp.checksum,
        }
    }

    /// The datagram in a frame, whose bytes are `first` followed by each of
    /// `rest`. Cuts `rest` to the payload.
    #[inline]
    pub(crate) fn datagram<'a>(
        &self,
        first: &'a [u8],
        rest: &'a mut [&'a [u8]],
    ) -> Result<Datagram<'a>, Unsound> {
        let udp = frame::walk(first).map_err(|_| Unsound::Frame)?;
        let frame_len = first.len() + rest.iter().map(|piece| piece.len()).sum::<usize>();
        let payload_len = udp.payload_len(frame_len).ok_or(Unsound::Frame)?;
        let lane = self.lane(first, &udp, payload_len).ok_or(Unsound::Frame)?;
        // `walk` has read the whole UDP header from `first`.
        let payload = &first[udp.payload_offset()..];
        let bytes = if payload_len <= payload.len() {
            Pieces::whole(&payload[..payload_len])
        } else {
            let mut missing = payload_len - payload.len();
            let mut used = 0;
            for piece in rest.iter_mut() {
                if missing == 0 {
                    break;
                }
                *piece = &piece[..piece.len().min(missing)];
                missing -= piece.len();
                used += 1;
            }
            Pieces::chained(payload, &rest[..used])
        };
        if checksum::passes(self.checksum, first, &udp, &bytes) {
            Ok(Datagram { lane, bytes })
        } else {
            Err(Unsound::Checksum)
        }
    }

    #[inline]
    fn lane(&self, first: &[u8], udp: &UdpDatagram, payload_len: usize) -> Option<u16> {
        let port = udp.dst_port.wrapping_sub(self.base_port);
        if port >= self.ports {
            return None;
        }
        match self.lane_mode {
            LaneMode::Port => Some(port),
            LaneMode::Entropy => {
                let shape =
                    datagram::check(first, udp.payload_offset(), payload_len, self.framing).ok()?;
                Some(shape.entropy()? & (self.lanes - 1))
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An IPv4 frame to port 5000 + `port` with a payload that begins with an
    /// LB and an RE header, and with `padding` behind it.
    pub(in super::super) fn frame(port: u16, entropy: u16, body: &[u8], padding: usize) -> Vec<u8> {
        let mut payload = vec![b'L', b'B', 2, 1, 0, 0];
        payload.extend(entropy.to_be_bytes());
        payload.extend([0; 8]);
        payload.extend([0x10, 0]);
        payload.extend([0; 18]);
        payload.extend(body);
        let udp_len = (8 + payload.len()) as u16;
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((20 + udp_len).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34]);
        frame.extend((5000 + port).to_be_bytes());
        frame.extend(udp_len.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(payload);
        frame.resize(frame.len() + padding, 0xee);
        frame
    }

    pub(in super::super) fn judge(lane_mode: LaneMode) -> Judge {
        Judge {
            base_port: 5000,
            ports: 4,
            lanes: 4,
            lane_mode,
            framing: LbFraming::Keep,
            checksum: Checksum::Auto,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 8 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_payload_is_the_same_however_the_frame_is_cut(
            body in proptest::collection::vec(any::<u8>(), 0..300),
            padding in 0usize..40,
            cuts in proptest::collection::vec(1usize..120, 0..8),
            port in 0u16..4,
            entropy: u16,
        ) {
            let bytes = frame(port, entropy, &body, padding);
            // All headers lie in the first piece.
            let mut at = 42 + 36;
            let first = &bytes[..at];
            let mut rest = Vec::new();
            for cut in cuts {
                let next = (at + cut).min(bytes.len());
                rest.push(&bytes[at..next]);
                at = next;
            }
            rest.push(&bytes[at..]);
            let mut by_entropy = rest.clone();
            let datagram = judge(LaneMode::Port).datagram(first, &mut rest).expect("sound");
            prop_assert_eq!(datagram.lane, port);
            let mut got = vec![0; datagram.bytes.len()];
            datagram.bytes.copy_to(&mut got);
            prop_assert_eq!(&got[36..], &body[..]);
            let datagram = judge(LaneMode::Entropy).datagram(first, &mut by_entropy).expect("sound");
            prop_assert_eq!(datagram.lane, entropy & 3);
        }

        #[test]
        fn no_bytes_make_it_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            like_ours: bool,
            cut in 0usize..200,
        ) {
            if like_ours {
                let good = frame(1, 2, &[7; 50], 0);
                for (byte, good) in bytes.iter_mut().zip(&good).take(cut) {
                    *byte = *good;
                }
            }
            let (first, rest) = bytes.split_at(cut.min(bytes.len()));
            for mode in [LaneMode::Port, LaneMode::Entropy] {
                let _ = judge(mode).datagram(first, &mut [rest]);
            }
        }
    }

    #[test]
    fn another_port_or_a_wrong_length_is_unsound() {
        let sound = frame(3, 0, &[1; 10], 0);
        assert!(judge(LaneMode::Port).datagram(&sound, &mut []).is_ok());
        assert_eq!(
            judge(LaneMode::Port).datagram(&frame(4, 0, &[], 0), &mut []).err(),
            Some(Unsound::Frame)
        );
        assert_eq!(
            judge(LaneMode::Port).datagram(&sound[..sound.len() - 1], &mut []).err(),
            Some(Unsound::Frame)
        );
    }

    #[test]
    fn a_wrong_checksum_is_told_apart() {
        let mut bytes = frame(0, 0, &[1; 10], 0);
        bytes[40] = 0x12;
        bytes[41] = 0x34;
        assert_eq!(judge(LaneMode::Port).datagram(&bytes, &mut []).err(), Some(Unsound::Checksum));
    }
}
