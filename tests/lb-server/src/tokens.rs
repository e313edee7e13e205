//! Who may do what (`control-plane.md` §5, §13).

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};

use tonic::{Code, Status};
use xdpsar_control::message::{
    CreateTokenReply, CreateTokenRequest, Empty, ListChildTokensReply, ListTokenPermissionsReply,
    Selector, TokenDetails, TokenPermission, TokenRequest,
};

use crate::{
    book::{Book, Caller},
    service::{internal, invalid},
    sessions,
};

/// What is guarded. Numbers are ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    All,
    Lb(u64),
    Reservation(u64),
    Session(u64),
}

pub(crate) const READ: i32 = 0;
pub(crate) const REGISTER: i32 = 1;
pub(crate) const RESERVE: i32 = 2;
pub(crate) const UPDATE: i32 = 3;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: u32,
    parent: u32,
    name: String,
    created_at: String,
    pub(crate) permissions: Vec<(Resource, i32)>,
}

impl Row {
    fn details(&self) -> TokenDetails {
        let permission = |(resource, permission): &(Resource, i32)| {
            let (resource_type, resource_id) = match resource {
                Resource::All => (0, String::new()),
                Resource::Lb(id) => (1, id.to_string()),
                Resource::Reservation(id) => (2, id.to_string()),
                Resource::Session(id) => (3, id.to_string()),
            };
            TokenPermission { resource_type, resource_id, permission: *permission }
        };
        TokenDetails {
            name: self.name.clone(),
            permissions: self.permissions.iter().map(permission).collect(),
            created_at: self.created_at.clone(),
            id: self.id,
        }
    }
}

/// By their secrets.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) rows: BTreeMap<String, Row>,
    last: u32,
}

impl Tokens {
    /// 32 hexadecimal digits that were not there before.
    fn secret() -> String {
        let half = || RandomState::new().hash_one(0);
        format!("{:016x}{:016x}", half(), half())
    }

    pub(crate) fn insert(
        &mut self,
        secret: &str,
        parent: u32,
        name: &str,
        permissions: Vec<(Resource, i32)>,
    ) {
        self.last += 1;
        let created_at = "2026-01-01T00:00:00Z".to_owned();
        let row = Row { id: self.last, parent, name: name.into(), created_at, permissions };
        self.rows.insert(secret.into(), row);
    }

    pub(crate) fn make(&mut self, parent: u32, name: &str, of: Vec<(Resource, i32)>) -> String {
        let secret = Self::secret();
        self.insert(&secret, parent, name, of);
        secret
    }

    /// The resource is gone, and with it tokens that had no other.
    pub(crate) fn forget(&mut self, gone: impl Fn(Resource) -> bool) {
        self.rows.retain(|_, row| {
            row.permissions.retain(|(resource, _)| !gone(*resource));
            !row.permissions.is_empty()
        });
    }

    fn descends(&self, mut id: u32, from: u32) -> bool {
        while let Some(row) = self.rows.values().find(|row| row.id == id) {
            if row.parent == from {
                return true;
            }
            id = row.parent;
        }
        false
    }
}

fn covers(has: i32, needs: i32) -> bool {
    has == needs || has == UPDATE || (needs == READ && (has == REGISTER || has == RESERVE))
}

impl Book {
    /// Whether a token has this right.
    pub(crate) fn may(&self, row: &Row, resource: Resource, level: i32) -> bool {
        let reservation = match resource {
            Resource::Session(id) => self.reservation_of(id),
            Resource::Reservation(id) => Some(id),
            Resource::All | Resource::Lb(_) => None,
        };
        let lb = match resource {
            Resource::Lb(id) => Some(id),
            _ => reservation.and_then(|id| Some(self.reservations.get(&id)?.lb)),
        };
        row.permissions.iter().any(|(on, has)| {
            let within = match on {
                Resource::All => true,
                Resource::Lb(id) => lb == Some(*id),
                Resource::Reservation(id) => reservation == Some(*id),
                Resource::Session(_) => *on == resource,
            };
            within && covers(*has, level)
        })
    }

    pub(crate) fn caller(&self, caller: &Caller) -> Result<&Row, Status> {
        let text = caller.authorization.as_deref();
        let text = text.ok_or_else(|| Status::unauthenticated("no authorization metadata"))?;
        let secret = text.strip_prefix("Bearer ").ok_or_else(|| invalid("no bearer token"))?;
        let unknown = || Status::permission_denied("unknown token");
        self.tokens.rows.get(secret).ok_or_else(unknown)
    }

