//! The control plane's client.
//!
//! ```text
//!  LoadBalancer, aio.LoadBalancer (Python) ─▶ PyControl ─▶ PyCall: its answer, once there is one
//!                                                │               ▲
//!                                                ▼               │
//!                                 thread "xdpsar-lb", with the connection: one task a call
//! ```
//!
//! That thread never calls Python. Who waits looks for signals; an event loop
//! watches a pipe.

mod answer;
mod ask;
mod call;
mod calls;
mod client;

pub(crate) use self::{
    ask::{Reach, slots},
    call::PyCall,
    calls::PyControl,
};
