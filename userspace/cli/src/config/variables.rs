//! Settings from the environment: `XDPSAR_RECV_WORKERS`, and `EJFAT_URI`.

use std::collections::BTreeMap;

use clap::{Arg, Command};
use xdpsar_control::config::did_you_mean;

use super::{
    options::{self, Kind},
    setting::{Given, Setting, Source},
};

/// Where E2SAR and its users have the URI.
pub(crate) const URI: &str = "EJFAT_URI";
const PREFIX: &str = "XDPSAR_";

/// Environment variables that are text.
pub(crate) type Variables = BTreeMap<String, String>;

/// What a variable for this option of this command is called.
pub(crate) fn name(path: &[String], option: &str) -> String {
    let words = path.iter().map(String::as_str).chain([option]);
    let words: Vec<_> = words.map(|word| word.to_ascii_uppercase().replace('-', "_")).collect();
    format!("{PREFIX}{}", words.join("_"))
}

/// The settings for the command at `path`, and what is to be told of
/// variables that look like settings and are none.
///
/// # Errors
/// Values that their options do not take.
pub(crate) fn read(
    leaf: &Command,
    path: &[String],
    variables: &Variables,
) -> Result<(Vec<Setting>, Vec<String>), Vec<String>> {
    let (mut settings, mut faults) = (Vec::new(), Vec::new());
    let mut known = Vec::new();
    for arg in options::settable(leaf) {
        let option = options::name(arg);
        // The nearest one counts: XDPSAR_LB_STATUS_URI, XDPSAR_LB_URI.
        let names: Vec<_> =
            (1..=path.len()).rev().map(|depth| name(&path[..depth], option)).collect();
        let set = |name: &String| variables.get(name).filter(|value| !value.is_empty());
        if let Some((name, value)) = names.iter().find_map(|name| Some((name, set(name)?))) {
            match given(arg, value) {
                Ok(value) => {
                    settings.push(Setting::new(option, value, Source::Variable(name.clone())));
                }
                Err(why) => faults.push(format!("{name}: --{option}: {why}")),
            }
        }
        known.extend(names);
    }
    let mine = path.first().map(|first| name(&[], first) + "_");
    let strange = variables.keys().filter(|name| {
        mine.as_ref().is_some_and(|mine| name.starts_with(mine)) && !known.contains(name)
    });
    let warnings = strange
        // Another of lb's commands may know it.
        .filter(|name| path.len() < 2 || !near(name, &known).is_empty())
        .map(|name| {
            format!(
                "{name} is set, but is no option of xdpsar {}{}",
                path.join(" "),
                near(name, &known)
            )
        })
        .collect();
    if faults.is_empty() { Ok((settings, warnings)) } else { Err(faults) }
}

/// The URI that EJFAT_URI has for a command which takes one. `recv` and
/// `send` do without where they are told an address: there it only stands in
/// for a weaker layer's.
pub(crate) fn uri(
    leaf: &Command,
    path: &[String],
    variables: &Variables,
    stronger: &[Setting],
    weaker: &[Vec<Setting>],
) -> Option<Setting> {
    let arg = options::find(leaf, "uri")?;
    let text = variables.get(URI).filter(|text| !text.is_empty())?;
    let is_set = |option: &str| {
        stronger.iter().chain(weaker.iter().flatten()).any(|setting| setting.option == option)
    };
    let optional = path.first().is_some_and(|first| first != "lb");
    if optional && !is_set("uri") && (is_set("listen") || is_set("to")) {
        return None;
    }
    let value = given(arg, text).ok()?;
    Some(Setting::new("uri", value, Source::Variable(URI.into())))
}

fn near(name: &str, known: &[String]) -> String {
    did_you_mean(name, known.iter().map(String::as_str))
}

fn given(arg: &Arg, text: &str) -> Result<Given, String> {
    let flag = match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    };
    let given = match (options::kind(arg), flag) {
        (Kind::Flag, Some(flag)) => Given::Flag(flag),
        (Kind::Flag, None) => return Err(format!("`{text}` is neither true nor false")),
        (Kind::Count, _) => {
            let times = text.parse().map_err(|_| format!("`{text}` is not a number of times"))?;
            Given::Times(times)
        }
        // A bare 1 is a value.
        (Kind::One { bare: true, .. }, Some(flag)) if text.parse::<u64>().is_err() => {
            Given::Flag(flag)
        }
        _ => Given::Values(vec![text.to_owned()]),
    };
    options::complaint(arg, &given).map_or(Ok(given), Err)
}
