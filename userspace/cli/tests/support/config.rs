//! Cases of configuration: files, variables, and what `xdpsar` makes of them.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{records, xdpsar};

/// A directory with files, and a way to ask what a command is set to.
pub(crate) struct Case(TempDir);

impl Case {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let case = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = case.path(name);
            fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        case
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    /// `xdpsar` with this line, where `@` begins a file of this case.
    pub(crate) fn run(&self, line: &str, variables: &[(&str, &str)]) -> Output {
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
    pub(crate) fn explain(
        &self,
        line: &str,
        variables: &[(&str, &str)],
    ) -> (Vec<Value>, Vec<String>) {
        let output = self.run(&format!("config --json --explain {line}"), variables);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}: {text}");
        let (settings, warnings): (Vec<_>, Vec<_>) =
            records(&output.stdout).into_iter().partition(|record| record["type"] == "setting");
        let told = warnings.iter().map(|warning| warning["message"].as_str().unwrap().to_owned());
        (settings, told.collect())
    }

    /// What one option is set to.
    pub(crate) fn of(&self, option: &str, line: &str, variables: &[(&str, &str)]) -> Value {
        let (settings, _) = self.explain(line, variables);
        settings.into_iter().find(|setting| setting["option"] == option).unwrap()
    }

    /// The errors of a line, without this case's directory.
    pub(crate) fn errors(&self, line: &str, variables: &[(&str, &str)]) -> String {
        let output = self.run(line, variables);
        let text = String::from_utf8_lossy(&output.stderr).replace(&self.path(""), "");
        assert_eq!(output.status.code(), Some(2), "{line}: {text}");
        text
    }
}

/// Who set it, in short.
pub(crate) fn origin(setting: &Value) -> String {
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
