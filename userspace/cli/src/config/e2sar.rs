//! Settings from E2SAR's INI files: its segmenter's for `send`, its
//! reassembler's for `recv`.

use std::{path::Path, rc::Rc};

use clap::Command;
use xdpsar_control::config::{
    Document,
    e2sar::{self, Given as Ini, Side, Typed},
};

use super::{
    options,
    setting::{Given, Setting, Source},
};

/// The settings for the command at `path`, and what is to be told.
///
/// # Errors
/// Values that their keys cannot have, or that the options do not take.
pub(crate) fn read(
    leaf: &Command,
    path: &[String],
    file: &Rc<Path>,
    document: &Document,
) -> Result<(Vec<Setting>, Vec<String>), Vec<String>> {
    let told = |what: &dyn std::fmt::Display| format!("{}:{what}", file.display());
    let reading = e2sar::read(document)
        .map_err(|faults| faults.iter().map(|fault| told(fault)).collect::<Vec<_>>())?;
    let mut warnings: Vec<_> = reading.warnings.iter().map(|fault| told(fault)).collect();
    let side = match path.first().map(String::as_str) {
        Some("recv") => Side::Reassembler,
        Some("send") => Side::Segmenter,
        _ => return Ok((Vec::new(), warnings)),
    };
    let (mut settings, mut faults) = (Vec::new(), Vec::new());
    for given in &reading.given {
        let name = given.key.name;
        let meaning = if given.key.of == side || given.key.of == Side::Both {
            meaning(side, given, &reading.given)
        } else {
            Meaning::Nothing("it is a key of the other side's file")
        };
        match meaning {
            Meaning::Default => {}
            Meaning::Option(option, value) => match options::find(leaf, option) {
                Some(arg) => {
                    if let Some(complaint) = options::complaint(arg, &value) {
                        faults.push(told(&format!("{}: {name}: {complaint}", given.at)));
                    }
                    let from = Source::File(Rc::clone(file), given.at);
                    // What contradicts itself in E2SAR's file works there.
                    settings.push(Setting { weak: true, ..Setting::new(option, value, from) });
                }
                None => warnings.push(told(&format!(
                    "{}: {name} says nothing to xdpsar {}",
                    given.at,
                    path.join(" ")
                ))),
            },
            Meaning::Nothing(why) => {
                warnings.push(told(&format!("{}: {name} is left out: {why}", given.at)));
            }
        }
    }
    if faults.is_empty() { Ok((settings, warnings)) } else { Err(faults) }
}

