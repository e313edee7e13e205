//! Configuration files: E2SAR's, generated ones, and a load balancer's.

mod support;

use std::fs;

use serde_json::Value;
use support::{
    config::{Case, origin},
    free_ports, records,
};

#[test]
fn e2sars_files() {
    let segmenter = "; as E2SAR has it\n[general]\nuseCP = true\n[control-plane]\nsyncPeriods = 2\n\
        usecAsEventNum = true\n[data-plane]\ndpV6 = false\nconnectedSocket = false\nmtu = 9000\n\
        numSendSockets = 6\nsndSocketBufSize = 100000\nrateGbps = -1.0\nsmooth = false\n\
        multiPort = true\nlbHdrVersion = 3\nzeroCopy = true\nticksAsREEventNum = false\n";
    let reassembler = "[general]\nuseCP = true\n[data-plane]\nportRange = 4\nwithLBHeader = true\n\
        eventTimeoutMS = 750\nrcvSocketBufSize = 200000\nbufsize = 9\n";
    let case = Case::new(&[
        ("s.ini", segmenter),
        ("r.cfg", reassembler),
        ("sync.ini", "[control-plane]\nwarmUpMS = 700\nsyncPeriodMS = 300\nzeroRate = true\n"),
        ("x.ini", "[data-plane]\nmtu = 9001\n"),
    ]);
    let set = |line: &str| {
        let (settings, warnings) = case.explain(line, &[]);
        let held: Vec<_> = settings
            .iter()
            .filter(|setting| setting["source"] == "file")
            .map(|setting| {
                format!("{}={}", setting["option"].as_str().unwrap(), setting["value"])
                    .replace('"', "")
            })
            .collect();
        (held.join(" "), warnings)
    };
    let (held, warnings) = set("send --to 127.0.0.1:1 --config @s.ini");
    assert_eq!(
        held,
        "ports=8 lb-version=3 sockets=6 socket-buffer=100000 no-connect=true mtu=9000"
    );
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].ends_with("s.ini:6:1: control-plane.usecAsEventNum is an old key: use --tick clock, or --tick event-number for false"), "{warnings:?}");
    assert!(
        warnings[1].contains("s.ini:17:1: data-plane.zeroCopy is an old key: use --backend"),
        "{warnings:?}"
    );
    // Where there are Sync messages, how they go counts.
    let (held, warnings) =
        set("send --to 127.0.0.1:1 --sync 127.0.0.1:2 --source-id 1 --config @sync.ini");
    assert_eq!(held, "sync-period=300ms sync-warm-up=700ms sync-rate=zero");
    assert!(warnings[0].ends_with("zeroRate is an old key: use --sync-rate zero for true"));
    // Where there is a rate, its pace counts.
    let (held, _) = set("send --to 127.0.0.1:1 --rate 1 --config @s.ini");
    assert!(held.contains("no-smooth=true"), "{held}");
    // The other side's file.
    let (held, warnings) = set("recv --listen 127.0.0.1:1 --config @s.ini");
    assert_eq!(held, "");
    assert!(
        warnings.iter().any(|told| told.ends_with(
            "s.ini:10:7: data-plane.mtu is left out: it is a key of the other side's file"
        )),
        "{warnings:?}"
    );
    // By its content; what nobody knows is told.
    let (held, warnings) = set("recv --listen 127.0.0.1:1 --config @r.cfg");
    assert_eq!(held, "ports=16 lb-header=keep socket-buffer=200000 timeout=750ms");
    assert!(
        warnings[0].ends_with("r.cfg:8:1: E2SAR has no key data-plane.bufsize, and it is left out"),
        "{warnings:?}"
    );
    let errors = case.errors("send --to 127.0.0.1:1 --config @x.ini", &[]);
    assert!(
        errors.starts_with(
            "error: x.ini:2:7: data-plane.mtu wants a whole number from 0 to 9000, found `9001`"
        ),
        "{errors}"
    );
}

