//! Tokens that somebody typed where none belongs: what quotes the command
//! line must not show them.

/// The text with `***` for the token of each EJFAT URI.
pub(crate) fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = after_scheme(rest) {
        let (before, after) = rest.split_at(start);
        clean.push_str(before);
        let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`');
        let word = &after[..after.find(ends).unwrap_or(after.len())];
        // The last one: what is no good URI may have more.
        rest = match word.rfind('@') {
            Some(end) => {
                clean.push_str("***");
                &after[end..]
            }
            None => after,
        };
    }
    clean + rest
}

/// Where the first URI's token would begin.
fn after_scheme(text: &str) -> Option<usize> {
    let is_ours = |at: usize| {
        let before = text[..at].to_ascii_lowercase();
        before.ends_with("ejfat") || before.ends_with("ejfats")
    };
    text.match_indices("://").map(|(at, _)| at).find(|&at| is_ours(at)).map(|at| at + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hidden_and_nothing_else() {
        for (text, clean) in [
            ("", ""),
            ("mail a@b, http://a@b", "mail a@b, http://a@b"),
            ("found 'ejfat://s3cret@h:1/'; a@b", "found 'ejfat://***@h:1/'; a@b"),
            ("--uriEJFATS://s3/c+r=t@h:1/", "--uriEJFATS://***@h:1/"),
            ("ejfat://s3@cret@h ejfats://s3cret@h", "ejfat://***@h ejfats://***@h"),
            ("ejfat://s3cret@h,ejfat://s3cret@i", "ejfat://***@i"),
            ("http://é/`ejfat://s3cret@h`", "http://é/`ejfat://***@h`"),
            ("ejfat://h:1/ a@b", "ejfat://h:1/ a@b"),
        ] {
            assert_eq!(redacted(text), clean);
            assert_eq!(redacted(clean), clean);
        }
    }
}
