//! Receivers that are a load balancer's workers.
#![cfg(feature = "control-plane")]

mod common;
mod faults;
mod life;
