//! What there is to tell of tokens.

use std::fmt::Write;

use serde::{Serialize, Serializer};
use xdpsar::load_balancer::{Level, Permission, Resource, TokenDetails};

use crate::{
    manifest::name::show,
    output::{
        Report,
        table::{Side, Table},
    },
};

/// `token`: one that there is, or that was just made.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "token")]
pub(crate) struct TokenTold<'a> {
    /// Its number; a new one's is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<u32>,
    pub(crate) name: &'a str,
    /// In the server's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<&'a str>,
    #[serde(serialize_with = "texts")]
    pub(crate) permissions: &'a [Permission],
    /// A new one's, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<&'a str>,
    /// The URI with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uri: Option<String>,
}

impl<'a> From<&'a TokenDetails> for TokenTold<'a> {
    fn from(details: &'a TokenDetails) -> Self {
        Self {
            id: Some(details.id),
            name: &details.name,
            created_at: Some(&details.created_at),
            permissions: &details.permissions,
            token: None,
            uri: None,
        }
    }
}

fn texts<S: Serializer>(permissions: &&[Permission], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(permissions.iter().map(text))
}

/// As in command lines: `RESERVATION:12:UPDATE`.
fn text(permission: &Permission) -> String {
    let (kind, id): (&str, &str) = match &permission.resource {
        Resource::All => ("ALL", ""),
        Resource::LoadBalancer(id) => ("LOAD_BALANCER", id),
        Resource::Reservation(id) => ("RESERVATION", id),
        Resource::Session(id) => ("SESSION", id),
        Resource::Unknown(number, id) => (&format!("TYPE_{number}"), id),
    };
    let level = match permission.level {
        Level::ReadOnly => "READ_ONLY",
        Level::Register => "REGISTER",
        Level::Reserve => "RESERVE",
        Level::Update => "UPDATE",
        Level::Unknown(number) => &format!("LEVEL_{number}"),
    };
    format!("{kind}:{id}:{level}")
}

fn all(permissions: &[Permission]) -> String {
    let texts: Vec<String> = permissions.iter().map(text).collect();
    texts.join(" ")
}

impl Report for TokenTold<'_> {
    fn human(&self) -> Option<String> {
        let mut lines = format!("token {:?}", self.name);
        let mut line = |name: &str, value: &str| {
            let _ = write!(lines, "\n  {name:<12}{}", show(value.as_bytes()));
        };
        if let Some(id) = self.id {
            line("id", &id.to_string());
        }
        if let Some(created_at) = self.created_at {
            line("made", created_at);
        }
        line("permissions", &all(self.permissions));
        if let Some(token) = self.token {
            line("token", token);
        }
        if let Some(uri) = &self.uri {
            line("URI", uri);
        }
        Some(lines)
    }
}

/// Several tokens as one table; as JSON, a `token` each.
pub(crate) fn table(tokens: &[TokenDetails]) -> String {
    use Side::{Left, Right};
    let mut table =
        Table::new([("id", Right), ("name", Left), ("made", Left), ("permissions", Left)]);
    for token in tokens {
        table.row([
            token.id.to_string(),
            token.name.clone(),
            token.created_at.clone(),
            all(&token.permissions),
        ]);
    }
    if table.is_empty() { "  no tokens".into() } else { table.to_string() }
}

/// `revoked`: a token, and those made with it, are worth nothing now.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "revoked")]
pub(crate) struct Revoked {
    /// `token 7`; never the secret.
    pub(crate) which: String,
}

impl Report for Revoked {
    fn human(&self) -> Option<String> {
        Some(format!("revoked {}, and what was made with it", self.which))
    }
}
