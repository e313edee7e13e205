//! Every input of the committed corpus, without a fuzzer: also those that
//! once broke a law.

use std::{fs, path::Path};

use xdpsar_fuzz::{TARGETS, Target};

/// The files of a target's corpus, by name.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{folder:?}: {error}"))
        .map(|entry| {
            let path = entry.expect("readable").path();
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn every_law_holds_on_the_corpus() {
    for target in TARGETS {
        let files = corpus(target);
        let bytes: usize = files.iter().map(|(_, data)| data.len()).sum();
        println!("{}: {} inputs, {bytes} bytes", target.name, files.len());
        assert!(files.len() >= 10, "{} has next to no corpus", target.name);
        assert!(files.len() <= 150 && bytes <= 300_000, "{}'s is too large", target.name);
        // Under miri each takes seconds.
        for (name, data) in files.iter().step_by(if cfg!(miri) { 60 } else { 1 }) {
            // Named by the test's output if it panics.
            println!("{}/{name}", target.name);
            (target.run)(data);
        }
    }
}

#[test]
fn every_law_holds_on_the_seeds() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty());
        for (nth, seed) in seeds.iter().enumerate() {
            println!("{} seed {nth}", target.name);
            (target.run)(seed);
        }
    }
}
