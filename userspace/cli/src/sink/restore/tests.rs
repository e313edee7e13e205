use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;

use super::*;
use crate::manifest::Name;

const MANIFEST: u16 = 9;

fn restorer(dir: &Path) -> Restorer {
    let files = DirSink::new(dir.into(), "event".into(), "bin").unwrap();
    Restorer::new(files, MANIFEST).unwrap()
}

fn put(restorer: &mut Restorer, event_number: u64, data_id: u16, bytes: &[u8]) {
    restorer.put(Item { event_number, data_id, bytes }).unwrap();
}

fn entry(event_number: u64, name: &str, bytes: &[u8]) -> Entry {
    Entry {
        event_number,
        data_id: 1,
        size: bytes.len() as u64,
        sha256: Sha256::digest(bytes).into(),
        mode: 0o751,
        mtime_s: 1_000_000_000,
        mtime_ns: 0,
        name: Name::new(name.into()).unwrap(),
    }
}

fn manifest(entries: &[Entry]) -> Vec<u8> {
    manifest::encode("5e7", entries).unwrap().remove(0)
}

/// All files below a directory, and what is in them.
fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                dirs.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

fn names(dir: &Path) -> Vec<String> {
    tree(dir).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn files_get_their_names_whichever_comes_first() {
    let events: [(u64, &str, &[u8]); 3] =
        [(0, "a", b"first"), (1, "deep/c \u{e4}", b"third"), (2, "deep/er/b", b"")];
    let part = manifest(&events.map(|(number, name, bytes)| entry(number, name, bytes)));
    for manifest_at in 0..=3 {
        let dir = tempfile::tempdir().unwrap();
        let mut restorer = restorer(dir.path());
        for at in 0..=3 {
            assert_eq!(restorer.is_complete(), at == 3 && manifest_at < 3);
            if at == manifest_at {
                put(&mut restorer, 3, MANIFEST, &part);
            }
            if let Some((number, _, bytes)) = events.get(at) {
                put(&mut restorer, *number, 1, bytes);
            }
        }
        assert!(restorer.is_complete());
        let (restored, unrestored) = restorer.finish();
        assert!(restored.is_clean() && unrestored.is_empty(), "{restored:?} {unrestored:?}");
        assert_eq!((restored.files, restored.bytes, restored.parts), (3, 10, 1));
        let expected = events.map(|(_, name, bytes)| (name.to_owned(), bytes.to_vec()));
        assert_eq!(tree(dir.path()), expected);
        let kind = fs::metadata(dir.path().join("a")).unwrap();
        assert_eq!(kind.modified().unwrap(), UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        assert_eq!(kind.permissions().mode() & 0o700, 0o700);
        assert_eq!(kind.permissions().mode() & 0o002, 0, "not what the manifest does not say");
    }
}

#[test]
fn other_bytes_are_told_and_the_right_ones_may_still_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut restorer = restorer(dir.path());
    put(&mut restorer, 2, MANIFEST, &manifest(&[entry(0, "a", b"right"), entry(1, "b", b"right")]));
    put(&mut restorer, 0, 1, b"wrong");
    put(&mut restorer, 0, 1, b"right");
    put(&mut restorer, 1, 1, b"right, nearly");
    let (restored, unrestored) = restorer.finish();
    assert_eq!((restored.files, restored.mismatched, restored.missing), (1, 1, 0));
    assert_eq!((&*unrestored[0].name, unrestored[0].cause), ("b", "mismatched"));
    assert!(!restored.is_clean());
    assert_eq!(names(dir.path()), ["a", "event_0_1.bin", "event_1_1.bin"]);
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"right");
}

#[test]
fn what_is_missing_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = restorer(dir.path());
    put(&mut first, 0, 1, b"x");
    let (restored, _) = first.finish();
    assert!(!restored.is_clean(), "no manifest came");
    assert_eq!((restored.sets, restored.unlisted), (0, 1));

    let mut second = restorer(dir.path());
    put(&mut second, 2, MANIFEST, &manifest(&[entry(0, "a", b"x"), entry(1, "b", b"y")]));
    put(&mut second, 1, 1, b"y");
    put(&mut second, 7, 1, b"nobody's");
    assert!(!second.is_complete());
    let (restored, unrestored) = second.finish();
    assert_eq!((restored.files, restored.missing, restored.unlisted), (1, 1, 1));
    assert_eq!((&*unrestored[0].name, unrestored[0].cause), ("a", "missing"));
    assert!(!restored.is_clean());

    // A part of two; then one that says more than it has.
    let many: Vec<_> = (0..1025).map(|i| entry(i, &format!("f{i}"), b"x")).collect();
    let parts = manifest::encode("other", &many).unwrap();
    for part in [&parts[1], &parts[0][..parts[0].len() - 300].to_vec()] {
        let mut third = restorer(dir.path());
        put(&mut third, 0, MANIFEST, part);
        assert!(!third.is_complete());
        assert_eq!(third.finish().0.sets_incomplete, 1);
    }
}

