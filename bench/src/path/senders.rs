//! Who sends.
//!
//! | module | holds |
//! |---|---|
//! | [`live`] | the kernel itself, by an XDP program |
//! | [`ours`] | what users run: `xdpsar::Segmenter` |

mod live;
mod ours;

use xdpsar::SendBackend::{Gso, Mmsg, Xdp};

use crate::role::{IP_UDP, Opened, Point, named};

/// One that sends.
pub(crate) struct Sender {
    pub(crate) name: &'static str,
    /// MTU of the cable at most.
    pub(crate) mtu: u32,
    /// Whether its frames reach an interface only where that has an XDP
    /// program, or GRO.
    pub(crate) napi: bool,
    open: fn(&Point) -> anyhow::Result<Opened>,
}

/// All of them.
pub(crate) const ALL: &[Sender] = &[
    Sender { name: "live", mtu: live::MTU, napi: true, open: |point| live::open(false, point) },
    Sender {
        name: "live-summed",
        mtu: live::MTU,
        napi: true,
        open: |point| live::open(true, point),
    },
    Sender { name: "gso", mtu: 9000, napi: false, open: |point| ours::open(Gso, point) },
    Sender { name: "mmsg", mtu: 9000, napi: false, open: |point| ours::open(Mmsg, point) },
    Sender { name: "xdp", mtu: 9000, napi: false, open: |point| ours::open(Xdp, point) },
];

impl Sender {
    /// The one of that name.
    pub(crate) fn named(name: &str) -> anyhow::Result<&'static Self> {
        named(ALL, |sender| sender.name, "sender", name)
    }

    /// Whether such datagrams fit its cable.
    pub(crate) const fn can_send(&self, datagram: usize) -> bool {
        datagram + IP_UDP <= self.mtu as usize
    }

    /// Opens it in this process's network namespace.
    pub(crate) fn open(&self, point: &Point) -> anyhow::Result<Opened> {
        (self.open)(point)
    }
}
