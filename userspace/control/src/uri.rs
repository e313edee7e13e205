//! The EJFAT URI (`data-plane.md` §2, `control-plane.md` §15).
//!
//! ```text
//! ejfat[s]://[token@]host:port[/lb/id][?sync=ip:port&data=ip[:port|:first-last]&sessionid=text]
//! ```

use std::{
    env, fmt, fs,
    io::{self, Read},
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
    str::FromStr,
};

use crate::{
    address::{DATA_PORT, Endpoint, Host},
    error::{UriError, UriErrorKind},
    escape::{Encoded, SEGMENT, USERINFO, VALUE},
    parse::parse,
    token::{Token, TokenKind},
};

/// A file with a URI is no longer than this.
const LONGEST_FILE: u64 = 64 << 10;

/// Where a load balancer's control plane is, where its data plane is, and
/// with which tokens we may ask for what.
///
/// Reading one touches no network: [`resolve`](Self::resolve) looks a name
/// up. All ports from 1 on are accepted: a control plane may well listen on
/// 443. A data address without a port has [`DATA_PORT`], each family its own.
///
/// `Debug` and `Display` hide tokens; [`reveal`](Self::reveal) does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EjfatUri {
    tls: bool,
    host: Host,
    port: u16,
    /// By [`TokenKind`].
    tokens: [Option<Token>; 4],
    lb_id: String,
    lb_name: String,
    session_id: String,
    sync: Families,
    data: Families,
    prefer_v6: bool,
}

/// One address of each family, at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Families {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
}

impl Families {
    const fn of(&self, v6: bool) -> Option<&Endpoint> {
        if v6 { self.v6.as_ref() } else { self.v4.as_ref() }
    }

    fn set(&mut self, v6: bool, endpoint: Option<Endpoint>) {
        *(if v6 { &mut self.v6 } else { &mut self.v4 }) = endpoint;
    }

    fn preferred(&self, v6: bool) -> Option<&Endpoint> {
        self.of(v6).or_else(|| self.of(!v6))
    }

    fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.v4.iter().chain(&self.v6)
    }
}

impl EjfatUri {
    /// One that names a control plane and nothing else.
    pub fn new(host: Host, port: u16) -> Self {
        Self {
            tls: false,
            host,
            port,
            tokens: [const { None }; 4],
            lb_id: String::new(),
            lb_name: String::new(),
            session_id: String::new(),
            sync: Families::default(),
            data: Families::default(),
            prefer_v6: false,
        }
    }

    /// Reads a URI; its token is one of this kind. `FromStr` takes it for
    /// one of [`TokenKind::Admin`].
    ///
    /// # Errors
    /// [`UriErrorKind::Empty`], [`UriErrorKind::Bad`].
    pub fn parse(text: &str, token: TokenKind) -> Result<Self, UriError> {
        parse(text, token)
    }

    /// Reads the environment variable `name`, by custom `EJFAT_URI`.
    ///
    /// # Errors
    /// Also [`UriErrorKind::NotSet`].
    pub fn from_env(name: &str, token: TokenKind) -> Result<Self, UriError> {
        let asked = || format!("the EJFAT URI in the environment variable {name:?}");
        // Asked for so, `var_os` panics on some systems.
        let possible = !name.is_empty() && !name.contains(['=', '\0']);
        let Some(value) = possible.then(|| env::var_os(name)).flatten() else {
            let found = "it is not set";
            let remedy = format!("export {name}='ejfat://…', or name the URI");
            return Err(UriError::new(UriErrorKind::NotSet, asked(), found, remedy));
        };
        let text = value.to_str().ok_or_else(|| {
            let (found, remedy) = ("it is not text", "write an EJFAT URI there");
            UriError::new(UriErrorKind::Bad, asked(), found, remedy)
        })?;
        Self::parse(text, token).map_err(|error| within(error, asked()))
    }

