//! Each command, plain and with TLS, for people and for programs.

use std::{fs, process::Command};

use serde_json::json;

use crate::{World, token};

/// All that is said of it has none of these.
struct Said(Vec<String>);

impl Said {
    fn check(&self, secrets: &[&str]) {
        for text in &self.0 {
            for secret in secrets {
                assert!(!text.contains(secret), "a token in: {text}");
            }
        }
    }
}

fn worlds() -> [World; 2] {
    [World::new(false), World::new(true)]
}

#[test]
fn people_read_tables() {
    for world in worlds() {
        let (admin, mut all) = (world.uri(), Said(Vec::new()));
        let mut says = |uri: &str, words: &str, expected: &[&str]| {
            let said = world.said(uri, words);
            for part in expected {
                assert!(said.contains(part), "{words}: no {part:?} in {said}");
            }
            all.0.push(said);
        };
        says(&admin, "version", &["server ", "protocol 0.3.1"]);
        says(&admin, "overview", &["no reservations"]);
        says(
            &admin,
            "reserve --name first --duration 02:00:00 --sender 10.0.0.1 --strategy static",
            &["reserved load balancer 1 \"first\"", "in 1 h 59 min", "***@", "127.0.0.1:1953"],
        );
        let instance = world.exported(&admin, "reserve --name run7 --duration 7d");
        says(&instance, "get", &["load balancer 2", "ports 16384 to 32767", "***@"]);
        says(&instance, "extend --duration 1h30m", &["stays reserved until", "(in 1 h 29 min)"]);
        says(&instance, "extend --until 2999-01-01T00:00:00Z", &["2999-01-01 00:00:00 UTC"]);
        says(&instance, "senders add 10.0.0.2 fd00::77", &["from now on: 10.0.0.2 fd00::77"]);
        says(&instance, "senders add", &["from now on: 127.0.0.1"]);
        says(&instance, "senders remove 10.0.0.2", &["no longer", "10.0.0.2"]);
        says(&instance, "senders list", &["fd00::77 127.0.0.1"]);
        says(&instance, "senders remove", &["no longer", "127.0.0.1"]);
        says(&instance, "status", &["no workers"]);
        let session = world.exported(
            &instance,
            "register --name node1 --address 10.0.0.7 --port 10000 --ports 4 --weight 2",
        );
        says(
            &instance,
            "register --name node2 --port 10000 --slots 0-63,+2",
            &["registered node2", "session 2", "receives  127.0.0.1:10000", "***@"],
        );
        says(
            &session,
            "state --fill 0.4 --signal -0.5 --events-reassembled 1234 --enqueue-errors 2",
            &["session 1: 40 % full, signal -0.5, ready"],
        );
        world.server.tick();
        says(
            &instance,
            "status",
            &["worker", "10.0.0.7:10000", "40 %", "-0.50", "1,234", "node2", "senders   fd00::77"],
        );
        says(&instance, "monitor --count 1", &["[########............]  40 %", "node2"]);
        says(&admin, "monitor --count 1", &["\"first\"", "\"run7\"", "no workers"]);
        says(&admin, "overview", &["\"first\"", "\"run7\"", "node1"]);
        says(&instance, "slots list", &["node1", "0-63,+2", "none"]);
        says(&instance, "slots set 1=5,128+32", &["session 1: 5,128-159"]);
        says(&instance, "slots clear", &["no slots are demanded"]);
        says(&instance, "timeseries", &["/lb/2/session/1/fill_percent", "0.4"]);
        says(&instance, "timeseries /lb/2/session/2/*", &["/lb/2/session/2/is_ready"]);
        let csv = world.path("all.csv");
        says(&instance, &format!("timeseries --since 01:00:00 --csv {csv}"), &[]);
        let csv = fs::read_to_string(csv).unwrap();
        assert!(csv.starts_with("/lb/2/event_number,Timestamp(ms),"), "{csv}");
        assert!(csv.trim_end().lines().last().unwrap().bytes().all(|byte| byte == b','), "{csv}");

        let reader =
            world.exported(&admin, "token create --name reader --allow RESERVATION:2:READ_ONLY");
        says(&reader, "status --lb-id 2", &["node1"]);
        says(&reader, "token list", &["\"reader\"", "RESERVATION:2:READ_ONLY"]);
        let of_reader = world.path("reader");
        fs::write(&of_reader, token(&reader)).unwrap();
        says(&admin, &format!("token list file:{of_reader}"), &["\"reader\""]);
        says(&admin, "token children", &["reader", "reservation-2", "SESSION:1:UPDATE"]);
        says(&admin, &format!("token revoke file:{of_reader}"), &["revoked token ***"]);

        let upstream = world.path("upstream");
        fs::write(&upstream, format!("export EJFAT_URI='{instance}'\n")).unwrap();
        let first = world.uri() + "lb/1";
        says(
            &first,
            &format!("chain add --upstream file:{upstream}"),
            &["gets events from", "***@"],
        );
        says(&first, "chain graph", &["from", "127.0.0.2"]);
        let chain = world.record(&first, "chain graph")["links"][0]["chain_id"].clone();
        says(&first, &format!("chain remove {}", chain.as_str().unwrap()), &["ended chain"]);

        says(&session, "deregister", &["deregistered session 1"]);
        says(&instance, "reset --workers --senders", &["begins anew: senders, workers"]);
        says(&instance, "free", &["freed load balancer 2"]);
        says(&admin, "free --lb-id 1", &["freed load balancer 1"]);
        says(&admin, "overview", &["no reservations"]);
        all.check(&[token(&admin), token(&instance), token(&session), token(&reader)]);
    }
}

