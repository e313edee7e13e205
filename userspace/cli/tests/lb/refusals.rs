//! What goes wrong: exit status, what is said, and what is not.

use std::net::TcpListener;

use rustix::process::{Pid, Signal, kill_process};
use xdpsar_lb_server::Fault;

use crate::{
    World,
    documented::hold_against_the_page,
    support::{Guarded, records, run, xdpsar},
    token,
};

#[test]
fn wrong_usage_is_2_before_anybody_is_asked() {
    let world = World::new(false);
    let reserved = world.exported(&world.uri(), "reserve");
    let calls = world.server.calls("Register") + world.server.calls("RevokeToken");
    for words in [
        "",
        "reset",
        "extend",
        "reserve --duration 5",
        "reserve --duration 1h --until 2999-01-01T00:00:00Z",
        "reserve --sender nowhere",
        "reserve --name -bad-",
        "reserve --until 2001-01-01T00:00:00Z",
        "reserve --export --json",
        "register --name n --port 10000 --address 10.0.0.1 --weight 0",
        "register --name n --port 65535 --ports 2 --address 10.0.0.1",
        "register --name n --port 1 --address 10.0.0.1 --slots 500-600",
        "state --fill 0.5",
        "deregister",
        "state --fill 1.5 --session 1",
        "slots set",
        "slots set 1",
        "token create --name t --allow ALL::READ",
        "token create --name t --allow RESERVATION::READ --show-token",
        "token revoke own",
        "token revoke 0",
        "token list 99999999999",
        "timeseries /smartnic/*",
        "timeseries --csv - --json",
        "monitor --interval 1ms",
        "chain add --upstream ejfat://somebody@127.0.0.1:1/",
        "status --ca x --no-verify",
        "--ipv4 status --ipv6",
        "status --uri nonsense",
        "status --uri ejfat://127.0.0.1:9/lb/1",
        "status --uri ejfat://somebody@127.0.0.1:9/",
    ] {
        let output = world.run(&reserved, words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}: {stderr}");
        assert!(output.stdout.is_empty(), "{words}");
        assert!(!stderr.contains(token(&reserved)), "{words}: {stderr}");
    }
    assert_eq!(world.server.calls("Register") + world.server.calls("RevokeToken"), calls);
    let output = xdpsar(&["lb", "status"]).env_remove("EJFAT_URI").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("\"EJFAT_URI\": it is not set; export EJFAT_URI="), "{stderr}");
}

