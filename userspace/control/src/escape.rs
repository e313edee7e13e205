//! Percent-encoding (RFC 3986 §2).

use std::fmt;

/// Sub-delimiters that nothing in our URIs gives a meaning to.
const PLAIN: &[u8] = b"-._~!$'()*,;";
/// In a userinfo, besides [`PLAIN`].
pub(crate) const USERINFO: &[u8] = b":&=+";
/// In a path segment, besides [`PLAIN`].
pub(crate) const SEGMENT: &[u8] = b":@&=+";
/// In a query's value, besides [`PLAIN`]: `&` ends it, `+` is a space.
pub(crate) const VALUE: &[u8] = b":@/?=";
/// In a zone, besides [`PLAIN`].
pub(crate) const ZONE: &[u8] = b"";

/// Text, with what is neither a letter, a digit, plain, nor in `also` as
/// `%XX`.
pub(crate) struct Encoded<'a>(pub(crate) &'a str, pub(crate) &'a [u8]);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) || self.1.contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// Whether a URI may have this character at all.
pub(crate) const fn is_legal(char: char) -> bool {
    char.is_ascii_graphic() && !matches!(char, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
}

/// The text without its `%XX`; `None` if those are no UTF-8, or incomplete.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        (rest, _) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                // Two hexadecimal digits: a byte.
                (after, decoded.push((digit(high)? << 4 | digit(low)?) as u8))
            }
            (b'%', _) => return None,
            _ => (after, decoded.push(*byte)),
        };
    }
    String::from_utf8(decoded).ok()
}

/// The same of a query's value, where `+` is a space.
pub(crate) fn decode_value(text: &str) -> Option<String> {
    decode(&text.replace('+', " "))
}
