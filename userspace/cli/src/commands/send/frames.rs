//! Events from standard input, as `recv --out -` writes them: see
//! [`crate::sink`] for the frames.

use std::{
    fs::File,
    io::{self, BufReader, Read, Stdin},
    os::fd::AsFd,
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{control::Control, files::read_full};
use crate::sink::HEADER_LEN;

/// How late a stop is noticed while nothing comes.
const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Read at once.
const BUFFER: usize = 1 << 18;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) event_number: u64,
    pub(super) data_id: u16,
    /// Bytes of the event, in the buffer that was given for them.
    pub(super) length: usize,
}

/// Reads frames. Nothing that is read is believed: a length costs no memory
/// before its bytes are there, and none may be longer than `longest`.
pub(super) struct Frames<R> {
    from: BufReader<R>,
    longest: u32,
    /// Frames so far.
    count: u64,
}

impl<R: Read> Frames<R> {
    pub(super) fn new(from: R, longest: u32) -> Self {
        Self { from: BufReader::with_capacity(BUFFER, from), longest, count: 0 }
    }

    /// The next one, its event in `bytes`; nothing after the last.
    ///
    /// # Errors
    /// What reading returns; `InvalidData` for what is no whole frame. There
    /// is no way back into step after that.
    pub(super) fn next(&mut self, bytes: &mut Vec<u8>) -> io::Result<Option<Frame>> {
        let mut header = [0; HEADER_LEN];
        let invalid = |count: u64, what: String| {
            let text = format!("frame {} of the stream: {what}", count + 1);
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        };
        match read_full(&mut self.from, &mut header)? {
            0 => return Ok(None),
            HEADER_LEN => {}
            n => return invalid(self.count, format!("it ends after {n} bytes of its header")),
        }
        let [n0, n1, n2, n3, n4, n5, n6, n7, d0, d1, z0, z1, l0, l1, l2, l3] = header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if [z0, z1] != [0, 0] {
            return invalid(self.count, "bytes 10 and 11 of its header are not zero".into());
        }
        if length > self.longest {
            let longest = self.longest;
            let what = format!("it has {length} bytes, and --max-event is {longest}");
            return invalid(self.count, what);
        }
        bytes.clear();
        let read = self.from.by_ref().take(length.into()).read_to_end(bytes)?;
        if read < length as usize {
            let what = format!("it ends after {read} of {length} bytes");
            return invalid(self.count, what);
        }
        self.count += 1;
        Ok(Some(Frame {
            event_number: u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]),
            data_id: u16::from_be_bytes([d0, d1]),
            length: read,
        }))
    }
}

/// Standard input, while no stop is asked for: a signal does not end a read.
pub(super) struct Input {
    file: File,
    control: Arc<Control>,
}

impl Input {
    /// # Errors
    /// What the system returns: it is closed.
    pub(super) fn new(stdin: &Stdin, control: &Arc<Control>) -> io::Result<Self> {
        let file = File::from(stdin.as_fd().try_clone_to_owned()?);
        Ok(Self { file, control: Arc::clone(control) })
    }
}

impl Read for Input {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.control.is_stopping() {
                return Err(io::Error::other("the command is being stopped"));
            }
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&SLICE)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.file.read(to),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sink::{Item, StreamSink};

    fn written(events: &[(u64, u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sink = StreamSink::new(&mut out);
        for (event_number, data_id, bytes) in events {
            sink.put(Item { event_number: *event_number, data_id: *data_id, bytes }).unwrap();
        }
        sink.flush().unwrap();
        drop(sink);
        out
    }

    fn error(stream: &[u8], longest: u32) -> (usize, String) {
        let mut frames = Frames::new(stream, longest);
        let mut whole = 0;
        loop {
            match frames.next(&mut Vec::new()) {
                Ok(Some(_)) => whole += 1,
                Ok(None) => return (whole, String::new()),
                Err(error) => return (whole, error.to_string()),
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_said_after_all_that_are() {
        let stream = written(&[(1, 2, b"abc".to_vec()), (3, 4, vec![]), (5, 6, b"xyz".to_vec())]);
        assert_eq!(error(&stream, 3), (3, String::new()));
        for (cut, why) in [(1, "2 of 3 bytes"), (3, "0 of 3 bytes"), (4, "15 bytes of its header")]
        {
            let (whole, why_not) = error(&stream[..stream.len() - cut], 3);
            assert!(whole == 2 && why_not.contains(why), "{whole}, {why_not}");
        }
        assert!(error(&stream, 2).1.contains("--max-event is 2"));
        let mut wrong = stream;
        wrong[19 + 11] = 1;
        let (whole, why) = error(&wrong, 3);
        assert!(whole == 1 && why.contains("frame 2 of the stream: bytes 10 and 11"), "{why}");
    }

    #[test]
    fn a_length_alone_costs_no_memory() {
        let mut header = [0; HEADER_LEN];
        header[12..].copy_from_slice(&u32::MAX.to_be_bytes());
        let mut bytes = Vec::new();
        assert!(Frames::new(&header[..], u32::MAX).next(&mut bytes).is_err());
        assert!(bytes.capacity() < 1 << 20);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(events: Vec<(u64, u16, Vec<u8>)>) {
            let stream = written(&events);
            let mut frames = Frames::new(&stream[..], u32::MAX);
            let mut bytes = vec![7; 3];
            for (event_number, data_id, payload) in events {
                let length = payload.len();
                prop_assert_eq!(
                    frames.next(&mut bytes).unwrap(),
                    Some(Frame { event_number, data_id, length })
                );
                prop_assert_eq!(&bytes, &payload);
            }
            prop_assert_eq!(frames.next(&mut bytes).unwrap(), None);
        }

        #[test]
        fn no_stream_is_too_wild(stream: Vec<u8>, longest in 0..100_u32) {
            error(&stream, longest);
        }
    }
}