    pub(crate) fn need(&self, by: &Caller, on: Resource, level: i32) -> Result<&Row, Status> {
        let row = self.caller(by)?;
        match self.may(row, on, level) {
            true => Ok(row),
            false => Err(Status::permission_denied(format!("{} may not do this", row.name))),
        }
    }

    /// The caller, where refusal has a code of its own.
    fn caller_or(&self, by: &Caller, code: Code) -> Result<Row, Status> {
        self.caller(by).cloned().map_err(|status| match status.code() {
            Code::PermissionDenied => Status::new(code, status.message()),
            _ => status,
        })
    }

    pub(crate) fn create_token(
        &mut self,
        by: &Caller,
        request: CreateTokenRequest,
    ) -> Result<CreateTokenReply, Status> {
        let row = self.caller_or(by, Code::Internal)?;
        sessions::name(&request.name)?;
        let mut permissions: Vec<(Resource, i32)> = Vec::new();
        for wanted in &request.permissions {
            let id = || match wanted.resource_id.parse() {
                Ok(id) => Ok(id),
                Err(_) => Err(invalid("a resource needs a numeric id")),
            };
            let resource = match wanted.resource_type {
                0 => Resource::All,
                1 => Resource::Lb(id()?),
                2 => Resource::Reservation(id()?),
                3 => Resource::Session(id()?),
                _ => return Err(invalid("unknown type of resource")),
            };
            if !self.may(&row, resource, wanted.permission) {
                return Err(internal("one cannot grant what one has not"));
            }
            if permissions.iter().any(|(before, _)| *before == resource) {
                return Err(internal("two permissions on one resource"));
            }
            permissions.push((resource, wanted.permission));
        }
        let token = self.tokens.make(row.id, &request.name, permissions);
        let ejfat_uri = format!("ejfat://{token}@{}/", by.authority);
        Ok(CreateTokenReply { token, ejfat_uri })
    }

    /// The token that is meant; `None`: an unknown number.
    fn target(&self, own: &Row, request: &TokenRequest) -> Result<Option<Row>, Status> {
        let selector = request.target.as_ref().and_then(|target| target.selector.as_ref());
        match selector {
            None | Some(Selector::Id(0)) => Ok(Some(own.clone())),
            Some(Selector::Id(id)) => {
                Ok(self.tokens.rows.values().find(|row| row.id == *id).cloned())
            }
            Some(Selector::Token(secret)) => {
                let unknown = || Status::not_found(format!("no such token: {secret}"));
                self.tokens.rows.get(secret).cloned().map(Some).ok_or_else(unknown)
            }
        }
    }

    fn all(&self, row: &Row) -> bool {
        self.may(row, Resource::All, UPDATE)
    }

    pub(crate) fn list_permissions(
        &mut self,
        by: &Caller,
        request: TokenRequest,
    ) -> Result<ListTokenPermissionsReply, Status> {
        let own = self.caller_or(by, Code::NotFound)?;
        let unknown = || Status::not_found("no such token");
        let target = self.target(&own, &request)?.ok_or_else(unknown)?;
        let near = target.id == own.id || self.tokens.descends(target.id, own.id);
        if !near && !self.all(&own) {
            return Err(unknown());
        }
        Ok(ListTokenPermissionsReply { token: Some(target.details()) })
    }

    pub(crate) fn list_children(
        &mut self,
        by: &Caller,
        request: TokenRequest,
    ) -> Result<ListChildTokensReply, Status> {
        let own = self.caller_or(by, Code::NotFound)?;
        let unknown = || Status::not_found("no such token");
        let target = self.target(&own, &request)?.ok_or_else(unknown)?;
        if target.id != own.id && !self.all(&own) {
            return Err(unknown());
        }
        let rows = self.tokens.rows.values();
        let below = rows.filter(|row| self.tokens.descends(row.id, target.id));
        Ok(ListChildTokensReply { tokens: below.map(Row::details).collect() })
    }

    pub(crate) fn revoke(&mut self, by: &Caller, request: TokenRequest) -> Result<Empty, Status> {
        let own = self.caller_or(by, Code::NotFound)?;
        let Some(target) = self.target(&own, &request)? else { return Ok(Empty {}) };
        if !self.tokens.descends(target.id, own.id) && !self.all(&own) {
            return Err(Status::not_found("no such token"));
        }
        let rows = self.tokens.rows.iter();
        let meant = |row: &Row| row.id == target.id || self.tokens.descends(row.id, target.id);
        let gone: Vec<String> =
            rows.filter(|(_, row)| meant(row)).map(|(secret, _)| secret.clone()).collect();
        for secret in gone {
            self.tokens.rows.remove(&secret);
        }
        Ok(Empty {})
    }
}
