//! When datagrams may leave.

/// Decides when datagrams may leave.
pub trait Pace {
    /// IP bytes that may leave in one go; a datagram always may.
    fn at_once(&self) -> u64;

    /// Waits until `ip_bytes` more may leave.
    fn wait_for(&mut self, ip_bytes: u64);
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
