//! Options from files and the environment: who wins, and what is wrong.

mod support;

use serde_json::Value;
use support::config::{Case, origin};

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
