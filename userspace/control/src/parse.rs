//! From text to a URI (`data-plane.md` §2).

use std::net::IpAddr;

use crate::{
    address::{DATA_PORT, Endpoint, Host, HostKind, Ip, port},
    error::{UriError, UriErrorKind},
    escape::{decode, decode_value, is_legal},
    token::{Token, TokenKind},
    uri::EjfatUri,
};

/// What is wrong, and what to do.
type Wrong = (String, &'static str);

const FORM: &str = "write ejfat://token@host:port/lb/id?sync=ip:port&data=ip";
/// So much of a text is quoted.
const QUOTED: usize = 200;

/// Errors quote the text, but never its token.
pub(crate) fn parse(text: &str, kind: TokenKind) -> Result<EjfatUri, UriError> {
    let text = text.trim();
    if text.is_empty() {
        let (asked, found) = ("read an EJFAT URI", "the text is empty");
        return Err(UriError::new(UriErrorKind::Empty, asked, found, FORM));
    }
    let parts = Text { secret: text.rfind('@').map_or("", |end| &text[..end]) };
    parts.uri(text, kind).map_err(|(found, remedy)| {
        let asked = format!("read the EJFAT URI {:?}", redact(text));
        UriError::new(UriErrorKind::Bad, asked, found, remedy)
    })
}

/// The text without whatever may be its token, and not too long.
fn redact(text: &str) -> String {
    let scheme = text.find("://").map_or(0, |at| at + 3);
    let shown = match text.rfind('@') {
        Some(end) if end >= scheme => format!("{}***{}", &text[..scheme], &text[end..]),
        Some(end) => format!("***{}", &text[end..]),
        None => text.to_owned(),
    };
    match shown.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

struct Text<'a> {
    /// Up to the last `@`: it may be a token, or a part of one.
    secret: &'a str,
}

impl Text<'_> {
    fn quote(&self, part: &str) -> String {
        if !part.is_empty() && self.secret.contains(part) {
            "***".into()
        } else {
            format!("{:?}", redact(part))
        }
    }

    fn uri(&self, text: &str, kind: TokenKind) -> Result<EjfatUri, Wrong> {
        if let Some(at) = text.chars().position(|char| !is_legal(char)) {
            let found = format!("character {} is none that a URI may have", at + 1);
            return Err((found, "write it as %XX, or leave it out"));
        }
        let wrong = || ("it does not begin with ejfat:// or ejfats://".to_owned(), FORM);
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            _ if scheme.eq_ignore_ascii_case("ejfat") => false,
            _ if scheme.eq_ignore_ascii_case("ejfats") => true,
            _ => return Err(wrong()),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (token, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let token =
            decode(token).ok_or(("the token has a % without a byte behind it".into(), FORM))?;
        let (host, port) = self.host(host)?;
        let mut uri = EjfatUri::new(host, port).with_tls(tls).with_token(kind, Token::new(token));
        uri = uri.with_lb_id(self.lb_id(path)?);
        for param in query.split('&').filter(|param| !param.is_empty()) {
            uri = self.param(uri, param)?;
        }
        Ok(uri)
    }

    fn host(&self, text: &str) -> Result<(Host, u16), Wrong> {
        let no_port = || (format!("{} has no port", self.quote(text)), FORM);
        let (host, port_text) = if let Some(bracketed) = text.strip_prefix('[') {
            let no_address = (format!("the host {} is no address", self.quote(text)), FORM);
            let (ip, rest) = bracketed.split_once(']').ok_or_else(|| no_address.clone())?;
            let ip = decode(ip).and_then(|ip| Ip::v6(&ip)).ok_or(no_address)?;
            (Host(HostKind::Ip(ip)), rest.strip_prefix(':').ok_or_else(no_port)?)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
            let found = |error: UriError| (format!("{}: {}", self.quote(host), error.found), FORM);
            let host: Host = host.parse().map_err(found)?;
            if matches!(host.ip(), Some(IpAddr::V6(_))) {
                let found = format!("the IPv6 address {} has no brackets", self.quote(text));
                return Err((found, "write [address]:port"));
            }
            (host, port)
        };
        let number = port(port_text)
            .map_err(|found| (format!("the host {}: {found}", self.quote(text)), FORM))?;
        Ok((host, number))
    }

    fn lb_id(&self, path: &str) -> Result<String, Wrong> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        match segments[..] {
            // Help texts of old tools have /id/…, which never meant an id.
            [""] | ["lb"] | ["id"] | ["id", _] => Some(String::new()),
            ["lb", id] => decode(id),
            _ => None,
        }
        .ok_or_else(|| {
            (format!("the path {} is not /lb/id", self.quote(path)), "write /lb/id, or nothing")
        })
    }

    fn param(&self, uri: EjfatUri, param: &str) -> Result<EjfatUri, Wrong> {
        let (name, text) = param.split_once('=').unwrap_or((param, ""));
        let wrong = |found: &str, remedy| (format!("{}: {found}", self.quote(param)), remedy);
        let value =
            decode_value(text).ok_or_else(|| wrong("a % without a byte behind it", FORM))?;
        match name {
            "sync" => {
                let to = Endpoint::parse(&value, None)
                    .map_err(|found| wrong(found, "write sync=ip:port"))?;
                once(name, uri.sync_of(to.ip().is_ipv6()), &to);
                Ok(uri.with_sync(to))
            }
            "data" => {
                let to = Endpoint::parse(&value, Some(DATA_PORT)).map_err(|found| {
                    wrong(found, "write data=ip, data=ip:port or data=ip:first-last")
                })?;
                once(name, uri.data_of(to.ip().is_ipv6()), &to);
                Ok(uri.with_data(to))
            }
            "sessionid" => Ok(uri.with_session_id(value)),
            _ => Err(wrong("there is no such parameter", "known are sync, data and sessionid")),
        }
    }
}

/// The last one counts, which may surprise.
fn once(name: &str, before: Option<&Endpoint>, now: &Endpoint) {
    if let Some(before) = before {
        tracing::warn!("the URI names {name}={before} and then {name}={now}: the latter counts");
    }
}