#[test]
fn programs_read_objects() {
    for world in worlds() {
        let (admin, mut all) = (world.uri(), Said(Vec::new()));
        let mut says = |uri: &str, words: &str, kind: &str| {
            let record = world.record(uri, words);
            assert_eq!(record["type"], kind, "{words}: {record}");
            all.0.push(record.to_string());
            record
        };
        says(&admin, "version", "version");
        assert!(world.records(&admin, "overview").is_empty());
        let first = says(&admin, "reserve --name first --duration 2h", "reservation");
        assert_eq!(first["lb_id"], "1");
        assert_eq!(first["data_ports"], json!([16384, 32767]));
        assert!(first["until"].as_str().unwrap().ends_with('Z'), "{first}");
        assert!(first["token"].is_null(), "{first}");
        let instance = world.exported(&admin, "reserve");
        let got = says(&instance, "get", "reservation");
        assert_eq!((&got["lb_id"], &got["data_v4"]), (&json!("2"), &json!("127.0.0.2")));
        let end = says(&instance, "extend --until 2999-01-01T00:00:00Z", "extended");
        assert_eq!(end["until"], "2999-01-01T00:00:00.000Z");
        says(&instance, "senders add 10.0.0.2", "senders");
        let senders = says(&instance, "senders list", "senders");
        assert_eq!(senders["senders"], json!(["10.0.0.2"]));
        let session =
            world.exported(&instance, "register --name node1 --address 10.0.0.7 --port 9");
        let node2 = says(&instance, "register --name node2 --port 10 --ports 2", "session");
        assert_eq!((&node2["session"], &node2["address"]), (&json!("2"), &json!("127.0.0.1")));
        let state = says(&session, "state --fill 0.25 --not-ready", "state");
        assert_eq!((&state["fill"], &state["ready"]), (&json!(0.25), &json!(false)));
        world.server.tick();
        let status = says(&instance, "status", "status");
        assert_eq!(status["slots"], 512);
        assert_eq!(status["workers"][0]["fill"], 0.25);
        assert_eq!(status["workers"][1]["slots_assigned"], 512);
        let watched = says(&instance, "monitor --count 1", "monitor");
        assert_eq!(watched["workers"][1]["name"], "node2");
        let both: Vec<_> = world.records(&admin, "overview");
        assert_eq!(both.len(), 2);
        assert!(both.iter().all(|one| one["type"] == "load_balancer"), "{both:?}");
        assert_eq!(both[1]["workers"][0]["address"], "10.0.0.7");
        let demands = says(&instance, "slots set 1=0-63,+16", "slot_demands");
        assert_eq!(demands["sessions"][0]["demands"], json!(["0-63", "+16"]));
        let slots = says(&instance, "slots list", "slot_demands");
        assert_eq!(slots["sessions"][0]["demands"], json!(["0-63", "+16"]));
        let of_node = "timeseries /lb/2/session/1/fill_percent /lb/2/session/2/*";
        let series = world.records(&instance, of_node);
        let names: Vec<&str> = series.iter().filter_map(|one| one["name"].as_str()).collect();
        assert!(names.contains(&"/lb/2/session/1/fill_percent"), "{names:?}");
        assert!(names.contains(&"/lb/2/session/2/fill_percent"), "{names:?}");
        assert!(!names.contains(&"/lb/2/event_number"), "{names:?}");
        let fill = series.iter().find(|one| one["name"] == "/lb/2/session/1/fill_percent").unwrap();
        assert!(fill["samples"][0][0].as_u64().unwrap() > 1_600_000_000_000, "{fill}");
        assert_eq!(fill["samples"][0][1], 0.25);

        let made = world.record(
            &admin,
            "token create --name reader --allow SESSION:1:UPDATE --allow ALL::READ --show-token",
        );
        let reader = made["uri"].as_str().unwrap();
        assert_eq!(made["token"], token(reader));
        let list = says(reader, "token list", "token");
        assert_eq!(list["permissions"], json!(["SESSION:1:UPDATE", "ALL::READ_ONLY"]));
        let children = world.records(&admin, "token children");
        assert!(children.iter().any(|child| child["id"] == list["id"]), "{children:?}");
        let gone = says(&admin, &format!("token revoke {}", list["id"]), "revoked");
        assert_eq!(gone["which"], format!("token {}", list["id"]));

        let upstream = world.path("upstream");
        fs::write(&upstream, &instance).unwrap();
        let one = world.uri() + "lb/1";
        let chain = says(&one, &format!("chain add --upstream file:{upstream}"), "chain");
        let graph = says(&one, "chain graph", "chain_graph");
        assert_eq!(graph["links"][0]["upstream"]["lb_id"], "2");
        let id = chain["chain_id"].as_str().unwrap();
        says(&one, &format!("chain remove {id}"), "unchained");

        assert_eq!(says(&session, "deregister", "deregistered")["session"], "1");
        let reset = says(&instance, "reset --sync --epochs", "reset");
        assert_eq!((&reset["sync"], &reset["workers"]), (&json!(true), &json!(false)));
        assert_eq!(says(&instance, "free", "freed")["lb_id"], "2");
        all.check(&[token(&admin), token(&instance), token(&session), token(reader)]);
    }
}

