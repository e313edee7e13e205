//! Where events come from.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    os::unix::fs::MetadataExt,
    sync::Arc,
    vec,
};

use xdpsar::{Buffer, EventOptions, SendBackend, SetupError, SetupErrorKind};

use super::{
    control::Control,
    files::{self, Listed, Loaded, Mapped},
    frames::{Frames, Input},
    pool::Pool,
};
use crate::{
    args::{send::SendArgs, values::Sizes},
    manifest::{self, Entry},
    output::Skipped,
    payload::Payload,
    status::Failure,
};

/// An event to send.
pub(super) struct Outgoing {
    pub(super) bytes: Buffer,
    pub(super) options: EventOptions,
    /// The file that its bytes still are in.
    pub(super) mapped: Option<Mapped>,
}

/// Events, one after the other.
pub(super) struct Source<'a> {
    args: &'a SendArgs,
    kind: Kind<'a>,
    pool: Pool,
    control: Arc<Control>,
    /// Events so far.
    index: u64,
}

enum Kind<'a> {
    Made { sizes: &'a Sizes, payload: Payload },
    Files(Files),
    Stream(Frames<Input>),
}

/// Files, then their manifest, if one is asked for.
struct Files {
    listed: Vec<Listed>,
    skipped: Vec<Skipped>,
    manifest: Option<Manifest>,
}

struct Manifest {
    data_id: u16,
    entries: Vec<Entry>,
    /// Once all files are sent.
    parts: Option<vec::IntoIter<Vec<u8>>>,
}

impl<'a> Source<'a> {
    /// What was asked for, as far as can be told in advance that it is there.
    ///
    /// # Errors
    /// Files that cannot be read, or not be sent.
    pub(super) fn new(args: &'a SendArgs, control: &Arc<Control>) -> Result<Self, Failure> {
        let kind = if args.input.is_empty() {
            let payload =
                args.payload.load().map_err(|(path, error)| Failure::reading(&path, error))?;
            Kind::Made { sizes: &args.size, payload }
        } else if args.is_stream() {
            let input = Input::new(&io::stdin(), control).map_err(Self::no_input)?;
            Kind::Stream(Frames::new(input, args.max_event))
        } else {
            let (listed, skipped) = files::list(&args.input)?;
            let manifest = args.manifest.map(|data_id| Manifest::new(data_id, &listed));
            Kind::Files(Files { manifest: manifest.transpose()?, listed, skipped })
        };
        Ok(Self { args, kind, pool: Pool::default(), control: Arc::clone(control), index: 0 })
    }

    fn no_input(error: io::Error) -> Failure {
        let remedy = "give it what `recv --out -` writes: 16-byte headers, each before its event";
        Failure::system("reading events from standard input", error, remedy)
    }

    /// How many there are; `None`: no end, or none that is known.
    pub(super) fn total(&self) -> Option<u64> {
        match &self.kind {
            Kind::Made { .. } => self.args.total(),
            Kind::Files(Files { listed, manifest, .. }) => {
                let files = listed.len() as u64;
                Some(files + manifest.as_ref().map_or(0, |_| manifest::parts(files)))
            }
            Kind::Stream(_) => None,
        }
    }

    /// What is left out.
    pub(super) fn skipped(&self) -> &[Skipped] {
        match &self.kind {
            Kind::Files(files) => &files.skipped,
            _ => &[],
        }
    }

    /// The next one, for a segmenter with that backend.
    ///
    /// # Errors
    /// What reading it returns.
    pub(super) fn next(&mut self, backend: SendBackend) -> Result<Option<Outgoing>, Failure> {
        if self.total().is_some_and(|total| self.index >= total) {
            return Ok(None);
        }
        let number = self.args.event_start().wrapping_add(self.index);
        let mut options = EventOptions {
            event_number: Some(number),
            data_id: Some(self.args.data_id()),
            entropy: self.args.entropy,
            tick: None,
        };
        let mut mapped = None;
        let bytes = match &mut self.kind {
            Kind::Made { sizes, payload } => {
                let len = sizes.of(self.index);
                let mut bytes = self.pool.take(len);
                payload.fill(number, self.args.data_id(), &mut bytes[..len]);
                self.pool.event(bytes, len)
            }
            Kind::Files(Files { listed, manifest, .. }) => {
                match (listed.get(self.index as usize), manifest) {
                    (Some(file), manifest) => {
                        let loaded = files::load(file, backend, &self.pool, manifest.is_some())?;
                        if let Some(manifest) = manifest {
                            manifest.add(file, &loaded, number, self.args.data_id())?;
                        }
                        mapped = loaded.mapped;
                        loaded.bytes
                    }
                    (None, Some(manifest)) => {
                        options.data_id = Some(manifest.data_id);
                        match manifest.next_part()? {
                            Some(part) => part.into(),
                            None => return Ok(None),
                        }
                    }
                    (None, None) => return Ok(None),
                }
            }
            Kind::Stream(frames) => {
                let mut bytes = self.pool.take(0);
                match frames.next(&mut bytes) {
                    Ok(Some(frame)) => {
                        options.event_number = Some(frame.event_number);
                        options.data_id = Some(frame.data_id);
                        self.pool.event(bytes, frame.length)
                    }
                    Ok(None) => return Ok(None),
                    Err(_) if self.control.is_stopping() => return Ok(None),
                    Err(error) => return Err(Self::no_input(error)),
                }
            }
        };
        self.index += 1;
        Ok(Some(Outgoing { bytes, options, mapped }))
    }
}

impl Manifest {
    /// For these files, each under a name of its own.
    fn new(data_id: u16, listed: &[Listed]) -> Result<Self, Failure> {
        let usage = |asked: String, found: String, remedy: &str| {
            Err(SetupError::new(SetupErrorKind::Usage, asked, found, remedy).into())
        };
        if listed.len() as u64 > manifest::MAX_FILES {
            return usage(
                format!("a manifest of {} files", listed.len()),
                format!("one has {} at most", manifest::MAX_FILES),
                "send them in several runs, or as archives",
            );
        }
        let mut paths = HashMap::new();
        for file in listed {
            if let Some(other) = paths.insert(file.name()?.bytes().to_vec(), file.path()) {
                return usage(
                    format!("sending {} with --manifest", file.path().display()),
                    format!("it would have the same name as {}", other.display()),
                    "name the directory above both",
                );
            }
        }
        Ok(Self { data_id, entries: Vec::new(), parts: None })
    }

    fn add(
        &mut self,
        file: &Listed,
        loaded: &Loaded,
        event_number: u64,
        data_id: u16,
    ) -> Result<(), Failure> {
        self.entries.push(Entry {
            event_number,
            data_id,
            size: loaded.bytes.len(),
            sha256: loaded.sha256.unwrap_or_default(),
            mode: loaded.kind.mode() & 0o777,
            mtime_s: loaded.kind.mtime(),
            mtime_ns: loaded.kind.mtime_nsec() as u32,
            name: file.name()?,
        });
        Ok(())
    }

    fn next_part(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.parts.is_none() {
            let random = || RandomState::new().build_hasher().finish();
            let set = format!("{:016x}{:016x}", random(), random());
            let parts = manifest::encode(&set, &self.entries).map_err(|error| {
                Failure::system("writing the manifest", error.into(), "report this")
            })?;
            self.parts = Some(parts.into_iter());
        }
        Ok(self.parts.as_mut().and_then(Iterator::next))
    }
}
