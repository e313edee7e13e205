//! The steering program in a real kernel: its verdicts ([`oracle`]), and how
//! it comes onto an interface and off again ([`hook`]). As root.

mod frames;
mod hook;
mod kernel;
mod oracle;
