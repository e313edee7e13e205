//! Onto an interface's XDP hook and off again: native, generic, taken,
//! forbidden, killed.

use std::{
    io::{BufRead as _, BufReader},
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use libbpf_rs::{XdpFlags, libbpf_sys as sys};
use xdpsar_dataplane::{
    AttachMode, SetupError,
    error::SetupErrorKind,
    inspect::{self, Hook},
    steering::{AttachedMode, SteeringProgram},
};
use xdpsar_tests::{Host, Lab, LabConfig};
use xdpsar_wire::steering::{LaneMode, SteerConfig, Verdict, decide};

use crate::{
    frames::{BASE_PORT, Ip, PORTS, Recipe, payloads},
    kernel::{Program, QUEUES, XDP_PASS, XDP_REDIRECT},
};

const WORKERS: u16 = 3;

fn config() -> SteerConfig {
    SteerConfig {
        address: [0; 16],
        max_ip_len: 1500,
        ip_version: 4,
        any_address: 1,
        lane_mode: LaneMode::Port as u8,
        framing: 0,
        base_port: BASE_PORT,
        ports: PORTS,
        lanes: PORTS,
        workers: WORKERS,
    }
}

fn load() -> SteeringProgram {
    SteeringProgram::load(&config(), QUEUES * u32::from(WORKERS)).expect("root may load")
}

/// Kind and full text of a refusal.
fn refused<T>(result: Result<T, SetupError>) -> (SetupErrorKind, String) {
    let error = result.err().expect("a refusal");
    println!("{error}");
    (error.kind, error.to_string())
}

#[test]
fn native_and_generic_come_and_go() {
    xdpsar_tests::privileged!();
    // Jumbo frames too: the program takes packets in several buffers.
    let lab = Lab::new(LabConfig { queues: 4, mtu: 9000 });
    let host = &lab.receiver;
    host.run(|| {
        let mut program = load();
        for (asked, mode, hook) in [
            (AttachMode::Native, AttachedMode::Native, Hook::Native),
            (AttachMode::Generic, AttachedMode::Generic, Hook::Generic),
            (AttachMode::Auto, AttachedMode::Native, Hook::Native),
        ] {
            let attached = program.attach(&host.interface, asked).unwrap();
            assert_eq!((attached.mode, attached.reason), (mode, None));
            let holder = inspect::hook_holder(&host.interface).unwrap().unwrap();
            assert_eq!((holder.name.as_str(), holder.hook), ("xdpsar_steer", hook));
            let [ref seen] = host.xdp_programs()[..] else { panic!("one program") };
            assert_eq!((seen.id, seen.generic), (holder.id.into(), hook == Hook::Generic));
            // Not ours, and so the kernel's: as if the program were not there.
            lab.sender.answered(host.v4.into(), 56);
        }
        // What passed by was counted: the echo requests are IP and not UDP.
        let counters = program.counters().unwrap();
        let not_udp = Verdict::COUNTER_NAMES.iter().position(|name| *name == "pass_not_udp");
        assert!(counters[not_udp.unwrap()] >= 3, "{counters:?}");
        program.detach();
        assert_eq!(inspect::hook_holder(&host.interface).unwrap(), None);
        program.attach(&host.interface, AttachMode::Native).unwrap();
        drop(program);
        assert_eq!(inspect::hook_holder(&host.interface).unwrap(), None);
    });
}

#[test]
fn a_veth_has_native_xdp_in_several_buffers_but_no_zero_copy() {
    xdpsar_tests::privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.receiver.run(|| {
        let mut program = load();
        program.attach("vb", AttachMode::Native).unwrap();
        let features = inspect::xdp_features("vb").unwrap();
        assert!(features.native && features.redirect && features.multi_buffer, "{features:?}");
        assert!(!features.zero_copy && !features.offload, "{features:?}");
    });
}

#[test]
fn without_native_xdp_auto_says_why_and_goes_generic() {
    xdpsar_tests::privileged!();
    let lab = Lab::new(LabConfig { queues: 4, mtu: 1500 });
    lab.receiver.run(|| {
        let mut program = load();
        // The loopback has no native XDP.
        let (kind, text) = refused(program.attach("lo", AttachMode::Native));
        assert_eq!(kind, SetupErrorKind::Unsupported);
        assert!(text.contains("generic"), "{text}");
        let attached = program.attach("lo", AttachMode::Auto).unwrap();
        assert_eq!(attached.mode, AttachedMode::Generic);
        assert!(attached.reason.unwrap().contains("lo refused native XDP"));
        // A veth with fewer RX queues than its peer has TX queues.
        lab.receiver.tool("ethtool -L vb rx 1");
        let (kind, text) = refused(program.attach("vb", AttachMode::Native));
        assert_eq!(kind, SetupErrorKind::Unsupported);
        assert!(text.contains("ethtool -L vb"), "{text}");
        assert_eq!(program.attach("vb", AttachMode::Auto).unwrap().mode, AttachedMode::Generic);
        let (kind, _) = refused(program.attach("no-such-if", AttachMode::Auto));
        assert_eq!(kind, SetupErrorKind::NoInterface);
    });
}

/// Whoever came first stays, however he came.
#[test]
fn a_taken_hook_is_left_alone() {
    xdpsar_tests::privileged!();
    let lab = Lab::new(LabConfig::default());
    let host = &lab.receiver;
    host.run(|| {
        let mut first = load();
        for held in [AttachMode::Native, AttachMode::Generic] {
            first.attach("vb", held).unwrap();
            nobody_gets_past(host);
        }
        // As `ip link set … xdp` does: by netlink, without a link, and so
        // that a netlink request without flags would replace it.
        first.detach();
        let index = std::fs::read_to_string("/sys/class/net/vb/ifindex").unwrap();
        let index: i32 = index.trim().parse().unwrap();
        let by_netlink = libbpf_rs::Xdp::new(first.program_fd().unwrap());
        for flags in [|| XdpFlags::DRV_MODE, || XdpFlags::SKB_MODE] {
            by_netlink.attach(index, flags() | XdpFlags::UPDATE_IF_NOEXIST).unwrap();
            nobody_gets_past(host);
            by_netlink.detach(index, flags()).unwrap();
        }
    });
}

fn nobody_gets_past(host: &Host) {
    let holder = inspect::hook_holder("vb").unwrap().expect("a holder");
    let mut second = load();
    for asked in [AttachMode::Native, AttachMode::Generic, AttachMode::Auto] {
        let (kind, text) = refused(second.attach("vb", asked));
        assert_eq!(kind, SetupErrorKind::HookTaken);
        assert!(text.contains(&format!("program {} `xdpsar_steer`", holder.id)), "{text}");
        assert_eq!(inspect::hook_holder("vb").unwrap().as_ref(), Some(&holder));
        let [ref seen] = host.xdp_programs()[..] else { panic!("one program") };
        assert_eq!(seen.id, u64::from(holder.id));
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    // Before anything is asked of the kernel: needs no privileges.
    let last =
        |config: SteerConfig| SteerConfig { base_port: 65_535, ports: 1, lanes: 1, ..config };
    for (config, slots) in [
        (config(), 0),
        (SteerConfig { workers: 0, ..config() }, 4),
        (SteerConfig { ports: 0, lanes: 0, ..config() }, 4),
        (SteerConfig { ports: 2, ..last(config()) }, 4),
        (SteerConfig { lanes: PORTS * 2, ..config() }, 4),
        (SteerConfig { lanes: 24, lane_mode: LaneMode::Entropy as u8, ..config() }, 4),
        (SteerConfig { ip_version: 5, ..config() }, 4),
    ] {
        assert_eq!(refused(SteeringProgram::load(&config, slots)).0, SetupErrorKind::Usage);
    }
}

#[test]
fn slots_are_checked() {
    xdpsar_tests::privileged!();
    let mut program = load();
    let slots = QUEUES * u32::from(WORKERS);
    // Not an AF_XDP socket, and a slot too far.
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(refused(program.set_socket(0, udp.as_fd())).0, SetupErrorKind::System);
    assert_eq!(refused(program.set_socket(slots, udp.as_fd())).0, SetupErrorKind::System);
    assert_eq!(refused(program.clear_socket(slots)).0, SetupErrorKind::System);
    // What is not there need not be taken out.
    program.clear_socket(0).unwrap();
}

/// RX queue q has its own row of slots. The kernel lets a test run pretend to
/// a queue of an interface that has one.
#[test]
fn each_queue_has_its_own_slots() {
    xdpsar_tests::privileged!();
    let lab = Lab::new(LabConfig { queues: QUEUES, mtu: 1500 });
    lab.receiver.run(|| {
        let mut loaded = load();
        loaded.attach("vb", AttachMode::Native).unwrap();
        let index = std::fs::read_to_string("/sys/class/net/vb/ifindex").unwrap();
        let index = index.trim().parse().unwrap();
        let mut program = Program::of(loaded);
        for queue in 0..QUEUES {
            for port in BASE_PORT..BASE_PORT + PORTS {
                let v4 = Ip::V4 { options: 0, fragment: 0 };
                let recipe = Recipe::new(&[], v4, payloads().swap_remove(0));
                let frame = Recipe { port, ..recipe }.frame();
                let lane = port - BASE_PORT;
                assert_eq!(decide(&frame[..], frame.len(), &config()), Verdict::Lane(lane));
                let expected = queue * u32::from(WORKERS) + u32::from(lane % WORKERS);
                for slot in 0..QUEUES * u32::from(WORKERS) {
                    program.only_slot(Some(slot));
                    let action = program.run(&frame, None, Some((index, queue))).unwrap();
                    let right = if slot == expected { XDP_REDIRECT } else { XDP_PASS };
                    assert_eq!(action, right, "queue {queue}, lane {lane}, slot {slot}");
                }
            }
        }
    });
}

const CHILD: &str = "XDPSAR_HOLD_THE_HOOK";

/// Not a test: what the next one starts and kills.
#[test]
fn holds_the_hook_until_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let mut program = load();
    program.attach("vb", AttachMode::Native).unwrap();
    println!("\nattached");
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_owner_leaves_nothing_behind() {
    xdpsar_tests::privileged!();
    let lab = Lab::new(LabConfig::default());
    let host = &lab.receiver;
    let mut child: Command = host.command(std::env::current_exe().unwrap());
    let mut child = child
        .args(["--exact", "hook::holds_the_hook_until_killed", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "attached"), "the child gave up");
    assert_eq!(host.xdp_programs().len(), 1);
    // SIGKILL: no destructor runs.
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    while !host.xdp_programs().is_empty() {
        assert!(Instant::now() < deadline, "still attached one second after SIGKILL");
        thread::sleep(Duration::from_millis(10));
    }
}

// include/uapi/linux/capability.h.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Runs `f` on a thread that has these capabilities and no others.
fn with_capabilities<T: Send>(numbers: &[u32], f: impl FnOnce() -> T + Send) -> T {
    #[repr(C)]
    struct Header {
        version: u32,
        thread: i32,
    }
    let set: u64 = numbers.iter().map(|number| 1 << number).sum();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let header = Header { version: 0x2008_0522, thread: 0 };
            // Effective, permitted and inheritable: the low words, then the
            // high words.
            let sets = [set as u32, set as u32, 0, (set >> 32) as u32, (set >> 32) as u32, 0];
            // SAFETY: version 3 takes two sets of three words. By the bare
            // system call, it is this thread's alone.
            let result =
                unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
            assert_eq!(result, 0, "capset");
            f()
        });
        thread.join().unwrap()
    })
}

