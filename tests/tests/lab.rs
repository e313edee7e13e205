//! The harness proves itself: a test is worth what its lab is worth.

use std::{
    net::{SocketAddr, UdpSocket},
    panic::{AssertUnwindSafe, catch_unwind},
    process::Stdio,
};

use xdpsar_tests::{
    Lab, LabConfig, lab,
    pace::{PATIENCE, until},
    privileged, tool,
};

#[test]
fn the_cable_has_the_mtu_and_the_queues_it_was_made_with() {
    privileged!();
    for (queues, mtu) in [(1, 1500), (4, 1500), (1, 9000), (4, 9000)] {
        let lab = Lab::new(LabConfig { queues, mtu });
        for host in [&lab.sender, &lab.receiver] {
            assert_eq!(host.mtu(), u64::from(mtu));
            let directory = format!("/sys/class/net/{}/queues", host.interface);
            let found: Vec<String> = host.run(|| {
                let entries = std::fs::read_dir(&directory).expect("this host's sysfs");
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
            });
            for kind in ["rx-", "tx-"] {
                let count = found.iter().filter(|name| name.starts_with(kind)).count();
                assert_eq!(count, queues as usize, "{kind} queues in {found:?}");
            }
        }
        for v6 in [false, true] {
            let headers = if v6 { 48 } else { 28 };
            let to = lab.receiver.address(v6);
            lab.sender.answered(to, mtu as usize - headers);
            lab.sender.ping(to, mtu as usize - headers + 1).expect_err("one byte too many");
        }
    }
}

#[test]
fn closures_threads_and_commands_run_inside() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    for v6 in [false, true] {
        let socket =
            lab.receiver.run(|| UdpSocket::bind((lab.receiver.address(v6), 0)).expect("bound"));
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let to: SocketAddr = socket.local_addr().unwrap();
        let reader = lab.receiver.spawn(move || {
            let mut bytes = [0; 64];
            let (len, from) = socket.recv_from(&mut bytes).expect("a datagram");
            (bytes[..len].to_vec(), from.ip())
        });
        lab.sender.send_udp(to, b"across");
        assert_eq!(reader.join().unwrap(), (b"across".to_vec(), lab.sender.address(v6)));
    }
    let seen = lab.sender.run(|| {
        // A thread that the closure starts is in the same namespace.
        std::thread::spawn(|| std::fs::exists("/sys/class/net/va").unwrap()).join().unwrap()
    });
    assert!(seen, "va is not in the sender's sysfs");
    assert!(lab.receiver.tool("ip -br addr").contains("10.77.0.2/24"));
}

#[test]
fn a_command_in_a_host_gets_the_signals_sent_to_its_process_id() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    let mut child = lab.sender.command("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    let name = format!("/proc/{}/comm", child.id());
    until("`ip` has become `sleep`", || std::fs::read_to_string(&name).unwrap().trim() == "sleep");
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn offloads_are_switched() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    for on in [false, true] {
        lab.sender.offload("tx", on);
        let shown = lab.sender.tool("ethtool -k va");
        let expected = format!("tx-checksumming: {}", if on { "on" } else { "off" });
        assert!(shown.contains(&expected), "{shown}");
    }
}

#[test]
fn statistics_and_programs_of_an_idle_interface() {
    privileged!();
    let lab = Lab::new(LabConfig::default());
    assert_eq!(lab.receiver.statistic("rx_queue_0_xdp_packets"), Some(0));
    assert_eq!(lab.receiver.statistic("no_such_statistic"), None);
    assert_eq!(lab.receiver.xdp_programs(), []);
}

#[test]
fn nothing_is_left_of_a_lab_even_after_a_panic() {
    privileged!();
    let mut netns = Vec::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let lab = Lab::new(LabConfig::default());
        netns = vec![lab.sender.netns().to_owned(), lab.receiver.netns().to_owned()];
        assert!(netns.iter().all(|name| lab::names().contains(name)));
        lab.sender.run(|| panic!("on purpose, inside the lab"));
    }));
    let message = *outcome.expect_err("the panic came through").downcast::<&str>().unwrap();
    assert_eq!(message, "on purpose, inside the lab");
    assert_eq!(netns.len(), 2);
    assert!(!netns.iter().any(|name| lab::names().contains(name)), "{netns:?} is left");
}

#[test]
fn what_a_killed_process_left_behind_is_deleted() {
    privileged!();
    // Larger than the kernel's limit on process ids (2²², pid_max): no such
    // process can exist.
    let stale = "xdpsar-4194305-0-s";
    let _ = tool::attempt(&format!("ip netns add {stale}"));
    // Once per process, so a new one must do it.
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "offloads_are_switched"])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(!lab::names().contains(&stale.to_owned()));
}
