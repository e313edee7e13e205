//! `recv --uri` and `send --uri`: whole runs through a load balancer's data
//! plane.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};
use xdpsar_lb_server::Config;

use crate::{
    World,
    support::{Recv, free_ports, records, run, xdpsar},
    token,
};

/// One with a data plane, and time that passes.
fn world(tls: bool) -> World {
    let plane = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    World::with(tls, Config { plane, ticks: true, ..Config::default() })
}

/// A receiver that is registered, and has all slots.
fn registered(world: &World, uri: &str, more: &[&str]) -> Recv {
    let (listen, ca) = (free_ports(4), world.path("ca.pem"));
    let mut words = vec!["--uri", uri, "--ports", "4", "--lb-timeout", "60s"];
    if uri.starts_with("ejfats") {
        words.extend(["--lb-ca", &ca]);
    }
    words.extend(more);
    let mut recv = Recv::start_with(listen, &words, |ready| {
        assert_eq!(ready["registration"]["address"], listen.to_string(), "{ready}");
    });
    // Events for nobody are dropped: wait until they are for us.
    recv.wait_until(|stats| stats["type"] == "stats" && stats["registration"]["states_sent"] != 0);
    let reserved = world.server.uri(None) + "lb/1";
    while world.record(&reserved, "status")["workers"][0]["slots_assigned"] != 512 {
        thread::sleep(Duration::from_millis(50));
    }
    recv
}

fn send(world: &World, uri: &str, more: &[&str]) -> Vec<Value> {
    let ca = world.path("ca.pem");
    // No more than the smallest buffer of the data plane holds. The URI is the environment's.
    let mut words = vec!["send", "--json", "--events", "20", "--size", "1k"];
    if uri.starts_with("ejfats") {
        words.extend(["--uri", "--lb-ca", &ca]);
    }
    words.extend(more);
    let output = xdpsar(&words).env("EJFAT_URI", uri).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains(token(uri)), "{stderr}");
    records(&output.stdout)
}

#[test]
fn events_take_the_way_that_the_uri_names() {
    for tls in [false, true] {
        let world = world(tls);
        let uri = world.exported(&world.uri(), "reserve --name run7");
        let worker = ["--name", "node1", "--verify", "--events", "20"];
        let recv = registered(&world, &uri, &worker);
        let told = send(&world, &uri, &[]);
        let (ready, summary) = (&told[0], &told[told.len() - 1]);
        assert_eq!(ready["admission"]["state"], "admitted", "{ready}");
        assert_eq!(ready["admission"]["addresses"], json!(["127.0.0.1"]), "{ready}");
        assert_eq!(summary["admission"]["state"], "removed", "{summary}");
        assert!(summary["sync"]["sent"].as_u64() > Some(0), "{summary}");
        let ended = recv.end();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let summary = ended.summary();
        assert_eq!(summary["verified"]["events"], 20, "{summary}");
        assert_eq!(summary["registration"]["state"], "deregistered", "{summary}");
        assert_eq!(summary["registration"]["lb_id"], "1", "{summary}");
        for text in [&ended.stderr, &summary.to_string(), &ready.to_string()] {
            assert!(!text.contains(token(&uri)) && !text.contains(token(&world.uri())), "{text}");
        }
        let status = world.record(&uri, "status");
        assert_eq!((&status["workers"], &status["senders"]), (&json!([]), &json!([])), "{status}");
        world.said(&uri, "free");
    }
}

