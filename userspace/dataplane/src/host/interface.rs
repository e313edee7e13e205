//! Network interfaces and the addresses they carry.

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString},
    fs, io, mem,
    net::IpAddr,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    ptr,
};

use crate::sys;

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// Its index, unique in the network namespace.
    pub index: u32,
    /// Largest IP datagram in bytes.
    pub mtu: u32,
    /// RX queues in use (`real_num_rx_queues`).
    pub rx_queues: u32,
    /// TX queues in use (`real_num_tx_queues`).
    pub tx_queues: u32,
    /// Whether it is switched on.
    pub is_up: bool,
    /// Whether it is the loopback interface.
    pub is_loopback: bool,
    /// The driver's name, where there is a driver.
    pub driver: Option<String>,
    /// The NUMA node that it is attached to, where there are several.
    pub numa_node: Option<u32>,
}

/// An address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The interface that carries it.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// Scope of a link-local IPv6 address, else 0.
    pub scope: u32,
}

/// Every IP address of this host, in the kernel's order.
///
/// # Errors
/// The system's.
pub fn local_addresses() -> io::Result<Vec<LocalAddress>> {
    let mut addresses = Vec::new();
    for_each_ifaddr(|name, entry| {
        // SAFETY: getifaddrs gives null or an address that is complete for
        // the family it names.
        if let Some(found) = unsafe { sys::read_address(entry.ifa_addr) } {
            let scope = match found {
                std::net::SocketAddr::V4(_) => 0,
                std::net::SocketAddr::V6(v6) => v6.scope_id(),
            };
            addresses.push(LocalAddress { interface: name.to_owned(), address: found.ip(), scope });
        }
    })?;
    Ok(addresses)
}

/// The names of all interfaces in this network namespace, sorted.
///
/// # Errors
/// The system's.
pub fn interface_names() -> io::Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for_each_ifaddr(|name, _| {
        names.insert(name.to_owned());
    })?;
    Ok(names.into_iter().collect())
}

/// The interface that carries `addr`; `None` if no interface does, or if
/// `addr` is the wildcard.
///
/// # Errors
/// The system's.
pub fn interface_of(addr: IpAddr) -> io::Result<Option<Interface>> {
    let found = local_addresses()?.into_iter().find(|local| local.address == addr);
    match found {
        Some(local) => interface_by_name(&local.interface),
        // All of 127.0.0.0/8 is local, though one address of it is listed.
        None if addr.is_loopback() => interface_by_name("lo"),
        None => Ok(None),
    }
}

/// The interface of that name, or `None`.
///
/// # Errors
/// The system's.
pub fn interface_by_name(name: &str) -> io::Result<Option<Interface>> {
    let Ok(c_name) = CString::new(name) else { return Ok(None) };
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Ok(None);
    }
    // SAFETY: a terminated string.
    let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
    if index == 0 {
        return Ok(None);
    }
    let mut request = InterfaceRequest::new(&c_name)?;
    let mtu = request.mtu()?;
    let flags = request.flags()?;
    let has = |flag| flags & flag != 0;
    let sysfs = sysfs_of(name, index);
    let (rx_queues, tx_queues) = match &sysfs {
        Some(dir) => {
            let queues = dir.join("queues");
            (count_queues(&queues, b"rx-"), count_queues(&queues, b"tx-"))
        }
        None => request.channels().unzip(),
    };
    Ok(Some(Interface {
        name: name.to_owned(),
        index,
        mtu,
        rx_queues: rx_queues.unwrap_or(1).max(1),
        tx_queues: tx_queues.unwrap_or(1).max(1),
        is_up: has(libc::IFF_UP),
        is_loopback: has(libc::IFF_LOOPBACK),
        driver: request.driver(),
        numa_node: sysfs.as_deref().and_then(numa_node),
    }))
}

/// The interface's directory in sysfs. A sysfs that was mounted in another
/// network namespace shows that one's interfaces: the index tells them apart.
fn sysfs_of(name: &str, index: u32) -> Option<PathBuf> {
    let dir = Path::new("/sys/class/net").join(name);
    let there: u32 = fs::read_to_string(dir.join("ifindex")).ok()?.trim().parse().ok()?;
    (there == index).then_some(dir)
}

/// The file says -1 where there is one node only, and is missing where there
/// is no device.
fn numa_node(sysfs: &Path) -> Option<u32> {
    fs::read_to_string(sysfs.join("device/numa_node")).ok()?.trim().parse().ok()
}

fn count_queues(queues: &Path, prefix: &[u8]) -> Option<u32> {
    let entries = fs::read_dir(queues).ok()?;
    let counts = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(prefix);
    u32::try_from(entries.flatten().filter(counts).count()).ok()
}

