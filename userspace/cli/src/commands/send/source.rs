//! Where events come from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use xdpsar::EventOptions;

use super::{line::Outgoing, pool::Pool};
use crate::{
    args::{send::SendArgs, values::Sizes},
    payload::Payload,
    status::Failure,
};

/// Events, one after the other.
pub(super) struct Source<'a> {
    args: &'a SendArgs,
    kind: Kind<'a>,
    /// Events so far.
    index: u64,
}

enum Kind<'a> {
    Made { sizes: &'a Sizes, payload: Payload, pool: Pool },
    Files { paths: &'a [PathBuf] },
}

impl<'a> Source<'a> {
    /// What was asked for, as far as can be told in advance that it is there.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn new(args: &'a SendArgs) -> Result<Self, Failure> {
        let kind = if args.input.is_empty() {
            let payload =
                args.payload.load().map_err(|(path, error)| Failure::reading(&path, error))?;
            Kind::Made { sizes: &args.size, payload, pool: Pool::default() }
        } else {
            // All of them, before the first datagram: a typing mistake must
            // not end a run half-way.
            for path in &args.input {
                fs::File::open(path).map_err(|error| Failure::reading(path, error))?;
            }
            Kind::Files { paths: &args.input }
        };
        Ok(Self { args, kind, index: 0 })
    }

    /// How many there are; `None`: no end.
    pub(super) fn total(&self) -> Option<u64> {
        match &self.kind {
            Kind::Made { .. } => self.args.total(),
            Kind::Files { paths } => Some(paths.len() as u64),
        }
    }

    /// The next one.
    ///
    /// # Errors
    /// What reading it returns.
    pub(super) fn next(&mut self) -> Result<Option<Outgoing>, Failure> {
        if self.total().is_some_and(|total| self.index >= total) {
            return Ok(None);
        }
        let number = self.args.event_start.wrapping_add(self.index);
        let bytes = match &self.kind {
            Kind::Made { sizes, payload, pool } => {
                let len = sizes.of(self.index);
                let mut bytes = pool.take(len);
                payload.fill(number, self.args.data_id, &mut bytes[..len]);
                pool.event(bytes, len)
            }
            Kind::Files { paths } => {
                let path: &Path = &paths[self.index as usize];
                fs::read(path).map_err(|error| Failure::reading(path, error))?.into()
            }
        };
        self.index += 1;
        let options = EventOptions {
            event_number: Some(number),
            data_id: Some(self.args.data_id),
            entropy: self.args.entropy,
            tick: None,
        };
        Ok(Some(Outgoing { bytes, options }))
    }
}
