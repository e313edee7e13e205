//! Names that stay below a directory, whoever made them up.

use std::fmt;

/// Longest name (`PATH_MAX`).
const MAX_NAME: usize = 4096;
/// Longest part of one (`NAME_MAX`).
const MAX_PART: usize = 255;
/// Deepest.
const MAX_DEPTH: usize = 128;

/// A relative path of ordinary parts: neither absolute nor empty, no `.`, no
/// `..`, no NUL. It leads nowhere but down, unless by symbolic links.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(Vec<u8>);

impl Name {
    /// # Errors
    /// Why it is none.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("its name `{}` {why}", show(&bytes)));
        if bytes.is_empty() {
            return wrong("is empty");
        }
        if bytes.len() > MAX_NAME {
            // Not shown: it may be megabytes.
            return Err(format!("its name has more than {MAX_NAME} bytes"));
        }
        if bytes[0] == b'/' {
            return wrong("is absolute");
        }
        if bytes.contains(&0) {
            return wrong("holds a NUL");
        }
        let mut depth = 0;
        for part in bytes.split(|&byte| byte == b'/') {
            depth += 1;
            match part {
                b"" => return wrong("has an empty part"),
                b"." | b".." => return wrong("leads elsewhere"),
                part if part.len() > MAX_PART => return wrong("has too long a part"),
                _ => {}
            }
        }
        if depth > MAX_DEPTH {
            return wrong("is too deep");
        }
        Ok(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directories, and the last part.
    pub(crate) fn split(&self) -> (impl Iterator<Item = &[u8]>, &[u8]) {
        let mut parts = self.0.split(|&byte| byte == b'/');
        // There is at least one.
        let last = parts.next_back().unwrap_or_default();
        (parts, last)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name for people: nothing in it moves a terminal's cursor.
pub(crate) fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .flat_map(|c| match c {
            c if c.is_control() => c.escape_debug().collect::<Vec<_>>(),
            c => vec![c],
        })
        .collect()
}