#[test]
fn a_reassemblers_file_does_without_a_load_balancer() {
    let case = Case::new(&[(
        "r.ini",
        "[general]\nuseCP = true\n[control-plane]\nuseHostAddress = false\nvalidateCert = true\n\
         [data-plane]\nperiodMS = 100\nepochMS = 1000\n\
         [pid]\nsetPoint = 0.0\nKi = 0.0\nKp = 1.0\nKd = 0.0\nweight = 1.0\n\
         min_factor = 0.5\nmax_factor = 2.0\n",
    )]);
    let listen = free_ports(1);
    let line = format!("recv --listen {listen} --backend socket --duration 1ms --config @r.ini");
    let output = case.run(&line, &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*told), (Some(0), ""));
}

#[test]
fn what_is_generated_reads_back() {
    let case = Case::new(&[]);
    for line in [
        "recv --listen 127.0.0.1:1 --workers 2 --cores 0,2-3 --timeout 2s --no-gro --out d --manifest=7 -vv",
        "recv --listen [::1]:1 --manifest --out a\"b\\c --memory 1.5Gi --quiet",
        "send --to 127.0.0.1:1 --size 1k,2M..4M --rate .5 --burst 1ms --no-smooth --events 18446744073709551615",
        "send --to 127.0.0.1:1 --input a b --lb-version none",
        "demo --backend socket --json --mtu 1500",
    ] {
        let output = case.run(&format!("config --generate {line}"), &[]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        fs::write(case.path("made.toml"), &output.stdout).unwrap();
        let values = |(settings, _): (Vec<Value>, _)| -> Vec<(Value, Value)> {
            settings.iter().map(|it| (it["option"].clone(), it["value"].clone())).collect()
        };
        let command = line.split(' ').next().unwrap();
        let mut expected = values(case.explain(line, &[]));
        for (option, value) in &mut expected {
            // TOML has 0.5 for .5
            if option == "rate" && value == ".5" {
                *value = "0.5".into();
            }
        }
        let made = values(case.explain(&format!("{command} --config @made.toml"), &[]));
        assert_eq!(made, expected, "{line}");
    }
}

#[test]
fn a_generated_file_has_every_option_with_its_default() {
    let case = Case::new(&[]);
    let output = case.run("config --generate", &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with(['#', '['])), "{text}");
    // Uncommented, it sets each option to what it is anyway.
    let live: String = text
        .lines()
        .filter(|line| line.starts_with('[') || (line.starts_with('#') && !line.starts_with("# ")))
        .filter(|line| !line.contains("\"<"))
        .map(|line| line.trim_start_matches('#').to_owned() + "\n")
        .collect();
    let case = Case::new(&[("live.toml", &live)]);
    for line in ["recv --listen 127.0.0.1:1", "send --to 127.0.0.1:1", "demo"] {
        let (settings, _) = case.explain(&format!("{line} --config @live.toml"), &[]);
        let (defaults, _) = case.explain(&format!("{line} --config /dev/null"), &[]);
        for (setting, default) in settings.iter().zip(&defaults) {
            assert_eq!(setting["value"], default["value"], "{line}: {setting}");
            if default["source"] == "default" && !default["value"].is_null() {
                assert_eq!(setting["source"], "file", "{line}: {setting}");
            }
        }
    }
    // And every option of the help is there.
    for command in ["recv", "send", "demo"] {
        let help = case.run(&format!("{command} --help"), &[]).stdout;
        let help = String::from_utf8(help).unwrap();
        let table = text.split(&format!("\n[{command}]\n")).nth(1).unwrap();
        let table = table.split("\n[").next().unwrap();
        let words = help.lines().filter_map(|line| {
            let option = line.strip_prefix("      --").or_else(|| {
                line.strip_prefix("  -").and_then(|short| short.split_once(", --")).map(|two| two.1)
            });
            option?.split([' ', '[', '=', '.']).next()
        });
        for option in words.filter(|option| {
            !["help", "verbose", "config", "out", "json", "manifest"].contains(option)
        }) {
            assert!(table.contains(&format!("\n#{option} = ")), "{command} --{option}");
        }
    }
}