#[test]
fn an_administrators_uri_and_an_id_do_as_well() {
    let world = world(false);
    let uri = world.uri();
    world.said(&uri, "reserve --name run7 --strategy static");
    let recv = registered(
        &world,
        &uri,
        &[
            &["--lb-id", "1", "--name", "node1", "--advertise", "127.0.0.1", "--weight", "2"][..],
            &["--slots", "0-15", "--kp", "100", "--high-water", "0.5", "--max-factor", "0"],
        ]
        .concat(),
    );
    let reserved = world.uri() + "lb/1";
    let worker = &world.record(&reserved, "status")["workers"][0];
    assert_eq!(worker["slot_demands"], json!(["0-15"]), "{worker}");
    assert_eq!((&worker["ports"], &worker["max_factor"]), (&json!(4), &json!(0.0)), "{worker}");
    world.said(&reserved, "senders add 127.0.0.1");
    let told = send(&world, &uri, &["--uri", "--lb-id", "1", "--no-add-sender"]);
    assert!(told[0]["admission"].is_null(), "{}", told[0]);
    let status = world.record(&reserved, "status");
    assert_eq!(status["senders"], json!(["127.0.0.1"]), "{status}");
    let mut recv = recv;
    recv.wait_until(|record| record["type"] == "stats" && record["events_ok"] == 20);
    recv.signal(Signal::TERM);
    let ended = recv.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(world.record(&reserved, "status")["workers"], json!([]));
}

#[test]
fn what_the_load_balancer_refuses_ends_it() {
    let world = world(false);
    let uri = world.exported(&world.uri(), "reserve --name run7");
    let wrong = world.server.uri_with("not-the-right-one", None) + "lb/1";
    let listen = free_ports(1).to_string();
    let free = |words: &[&str], uri: &str| {
        let output = xdpsar(words).env("EJFAT_URI", uri).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains(token(uri)), "{stderr}");
        (output.status.code(), stderr)
    };
    let recv = ["recv", "--uri", "--listen", &listen, "--backend", "socket", "--name", "n"];
    let (status, text) = free(&recv, &wrong);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("PERMISSION_DENIED"), "{text}");
    let (status, text) = free(&["send", "--uri", "--events", "1"], &wrong);
    assert_eq!(status, Some(1), "{text}");
    let (status, text) = free(&[&recv[..], &["--weight", "0"]].concat(), &uri);
    assert_eq!(status, Some(2), "{text}");
    let (status, text) = free(&[&recv[..], &["--lb-id", ""]].concat(), &world.uri());
    assert_eq!(status, Some(2), "{text}");
    let status = world.record(&uri, "status");
    assert_eq!((&status["workers"], &status["senders"]), (&json!([]), &json!([])), "{status}");
}

#[test]
fn the_environment_is_asked_only_if_nothing_is_named() {
    let nonsense = "ejfat://s3cret@nowhere:0/";
    let to = free_ports(1).to_string();
    for words in [
        &["recv", "--listen", &to, "--backend", "socket", "--duration", "50ms"][..],
        &["send", "--to", &to, "--events", "1"],
    ] {
        let output = xdpsar(words).env("EJFAT_URI", nonsense).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {stderr}");
    }
    for words in [&["recv"][..], &["recv", "--listen", &to, "--uri"], &["send"], &["send", "--uri"]]
    {
        let output = xdpsar(words).env("EJFAT_URI", nonsense).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        assert!(stderr.contains("nowhere") && !stderr.contains("s3cret"), "{words:?}: {stderr}");
    }
    for (word, option) in [("recv", "--listen"), ("send", "--to")] {
        let output = run(&[word]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("neither {option} nor --uri")), "{stderr}");
    }
}

#[test]
fn without_an_address_it_listens_where_the_load_balancer_faces_it() {
    let world = world(false);
    let uri = world.exported(&world.uri(), "reserve");
    let words = ["recv", "--uri", &uri, "--duration", "50ms", "--json", "--backend", "socket"];
    let output = run(&words);
    let told = records(&output.stdout);
    // Somebody else may have the usual port just then.
    match told[0]["type"].as_str() {
        Some("ready") => {
            assert_eq!(told[0]["listen"], "127.0.0.1:19522");
            assert_eq!(told[0]["registration"]["address"], "127.0.0.1:19522");
            assert_eq!(output.status.code(), Some(0));
        }
        _ => assert!(told[0]["message"].as_str().unwrap().contains("127.0.0.1:19522"), "{told:?}"),
    }
}
