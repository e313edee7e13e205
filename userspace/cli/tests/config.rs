//! Options from files and the environment.

mod support;

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use support::{records, xdpsar};
use tempfile::TempDir;

/// A directory with files, and a way to ask what a command is set to.
struct Case(TempDir);

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let case = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = case.path(name);
            fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        case
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    /// `xdpsar` with this line, where `@` begins a file of this case.
    fn run(&self, line: &str, variables: &[(&str, &str)]) -> Output {
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| word.strip_prefix('@').map_or_else(|| word.into(), |name| self.path(name)))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = xdpsar(&words);
        command.current_dir(self.0.path());
        // The user's own files have no say.
        command.env_remove("XDPSAR_CONFIG").env("XDG_CONFIG_HOME", self.0.path());
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// Options with what they are set to and by whom, and warnings.
    fn explain(&self, line: &str, variables: &[(&str, &str)]) -> (Vec<Value>, Vec<String>) {
        let output = self.run(&format!("config --json --explain {line}"), variables);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}: {text}");
        let (settings, warnings): (Vec<_>, Vec<_>) =
            records(&output.stdout).into_iter().partition(|record| record["type"] == "setting");
        let told = warnings.iter().map(|warning| warning["message"].as_str().unwrap().to_owned());
        (settings, told.collect())
    }

    /// What one option is set to.
    fn of(&self, option: &str, line: &str, variables: &[(&str, &str)]) -> Value {
        let (settings, _) = self.explain(line, variables);
        settings.into_iter().find(|setting| setting["option"] == option).unwrap()
    }

    /// The errors of a line, without this case's directory.
    fn errors(&self, line: &str, variables: &[(&str, &str)]) -> String {
        let output = self.run(line, variables);
        let text = String::from_utf8_lossy(&output.stderr).replace(&self.path(""), "");
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        text
    }
}

fn origin(setting: &Value) -> String {
    let of = |name: &str| setting[name].as_str().unwrap_or_default().to_owned();
    match setting["source"].as_str().unwrap() {
        "file" => {
            let file = of("file");
            let name = Path::new(&file).file_name().unwrap().to_str().unwrap().to_owned();
            format!("{name}:{}:{}", setting["line"], setting["column"])
        }
        "environment" => of("variable"),
        source => source.to_owned(),
    }
}

#[test]
fn the_stronger_one_wins() {
    let case = Case::new(&[
        ("one.toml", "workers = 9\n[recv]\nlisten = '127.0.0.1:1'\nworkers = 2\n"),
        ("xdpsar/config.toml", "[recv]\nworkers = 7\n"),
    ]);
    let variable = [("XDPSAR_RECV_WORKERS", "3")];
    let listen = "--listen 127.0.0.1:1";
    for (line, variables, value, from) in [
        (
            format!("recv {listen} --config @one.toml --workers 4"),
            &variable[..],
            "4",
            "command_line",
        ),
        (format!("recv {listen} --workers 4"), &variable, "4", "command_line"),
        ("recv --config @one.toml --workers 4".into(), &[], "4", "command_line"),
        ("recv --config @one.toml".into(), &variable, "3", "XDPSAR_RECV_WORKERS"),
        (format!("recv {listen}"), &variable, "3", "XDPSAR_RECV_WORKERS"),
        ("recv --config @one.toml".into(), &[], "2", "one.toml:4:11"),
        ("demo --config @one.toml".into(), &[], "9", "one.toml:1:11"),
        (format!("recv {listen}"), &[], "7", "config.toml:2:11"),
        ("demo".into(), &[], "2", "default"),
    ] {
        let setting = case.of("workers", &line, variables);
        assert_eq!(
            (setting["value"].as_str(), origin(&setting).as_str()),
            (Some(value), from),
            "{line}"
        );
    }
    // Nobody set it, and it has no default of its own.
    let setting = case.of("workers", &format!("--config /dev/null recv {listen}"), &[]);
    assert!(setting["value"].is_null(), "{setting}");
    // What lost is told as well.
    let setting = case.of("workers", "recv --config @one.toml --workers 4", &variable);
    let weaker: Vec<_> = setting["overridden"].as_array().unwrap().iter().map(origin).collect();
    assert_eq!(weaker, ["XDPSAR_RECV_WORKERS", "one.toml:4:11", "one.toml:1:11"]);
}

