//! Event reassembly: datagrams in, whole events out.
#![warn(missing_docs)]
