//! `xdpsar lb`, against a load balancer that is there.

mod answers;
mod documented;
mod monitor;
mod refusals;
mod runs;
#[path = "../support/mod.rs"]
mod support;

use std::{path::Path, process::Output};

use documented::hold_against_the_page;
use serde_json::Value;
use support::{records, xdpsar};
use tempfile::TempDir;
use xdpsar_lb_server::{Config, Identity, Server};

/// A load balancer, and what it takes to believe it.
pub(crate) struct World {
    pub(crate) server: Server,
    folder: TempDir,
}

impl World {
    pub(crate) fn new(tls: bool) -> Self {
        Self::with(tls, Config::default())
    }

    pub(crate) fn with(tls: bool, config: Config) -> Self {
        let tls = tls.then(|| Identity::signed(&["localhost", "127.0.0.1"]));
        let server = Server::start(Config { tls, ..config }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        if let Some(identity) = server.identity() {
            std::fs::write(folder.path().join("ca.pem"), &identity.authority).unwrap();
        }
        Self { server, folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// With the token that may do everything.
    pub(crate) fn uri(&self) -> String {
        self.server.uri(None)
    }

    /// The words before those of a command.
    pub(crate) fn command(&self, words: &str) -> Vec<String> {
        let mut command: Vec<String> = ["lb", "--timeout", "60s"].map(str::to_owned).into();
        let ca = self.path("ca.pem");
        if Path::new(&ca).exists() {
            command.extend(["--ca".into(), ca]);
        }
        command.extend(words.split_whitespace().map(str::to_owned));
        command
    }

    /// Runs `xdpsar lb` with this URI in its environment.
    pub(crate) fn run(&self, uri: &str, words: &str) -> Output {
        let command = self.command(words);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        xdpsar(&command).env("EJFAT_URI", uri).output().unwrap()
    }

    /// What a command that succeeds says.
    pub(crate) fn said(&self, uri: &str, words: &str) -> String {
        let output = self.run(uri, words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words}: {stderr}");
        assert_eq!(stderr, "", "{words}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The only object that it says as JSON.
    pub(crate) fn record(&self, uri: &str, words: &str) -> Value {
        let mut all = self.records(uri, words);
        assert_eq!(all.len(), 1, "{words}: {all:?}");
        all.remove(0)
    }

    pub(crate) fn records(&self, uri: &str, words: &str) -> Vec<Value> {
        let records = records(self.said(uri, &format!("{words} --json")).as_bytes());
        records.iter().for_each(hold_against_the_page);
        records
    }

    /// The URI that a command exports.
    pub(crate) fn exported(&self, uri: &str, words: &str) -> String {
        let line = self.said(uri, &format!("{words} --export"));
        let uri = line.strip_prefix("export EJFAT_URI='").and_then(|rest| rest.strip_suffix("'\n"));
        uri.unwrap_or_else(|| panic!("{words}: {line}")).to_owned()
    }
}

/// The token of a URI.
pub(crate) fn token(uri: &str) -> &str {
    uri.split_once("://").and_then(|(_, rest)| rest.split_once('@')).unwrap().0
}
