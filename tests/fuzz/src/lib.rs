//! What the fuzzer runs: plain functions of bytes that panic where a law is
//! broken.
//!
//! | module | bytes are | what must hold |
//! |---|---|---|
//! | [`parser`] | a configuration and a frame | the parsers of `xdpsar-wire` agree with each other, and what they build |
//! | [`core_vs_oracle`] | settings and operations | the assembler and its model agree on every byte, counter and report |
//! | [`packet_step`] | settings, frames, and what the worker does | from the RX ring to the event: no frame, datagram or byte is lost or made up, and no budget exceeded |
//!
//! libFuzzer calls them through `fuzz_targets/`, the tests on every file of
//! `corpus/`. How to run, reproduce and add: `CONTRIBUTING.md`.
#![forbid(unsafe_code)]

#[path = "../../../userspace/reassembly/tests/common/mod.rs"]
mod common;
pub mod core_vs_oracle;
mod decode;
#[path = "../../../userspace/reassembly/tests/drive/mod.rs"]
mod drive;
mod frames;
#[path = "../../../userspace/reassembly/tests/model/mod.rs"]
mod model;
pub mod packet_step;
pub mod parser;
pub mod seeds;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use libfuzzer_sys;

/// One target: its name, which is that of its folder in `corpus/` and of its
/// program; what it runs; and the hand-made inputs that its corpus grew from.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name.
    pub name: &'static str,
    /// Panics where a law is broken.
    pub run: fn(&[u8]),
    /// Hand-made inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "parser", run: parser::run, seeds: seeds::parser },
    Target { name: "core_vs_oracle", run: core_vs_oracle::run, seeds: seeds::core_vs_oracle },
    Target { name: "packet_step", run: packet_step::run, seeds: seeds::packet_step },
];

/// The `main` of a target: libFuzzer's under `cfg(fuzzing)`, else one that
/// replays the files it is given.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| $run(data));

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::replay($run);
        }
    };
}

/// Runs each file named on the command line.
///
/// # Panics
/// Where a file cannot be read, or breaks a law.
#[doc(hidden)]
pub fn replay(run: fn(&[u8])) {
    for path in std::env::args_os().skip(1) {
        let path = std::path::PathBuf::from(path);
        let data = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        run(&data);
        println!("{}: {} bytes, fine", path.display(), data.len());
    }
}
