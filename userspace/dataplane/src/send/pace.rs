//! When datagrams may leave.

/// Decides when datagrams may leave.
pub trait Pace {
    /// IP bytes that may leave in one go; a datagram always may.
    fn at_once(&self) -> u64;

    /// Waits until `ip_bytes` more may leave.
    fn wait_for(&mut self, ip_bytes: u64);

    /// Whether the rest of the event shall not be sent any more. Asked after
    /// each wait, for the pace or for the system.
    fn gives_up(&self) -> bool {
        false
    }
}

/// As fast as the kernel takes them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn at_once(&self) -> u64 {
        u64::MAX
    }

    fn wait_for(&mut self, _ip_bytes: u64) {}
}
