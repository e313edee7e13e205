//! Tokens made, listed, revoked (`control-plane.md` §5, §13).

use std::fmt;

use super::{
    LoadBalancer, check,
    error::{Error, ErrorKind},
};
use crate::{
    message::{
        self, CreateTokenReply, CreateTokenRequest, Empty, ListChildTokensReply,
        ListTokenPermissionsReply, Selector, TokenRequest, TokenSelector as WireSelector,
    },
    token::Token,
};

/// What a token gives access to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Everything.
    All,
    /// A load balancer by its id, what is reserved on it, and its sessions.
    LoadBalancer(String),
    /// A reservation by its id, and its sessions.
    Reservation(String),
    /// A session by its id.
    Session(String),
    /// A kind that a newer server knows, by its number, and an id.
    Unknown(i32, String),
}

impl Resource {
    /// The protocol's number, and the id.
    fn parts(&self) -> (i32, &str) {
        match self {
            Self::All => (0, ""),
            Self::LoadBalancer(id) => (1, id),
            Self::Reservation(id) => (2, id),
            Self::Session(id) => (3, id),
            Self::Unknown(kind, id) => (*kind, id),
        }
    }

    fn read(kind: i32, id: String) -> Self {
        match kind {
            0 => Self::All,
            1 => Self::LoadBalancer(id),
            2 => Self::Reservation(id),
            3 => Self::Session(id),
            _ => Self::Unknown(kind, id),
        }
    }
}

/// What a token lets do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Level {
    /// Look.
    #[default]
    ReadOnly,
    /// Register workers, and look.
    Register,
    /// Reserve, and look.
    Reserve,
    /// Everything.
    Update,
    /// Something that a newer server knows, by its number.
    Unknown(i32),
}

impl Level {
    const fn number(self) -> i32 {
        match self {
            Self::ReadOnly => 0,
            Self::Register => 1,
            Self::Reserve => 2,
            Self::Update => 3,
            Self::Unknown(number) => number,
        }
    }

    const fn read(number: i32) -> Self {
        match number {
            0 => Self::ReadOnly,
            1 => Self::Register,
            2 => Self::Reserve,
            3 => Self::Update,
            _ => Self::Unknown(number),
        }
    }
}

/// What a token lets do with what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    /// With what.
    pub resource: Resource,
    /// What.
    pub level: Level,
}

/// Which token is meant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Which {
    /// The one that the call is made with.
    Own,
    /// One by its number, from 1 on.
    Id(u32),
    /// One by itself.
    Secret(Token),
}

impl fmt::Debug for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("the calling token"),
            Self::Id(id) => write!(f, "token {id}"),
            Self::Secret(_) => f.write_str("token ***"),
        }
    }
}

impl Which {
    fn write(&self) -> TokenRequest {
        let selector = match self {
            Self::Own => Selector::Id(0),
            Self::Id(id) => Selector::Id(*id),
            Self::Secret(token) => Selector::Token(token.reveal().into()),
        };
        TokenRequest { target: Some(WireSelector { selector: Some(selector) }) }
    }