#[test]
fn ones_own_token_is_revoked_only_on_purpose() {
    let world = World::new(false);
    let admin = world.uri();
    let made = "token create --name other --allow ALL::UPDATE --show-token";
    let other = world.record(&admin, made)["uri"].as_str().unwrap().to_owned();
    let own = world.record(&other, "token list")["id"].to_string();
    for which in ["own", "0", &own, token(&other)] {
        let output = world.run(&other, &format!("token revoke {which}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{which}: {stderr}");
        assert!(stderr.contains("--yes-revoke-own-token"), "{which}: {stderr}");
        assert!(!stderr.contains(token(&other)), "{which}: {stderr}");
    }
    assert_eq!(world.server.calls("RevokeToken"), 0);
    world.said(&other, "token revoke own --yes-revoke-own-token");
    assert_eq!(world.run(&other, "version").status.code(), Some(1));
    world.said(&admin, "version");
}

#[test]
fn what_the_server_refuses_is_1_in_its_words() {
    for world in [World::new(false), World::new(true)] {
        let instance = world.exported(&world.uri(), "reserve");
        let wrong = world.server.uri_with("not-the-right-one", None) + "lb/1";
        let free_of_another = instance.replace("/lb/1", "/lb/7");
        for (uri, words, code) in [
            (&wrong, "status", "PERMISSION_DENIED"),
            (&wrong, "reserve", "PERMISSION_DENIED"),
            (&wrong, "monitor", "PERMISSION_DENIED"),
            (&wrong, "token list", "NOT_FOUND"),
            (&free_of_another, "free", "PERMISSION_DENIED"),
            (&instance, "reserve", "PERMISSION_DENIED"),
            (&instance, "senders add --lb-id nonsense 10.0.0.1", "INVALID_ARGUMENT"),
            (&instance, "token list no-such-secret", "NOT_FOUND"),
        ] {
            let output = world.run(uri, &format!("{words} --json"));
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{words}: {stderr}");
            let error = records(&output.stdout).pop().unwrap();
            assert_eq!(error["type"], "error", "{words}");
            hold_against_the_page(&error);
            assert_eq!(error["kind"], "rpc", "{words}");
            assert_eq!(error["code"], code, "{words}: {error}");
            for part in ["asked", "found", "remedy"] {
                assert!(error[part].is_string(), "{words}: no {part} in {error}");
            }
            for secret in ["not-the-right-one", "no-such-secret", token(&instance)] {
                assert!(!stderr.contains(secret), "{words}: {stderr}");
                assert!(!error.to_string().contains(secret), "{words}: {error}");
            }
        }
    }
}

#[test]
fn a_server_that_cannot_be_asked_is_1() {
    let world = World::new(true);
    // Taken, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("ejfat://s3cret@{}/lb/1", silent.local_addr().unwrap());
    let plain = world.uri().replace("ejfats", "ejfat");
    let gone = format!("ejfat://s3cret@127.0.0.1:{}/lb/1", {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        port.local_addr().unwrap().port()
    });
    let named = world.uri();
    for (uri, words, expected) in [
        (&gone, "status", "refused"),
        (&silent, "status --timeout 300ms", "within 300ms"),
        (&plain, "version", "ejfats://"),
        (&named, "version --server-name elsewhere", "not for elsewhere"),
        (&named, "version --ca /no/such/file", "/no/such/file"),
    ] {
        let output = world.run(uri, words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words}: {stderr}");
        assert!(stderr.contains(expected), "{words}: {stderr}");
        assert!(!stderr.contains(token(uri)), "{words}: {stderr}");
    }
    // With this host's authorities, or whoever it is.
    let version = ["lb", "version", "--timeout", "60s", "--uri", &named];
    let output = run(&version);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("trust") || stderr.contains("authorities"), "{stderr}");
    let output = run(&[&version[..], &["--no-verify"]].concat());
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn no_log_has_a_token() {
    for world in [World::new(false), World::new(true)] {
        let instance = world.exported(&world.uri(), "reserve");
        let session = world.exported(&instance, "register --name node --port 10000");
        for (uri, words) in
            [(&session, "state --fill 0.5"), (&instance, "status"), (&instance, "get")]
        {
            let command = world.command(words);
            let output = xdpsar(&command.iter().map(String::as_str).collect::<Vec<_>>())
                .env("EJFAT_URI", uri)
                .env("RUST_LOG", "trace")
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{words}: {stderr}");
            assert!(stderr.contains("TRACE"), "{words}: nothing is logged");
            for secret in [&session, &instance, &world.uri()] {
                assert!(!stderr.contains(token(secret)), "{words}: {stderr}");
            }
        }
    }
}

#[test]
fn a_uri_in_the_wrong_place_is_quoted_without_its_token() {
    let uri = "ejfats://s3cret@h:1/";
    for line in [
        "recv URI",
        "recv --uriURI",
        "recv --listen=URI",
        "recv --listen 127.0.0.1:1 --backend URI",
        "URI",
        "lb URI",
        "lb --uri file:x status URI",
        "recv --listen 127.0.0.1:1 --config URI",
        "config --explain recv URI",
        "config --explain send --to URI --json",
        "send --to 127.0.0.1:1 --input URI",
        "send --to 127.0.0.1:1 --json --payload file --payload-file URI",
        "lb --uri-file URI --json status",
        "send --uri file:URI",
    ] {
        let words: Vec<_> = line.split(' ').map(|word| word.replace("URI", uri)).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = xdpsar(&words).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{line}: {output:?}");
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(told.contains("***@h:1") && !told.contains("s3cret"), "{line}: {told}");
    }
}

#[test]
fn help_shows_no_token_either() {
    let help = |words: &[&str]| {
        let output =
            xdpsar(words).env("EJFAT_URI", "ejfat://s3cret@127.0.0.1:1/").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("s3cret"), "{words:?}: {text}");
        text
    };
    let all = help(&["lb", "--help"]);
    for part in ["reserve", "timeseries", "EJFAT_URI", "Exit status", "--no-verify", "monitor"] {
        assert!(all.contains(part), "no {part} in {all}");
    }
    for words in [
        &["lb", "reserve", "--help"][..],
        &["lb", "token", "create", "--help"],
        &["lb", "monitor", "--help"],
        &["lb", "slots", "set", "--help"],
    ] {
        help(words);
    }
}

#[test]
fn a_silent_server_does_not_hold_up_the_end_of_a_monitor() {
    let world = World::new(false);
    let uri = world.exported(&world.uri(), "reserve");
    world.server.disturb("LoadBalancerStatus", Fault::Silence, 1000);
    let command = world.command("monitor");
    let child = xdpsar(&command.iter().map(String::as_str).collect::<Vec<_>>())
        .env("EJFAT_URI", uri)
        .spawn()
        .unwrap();
    let mut child = Guarded(child);
    while world.server.calls("LoadBalancerStatus") == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}
