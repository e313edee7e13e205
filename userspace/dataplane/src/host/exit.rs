//! Where datagrams leave this host: the interface that a route leads through,
//! and what they queue up in there.

use std::{
    ffi::CStr,
    io,
    net::{IpAddr, SocketAddr},
};

use super::{
    netlink::{Answer, Netlink, Question},
    wildcard,
};

/// `struct rtmsg`, `include/uapi/linux/rtnetlink.h`.
pub(super) const RTMSG: usize = 12;
/// `struct tcmsg`, there too.
const TCMSG: usize = 20;
// `include/uapi/linux/pkt_sched.h`
const TC_H_ROOT: u32 = u32::MAX;
const TC_H_MAJOR: u32 = 0xffff_0000;
const TCA_KIND: u16 = 1;

/// The name of the interface that datagrams to `to` leave through, from
/// `source` where that is given.
///
/// # Errors
/// The system's: `ENETUNREACH` where no route leads there.
pub(crate) fn interface_towards(source: Option<IpAddr>, to: &SocketAddr) -> io::Result<String> {
    let source = source.unwrap_or_else(|| wildcard(&to.ip()));
    let answer = Netlink::open()?.ask(route(to, source))?;
    let index = answer.attributes(RTMSG).find(|(kind, _)| *kind == libc::RTA_OIF);
    name_of(index.map_or(0, |(_, value)| number(value)))
}

/// The question for the route from `source` to `to`; a wildcard leaves the
/// source to the route.
pub(super) fn route(to: &SocketAddr, source: IpAddr) -> Question {
    let mut body = [0; RTMSG];
    let destination = octets(to.ip());
    body[0] = family(to.ip());
    body[1] = (destination.len() * 8) as u8;
    let mut question =
        Question::new(libc::RTM_GETROUTE, 0, &body).with(libc::RTA_DST, &destination);
    if source.is_ipv4() == to.is_ipv4() && !source.is_unspecified() {
        question = question.with(libc::RTA_SRC, &octets(source));
    }
    if let SocketAddr::V6(v6) = to
        && v6.scope_id() != 0
    {
        question = question.with(libc::RTA_OIF, &v6.scope_id().to_ne_bytes());
    }
    question
}

pub(super) fn family(ip: IpAddr) -> u8 {
    (if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

pub(super) fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_ne_bytes)
}

fn name_of(index: u32) -> io::Result<String> {
    let mut name = [0; libc::IFNAMSIZ];
    // SAFETY: there is room for the longest name and its end.
    if unsafe { libc::if_indextoname(index, name.as_mut_ptr()) }.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel ends names within `IFNAMSIZ`.
    Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

/// One queueing discipline.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Discipline {
    interface: u32,
    handle: u32,
    parent: u32,
    kind: String,
}

impl Discipline {
    fn read(answer: &Answer) -> io::Result<Self> {
        let body: [u8; TCMSG] = answer.body()?;
        let word =
            |at: usize| u32::from_ne_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        let kind = answer.attributes(TCMSG).find(|(kind, _)| *kind == TCA_KIND);
        let kind = kind.map_or(&[][..], |(_, value)| value);
        let kind = String::from_utf8_lossy(kind).trim_end_matches('\0').to_owned();
        Ok(Self { interface: word(4), handle: word(8), parent: word(12), kind })
    }
}

/// Whether datagrams leave the interface of that index no faster than
/// their socket's `SO_MAX_PACING_RATE`, which is for the queueing discipline
/// `fq` to keep (`net/sched/sch_fq.c`), and what there is.
///
/// # Errors
/// The system's.
pub(crate) fn paces(interface: u32) -> io::Result<(bool, String)> {
    let question = Question::new(libc::RTM_GETQDISC, libc::NLM_F_DUMP, &[0; TCMSG]);
    let answers = Netlink::open()?.list(question)?;
    let all = answers.iter().map(Discipline::read).collect::<io::Result<Vec<_>>>()?;
    Ok(judge(all.into_iter().filter(|found| found.interface == interface).collect()))
}