    fn hide(&self, error: Error) -> Error {
        match self {
            Self::Secret(token) => error.hide(token),
            Self::Own | Self::Id(_) => error,
        }
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenDetails {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What it lets do.
    pub permissions: Vec<Permission>,
    /// When it was made, as the server writes it (RFC 3339).
    pub created_at: String,
}

impl TokenDetails {
    fn read(details: message::TokenDetails) -> Self {
        let permission = |one: message::TokenPermission| Permission {
            resource: Resource::read(one.resource_type, one.resource_id),
            level: Level::read(one.permission),
        };
        Self {
            id: details.id,
            name: details.name,
            permissions: details.permissions.into_iter().map(permission).collect(),
            created_at: details.created_at,
        }
    }
}

impl LoadBalancer {
    /// Makes a token that may do this: no more than ours. There is no other
    /// way to see it again.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_token(
        &self,
        name: &str,
        permissions: &[Permission],
    ) -> Result<Token, Error> {
        check::name("a token", name)?;
        let asked = format!("make token {name}");
        if permissions.is_empty() {
            let remedy = "give one permission at least";
            return Err(Error::parameter(asked, "it could not do anything", remedy));
        }
        let mut wire = Vec::with_capacity(permissions.len());
        for (at, Permission { resource, level }) in permissions.iter().enumerate() {
            let (kind, id) = resource.parts();
            if id.is_empty() && *resource != Resource::All {
                let remedy = "name the resource by its id; there is no such thing as all of a kind";
                return Err(Error::parameter(asked, format!("{resource:?} has no id"), remedy));
            }
            if permissions[..at].iter().any(|before| before.resource == *resource) {
                let found = format!("it has two permissions on {resource:?}");
                return Err(Error::parameter(asked, found, "give the higher one only"));
            }
            let (resource_type, resource_id) = (kind, id.to_owned());
            let permission = level.number();
            wire.push(message::TokenPermission { resource_type, resource_id, permission });
        }
        let request = CreateTokenRequest { name: name.into(), permissions: wire };
        let reply: CreateTokenReply =
            self.call("CreateToken", &asked, self.admin_token()?, request).await?;
        Token::new(reply.token).ok_or_else(|| Error::data(asked, "the answer has no token"))
    }

    /// What a token may do.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn token_permissions(&self, which: &Which) -> Result<TokenDetails, Error> {
        let asked = format!("the permissions of {which}");
        let own = self.admin_token()?;
        let reply: Result<ListTokenPermissionsReply, Error> =
            self.call("ListTokenPermissions", &asked, own, which.write()).await;
        let token = reply.map_err(|error| which.hide(error))?.token;
        token.map(TokenDetails::read).ok_or_else(|| Error::data(asked, "the answer has no token"))
    }

    /// The tokens that were made with a token, and with those, and so on.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn child_tokens(&self, which: &Which) -> Result<Vec<TokenDetails>, Error> {
        let asked = format!("the children of {which}");
        let own = self.admin_token()?;
        let reply: Result<ListChildTokensReply, Error> =
            self.call("ListChildTokens", asked, own, which.write()).await;
        let tokens = reply.map_err(|error| which.hide(error))?.tokens;
        Ok(tokens.into_iter().map(TokenDetails::read).collect())
    }

    /// Revokes a token, and those made with it.
    ///
    /// # Errors
    /// See [`Error`]. The calling token cannot be meant, by whichever name:
    /// see [`revoke_own_token`](Self::revoke_own_token).
    pub async fn revoke_token(&self, which: &Which) -> Result<(), Error> {
        let asked = format!("revoke {which}");
        let own = self.admin_token()?;
        let meant = match which {
            Which::Own | Which::Id(0) => true,
            Which::Secret(token) => *token == own,
            // Only the server knows it by its number. Whom it does not even
            // tell that, it lets revoke nothing.
            Which::Id(id) => match self.token_permissions(&Which::Own).await {
                Ok(own) => own.id == *id,
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => false,
            },
        };
        if meant {
            let found = "it is the token that asks, and with it go all that were made with it";
            let remedy = "revoke it with the token that it was made with";
            return Err(Error::new(ErrorKind::Parameter, asked, found, remedy));
        }
        self.revoke(asked, which).await
    }

    /// Revokes the calling token, and those made with it. With a server's
    /// first one, all tokens there are go, until somebody restarts it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn revoke_own_token(&self) -> Result<(), Error> {
        self.revoke("revoke the own token".into(), &Which::Own).await
    }

    async fn revoke(&self, asked: String, which: &Which) -> Result<(), Error> {
        let reply = self.call("RevokeToken", asked, self.admin_token()?, which.write()).await;
        let Empty {} = reply.map_err(|error| which.hide(error))?;
        Ok(())
    }
}
