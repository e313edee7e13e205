//! Options of what concerns tokens.

use std::fs;

use clap::{Args, Subcommand};
use xdpsar::{
    Token,
    load_balancer::{Level, Permission, Resource, Which},
};

use super::Export;

const AFTER_HELP: &str = "\
Permissions:
  TYPE:ID:LEVEL, such as ALL::UPDATE, LOAD_BALANCER:1:RESERVE or RESERVATION:12:READ_ONLY.
  TYPE   ALL (without an id), LOAD_BALANCER, RESERVATION or SESSION: each includes what is within
  LEVEL  READ or READ_ONLY: look; REGISTER: register workers, and look; RESERVE: reserve, and look;
         UPDATE: everything

Whom a command means:
  a number is a token's id, `own` the token that the command itself uses, and anything else the
  token itself; file:PATH reads that from a file's first line";

/// Tokens.
#[derive(Clone, Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub(crate) enum TokenCommand {
    /// Make a token. It is shown this once: say --export or --show-token.
    Create(Create),
    /// Show what a token may do.
    List(Meant),
    /// Show the tokens that were made with a token, and with those, and so on.
    Children(Meant),
    /// Revoke a token, and all that were made with it.
    Revoke(Revoke),
}

/// Make a token.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Create {
    /// Its name.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What it may do; may be given several times.
    #[arg(long, value_name = "TYPE:ID:LEVEL", required = true, value_parser = permission)]
    pub(crate) allow: Vec<Permission>,
    #[command(flatten)]
    pub(crate) export: Export,
}

/// Which token.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Meant {
    /// Which token: its id, `own`, itself, or file:PATH.
    #[arg(value_name = "TOKEN", default_value = "own", value_parser = which)]
    pub(crate) which: Which,
}

/// Revoke a token.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Revoke {
    /// Which token: its id, `own`, itself, or file:PATH.
    #[arg(value_name = "TOKEN", value_parser = which)]
    pub(crate) which: Which,
    /// Revoke the very token that the command uses. With a server's first token, all tokens that
    /// it has are gone then, until somebody restarts it.
    #[arg(long)]
    pub(crate) yes_revoke_own_token: bool,
}

/// Reads `TYPE:ID:LEVEL`.
fn permission(text: &str) -> Result<Permission, String> {
    let wrong = |what: &str| Err(format!("`{text}` {what}"));
    let parts: Vec<&str> = text.split(':').collect();
    let [kind, id, level] = parts[..] else {
        return wrong("is not TYPE:ID:LEVEL, such as RESERVATION:12:READ_ONLY or ALL::UPDATE");
    };
    let level = match level.to_ascii_uppercase().as_str() {
        "READ" | "READ_ONLY" => Level::ReadOnly,
        "REGISTER" => Level::Register,
        "RESERVE" => Level::Reserve,
        "UPDATE" => Level::Update,
        _ => return wrong("has no level of READ, READ_ONLY, REGISTER, RESERVE, UPDATE"),
    };
    let resource = match kind.to_ascii_uppercase().as_str() {
        "ALL" if id.is_empty() => Resource::All,
        "ALL" => return wrong("means everything, and so has no id: write ALL::LEVEL"),
        _ if id.is_empty() => return wrong("lacks an id: there is no such thing as all of a kind"),
        "LOAD_BALANCER" => Resource::LoadBalancer(id.into()),
        "RESERVATION" => Resource::Reservation(id.into()),
        "SESSION" => Resource::Session(id.into()),
        _ => return wrong("has no type of ALL, LOAD_BALANCER, RESERVATION, SESSION"),
    };
    Ok(Permission { resource, level })
}

/// Reads which token is meant. What it says does not quote it.
fn which(text: &str) -> Result<Which, String> {
    if text == "own" {
        return Ok(Which::Own);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse() {
            Ok(0) => Ok(Which::Own),
            Ok(id) => Ok(Which::Id(id)),
            Err(_) => Err("a token's id is a number below 2^32".into()),
        };
    }
    let secret = match text.strip_prefix("file:") {
        Some(path) => {
            let content = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
            content.lines().next().unwrap_or_default().trim().to_owned()
        }
        None => text.to_owned(),
    };
    Token::new(secret).map(Which::Secret).ok_or_else(|| "it is empty".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions() {
        let id = || "12".to_owned();
        for (text, resource, level) in [
            ("ALL::READ", Resource::All, Level::ReadOnly),
            ("all::read_only", Resource::All, Level::ReadOnly),
            ("LOAD_BALANCER:12:RESERVE", Resource::LoadBalancer(id()), Level::Reserve),
            ("RESERVATION:12:REGISTER", Resource::Reservation(id()), Level::Register),
            ("SESSION:12:UPDATE", Resource::Session(id()), Level::Update),
        ] {
            assert_eq!(permission(text), Ok(Permission { resource, level }), "{text}");
        }
        for text in [
            "",
            "ALL",
            "ALL:READ",
            "ALL:1:READ",
            "RESERVATION::READ",
            "LB:1:READ",
            "ALL::WRITE",
            "RESERVATION:1:READ:2",
        ] {
            assert!(permission(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "s3cret\nmore\n").unwrap();
        let file = format!("file:{}", path.display());
        let secret = |text: &str| Which::Secret(Token::new(text).unwrap());
        for (text, expected) in [
            ("own", Which::Own),
            ("0", Which::Own),
            ("7", Which::Id(7)),
            ("7a", secret("7a")),
            (&file, secret("s3cret")),
        ] {
            assert_eq!(which(text), Ok(expected), "{text}");
        }
        for text in ["", "99999999999", "file:/no/such/file", "file:/dev/null"] {
            assert!(which(text).is_err(), "{text}");
        }
    }
}
