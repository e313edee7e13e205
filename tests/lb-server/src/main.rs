//! The test server as a program: prints its URI, and does what it reads.
//!
//! ```text
//! xdpsar-lb-server [--listen IP:PORT] [--token TOKEN] [--tls DIR] [--plane IP]
//! ```
//!
//! `--plane` forwards events at this address. `--tls` writes `certificate.pem` and `authority.pem`, for `localhost` and
//! `127.0.0.1`, into the folder. Each line on the standard input is a
//! command, answered with `ok` or `error …`: `advance SECONDS`, `stop`,
//! `restart`, `disconnect`, `hang-up`, `silence CALL`, `reset CALL`, `delay
//! CALL SECONDS`. It ends with its input.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    io::{self, BufRead, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use xdpsar_lb_server::{Config, Fault, Identity, Server};

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xdpsar-lb-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut server = Server::start(config(env::args().skip(1))?)?;
    say(&server.uri(None))?;
    for line in io::stdin().lock().lines() {
        match obey(&mut server, &line?) {
            Ok(()) => say("ok")?,
            Err(error) => say(&format!("error {error}"))?,
        }
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn config(mut args: impl Iterator<Item = String>) -> Outcome<Config> {
    let mut config = Config { ticks: true, ..Config::default() };
    while let Some(option) = args.next() {
        let value = args.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--listen" => config.listen = value.parse()?,
            "--plane" => config.plane = Some(value.parse()?),
            "--token" => config.token = value,
            "--tls" => {
                let identity = Identity::signed(&["localhost", "127.0.0.1"]);
                let folder = Path::new(&value);
                fs::write(folder.join("certificate.pem"), &identity.certificate)?;
                fs::write(folder.join("authority.pem"), &identity.authority)?;
                config.tls = Some(identity);
            }
            other => return Err(format!("there is no option {other}").into()),
        }
    }
    Ok(config)
}

fn obey(server: &mut Server, line: &str) -> Outcome {
    let (command, value) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "advance" => server.advance(Duration::from_secs_f64(value.parse()?)),
        "stop" => server.stop(),
        "restart" => server.restart()?,
        "disconnect" => server.disconnect(),
        "hang-up" => server.hang_up(),
        "silence" => server.disturb(value, Fault::Silence, 1),
        "reset" => server.disturb(value, Fault::Reset, 1),
        "delay" => {
            let (call, seconds) = value.split_once(' ').ok_or("delay which CALL, SECONDS?")?;
            let later = Duration::try_from_secs_f64(seconds.parse()?)?;
            server.disturb(call, Fault::Delay(later), 1);
        }
        other => return Err(format!("there is no command {other:?}").into()),
    }
    Ok(())
}
