//! What the library knows of this host and of itself: for the console tools, as
//! JSON, and for the drop-in.

use std::{io, net::SocketAddr};

use pyo3::prelude::*;
use serde_json::{Value, json};
use xdpsar_dataplane::host::{
    Interface, LocalAddress, interface_by_name, interface_names, kernel_release, local_addresses,
    missing_capabilities, route_to,
};

use crate::options;

/// Kernel, privileges, and all interfaces of this network namespace.
#[pyfunction(name = "_host")]
pub(crate) fn host(py: Python<'_>) -> PyResult<String> {
    Ok(py.detach(describe)?)
}

/// The interface on the way to an address, empty if none carries the address
/// that datagrams leave from, and the MTU of that way. Nothing is sent.
#[pyfunction(name = "_route_to")]
pub(crate) fn way_to(ip: &Bound<'_, PyAny>) -> PyResult<(String, u32)> {
    let ip = options::ip(ip)?;
    let route = route_to(&SocketAddr::new(ip, 0))?;
    let own = local_addresses()?.into_iter().find(|local| local.address == route.source);
    Ok((own.map(|local| local.interface).unwrap_or_default(), route.mtu))
}

fn describe() -> io::Result<String> {
    let addresses = local_addresses()?;
    let mut interfaces = Vec::new();
    for name in interface_names()? {
        // Unless it is gone meanwhile.
        if let Some(interface) = interface_by_name(&name)? {
            interfaces.push(tell(&interface, &addresses));
        }
    }
    let (major, minor) = kernel_release();
    let host = json!({
        "kernel": format!("{major}.{minor}"),
        "missing_capabilities": missing_capabilities(),
        "interfaces": interfaces,
    });
    Ok(host.to_string())
}

fn tell(interface: &Interface, addresses: &[LocalAddress]) -> Value {
    let own = addresses.iter().filter(|local| local.interface == interface.name);
    json!({
        "name": interface.name,
        "index": interface.index,
        "up": interface.is_up,
        "loopback": interface.is_loopback,
        "driver": interface.driver,
        "mtu": interface.mtu,
        "numa_node": interface.numa_node,
        "rx_queues": interface.rx_queues,
        "tx_queues": interface.tx_queues,
        "addresses": own.map(|local| local.address).collect::<Vec<_>>(),
        "xdp": xdp(&interface.name),
    })
}

/// What its driver says, and who holds its hook; null where nobody says.
#[cfg(feature = "xdp")]
fn xdp(interface: &str) -> Value {
    use xdpsar_dataplane::inspect::{hook_holder, xdp_features};

    let Ok(features) = xdp_features(interface) else { return Value::Null };
    json!({
        "native": features.native,
        "redirect": features.redirect,
        "zero_copy": features.zero_copy,
        "multi_buffer": features.multi_buffer,
        "offload": features.offload,
        "zero_copy_segments": features.zero_copy_segments,
        "holder": hook_holder(interface).ok().flatten().map(|holder| holder.to_string()),
    })
}

#[cfg(not(feature = "xdp"))]
fn xdp(_interface: &str) -> Value {
    Value::Null
}

/// How this module was built.
#[pyfunction(name = "_build")]
pub(crate) fn build() -> String {
    let features: &[&str] = if cfg!(feature = "xdp") { &["xdp"] } else { &[] };
    json!({
        "rustc": env!("XDPSAR_RUSTC"),
        "target": env!("XDPSAR_TARGET"),
        "profile": env!("XDPSAR_PROFILE"),
        "features": features,
    })
    .to_string()
}