#[test]
fn a_manifest_that_comes_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut restorer = restorer(dir.path());
    let part = manifest(&[entry(0, "a", b"x")]);
    for _ in 0..3 {
        put(&mut restorer, 1, MANIFEST, &part);
        put(&mut restorer, 0, 1, b"x");
    }
    let contradicting = String::from_utf8(part).unwrap().replace("\"files\":1", "\"files\":2");
    put(&mut restorer, 1, MANIFEST, contradicting.as_bytes());
    let (restored, _) = restorer.finish();
    assert_eq!((restored.parts, restored.parts_repeated, restored.parts_refused), (1, 2, 1));
    assert_eq!((restored.files, restored.unlisted), (1, 2));
    assert_eq!(names(dir.path()), ["a", "event_0_1.bin", "event_0_1.bin.1"]);
}

#[test]
fn nothing_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "mine").unwrap();
    fs::write(dir.path().join("file"), "no directory").unwrap();
    let mut restorer = restorer(dir.path());
    put(&mut restorer, 0, 1, b"x");
    put(&mut restorer, 1, 1, b"y");
    let entries = [entry(0, "a", b"x"), entry(1, "file/b", b"y")];
    put(&mut restorer, 2, MANIFEST, &manifest(&entries));
    let (restored, unrestored) = restorer.finish();
    assert_eq!((restored.files, restored.renamed, restored.failed), (1, 1, 1));
    let causes: Vec<_> = unrestored.iter().map(|file| (&*file.name, file.cause)).collect();
    assert_eq!(causes, [("a", "renamed"), ("file/b", "failed")]);
    assert_eq!(names(dir.path()), ["a", "a.1", "event_1_1.bin", "file"]);
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"mine");
}

#[test]
fn no_symbolic_link_leads_out() {
    let outside = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink(outside.path().join("target"), dir.path().join("link")).unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    symlink("../..", dir.path().join("sub/up")).unwrap();
    let mut restorer = restorer(dir.path());
    let wanted = ["out/a", "link", "sub/up/x", "out/new/b"];
    let entries: Vec<_> = wanted.iter().zip(0..).map(|(name, i)| entry(i, name, b"x")).collect();
    for number in 0..4 {
        put(&mut restorer, number, 1, b"x");
    }
    put(&mut restorer, 4, MANIFEST, &manifest(&entries));
    let (restored, _) = restorer.finish();
    // A link that has the very name is a name that is taken.
    assert_eq!((restored.files, restored.renamed, restored.failed), (1, 1, 3), "{restored:?}");
    assert!(dir.path().join("link.1").is_file());
    assert_eq!(names(outside.path()), [""; 0]);
    assert!(!outside.path().join("new").exists());
}

#[test]
fn a_part_that_makes_no_sense_is_kept_as_an_event() {
    let dir = tempfile::tempdir().unwrap();
    let mut restorer = restorer(dir.path());
    put(&mut restorer, 5, MANIFEST, b"{\"xdpsar_manifest\":99}");
    put(&mut restorer, 6, MANIFEST, b"no manifest at all");
    let (restored, unrestored) = restorer.finish();
    assert_eq!((restored.parts_refused, restored.sets, restored.unlisted), (1, 0, 2));
    assert!(unrestored[0].detail.contains("event 5"), "{unrestored:?}");
    assert_eq!(names(dir.path()), ["event_5_9.bin", "event_6_9.bin"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a manifest says: nothing outside is made or changed, and no
    /// event is lost.
    #[test]
    fn hostile_names_stay_below(
        named in prop::collection::vec("[./a\\x00]{0,6}|[a-c/]{1,5}|(\\.\\./){1,4}x", 1..6),
    ) {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("in/out");
        let mut restorer = restorer(&dir);
        fs::write(top.path().join("x"), "safe").unwrap();
        let hash = manifest::hex(&Sha256::digest(b"x"));
        let mut part = format!(
            "{{\"xdpsar_manifest\":1,\"set\":\"a\",\"part\":0,\"parts\":1,\"files\":{}}}",
            named.len()
        );
        for (number, name) in named.iter().enumerate() {
            put(&mut restorer, number as u64, 1, b"x");
            let name = serde_json::to_string(name).unwrap();
            part += &format!(
                "\n{{\"event_number\":{number},\"data_id\":1,\"size\":1,\"sha256\":\"{hash}\",\"name\":{name}}}"
            );
        }
        put(&mut restorer, 99, MANIFEST, part.as_bytes());
        let (restored, _) = restorer.finish();
        prop_assert_eq!(restored.files + restored.refused + restored.failed, named.len() as u64);
        prop_assert_eq!(names(&dir).len(), named.len());
        let all = names(top.path());
        prop_assert_eq!(all.iter().filter(|name| !name.starts_with("in/out/")).collect::<Vec<_>>(), ["x"]);
    }
}