    /// Reads the first line of a file that is neither blank nor a comment
    /// (`#`). It may be one for a shell: `export EJFAT_URI='…'`.
    ///
    /// # Errors
    /// Also [`UriErrorKind::NotFound`].
    pub fn from_file(path: &Path, token: TokenKind) -> Result<Self, UriError> {
        let asked = || format!("the EJFAT URI in the file {}", path.display());
        let text = read(path).map_err(|error| {
            let remedy = "name a readable file that has the URI in its first line";
            match error.kind() {
                io::ErrorKind::InvalidData => {
                    UriError::new(UriErrorKind::Bad, asked(), "it is not text", remedy)
                }
                _ => UriError::new(UriErrorKind::NotFound, asked(), error.to_string(), remedy),
            }
        })?;
        let content = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let line = text.lines().map(str::trim).find(content).unwrap_or_default();
        Self::parse(from_shell(line), token).map_err(|error| within(error, asked()))
    }

    /// Whether the control plane is spoken to by TLS: `ejfats`.
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// The control plane's host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The control plane's TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The token of exactly this kind.
    pub const fn token(&self, kind: TokenKind) -> Option<&Token> {
        self.tokens[kind as usize].as_ref()
    }

    /// The token to use where one of this kind is asked for: that one, or
    /// the next broader one.
    pub fn token_for(&self, kind: TokenKind) -> Option<&Token> {
        kind.served_by().iter().find_map(|kind| self.token(*kind))
    }

    /// The load balancer's id; empty if there is none.
    pub fn lb_id(&self) -> &str {
        &self.lb_id
    }

    /// The load balancer's name. It never stands in the text.
    pub fn lb_name(&self) -> &str {
        &self.lb_name
    }

    /// The worker's session; empty if there is none.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Where sync messages go: of the preferred family, or of the other.
    pub fn sync(&self) -> Option<&Endpoint> {
        self.sync.preferred(self.prefer_v6)
    }

    /// Where sync messages go by IPv6, or by IPv4.
    pub const fn sync_of(&self, v6: bool) -> Option<&Endpoint> {
        self.sync.of(v6)
    }

    /// Where events go: of the preferred family, or of the other.
    pub fn data(&self) -> Option<&Endpoint> {
        self.data.preferred(self.prefer_v6)
    }

    /// Where events go by IPv6, or by IPv4.
    pub const fn data_of(&self, v6: bool) -> Option<&Endpoint> {
        self.data.of(v6)
    }

    /// Whether IPv6 is preferred where there are both.
    pub const fn prefers_v6(&self) -> bool {
        self.prefer_v6
    }

    /// Where events go, or why they cannot.
    ///
    /// # Errors
    /// [`UriErrorKind::Missing`], [`UriErrorKind::Unresolved`].
    pub fn data_addr(&self) -> Result<SocketAddr, UriError> {
        self.data().ok_or_else(|| self.missing("data"))?.socket_addr()
    }

    /// Where sync messages go, or why they cannot.
    ///
    /// # Errors
    /// [`UriErrorKind::Missing`], [`UriErrorKind::Unresolved`].
    pub fn sync_addr(&self) -> Result<SocketAddr, UriError> {
        self.sync().ok_or_else(|| self.missing("sync"))?.socket_addr()
    }

    fn missing(&self, what: &str) -> UriError {
        UriError::new(
            UriErrorKind::Missing,
            format!("the {what} address of {self}"),
            "it names none; a control plane adds it when a load balancer is reserved",
            format!("reserve one, or add {what}=ip:port to the URI"),
        )
    }

    /// The control plane's addresses, those of the preferred family first.
    /// Looks a name up, which may take as long as the name server does.
    ///
    /// # Errors
    /// [`UriErrorKind::Unresolved`].
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, UriError> {
        if let Some(address) = self.host.with_port(self.port) {
            return Ok(vec![address?]);
        }
        let name = self.host.to_string();
        let unknown = |found: String| {
            let remedy = "check the name, or write an address";
            let asked = format!("the address of the host {name}");
            UriError::new(UriErrorKind::Unresolved, asked, found, remedy)
        };
        let found = (name.as_str(), self.port).to_socket_addrs();
        let mut found: Vec<SocketAddr> =
            found.map_err(|error| unknown(error.to_string()))?.collect();
        if found.is_empty() {
            return Err(unknown("it has none".into()));
        }
        found.sort_by_key(|address| address.is_ipv6() != self.prefer_v6);
        Ok(found)
    }

    /// The text, with the token that gives away least: of a session, else of
    /// an instance, else of an admin, else for all.
    pub fn reveal(&self) -> String {
        self.text(self.token_for(TokenKind::Session).map(Token::reveal))
    }

