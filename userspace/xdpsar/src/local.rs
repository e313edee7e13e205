//! Which of this host's addresses face another one.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use xdpsar_dataplane::{SetupError, error::SetupErrorKind, host};

/// The address that datagrams to `to` leave from, and so the one to receive
/// at what comes from there. Nothing is sent.
///
/// # Errors
/// [`SetupError`]: no route leads there.
pub fn local_address_towards(to: IpAddr) -> Result<IpAddr, SetupError> {
    let route = host::route_to(&SocketAddr::new(to, 0));
    route.map(|route| route.source).map_err(|error| no_route(to, error))
}

/// That one, and then the other addresses of the interface which leads there.
///
/// # Errors
/// [`SetupError`]: no route leads there.
pub fn local_addresses_towards(to: IpAddr) -> Result<Vec<IpAddr>, SetupError> {
    host::local_addresses_towards(&SocketAddr::new(to, 0)).map_err(|error| no_route(to, error))
}

fn no_route(to: IpAddr, error: io::Error) -> SetupError {
    SetupError::new(
        SetupErrorKind::NoInterface,
        format!("this host's address towards {to}"),
        format!("no route leads there ({error})"),
        "name the address to receive at, or check `ip route get`",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towards_ourselves() {
        for ip in ["127.0.0.1", "::1"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(local_address_towards(ip).unwrap(), ip);
            assert_eq!(local_addresses_towards(ip).unwrap()[0], ip);
        }
    }

    #[test]
    fn nowhere() {
        let error = local_addresses_towards("255.255.255.255".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::NoInterface, "{error}");
    }
}
