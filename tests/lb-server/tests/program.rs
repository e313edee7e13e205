//! The test server as a program, as tests in other languages use it.

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use common::{PATIENCE, uri};
use xdpsar_control::{Certificates, Options, Reserve, Trust, blocking::LoadBalancer};

#[test]
fn it_obeys_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_xdpsar-lb-server"))
        .args(["--tls", folder.path().to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut commands = program.stdin.take().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut answer = || lines.next().expect("a line").unwrap();
    let uri = uri(&answer());
    let trust = Certificates::from_file(folder.path().join("authority.pem")).unwrap();
    let trust = Trust::Certificates(trust);
    let options = Options { trust, timeout: PATIENCE, ..Options::default() };
    let lb = LoadBalancer::new(uri, &options).unwrap();
    lb.reserve(&Reserve::new("program").lasting(PATIENCE * 2).unwrap()).unwrap();
    let mut tell = |command: &str| {
        writeln!(commands, "{command}").unwrap();
        answer()
    };
    assert_eq!(tell("advance 100"), "ok");
    assert_eq!(tell("delay Overview 0.001"), "ok");
    assert!(tell("delay Overview").starts_with("error "));
    assert!(tell("dance").starts_with("error "));
    assert!(lb.overview().unwrap().is_empty(), "the reservation is over");
    drop(commands);
    assert!(program.wait().unwrap().success());
}