#[test]
fn missing_capabilities_are_named() {
    xdpsar_tests::privileged!();
    let slots = QUEUES * u32::from(WORKERS);
    let (kind, text) = with_capabilities(&[], || refused(SteeringProgram::load(&config(), slots)));
    assert_eq!(kind, SetupErrorKind::Permission);
    for name in ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON", "socket backend"] {
        assert!(text.contains(name), "{text}");
    }
    // Without CAP_PERFMON the verifier refuses, and not the permission check.
    let (kind, text) = with_capabilities(&[CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF], || {
        refused(SteeringProgram::load(&config(), slots))
    });
    assert_eq!(kind, SetupErrorKind::Permission);
    assert!(text.contains("lacks CAP_PERFMON;"), "{text}");
    // Network programs are CAP_NET_ADMIN's, too.
    let (kind, text) = with_capabilities(&[CAP_BPF, CAP_PERFMON, CAP_NET_RAW], || {
        refused(SteeringProgram::load(&config(), slots))
    });
    assert_eq!(kind, SetupErrorKind::Permission);
    assert!(text.contains("lacks CAP_NET_ADMIN;"), "{text}");
}

/// What the refusal says to `setcap` must be enough.
#[test]
fn four_capabilities_are_enough() {
    xdpsar_tests::privileged!();
    let lab = Lab::new(LabConfig::default());
    lab.receiver.run(|| {
        with_capabilities(&[CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON], || {
            let mut program = load();
            program.attach("vb", AttachMode::Native).unwrap();
            // SAFETY: no pointers; closed below.
            let socket = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0) };
            assert!(socket >= 0);
            // SAFETY: just opened, and nobody else has it.
            let socket = unsafe { OwnedFd::from_raw_fd(socket) };
            program.set_socket(0, socket.as_fd()).unwrap();
            program.clear_socket(0).unwrap();
            assert_eq!(program.counters().unwrap().len(), Verdict::COUNTERS);
        });
    });
}

/// The kernel's own accounts: the loaded program is small, and compiled.
#[test]
fn the_program_is_compiled_to_machine_code() {
    xdpsar_tests::privileged!();
    let program = load();
    let mut info = sys::bpf_prog_info::default();
    let mut length = size_of::<sys::bpf_prog_info>() as u32;
    let fd = program.program_fd().unwrap().as_raw_fd();
    // SAFETY: `info` is as long as announced.
    let result = unsafe { sys::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut length) };
    assert_eq!(result, 0);
    println!(
        "{} instructions verified, {} bytes of BPF, {} bytes compiled",
        info.verified_insns, info.xlated_prog_len, info.jited_prog_len
    );
    // The verifier gives up at a million.
    assert!(info.verified_insns < 100_000, "{}", info.verified_insns);
}