    /// The text with the token of this kind, if there is one.
    pub fn reveal_with(&self, kind: TokenKind) -> String {
        self.text(self.token(kind).map(Token::reveal))
    }

    /// The text without a token.
    pub fn anonymous(&self) -> String {
        self.text(None)
    }

    fn text(&self, token: Option<&str>) -> String {
        Text(self, token).to_string()
    }

    /// With or without TLS.
    #[must_use]
    pub const fn with_tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// With another control plane.
    #[must_use]
    pub fn with_host(mut self, host: Host, port: u16) -> Self {
        (self.host, self.port) = (host, port);
        self
    }

    /// With this token of a kind, or with none.
    #[must_use]
    pub fn with_token(mut self, kind: TokenKind, token: Option<Token>) -> Self {
        self.tokens[kind as usize] = token;
        self
    }

    /// With this load balancer.
    #[must_use]
    pub fn with_lb_id(mut self, id: impl Into<String>) -> Self {
        self.lb_id = id.into();
        self
    }

    /// With this name of the load balancer.
    #[must_use]
    pub fn with_lb_name(mut self, name: impl Into<String>) -> Self {
        self.lb_name = name.into();
        self
    }

    /// With this session.
    #[must_use]
    pub fn with_session_id(mut self, id: impl Into<String>) -> Self {
        self.session_id = id.into();
        self
    }

    /// With this sync address, of its family.
    #[must_use]
    pub fn with_sync(mut self, to: Endpoint) -> Self {
        self.sync.set(to.ip().is_ipv6(), Some(to));
        self
    }

    /// Without a sync address of this family.
    #[must_use]
    pub fn without_sync(mut self, v6: bool) -> Self {
        self.sync.set(v6, None);
        self
    }

    /// With this data address, of its family.
    #[must_use]
    pub fn with_data(mut self, to: Endpoint) -> Self {
        self.data.set(to.ip().is_ipv6(), Some(to));
        self
    }

    /// Without a data address of this family.
    #[must_use]
    pub fn without_data(mut self, v6: bool) -> Self {
        self.data.set(v6, None);
        self
    }

    /// Which family counts where there are both.
    #[must_use]
    pub const fn with_prefer_v6(mut self, prefer_v6: bool) -> Self {
        self.prefer_v6 = prefer_v6;
        self
    }
}

impl FromStr for EjfatUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text, TokenKind::default())
    }
}

impl fmt::Display for EjfatUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.token_for(TokenKind::Session).map(|_| "***");
        Text(self, hidden).fmt(f)
    }
}

/// The text of a URI, with this token.
struct Text<'a>(&'a EjfatUri, Option<&'a str>);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(uri, token) = self;
        f.write_str(if uri.tls { "ejfats://" } else { "ejfat://" })?;
        token.iter().try_for_each(|token| write!(f, "{}@", Encoded(token, USERINFO)))?;
        uri.host.in_uri(f)?;
        write!(f, ":{}/", uri.port)?;
        if !uri.lb_id.is_empty() {
            write!(f, "lb/{}", Encoded(&uri.lb_id, SEGMENT))?;
        }
        let mut before = '?';
        let mut key = |f: &mut fmt::Formatter<'_>, key| {
            write!(f, "{before}{key}=")?;
            before = '&';
            Ok(())
        };
        for to in uri.sync.iter() {
            key(f, "sync")?;
            to.in_uri(0, f)?;
        }
        for to in uri.data.iter() {
            key(f, "data")?;
            to.in_uri(DATA_PORT, f)?;
        }
        if !uri.session_id.is_empty() {
            key(f, "sessionid")?;
            write!(f, "{}", Encoded(&uri.session_id, VALUE))?;
        }
        Ok(())
    }
}

/// The same failure, of something more telling.
fn within(error: UriError, asked: String) -> UriError {
    let found = match error.kind {
        UriErrorKind::Bad => format!("{}: {}", error.asked, error.found),
        _ => "it is empty".into(),
    };
    UriError { asked, found, ..error }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// What a line such as `export EJFAT_URI='…'` sets.
fn from_shell(line: &str) -> &str {
    let Some((name, value)) = line.split_once('=') else { return line };
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return line;
    }
    let value = value.trim();
    let unquoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    unquoted('\'').or_else(|| unquoted('"')).unwrap_or(value)
}
