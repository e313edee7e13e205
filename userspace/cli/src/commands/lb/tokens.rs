//! Tokens.

use xdpsar::{TokenKind, load_balancer::Which};

use super::Caller;
use crate::{
    args::lb::tokens::{Create, Revoke, TokenCommand},
    output::lb::token::{Revoked, TokenTold, table},
    status::Failure,
};

impl Caller {
    pub(super) fn token(&self, which: &TokenCommand) -> Result<(), Failure> {
        match which {
            TokenCommand::Create(args) => self.create(args),
            TokenCommand::List(of) => {
                let token = self.lb.token_permissions(&of.which)?;
                self.tell(&TokenTold::from(&token))
            }
            TokenCommand::Children(of) => {
                let tokens = self.lb.child_tokens(&of.which)?;
                if !self.output.is_json() {
                    return self.text(&table(&tokens));
                }
                tokens.iter().try_for_each(|token| self.tell(&TokenTold::from(token)))
            }
            TokenCommand::Revoke(args) => self.revoke(args),
        }
    }

    fn create(&self, args: &Create) -> Result<(), Failure> {
        let token = self.lb.create_token(&args.name, &args.allow)?;
        let uri =
            TokenKind::ALL.iter().fold(self.lb.uri(), |uri, kind| uri.with_token(*kind, None));
        let uri = uri.with_token(TokenKind::Admin, Some(token.clone()));
        if args.export.export {
            return self.export(&uri, TokenKind::Admin);
        }
        self.tell(&TokenTold {
            id: None,
            name: &args.name,
            created_at: None,
            permissions: &args.allow,
            token: Some(token.reveal()),
            uri: Some(uri.reveal_with(TokenKind::Admin)),
        })
    }

    fn revoke(&self, args: &Revoke) -> Result<(), Failure> {
        let own = self.lb.token_permissions(&Which::Own)?.id;
        let meant = match &args.which {
            Which::Own => true,
            Which::Id(id) => *id == own,
            Which::Secret(secret) => self.lb.uri().token(TokenKind::Admin) == Some(secret),
        };
        if !meant {
            self.lb.revoke_token(&args.which)?;
            return self.tell(&Revoked { which: args.which.to_string() });
        }
        if !args.yes_revoke_own_token {
            return Err(Failure::usage(
                format!("revoke token {own}"),
                "it is the one that this command uses, and with it go all that were made with it",
                "use the token that it was made with, or say --yes-revoke-own-token",
            ));
        }
        self.lb.revoke_own_token()?;
        self.tell(&Revoked { which: format!("token {own}, this command's own") })
    }
}