#[test]
fn a_file_is_named_by_variable_or_by_place() {
    let case = Case::new(&[
        ("one.toml", "[demo]\nevents = 1\n"),
        ("two.toml", "[demo]\nevents = 2\n"),
        ("xdpsar/config.toml", "[demo]\nevents = 3\n"),
    ]);
    let two = case.path("two.toml");
    let events = |line, variables: &[_]| case.of("events", line, variables)["value"].clone();
    assert_eq!(events("--config @one.toml demo", &[("XDPSAR_CONFIG", &two)]), "1");
    assert_eq!(events("demo", &[("XDPSAR_CONFIG", &two)]), "2");
    assert_eq!(events("demo", &[("XDPSAR_CONFIG", "")]), "3");
    assert_eq!(events("demo", &[]), "3");
    assert_eq!(events("demo --config /dev/null", &[]), "10000");
    let none = case.errors("demo", &[("XDPSAR_CONFIG", "/no/such.toml")]);
    assert!(
        none.starts_with("error: read the configuration /no/such.toml that XDPSAR_CONFIG names: "),
        "{none}"
    );
    assert!(case.errors("demo --config @xdpsar", &[]).contains("that --config names: "));
}

#[test]
fn every_type() {
    let case = Case::new(&[(
        "all.toml",
        "verbose = 2\n[recv]\nlisten = '127.0.0.1:1'\ncores = [0, 2]\nworkers = 2\nlb_header = 'keep'\n\
         timeout = 700\ninterval = 0.5\nmemory = '64Mi'\nmax-event = 1000\nno-gro = true\nout = 'd'\n\
         manifest = true\n[send]\nto = '127.0.0.1:1'\ninput = ['a b', 'c']\nlb-version = 3\n\
         rate = 2\nmanifest = 7\n[reassembler]\nwhatever = 'for Python'\n",
    )]);
    let get = |line: &str, option: &str| case.of(option, line, &[])["value"].clone();
    let recv = "recv --config @all.toml";
    for (option, value) in [
        ("verbose", Value::from(2)),
        ("cores", "0,2".into()),
        ("workers", "2".into()),
        ("lb-header", "keep".into()),
        ("timeout", "700".into()),
        ("interval", "0.5".into()),
        ("memory", "64Mi".into()),
        ("max-event", "1000".into()),
        ("no-gro", true.into()),
        ("manifest", true.into()),
        ("quiet", false.into()),
    ] {
        assert_eq!(get(recv, option), value, "{option}");
    }
    let send = "send --config @all.toml";
    assert_eq!(get(send, "input"), Value::from(vec!["a b", "c"]));
    assert_eq!(get(send, "lb-version"), "3");
    assert_eq!(get(send, "manifest"), "7");
    // From the environment.
    for (name, text, option, value) in [
        ("XDPSAR_RECV_NO_GRO", "no", "no-gro", Value::from(false)),
        ("XDPSAR_RECV_QUIET", "1", "quiet", true.into()),
        ("XDPSAR_RECV_VERBOSE", "1", "verbose", 1.into()),
        ("XDPSAR_RECV_MANIFEST", "9", "manifest", "9".into()),
        ("XDPSAR_RECV_TIMEOUT", "", "timeout", "700".into()),
    ] {
        assert_eq!(case.of(option, recv, &[(name, text)])["value"], value, "{name}={text}");
    }
}

#[test]
fn weaker_settings_give_way_to_what_contradicts_them() {
    let case = Case::new(&[
        (
            "out.toml",
            "[recv]\nlisten='127.0.0.1:1'\nout='d'\nprefix='x'\nmanifest=true\nuntil-complete=true\n",
        ),
        (
            "send.toml",
            "[send]\nto='127.0.0.1:1'\nsize='1k'\nevents=4\nsync='127.0.0.1:2'\nsource_id=1\n",
        ),
        ("wrong.toml", "[recv]\nlisten='127.0.0.1:1'\nprefix = 'x'\n"),
        ("lacks.toml", "[send]\nto='127.0.0.1:1'\nburst = 2\n"),
    ]);
    let held = |line: &str| {
        let (settings, _) = case.explain(line, &[]);
        let mut held: Vec<_> = settings
            .into_iter()
            .filter(|setting| setting["source"] == "file")
            .map(|setting| setting["option"].as_str().unwrap().to_owned())
            .collect();
        held.sort();
        held.join(" ")
    };
    // A rule by value, a rule between options, and one that follows from it.
    assert_eq!(held("recv --config @out.toml"), "listen manifest out prefix until-complete");
    assert_eq!(held("recv --config @out.toml --out null"), "listen");
    assert_eq!(held("send --config @send.toml"), "events size source-id sync to");
    assert_eq!(held("send --config @send.toml --input x"), "source-id sync to");
    let off = [("XDPSAR_RECV_MANIFEST", "false")];
    let until = case.of("until-complete", "recv --config @out.toml", &off);
    assert_eq!(until["overridden"][0]["by"], "--manifest[=<ID>], which is not set", "{until}");
    let prefix = case.of("prefix", "recv --config @out.toml --out null", &[]);
    assert_eq!(prefix["overridden"][0]["by"], "stronger settings", "{prefix}");
    let size = case.of("size", "send --config @send.toml --input x", &[]);
    assert_eq!(size["overridden"][0]["by"], "--input (command line)", "{size}");
    // What is wrong within a file is told, whatever the line says.
    for (line, error, place) in [
        (
            "recv --config @wrong.toml",
            "--prefix and --extension name the files",
            "--prefix comes from wrong.toml:3:10",
        ),
        (
            "recv --config @wrong.toml --workers 2",
            "--prefix",
            "--prefix comes from wrong.toml:3:10",
        ),
        ("send --config @lacks.toml", "--rate <GBPS>", ""),
    ] {
        let text = case.errors(line, &[]);
        assert!(text.contains(error) && text.contains(place), "{line}: {text}");
    }
    // What stands on the line itself is an error as ever.
    assert!(case.errors("recv --config @out.toml --prefix x --out null", &[]).contains("--prefix"));
}