/// Calls `each` with every entry of `getifaddrs`: one per interface, and one
/// per address of it.
fn for_each_ifaddr(mut each: impl FnMut(&str, &libc::ifaddrs)) -> io::Result<()> {
    struct List(*mut libc::ifaddrs);
    impl Drop for List {
        fn drop(&mut self) {
            // SAFETY: the list came from getifaddrs and is freed once.
            unsafe { libc::freeifaddrs(self.0) };
        }
    }

    let mut list = List(ptr::null_mut());
    // SAFETY: writes one pointer.
    sys::check(unsafe { libc::getifaddrs(&mut list.0) })?;
    let mut next = list.0;
    // SAFETY: entries of the list live until `list` is dropped; the last one
    // is followed by null.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: every entry has a terminated name.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy();
        each(&name, entry);
        next = entry.ifa_next;
    }
    Ok(())
}

/// `struct ethtool_drvinfo`, `include/uapi/linux/ethtool.h`.
#[repr(C)]
struct EthtoolDrvinfo {
    cmd: u32,
    driver: [u8; 32],
    version: [u8; 32],
    fw_version: [u8; 32],
    bus_info: [u8; 32],
    erom_version: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

/// `struct ethtool_channels`, the same file.
#[repr(C)]
#[derive(Default)]
struct EthtoolChannels {
    cmd: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx_count: u32,
    tx_count: u32,
    other_count: u32,
    combined_count: u32,
}

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// Questions about one interface, asked through any socket (netdevice(7)).
struct InterfaceRequest {
    socket: std::os::fd::OwnedFd,
    request: libc::ifreq,
}

impl InterfaceRequest {
    fn new(name: &CStr) -> io::Result<Self> {
        let socket = sys::udp_socket(&std::net::SocketAddr::from(([0, 0, 0, 0], 0)))?;
        // SAFETY: all-zero is a valid ifreq.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.to_bytes()) {
            *to = *from as libc::c_char;
        }
        Ok(Self { socket, request })
    }

    fn ask(&mut self, question: libc::c_ulong) -> io::Result<()> {
        // SAFETY: every question asked here reads and writes an ifreq, or the
        // structure that `ifr_data` points to and that outlives the call.
        sys::check(unsafe { libc::ioctl(self.socket.as_raw_fd(), question, &mut self.request) })?;
        Ok(())
    }

    fn mtu(&mut self) -> io::Result<u32> {
        self.ask(libc::SIOCGIFMTU)?;
        // SAFETY: SIOCGIFMTU fills this member.
        let mtu = unsafe { self.request.ifr_ifru.ifru_mtu };
        Ok(u32::try_from(mtu).unwrap_or(0))
    }

    fn flags(&mut self) -> io::Result<i32> {
        self.ask(libc::SIOCGIFFLAGS)?;
        // SAFETY: SIOCGIFFLAGS fills this member.
        Ok(i32::from(unsafe { self.request.ifr_ifru.ifru_flags }))
    }

    fn ethtool<T>(&mut self, question: &mut T) -> io::Result<()> {
        let pointer: *mut T = question;
        self.request.ifr_ifru.ifru_data = pointer.cast();
        self.ask(libc::SIOCETHTOOL)
    }

    fn driver(&mut self) -> Option<String> {
        // SAFETY: all-zero is a valid value: integers only.
        let mut info: EthtoolDrvinfo = unsafe { mem::zeroed() };
        info.cmd = ETHTOOL_GDRVINFO;
        self.ethtool(&mut info).ok()?;
        let name = CStr::from_bytes_until_nul(&info.driver).ok()?.to_string_lossy();
        (!name.is_empty()).then(|| name.into_owned())
    }

    /// Of RX and of TX.
    fn channels(&mut self) -> Option<(u32, u32)> {
        let mut channels = EthtoolChannels { cmd: ETHTOOL_GCHANNELS, ..Default::default() };
        self.ethtool(&mut channels).ok()?;
        let both = channels.combined_count;
        Some((channels.rx_count + both, channels.tx_count + both))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_known_by_name_and_by_address() {
        let lo = interface_by_name("lo").unwrap().unwrap();
        assert!(
            lo.is_loopback
                && lo.mtu >= 1280
                && lo.rx_queues >= 1
                && lo.tx_queues >= 1
                && lo.index > 0,
            "{lo:?}"
        );
        for address in ["127.0.0.1", "127.1.2.3", "::1"] {
            assert_eq!(interface_of(address.parse().unwrap()).unwrap().as_ref(), Some(&lo));
        }
        assert!(interface_names().unwrap().contains(&"lo".to_owned()));
    }

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(interface_of("192.0.2.77".parse().unwrap()).unwrap(), None);
        assert_eq!(interface_of("0.0.0.0".parse().unwrap()).unwrap(), None);
        for name in ["", "no-such-if", "a name that is far too long", "nul\0inside"] {
            assert_eq!(interface_by_name(name).unwrap(), None, "{name:?}");
        }
    }
}