fn judge(disciplines: Vec<Discipline>) -> (bool, String) {
    let Some(root) = disciplines.iter().find(|found| found.parent == TC_H_ROOT) else {
        return (false, "no queueing discipline".into());
    };
    // One discipline for each TX queue, below one that only spreads.
    let spreads = matches!(&root.kind[..], "mq" | "mqprio");
    let leaf = |found: &&Discipline| {
        found.parent != TC_H_ROOT && found.parent & TC_H_MAJOR == root.handle & TC_H_MAJOR
    };
    if !spreads {
        return (root.kind == "fq", root.kind.clone());
    }
    let leaves: Vec<_> = disciplines.iter().filter(leaf).collect();
    match leaves.iter().find(|leaf| leaf.kind != "fq") {
        Some(other) => (false, format!("{} with {}", root.kind, other.kind)),
        None if leaves.is_empty() => (false, root.kind.clone()),
        None => (true, format!("{} with fq", root.kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_ourselves_leads_through_the_loopback_interface() {
        for to in ["127.0.0.1:1", "[::1]:1"] {
            let to: SocketAddr = to.parse().unwrap();
            assert_eq!(interface_towards(None, &to).unwrap(), "lo");
            assert_eq!(interface_towards(Some(to.ip()), &to).unwrap(), "lo");
        }
        assert!(name_of(u32::MAX >> 1).is_err());
    }

    /// As `tc qdisc show` has them, in the kernel's form.
    fn found(list: &[(u32, u32, &str)]) -> Vec<Discipline> {
        list.iter()
            .map(|(handle, parent, kind)| Discipline {
                interface: 1,
                handle: *handle,
                parent: *parent,
                kind: (*kind).into(),
            })
            .collect()
    }

    #[test]
    fn only_fq_paces_and_only_where_all_datagrams_pass_it() {
        for (list, kept, says) in [
            (&[][..], false, "no queueing discipline"),
            (&[(0x8001_0000, TC_H_ROOT, "fq")], true, "fq"),
            (&[(0x8001_0000, TC_H_ROOT, "pfifo_fast")], false, "pfifo_fast"),
            // The default root, whose handle is 0, and of two queues.
            (&[(0, TC_H_ROOT, "mq"), (0, 1, "fq"), (0, 2, "fq")], true, "mq with fq"),
            (
                &[(0x10000, TC_H_ROOT, "mq"), (0x20000, 0x10001, "fq"), (0x30000, 0x10002, "etf")],
                false,
                "mq with etf",
            ),
            (&[(0x10000, TC_H_ROOT, "mq"), (0x20000, 0x70001, "fq")], false, "mq"),
            // Below a shaper, and beside the way out.
            (&[(0x10000, TC_H_ROOT, "tbf"), (0x20000, 0x10001, "fq")], false, "tbf"),
            (&[(0xffff_0000, 0xffff_fff1, "ingress")], false, "no queueing discipline"),
        ] {
            assert_eq!(judge(found(list)), (kept, says.into()), "{list:?}");
        }
    }

    #[test]
    fn disciplines_are_those_that_tc_shows() {
        xdpsar_tests::privileged!();
        let lab = xdpsar_tests::Lab::new(xdpsar_tests::LabConfig { queues: 2, mtu: 1500 });
        let va = lab.sender.run(|| {
            let to = SocketAddr::new(lab.receiver.address(false), 1);
            assert_eq!(interface_towards(None, &to).unwrap(), "va");
            // To itself it takes another way.
            let itself = SocketAddr::new(lab.sender.address(true), 1);
            assert_eq!(interface_towards(None, &itself).unwrap(), "lo");
            super::super::interface_by_name("va").unwrap().unwrap().index
        });
        for (set, says) in [
            ("tc qdisc add dev va root tbf rate 1gbit burst 100kb limit 1mb", "tbf"),
            ("tc qdisc replace dev va root pfifo", "pfifo"),
            ("tc qdisc replace dev va root mq", "mq with pfifo_fast"),
        ] {
            lab.sender.tool(set);
            assert_eq!(lab.sender.run(|| paces(va)).unwrap(), (false, says.into()));
        }
    }
}
