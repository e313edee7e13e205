//! Whole runs behind a load balancer: one host sends and has the load
//! balancer, the other has the workers, each a process of its own.
//!
//! ```text
//!  sender                              receiver
//!  Segmenter ─▶ load balancer ─ cable ─▶ worker "a", "b", "c"
//!                 control plane ◀──────── register, states
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `site` | the hosts, the load balancer, and what it counted |
//! | `source` | the sender: numbered events, no more on the way than fit |
//! | `worker` | a worker's process, and the test's end of it |
//! | `balance` | shares by weight; one slows down, one is killed |
//! | `outage` | a control plane that stops, restarts, hangs up, falls silent |

mod balance;
mod outage;
mod site;
mod source;
mod worker;
