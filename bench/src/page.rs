//! Tables in pages that people write.
//!
//! ```text
//! <!-- bench: NAME -->
//! | …
//! <!-- /bench -->
//! ```

use std::path::Path;

use anyhow::{Context, bail};

const END: &str = "<!-- /bench -->";

/// Puts tables where `page` has their names.
///
/// # Errors
/// The page cannot be read or written, or a place in it has no end.
pub fn update(page: &Path, tables: &[(&str, String)]) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page)
        .with_context(|| format!("reading the page {}", page.display()))?;
    let new = with_tables(&text, tables).with_context(|| page.display().to_string())?;
    if new != text {
        std::fs::write(page, new).with_context(|| format!("writing {}", page.display()))?;
    }
    Ok(())
}

/// The page with those tables; each ends with a line's end.
///
/// # Errors
/// A place has no end.
pub fn with_tables(page: &str, tables: &[(&str, String)]) -> anyhow::Result<String> {
    let mut page = page.to_owned();
    for (name, table) in tables {
        let start = format!("<!-- bench: {name} -->\n");
        let Some(from) = page.find(&start).map(|at| at + start.len()) else { continue };
        let Some(len) = page[from..].find(END) else {
            bail!("no {END:?} follows {:?}", start.trim_end());
        };
        page.replace_range(from..from + len, table);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::with_tables;

    #[test]
    fn tables_are_put_where_their_names_are_and_nowhere_else() {
        let page =
            "a\n<!-- bench: x -->\nold\n<!-- /bench -->\nb\n<!-- bench: y -->\n<!-- /bench -->\n";
        let tables = [("y", "Y\n".to_owned()), ("x", "X\n".to_owned()), ("z", "Z\n".to_owned())];
        let new = with_tables(page, &tables).expect("both have an end");
        assert_eq!(
            new,
            "a\n<!-- bench: x -->\nX\n<!-- /bench -->\nb\n<!-- bench: y -->\nY\n<!-- /bench -->\n"
        );
        assert_eq!(with_tables(&new, &tables).expect("the same places"), new);
        assert!(with_tables("<!-- bench: x -->\nold\n", &tables).is_err());
    }
}
