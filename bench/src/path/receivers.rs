//! Who receives.
//!
//! | module | holds |
//! |---|---|
//! | [`afxdp`] | bare loops, the ceilings of the AF_XDP path |
//! | [`drop`] | the cable's ceiling: nothing but arrival |
//! | [`incumbent`] | the rival |
//! | [`messages`] | one `recvmmsg` after the other into the same buffers |
//! | [`ours`] | what users run: `xdpsar::Reassembler` |
//! | [`recvmmsg`] | bare loops, the ceilings of the socket path |

mod afxdp;
mod drop;
mod incumbent;
#[allow(unsafe_code, reason = "the kernel is given pointers")]
mod messages;
mod ours;
mod recvmmsg;

use xdpsar::Lend;

use self::{ours::Path, recvmmsg::Gro};
use crate::role::{Consumer, Opened, Point, named};

/// What they all receive from.
const INTERFACE: &str = "vb";

/// What a receiver makes of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Makes {
    /// Nothing: it knows no events.
    Datagrams,
    /// Events of any length, for a consumer.
    Events,
    /// Events of one fragment, for a consumer: with others it would be another
    /// one under a second name.
    Fragments,
}

/// One that competes.
pub(crate) struct Receiver {
    pub(crate) name: &'static str,
    pub(crate) makes: Makes,
    open: fn(&Point, Option<Consumer>) -> anyhow::Result<Opened>,
}

/// All of them, in the order of the table.
pub(crate) const ALL: &[Receiver] = &[
    Receiver { name: "drop", makes: Makes::Datagrams, open: |_, _| drop::open() },
    Receiver {
        name: "afxdp-release",
        makes: Makes::Datagrams,
        open: |point, _| afxdp::open(false, point),
    },
    Receiver {
        name: "afxdp-copy",
        makes: Makes::Datagrams,
        open: |point, _| afxdp::open(true, point),
    },
    Receiver {
        name: "recvmmsg",
        makes: Makes::Datagrams,
        open: |point, _| recvmmsg::open(Gro::No, point),
    },
    Receiver {
        name: "gro",
        makes: Makes::Datagrams,
        open: |point, _| recvmmsg::open(Gro::Yes, point),
    },
    Receiver {
        name: "xdp-1",
        makes: Makes::Events,
        open: |point, consumer| ours::open(Path::xdp(1, Lend::Auto), point, consumer),
    },
    Receiver {
        name: "xdp-2",
        makes: Makes::Events,
        open: |point, consumer| ours::open(Path::xdp(2, Lend::Auto), point, consumer),
    },
    Receiver {
        name: "xdp-lent",
        makes: Makes::Fragments,
        open: |point, consumer| ours::open(Path::xdp(1, Lend::On), point, consumer),
    },
    Receiver {
        name: "xdp-copied",
        makes: Makes::Fragments,
        open: |point, consumer| ours::open(Path::xdp(1, Lend::Off), point, consumer),
    },
    Receiver {
        name: "socket",
        makes: Makes::Events,
        open: |point, consumer| ours::open(Path::Socket { gro: true }, point, consumer),
    },
    Receiver {
        name: "socket-nogro",
        makes: Makes::Events,
        open: |point, consumer| ours::open(Path::Socket { gro: false }, point, consumer),
    },
    Receiver { name: "incumbent", makes: Makes::Events, open: incumbent::open },
];

impl Receiver {
    /// The one of that name.
    pub(crate) fn named(name: &str) -> anyhow::Result<&'static Self> {
        named(ALL, |receiver| receiver.name, "receiver", name)
    }

    /// Opens it in this process's network namespace: its ports are bound when
    /// this returns.
    pub(crate) fn open(&self, point: &Point, consumer: Option<Consumer>) -> anyhow::Result<Opened> {
        (self.open)(point, consumer)
    }
}

#[cfg(test)]
mod tests;