#[test]
fn mistakes_are_told_with_their_places() {
    for (text, told) in [
        (
            "[recv]\nworker = 4\n",
            "f.toml:2:1: worker: xdpsar recv does not have such an option; did you mean workers?",
        ),
        ("colour = 1\n", "f.toml:1:1: colour: no command has such an option"),
        ("[recieve]\n", "f.toml:1:2: no command has a table [recieve]"),
        ("[rcv]\nx = 1\n", "f.toml:1:2: no command has a table [rcv]; did you mean recv?"),
        ("[recv]\nworkers = '4'\n", "f.toml:2:11: workers: it wants a whole number, found text"),
        ("[recv]\n out = 5\n", "f.toml:2:8: out: it wants text in quotes, found a whole number"),
        ("[recv]\njson = 1\n", "f.toml:2:8: json: it wants true or false, found a whole number"),
        ("[recv]\nbackend = 'dpdk'\n", "f.toml:2:11: backend: `dpdk` is none of auto, xdp, socket"),
        (
            "[recv]\ntimeout = 'soon'\n",
            "f.toml:2:11: timeout: `soon` is not a duration: use us, ms, s, m",
        ),
        ("[recv]\nports = 3\n", "f.toml:2:9: ports: `3` is not a power of two from 1 to 16384"),
        ("[recv]\nworkers = -1\n", "f.toml:2:11: workers: `-1` is not a number above 0"),
        (
            "[recv]\nlb_header='keep'\nlb-header='none'\n",
            "f.toml:3:1: lb-header: it is given twice, in two spellings",
        ),
        // In tables of other commands, too.
        ("[send]\nrate = 'x'\n", "f.toml:2:8: rate: it wants a number, found text"),
        ("backend = 'dpdk'\n", "f.toml:1:11: backend: `dpdk` is none of auto, xdp, socket"),
        ("[recv]\nworkers = \n", "f.toml:2:11: no TOML: "),
        (
            "[general]\nuseCP = maybe\n",
            "f.toml:2:9: general.useCP wants true or false, found `maybe`; comments have lines of their own",
        ),
    ] {
        let case = Case::new(&[("f.toml", text)]);
        let errors = case.errors("recv --listen 127.0.0.1:1 --config @f.toml", &[]);
        assert!(errors.starts_with(&format!("error: {told}")), "{text:?}\n{errors}\n{told}");
    }
    // All of them at once.
    let case = Case::new(&[("f.toml", "[recv]\na = 1\nworkers = 0\n")]);
    assert_eq!(case.errors("demo --config @f.toml", &[]).lines().count(), 2);
    // Of the environment, too.
    let case = Case::new(&[]);
    let recv = "recv --listen 127.0.0.1:1";
    let wrong = case.errors(recv, &[("XDPSAR_RECV_PORTS", "3")]);
    assert_eq!(
        wrong,
        "error: XDPSAR_RECV_PORTS: --ports: `3` is not a power of two from 1 to 16384\n"
    );
    let wrong = case.errors(recv, &[("XDPSAR_RECV_JSON", "perhaps")]);
    assert_eq!(wrong, "error: XDPSAR_RECV_JSON: --json: `perhaps` is neither true nor false\n");
    let (_, warnings) =
        case.explain(recv, &[("XDPSAR_RECV_WORKER", "3"), ("XDPSAR_REQUIRE_X", "1")]);
    assert_eq!(
        warnings,
        [
            "XDPSAR_RECV_WORKER is set, but is no option of xdpsar recv; did you mean XDPSAR_RECV_WORKERS?"
        ]
    );
}

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
    assert!(case.errors("config --explain recv", &[]).contains("--listen"));
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