#[test]
fn commands_that_have_nothing_to_set() {
    let case = Case::new(&[]);
    assert!(
        case.errors("config --explain config", &[])
            .contains("this command has no settings; name one of demo, recv, send")
    );
    assert!(case.errors("config --explain", &[]).contains("COMMAND"));
    assert!(case.errors("config recv", &[]).contains("--generate"));
    assert!(case.errors("config --explain recv --name x", &[]).contains("--uri"));
    assert!(case.errors("config --explain nonsense", &[]).contains("nonsense"));
}

#[test]
fn a_command_does_what_its_file_says() {
    let case = Case::new(&[(
        "run.toml",
        "[demo]\nbackend = 'socket'\nevents = 20\njson = true\n[recv]\nworkers = 0\n",
    )]);
    let errors = case.errors("demo --config @run.toml", &[]);
    assert!(errors.contains("run.toml:6:11: workers: `0` is not a number above 0"), "{errors}");
    fs::write(case.path("run.toml"), "[demo]\nbackend = 'socket'\nevents = 20\njson = true\n")
        .unwrap();
    let output = case.run("demo --config @run.toml", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = records(&output.stdout).pop().unwrap();
    assert!(summary.to_string().contains("20"), "{summary}");
}

#[test]
fn a_load_balancers_commands_and_their_secrets() {
    let case = Case::new(&[(
        "lb.toml",
        "[lb]\nuri = 'ejfat://s3cret@one.example:18008/lb/1'\ntimeout = '3s'\n\
         [lb.status]\njson = true\ntimeout = 4\n",
    )]);
    let of = |option: &str, line: &str, variables: &[_]| {
        let setting = case.of(option, line, variables);
        (setting["value"].as_str().unwrap_or_default().to_owned(), origin(&setting))
    };
    let status = "--config @lb.toml lb status";
    // The nearest table wins, and what it does not name comes from the one above.
    assert_eq!(of("timeout", status, &[]), ("4".into(), "lb.toml:6:11".into()));
    assert_eq!(
        of("timeout", "--config @lb.toml lb overview", &[]),
        ("3s".into(), "lb.toml:3:11".into())
    );
    let one = "ejfat://***@one.example:18008/lb/1";
    assert_eq!(of("uri", status, &[]), (one.into(), "lb.toml:2:7".into()));
    // From the environment, by either name.
    let two = ("EJFAT_URI", "ejfat://s3cret@two.example:18008/lb/2");
    let three = ("XDPSAR_LB_URI", "ejfat://s3cret@three.example:18008/lb/3");
    let shown = |name: &str, id: u8| format!("ejfat://***@{name}.example:18008/lb/{id}");
    assert_eq!(of("uri", status, &[two]), (shown("two", 2), "EJFAT_URI".into()));
    assert_eq!(of("uri", status, &[two, three]), (shown("three", 3), "XDPSAR_LB_URI".into()));
    assert_eq!(
        of("timeout", status, &[("XDPSAR_LB_TIMEOUT", "9")]),
        ("9".into(), "XDPSAR_LB_TIMEOUT".into())
    );
    let both = [("XDPSAR_LB_TIMEOUT", "9"), ("XDPSAR_LB_STATUS_TIMEOUT", "8")];
    assert_eq!(of("timeout", status, &both).0, "8");
    // Another way to name one, on the line, ends those.
    let uri = case.of("uri", &format!("{status} --uri-file /run/uri"), &[two]);
    assert!(uri["value"].is_null(), "{uri}");
    assert_eq!(uri["overridden"][1]["by"], "--uri-file (command line)", "{uri}");
    // Nothing shows the token.
    for line in [
        format!("config --explain {status}"),
        format!("config --generate {status}"),
        format!("config --explain {status} --json --uri ejfat://s3cret@h:1/"),
    ] {
        let output = case.run(&line, &[two]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(told.contains("***@") && !told.contains("s3cret"), "{line}: {told}");
    }
    let wrong = Case::new(&[(
        "f.toml",
        "[lb]\nlb-id = ['ejfat://s3cret@h:1/']\ntimeout = 'ejfat://s3cret@h:1/'\n",
    )]);
    let errors = wrong.errors("--config @f.toml lb status", &[]);
    assert!(errors.lines().count() == 2 && !errors.contains("s3cret"), "{errors}");
}