/// What a key with its value means to a command.
#[derive(Debug, PartialEq)]
enum Meaning {
    /// What the command does anyway.
    Default,
    /// An option's value.
    Option(&'static str, Given),
    /// Nothing, and why.
    Nothing(&'static str),
}

/// Why a value of another type than its key's would be left out.
const OTHER_TYPE: &str = "it is of another type";

fn number(option: &'static str, value: impl ToString) -> Meaning {
    Meaning::Option(option, Given::Values(vec![value.to_string()]))
}

fn milliseconds(option: &'static str, value: i64) -> Meaning {
    number(option, format!("{value}ms"))
}

fn flag(option: &'static str, on: bool) -> Meaning {
    Meaning::Option(option, Given::Flag(on))
}

fn meaning(side: Side, given: &Ini, all: &[Ini]) -> Meaning {
    let other =
        |name: &str| all.iter().find(|given| given.key.name == name).map(|given| given.value);
    match (given.key.name, given.value) {
        // With a URI, control plane; without one, none.
        ("general.useCP", Typed::Bool(true)) => Meaning::Default,
        ("general.useCP", Typed::Bool(false)) if side == Side::Segmenter => {
            flag("no-add-sender", true)
        }
        ("general.useCP", Typed::Bool(false)) => Meaning::Nothing("without --uri, nobody is told"),
        ("control-plane.warmUpMS", Typed::Whole(ms)) => milliseconds("sync-warm-up", ms),
        ("control-plane.syncPeriodMS", Typed::Whole(ms)) => milliseconds("sync-period", ms),
        // E2SAR has no use for it, either.
        ("control-plane.syncPeriods", _) | ("data-plane.zeroCopy", _) => Meaning::Default,
        ("data-plane.dpV6" | "data-plane.ticksAsREEventNum", Typed::Bool(false)) => {
            Meaning::Default
        }
        ("data-plane.dpV6", _) => flag("lb-ipv6", true),
        ("data-plane.ticksAsREEventNum", _) => Meaning::Nothing("events keep their numbers"),
        ("data-plane.connectedSocket", Typed::Bool(on)) => flag("no-connect", !on),
        ("data-plane.mtu", Typed::Whole(0)) => Meaning::Default,
        ("data-plane.mtu", Typed::Whole(mtu)) => number("mtu", mtu),
        ("data-plane.numSendSockets", Typed::Whole(count)) => number("sockets", count),
        ("data-plane.rateGbps", Typed::Number(rate)) if rate <= 0.0 => Meaning::Default,
        ("data-plane.rateGbps", Typed::Number(rate)) => number("rate", rate),
        ("data-plane.smooth", Typed::Bool(on)) => flag("no-smooth", !on),
        ("data-plane.multiPort", Typed::Bool(false)) => Meaning::Default,
        ("data-plane.multiPort", _) => {
            // From the n-th socket to the n-th port.
            let sockets = match other("data-plane.numSendSockets") {
                Some(Typed::Whole(sockets)) => sockets.unsigned_abs(),
                _ => 4,
            };
            number("ports", sockets.next_power_of_two())
        }
        ("data-plane.lbHdrVersion", Typed::Whole(version)) => number("lb-version", version),
        ("control-plane.usecAsEventNum", Typed::Bool(true)) => Meaning::Default,
        ("control-plane.usecAsEventNum", _) => number("tick", "event-number"),
        ("control-plane.zeroRate", Typed::Bool(false)) => Meaning::Default,
        ("control-plane.zeroRate", _) => number("sync-rate", "zero"),
        ("data-plane.sndSocketBufSize" | "data-plane.rcvSocketBufSize", Typed::Whole(bytes)) => {
            number("socket-buffer", bytes)
        }
        ("control-plane.useHostAddress", Typed::Bool(false)) => Meaning::Default,
        ("control-plane.useHostAddress", _) => Meaning::Nothing(
            "a certificate is checked against the URI's name; write an address there",
        ),
        ("control-plane.validateCert", Typed::Bool(on)) => flag("lb-no-verify", !on),
        // Counters are always told.
        ("control-plane.reportStats", _) => Meaning::Default,
        ("data-plane.periodMS", Typed::Whole(ms)) => milliseconds("period", ms),
        ("data-plane.epochMS", Typed::Whole(ms)) => milliseconds("horizon", ms),
        ("data-plane.portRange", Typed::Whole(-1)) => Meaning::Default,
        ("data-plane.portRange", Typed::Whole(bits)) => number("ports", 1_u32 << bits.clamp(0, 14)),
        // Without it we find out.
        ("data-plane.withLBHeader", Typed::Bool(false)) => Meaning::Default,
        ("data-plane.withLBHeader", _) => number("lb-header", "keep"),
        ("data-plane.eventTimeoutMS", Typed::Whole(ms)) => milliseconds("timeout", ms),
        ("pid.setPoint", Typed::Number(value)) => number("set-point", value),
        ("pid.Kp", Typed::Number(value)) => number("kp", value),
        ("pid.Ki", Typed::Number(value)) => number("ki", value),
        ("pid.Kd", Typed::Number(value)) => number("kd", value),
        ("pid.weight", Typed::Number(value)) => number("weight", value),
        ("pid.min_factor", Typed::Number(value)) => number("min-factor", value),
        ("pid.max_factor", Typed::Number(value)) => number("max-factor", value),
        // Types belong to keys: `every_key_means_something` looks at each.
        _ => Meaning::Nothing(OTHER_TYPE),
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, fs};

    use clap::CommandFactory;
    use xdpsar_control::config::ini;

    use super::{super::Surroundings, *};
    use crate::{
        args::{self, Cli, recv::RecvArgs},
        config::{self, options::Kind},
    };

    /// What the key can be set to, of these.
    fn values(name: &str) -> Vec<Ini> {
        let (section, key) = name.split_once('.').unwrap();
        let texts = ["true", "false", "-1", "0", "0.25", "1", "2", "3", "14", "1000", "9000"];
        let read =
            |text| e2sar::read(&ini::read(&format!("[{section}]\n{key} = {text}\n")).unwrap());
        texts.iter().filter_map(|text| read(text).ok()?.given.pop()).collect()
    }

    #[test]
    fn every_key_means_something() {
        let mut root = Cli::command();
        root.build();
        for key in &e2sar::KEYS {
            let given = values(key.name);
            assert!(given.len() > 1, "{}", key.name);
            for (side, command) in [(Side::Segmenter, "send"), (Side::Reassembler, "recv")] {
                if key.of != side && key.of != Side::Both {
                    continue;
                }
                let leaf = options::at(&root, &[command.to_owned()]).unwrap();
                for given in &given {
                    let what = format!("{command}: {} = {:?}", key.name, given.value);
                    match meaning(side, given, std::slice::from_ref(given)) {
                        Meaning::Default => {}
                        Meaning::Nothing(why) => assert_ne!(why, OTHER_TYPE, "{what}"),
                        Meaning::Option(option, value) => {
                            let arg = options::find(leaf, option).expect(&what);
                            assert_eq!(options::complaint(arg, &value), None, "{what}");
                            let is_flag = matches!(value, Given::Flag(_));
                            assert_eq!(is_flag, options::kind(arg) == Kind::Flag, "{what}");
                        }
                    }
                }
            }
        }
    }

    /// The options of `recv` with a reassembler's file.
    fn recv(line: &str) -> RecvArgs {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reassembler.ini");
        fs::write(
            &path,
            "[general]\nuseCP = true\n[control-plane]\nvalidateCert = true\n\
             [data-plane]\nperiodMS = 200\nepochMS = 1500\neventTimeoutMS = 700\n\
             [pid]\nsetPoint = 0.5\nKi = 1.5\nKp = 2.5\nKd = -3.5\n\
             weight = 4.5\nmin_factor = 0.75\nmax_factor = 5.5\n",
        )
        .unwrap();
        let line: Vec<OsString> =
            line.split(' ').map(Into::into).chain(["--config".into(), path.into()]).collect();
        let resolved = config::resolve(&line, &Surroundings::default()).unwrap();
        assert_eq!(resolved.warnings, [""; 0]);
        match config::parse(&resolved).unwrap().command {
            args::Command::Recv(recv) => *recv,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_workers_controller_is_its_files() {
        let recv = recv("xdpsar recv --uri ejfat://t@127.0.0.1:1/lb/1");
        let worker = &recv.worker;
        let gains = [worker.set_point, worker.ki, worker.kp, worker.kd].map(Option::unwrap);
        assert_eq!(gains, [0.5, 1.5, 2.5, -3.5]);
        let share = &worker.share;
        assert_eq!([share.weight(), share.min_factor(), share.max_factor()], [4.5, 0.75, 5.5]);
        let times = [worker.period, worker.horizon].map(|time| time.unwrap().as_millis());
        assert_eq!(times, [200, 1500]);
        assert_eq!(recv.timeout.as_millis(), 700);
    }

    #[test]
    fn without_a_load_balancer_the_rest_of_the_file_holds() {
        let recv = recv("xdpsar recv --listen 127.0.0.1:1");
        assert_eq!((recv.worker.set_point, recv.worker.horizon), (None, None));
        assert!(!recv.worker.share.is_given());
        assert_eq!(recv.timeout.as_millis(), 700);
    }
}
