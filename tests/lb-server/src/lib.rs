//! A load balancer's control plane to test with: the semantics of
//! `control-plane.md` §5, §7 to §14, by gRPC, plain and with TLS; and the data
//! plane of §22, over sockets.
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | the thing to start, stop and disturb |
//! | [`fault`] | how to disturb it |
//! | [`certificates`] | what it shows clients, good and bad ones |
//! | `service` | from a request's path to the call |
//! | `book` | what is reserved, and by whom |
//! | `sessions` | workers: registered, their state, forgotten; the tick |
//! | `calendar` | which slot is whose |
//! | `plane` | the data plane: event number → epoch → slot → worker |
//! | `tokens` | who may do what |
//! | `report` | status, overview, version, time series |
//! | `tcp` | connections that can end rudely |
//! | `chains` | load balancers behind load balancers |
//!
//! It differs from real ones where tests want it to: tokens are kept as they
//! are, nothing is stored on a disk, and the clock is moved by hand.
#![forbid(unsafe_code)]

mod book;
mod calendar;
pub mod certificates;
mod chains;
pub mod fault;
mod plane;
mod report;
pub mod server;
mod service;
mod sessions;
mod tcp;
mod tokens;

pub use certificates::Identity;
pub use fault::Fault;
pub use server::{Config, Server};
