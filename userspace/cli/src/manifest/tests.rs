use proptest::prelude::*;

use super::*;

fn entry(event_number: u64, name: &[u8]) -> Entry {
    Entry {
        event_number,
        data_id: 7,
        size: 3,
        sha256: [0xab; 32],
        mode: 0o640,
        mtime_s: -5,
        mtime_ns: 999,
        name: Name::new(name.to_vec()).unwrap(),
    }
}

fn line(name: &str) -> String {
    let hash = "0".repeat(64);
    format!(r#"{{"event_number":1,"data_id":2,"size":3,"sha256":"{hash}",{name}}}"#)
}

fn part(first: &str, lines: &[String]) -> Vec<u8> {
    format!("{first}\n{}", lines.join("\n")).into_bytes()
}

const FIRST: &str = r#"{"xdpsar_manifest":1,"set":"a","part":0,"parts":1,"files":1}"#;

#[test]
fn what_is_written_is_read() {
    let entries: Vec<_> = (0..2500)
        .map(|i| match i {
            0 => entry(i, b"plain"),
            1 => entry(i, "blank \u{e4}\u{2603}\n\"quoted\"".as_bytes()),
            2 => entry(u64::MAX, b"no utf-8 \xff/x"),
            i => entry(i, format!("many/{i}").as_bytes()),
        })
        .collect();
    let encoded = encode("5e7", &entries).unwrap();
    assert_eq!((encoded.len(), parts(2500)), (3, 3));
    let mut read = Vec::new();
    for (index, bytes) in encoded.iter().enumerate() {
        assert!(is_part(bytes));
        let (part, entries) = decode(bytes).unwrap();
        assert_eq!((part.part, part.parts, part.files), (index as u32, 3, 2500));
        assert_eq!(part.set, "5e7");
        read.extend(entries.into_iter().map(Result::unwrap));
    }
    assert!(read == entries);
    let empty = encode("5e7", &[]).unwrap();
    assert_eq!(decode(&empty[0]).unwrap().1.len(), 0);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, why) in [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("..", "elsewhere"),
        ("../x", "elsewhere"),
        ("a/../../x", "elsewhere"),
        ("a/./x", "elsewhere"),
        ("a//x", "empty part"),
        ("a/", "empty part"),
        ("a\\u0000b", "NUL"),
        (&"x".repeat(256), "too long"),
        (&"x/".repeat(3000), "more than 4096"),
        (&"x/".repeat(200), "empty part"),
        (&format!("{}x", "x/".repeat(200)), "too deep"),
    ] {
        let (_, entries) = decode(&part(FIRST, &[line(&format!(r#""name":"{name}""#))])).unwrap();
        let refused = entries[0].as_ref().unwrap_err();
        assert!(refused.contains(why), "{name}: {refused}");
    }
}

#[test]
fn lines_that_say_too_little_or_too_much_are_refused() {
    for (text, why) in [
        (line(r#""name":"a","name_hex":"61""#), "not one name"),
        (line(r#""mode":1"#), "not one name"),
        (line(r#""name_hex":"6""#), "hexadecimal"),
        (line(r#""name_hex":"+1""#), "hexadecimal"),
        (line(r#""name_hex":"2f61""#), "absolute"),
        (line(r#""name":"a""#).replace("000", "00"), "64 hexadecimal"),
        (line(r#""name":"a""#).replace("\"size\":3", "\"size\":-3"), "-3"),
        ("[".repeat(100_000), "invalid type"),
        ("{".into(), "EOF"),
    ] {
        let (_, entries) = decode(&part(FIRST, &[text])).unwrap();
        let refused = entries[0].as_ref().unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }
    let (_, entries) = decode(&part(FIRST, &[line(r#""name":"a","mode":4095,"new":[]"#)])).unwrap();
    assert_eq!(entries[0].as_ref().unwrap().mode, 0o777, "no set-user-ID");
}

#[test]
fn parts_that_make_no_sense_are_refused() {
    for (first, why) in [
        (FIRST.replace(":1,\"set", ":2,\"set"), "version 2"),
        (FIRST.replace("\"a\"", "\"\""), "set"),
        (FIRST.replace("\"a\"", "\"../a\""), "set"),
        (FIRST.replace("\"part\":0", "\"part\":1"), "part 1 of 1"),
        (FIRST.replace("\"parts\":1", "\"parts\":4000000000"), "part 0 of"),
        (FIRST.replace("\"files\":1", "\"files\":9999999"), "9999999 files"),
        (FIRST.replace("\"files\":1", "\"files\":\"\""), "first line"),
    ] {
        let refused = decode(&part(&first, &[])).unwrap_err();
        assert!(refused.contains(why), "{first}: {refused}");
    }
    let many = vec![line(r#""name":"a""#); PART_FILES + 1];
    assert!(decode(&part(FIRST, &many)).unwrap_err().contains("1024 lines"));
}

#[test]
fn nothing_shown_moves_the_cursor() {
    assert_eq!(name::show(b"a\x1b[2J\nb \xff\xc3\xa4"), "a\\u{1b}[2J\\nb \u{fffd}\u{e4}");
}

proptest! {
    #[test]
    fn no_bytes_are_too_wild(bytes: Vec<u8>) {
        let _ = decode(&bytes);
        let mut after = FIRST.as_bytes().to_vec();
        after.push(b'\n');
        after.extend(bytes);
        let _ = decode(&after);
    }

    #[test]
    fn a_name_only_ever_leads_down(bytes in prop::collection::vec(prop::sample::select(&b"./a\0"[..]), 0..12)) {
        if let Ok(name) = Name::new(bytes.clone()) {
            let path = std::path::Path::new(std::str::from_utf8(&bytes).unwrap());
            prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
            let (above, last) = name.split();
            let joined: Vec<_> = above.chain([last]).collect();
            prop_assert_eq!(joined.join(&b'/'), bytes);
        }
    }
}
