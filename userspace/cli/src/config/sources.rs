//! Which files there are, and what is in them.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    rc::Rc,
};

use clap::Command;
use xdpsar_control::config::{Fault, ini, toml};

use super::{e2sar, file, setting::Setting, variables::Variables};

/// The variable that names a file.
pub(crate) const VARIABLE: &str = "XDPSAR_CONFIG";
/// A configuration is shorter than this; what is longer is something else.
const LONGEST: u64 = 1 << 20;

/// The environment, and where files are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) variables: Variables,
    /// Read where they exist, unless one is named; the strongest first.
    pub(crate) usual: Vec<PathBuf>,
    /// What `~/` in front of a name means.
    pub(crate) home: Option<PathBuf>,
}

/// A file to be read.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) path: PathBuf,
    /// Who asked for it; nobody for the usual ones, which need not exist.
    by: Option<&'static str>,
}

impl Surroundings {
    /// This process'.
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let absolute =
            |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let own = absolute("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
        let usual = own.into_iter().chain([PathBuf::from("/etc")]);
        Self {
            variables: env::vars_os().filter_map(text).collect(),
            usual: usual.map(|directory| directory.join("xdpsar/config.toml")).collect(),
            home,
        }
    }

    /// The files to read: the one that is named, or the usual ones.
    pub(crate) fn files(&self, named: Option<&Path>) -> Vec<Wanted> {
        let variable = self.variables.get(VARIABLE).filter(|name| !name.is_empty());
        let one =
            named.map(|path| (path, "--config")).or_else(|| Some((Path::new(variable?), VARIABLE)));
        match one {
            Some((path, by)) => {
                let tail = path.strip_prefix("~").ok().zip(self.home.as_ref());
                let path = tail.map_or_else(|| path.to_owned(), |(tail, home)| home.join(tail));
                vec![Wanted { path, by: Some(by) }]
            }
            None => self.usual.iter().map(|path| Wanted { path: path.clone(), by: None }).collect(),
        }
    }
}

/// What a file says to a command.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Settings, the strongest first.
    pub(crate) layers: Vec<Vec<Setting>>,
    /// What is to be told.
    pub(crate) warnings: Vec<String>,
}

/// What a file says to the command at `path`.
///
/// # Errors
/// All that is wrong with it, each with its place.
pub(crate) fn read(
    root: &Command,
    leaf: &Command,
    path: &[String],
    wanted: &Wanted,
) -> Result<Said, Vec<String>> {
    let Some(text) = text(wanted).map_err(|fault| vec![fault])? else {
        return Ok(Said::default());
    };
    let name: Rc<Path> = Rc::from(wanted.path.as_path());
    let place = |faults: Vec<Fault>| -> Vec<String> {
        faults.iter().map(|fault| format!("{}:{fault}", name.display())).collect()
    };
    let is_ini = wanted.path.extension().is_some_and(|end| end.eq_ignore_ascii_case("ini"));
    if is_ini || ini::is_e2sar(&text) {
        let document = ini::read(&text).map_err(place)?;
        let (settings, warnings) = e2sar::read(leaf, path, &name, &document)?;
        return Ok(Said { layers: vec![settings], warnings });
    }
    let document = toml::read(&text).map_err(place)?;
    Ok(Said { layers: file::read(root, path, &name, &document)?, warnings: Vec::new() })
}

/// What stands in the file; nothing if it need not exist and does not.
fn text(wanted: &Wanted) -> Result<Option<String>, String> {
    let told = |found: String| {
        let by = wanted.by.map_or_else(String::new, |by| format!(" that {by} names"));
        let remedy = "name a text file that may be read";
        Err(format!("read the configuration {}{by}: {found}; {remedy}", wanted.path.display()))
    };
    let open = |path: &Path| -> std::io::Result<Result<String, String>> {
        use std::io::Read;
        let mut text = String::new();
        let file = fs::File::open(path)?;
        if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
            return Ok(Err(format!("it has more than {LONGEST} bytes")));
        }
        Ok(Ok(text))
    };
    match open(&wanted.path) {
        Ok(Ok(text)) => Ok(Some(text)),
        Ok(Err(found)) => told(found),
        // Nor may everybody look whether it does: who runs as another user may
        // still have the first one's HOME.
        Err(_) if wanted.by.is_none() && fs::metadata(&wanted.path).is_err() => Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => told("it is not text".into()),
        Err(error) => told(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_files() {
        let usual = vec![PathBuf::from("/home/x/config.toml"), PathBuf::from("/etc/config.toml")];
        let mut around =
            Surroundings { usual, home: Some("/home/x".into()), ..Surroundings::default() };
        let paths = |around: &Surroundings, named: Option<&str>| -> Vec<String> {
            let files = around.files(named.map(Path::new));
            files.iter().map(|file| file.path.display().to_string()).collect()
        };
        assert_eq!(paths(&around, None), ["/home/x/config.toml", "/etc/config.toml"]);
        assert_eq!(paths(&around, Some("a.toml")), ["a.toml"]);
        around.variables.insert(VARIABLE.into(), "~/b.toml".into());
        assert_eq!(paths(&around, None), ["/home/x/b.toml"]);
        assert_eq!(paths(&around, Some("a.toml")), ["a.toml"]);
        around.variables.insert(VARIABLE.into(), String::new());
        assert_eq!(paths(&around, None).len(), 2);
    }
}