#[test]
fn an_export_is_what_the_next_command_needs() {
    for world in worlds() {
        let common = world.command("").join(" ");
        let script = "set -e
            eval \"$($X reserve --name run7 --duration 1h --export)\"
            $X senders add 10.0.0.1 >&2
            $X get --export >&2
            eval \"$($X get --export)\"
            eval \"$($X register --name node --port 10000 --export)\"
            $X state --fill 0.5 >&2
            $X deregister >&2
            echo \"$EJFAT_URI\"";
        let output = Command::new("sh")
            .args(["-c", script])
            .env("X", format!("{} {common}", env!("CARGO_BIN_EXE_xdpsar")))
            .env("EJFAT_URI", world.uri())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let last = String::from_utf8(output.stdout).unwrap();
        // The narrowest token that does it, and where everything is.
        assert_ne!(token(&last), token(&world.uri()));
        assert!(last.contains("/lb/1?sync=") && last.contains("sessionid=1"), "{last}");
        // A session's token may not free what it belongs to.
        assert_eq!(world.run(last.trim(), "free").status.code(), Some(1));
    }
}

#[test]
fn tokens_are_shown_where_that_is_asked_for() {
    let world = World::new(false);
    let made = world.record(&world.uri(), "reserve --show-token");
    let uri = made["uri"].as_str().unwrap();
    assert_eq!(made["token"], token(uri));
    let said = world.said(uri, "register --name node --port 10000 --show-token");
    assert!(!said.contains("***") && !said.contains(token(uri)), "{said}");
    assert!(world.said(uri, "get --show-token").contains(token(uri)));
}

#[test]
fn a_uri_comes_from_where_it_is_said_to() {
    let world = World::new(true);
    let nowhere = "ejfat://nobody@127.0.0.1:1/";
    let uri = world.exported(&world.uri(), "reserve");
    let file = world.path("uri");
    fs::write(&file, format!("# mine\nexport EJFAT_URI='{uri}'\n")).unwrap();
    for words in [
        format!("status --uri {uri}"),
        format!("status --uri file:{file}"),
        format!("status --uri-file {file}"),
        format!("--uri file:{file} status"),
        format!("--uri {} status --lb-id 1", world.uri()),
    ] {
        assert_eq!(world.record(nowhere, &words)["lb_id"], "1", "{words}");
    }
    // By name, if the name stands in the certificate; else whatever it says.
    let named = world.server.uri(Some("localhost")) + "lb/1";
    world.said(&named, "status -4");
    let output = world.run(&named, "status -6");
    assert_eq!(output.status.code(), Some(1), "there is only an IPv4 socket");
    world.said(&world.uri(), "version --server-name localhost");
}
