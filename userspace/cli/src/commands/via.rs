//! A load balancer that `recv` and `send` go by.

use std::env;

use xdpsar::{EjfatUri, Gains, LoadBalancer, Registration, load_balancer::Options};

use crate::{
    args::{
        lb::access::VARIABLE,
        via::{Via, Worker},
    },
    status::Failure,
};

/// A load balancer, and how to reach it.
pub(super) struct Found {
    pub(super) uri: EjfatUri,
    pub(super) options: Options,
}

/// The one that was asked for: by `--uri` or, where neither that nor
/// `elsewhere` was named, by the environment.
///
/// # Errors
/// There is no such URI, or the control plane does not say where its data
/// plane is.
pub(super) fn find(via: &Via, elsewhere: bool) -> Result<Option<Found>, Failure> {
    if via.uri.is_none() && (elsewhere || env::var_os(VARIABLE).is_none()) {
        return Ok(None);
    }
    let access = via.access();
    if access.uri.is_none() {
        tracing::info!("the load balancer is {VARIABLE}'s");
    }
    let (uri, options) = (access.uri()?, access.options()?);
    // An administrator's says where the control plane is, and nothing else.
    let complete = uri.data().is_some() && uri.sync().is_some();
    let uri = if complete {
        uri
    } else {
        let lb = LoadBalancer::new(uri, &options)?;
        lb.get(None)?;
        lb.uri()
    };
    Ok(Some(Found { uri, options }))
}

/// Why there is nothing to do: `option` would have named it.
pub(super) fn nowhere(asked: &str, option: &str) -> Failure {
    Failure::usage(
        asked,
        format!("neither {option} nor --uri is given, and {VARIABLE} is not set"),
        format!("name one of them: {option}, or the load balancer's --uri"),
    )
}

/// The worker that a receiver is to be.
pub(super) fn registration(found: Found, worker: &Worker) -> Registration {
    let name = worker
        .name
        .clone()
        .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let (usual, gains) = (Registration::new(found.uri, name), Gains::default());
    Registration {
        options: found.options,
        address: worker.advertise,
        weight: worker.share.weight(),
        min_factor: worker.share.min_factor(),
        max_factor: worker.share.max_factor(),
        slot_demands: worker.share.demands(),
        period: worker.period.unwrap_or(usual.period),
        horizon: worker.horizon.unwrap_or(usual.horizon),
        gains: Gains {
            set_point: worker.set_point.unwrap_or(gains.set_point),
            kp: worker.kp.unwrap_or(gains.kp),
            ki: worker.ki.unwrap_or(gains.ki),
            kd: worker.kd.unwrap_or(gains.kd),
        },
        high_water: worker.high_water.unwrap_or(usual.high_water),
        linger: worker.linger.unwrap_or(usual.linger),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn a_worker_is_what_was_asked_for() {
        let asked = |more: &str| {
            let line = format!("xdpsar recv --uri --name node1{more}");
            let Command::Recv(recv) = Cli::read(line.split(' ')).unwrap().command else {
                panic!("{line}")
            };
            let uri = "ejfat://t@127.0.0.1:1/lb/1?data=127.0.0.1:2".parse().unwrap();
            registration(Found { uri, options: Options::default() }, &recv.worker)
        };
        let usual = asked("");
        assert_eq!(usual.horizon, Duration::from_secs(1));
        assert_eq!((usual.gains, usual.weight), (Gains::default(), 1.0));
        let other = asked(" --horizon 300 --period 20 --kd 3 --high-water 0.5 --weight 2");
        assert_eq!([other.horizon, other.period], [300, 20].map(Duration::from_millis));
        assert_eq!((other.gains.kd, other.high_water, other.weight), (3.0, 0.5, 2.0));
    }
}
