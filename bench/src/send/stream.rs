//! The datagrams of one event, prepared: what a sender would have to make.

use std::net::IpAddr;

use anyhow::Context;
use xdpsar_bench::fragment::header;
use xdpsar_dataplane::send::plan::{self, Plan};
use xdpsar_wire::datagram::LB_RE_HEADER_LEN;

/// One event as it leaves, one datagram after the other.
pub(crate) struct Stream {
    bytes: Vec<u8>,
    datagram: usize,
}

impl Stream {
    /// Cuts `event` for datagrams to `to` of up to `mtu` bytes.
    pub(crate) fn prepare(event: &[u8], mtu: u32, to: IpAddr) -> anyhow::Result<Self> {
        let each = plan::max_payload(mtu, to, true).context("no room for a byte of the event")?;
        let plan = Plan::new(u32::try_from(event.len())?, each);
        let mut bytes = Vec::with_capacity(event.len() + plan.fragments() * LB_RE_HEADER_LEN);
        for (offset, len) in plan {
            bytes.extend(header(offset, event.len() as u32, 0, 0, 0));
            bytes.extend(&event[offset as usize..][..len]);
        }
        Ok(Self { bytes, datagram: each + LB_RE_HEADER_LEN })
    }

    /// Bytes of all datagrams but the last.
    pub(crate) const fn datagram(&self) -> usize {
        self.datagram
    }

    /// As they leave, all of them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One by one.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.datagram)
    }
}
