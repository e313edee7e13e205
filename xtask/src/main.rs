//! Developer tasks, one subcommand each: `cargo xtask help`.
#![forbid(unsafe_code)]

mod ebpf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of xdpsar")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the XDP program from source and refresh the committed object
    Ebpf(ebpf::Args),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().task {
        Task::Ebpf(args) => ebpf::run(&args),
    }
}
