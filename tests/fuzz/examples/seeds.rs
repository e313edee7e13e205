//! Writes the hand-made inputs to `FOLDER/TARGET/seed-NN`: what a corpus grows
//! from. `cargo run -p xdpsar-fuzz --example seeds -- FOLDER`

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).expect("the folder to write to"));
    for target in xdpsar_fuzz::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (nth, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{nth:02}")), seed)?;
        }
    }
    Ok(())
}
