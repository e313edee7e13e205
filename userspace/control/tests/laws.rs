//! What holds for every URI.

use std::net::{IpAddr, SocketAddr};

use proptest::{option, prelude::*};
use xdpsar_control::{EjfatUri, Host, Token, TokenKind};

fn host() -> impl Strategy<Value = Host> {
    let name = "[a-z][a-z0-9_-]{0,20}(\\.[a-z0-9]{1,10}){0,3}\\.?";
    prop_oneof![
        any::<IpAddr>().prop_map(Host::from),
        name.prop_map(|name| name.parse().unwrap()),
        "fe80::[0-9]%[a-z0-9]{1,15}".prop_map(|ip| ip.parse().unwrap()),
    ]
}

fn address() -> impl Strategy<Value = Option<SocketAddr>> {
    option::of((any::<IpAddr>(), 1..=u16::MAX).prop_map(SocketAddr::from))
}

prop_compose! {
    fn uri(kind: TokenKind)(
        host in host(), port in 1..=u16::MAX, tls: bool,
        token: String, lb_id: String, session_id: String,
        sync in [address(), address()], data in [address(), address()],
    ) -> EjfatUri {
        let mut uri = EjfatUri::new(host, port)
            .with_tls(tls)
            .with_token(kind, Token::new(token))
            .with_lb_id(lb_id)
            .with_session_id(session_id);
        for to in sync.into_iter().flatten() {
            uri = uri.with_sync(to.into());
        }
        for to in data.into_iter().flatten() {
            uri = uri.with_data(to.into());
        }
        uri
    }
}

proptest! {
    /// Whatever a URI holds, its text says all of it.
    #[test]
    fn text_and_back(uri in uri(TokenKind::Session)) {
        let text = uri.reveal();
        prop_assert_eq!(EjfatUri::parse(&text, TokenKind::Session), Ok(uri.clone()));
        prop_assert_eq!(uri.reveal_with(TokenKind::Session), text);
        let anonymous: EjfatUri = uri.anonymous().parse().unwrap();
        prop_assert_eq!(anonymous, uri.with_token(TokenKind::Session, None));
    }

    /// Any text is read or refused.
    #[test]
    fn any_text(text: String) {
        let _ = text.parse::<EjfatUri>();
    }

    /// Also what nearly is one; and what is read means what it says.
    #[test]
    fn nearly(text in "ejfats?://([a-z%@/?]{0,8}@)?[\\[\\]a-z0-9.:%]{0,12}:?[0-9+-]{0,6}[a-z/%]{0,8}\
                       (\\?((sync|data|sessionid|x)=?[\\[\\]0-9a-f:.%+-]{0,12}&?){0,3})?") {
        if let Ok(uri) = text.parse::<EjfatUri>() {
            prop_assert_eq!(uri.reveal().parse::<EjfatUri>(), Ok(uri));
        }
    }
}
