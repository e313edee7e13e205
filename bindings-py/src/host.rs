//! What the library knows of this host and of itself, as JSON: for the console
//! tools.

use std::io;

use pyo3::prelude::*;
use serde_json::{Value, json};
use xdpsar_dataplane::host::{
    Interface, LocalAddress, interface_by_name, interface_names, kernel_release, local_addresses,
    missing_capabilities,
};

/// Kernel, privileges, and all interfaces of this network namespace.
#[pyfunction(name = "_host")]
pub(crate) fn host(py: Python<'_>) -> PyResult<String> {
    Ok(py.detach(describe)?)
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
