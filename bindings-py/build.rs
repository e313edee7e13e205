//! Notes which compiler it was, for `xdpsar-libconf --build-env`.

use std::{env, process::Command};

fn main() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().map(|told| told.stdout);
    let version = version.map(|told| String::from_utf8_lossy(&told).trim().to_owned());
    println!("cargo:rustc-env=XDPSAR_RUSTC={}", version.unwrap_or_else(|_| "unknown".to_owned()));
    for name in ["TARGET", "PROFILE"] {
        println!("cargo:rustc-env=XDPSAR_{name}={}", env::var(name).unwrap_or_default());
    }
    println!("cargo:rerun-if-changed=build.rs");
}
