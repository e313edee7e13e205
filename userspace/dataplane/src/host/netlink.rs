//! Questions to the kernel's routing side (rtnetlink(7)): one message there,
//! one back, or a list.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{FromRawFd, OwnedFd},
};

use crate::sys;

/// `struct nlmsghdr`, `include/uapi/linux/netlink.h`.
const HEADER: usize = 16;
/// `struct nlattr`: length and kind.
const ATTRIBUTE: usize = 4;
/// Room for any answer: the kernel's own limit for one message is
/// `NLMSG_GOODSIZE`, two pages at most; lists come in pieces no longer than
/// the room is (`netlink_dump()`, `net/netlink/af_netlink.c`).
const ANSWER: usize = 32 << 10;
/// The bits of an attribute's kind that are flags (`NLA_F_NESTED`,
/// `NLA_F_NET_BYTEORDER`).
const KIND: u16 = 0x3fff;

/// A question in the making.
pub(crate) struct Question(Vec<u8>);

impl Question {
    /// A message of `kind` with these flags; `body` is the kind's own
    /// structure.
    pub(crate) fn new(kind: u16, flags: libc::c_int, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = (flags | libc::NLM_F_REQUEST) as u16;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend(body);
        Self(bytes)
    }

    /// With an attribute more.
    #[must_use]
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let len = (ATTRIBUTE + value.len()) as u16;
        self.0.extend(len.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// What the kernel said: the kind's own structure and attributes.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    /// The first `N` bytes: the kind's own structure.
    pub(crate) fn body<const N: usize>(&self) -> io::Result<[u8; N]> {
        self.0.first_chunk().copied().ok_or_else(unreadable)
    }

    /// The attributes behind a structure of `body` bytes.
    pub(crate) fn attributes(&self, body: usize) -> Attributes<'_> {
        Attributes(self.0.get(body..).unwrap_or_default())
    }
}

/// Attributes one after the other: kind and value. Ends at the first that
/// does not fit.
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [a, b, c, d] = *self.0.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let value = self.0.get(ATTRIBUTE..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & KIND, value))
    }
}

/// An open line to the kernel.
#[derive(Debug)]
pub(crate) struct Netlink(File);

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = sys::check(unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
        })?;
        // SAFETY: the kernel just gave us this descriptor, nobody else has it.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Asks, and returns the answer; an acknowledgement is an empty one. The
    /// kernel answers before the question's system call returns.
    ///
    /// # Errors
    /// The kernel's, `ENOENT` for what is not there.
    pub(crate) fn ask(&mut self, question: Question) -> io::Result<Answer> {
        self.put(question)?;
        let mut room = vec![0; ANSWER];
        let len = self.0.read(&mut room)?;
        match message(&mut &room[..len])?.ok_or_else(unreadable)? {
            Message::Answer(body) => Ok(Answer(body.to_vec())),
            Message::End => Ok(Answer(Vec::new())),
        }
    }

    /// Asks for a list, with `NLM_F_DUMP` among the question's flags.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn list(&mut self, question: Question) -> io::Result<Vec<Answer>> {
        self.put(question)?;
        let mut list = Vec::new();
        let mut room = vec![0; ANSWER];
        loop {
            let len = self.0.read(&mut room)?;
            let mut rest = &room[..len];
            while let Some(message) = message(&mut rest)? {
                match message {
                    Message::Answer(body) => list.push(Answer(body.to_vec())),
                    Message::End => return Ok(list),
                }
            }
        }
    }

    fn put(&mut self, mut question: Question) -> io::Result<()> {
        let len = question.0.len() as u32;
        question.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0.write_all(&question.0)
    }
}

/// One message of the kernel's.
enum Message<'a> {
    Answer(&'a [u8]),
    /// The end of a list, or an acknowledgement.
    End,
}

/// Takes the next message off `bytes`; `None` where nothing is left.
fn message<'a>(bytes: &mut &'a [u8]) -> io::Result<Option<Message<'a>>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let header: [u8; HEADER] = bytes.first_chunk().copied().ok_or_else(unreadable)?;
    let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let body = bytes.get(HEADER..len).ok_or_else(unreadable)?;
    *bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    match i32::from(u16::from_ne_bytes([header[4], header[5]])) {
        libc::NLMSG_DONE => Ok(Some(Message::End)),
        libc::NLMSG_ERROR => {
            let code: [u8; 4] = body.first_chunk().copied().ok_or_else(unreadable)?;
            match i32::from_ne_bytes(code) {
                0 => Ok(Some(Message::End)),
                negative => Err(io::Error::from_raw_os_error(-negative)),
            }
        }
        _ => Ok(Some(Message::Answer(body))),
    }
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "rtnetlink gave an answer that is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_end_where_they_stop_making_sense() {
        let question = Question::new(1, 0, &[]).with(7, &[1, 2, 3, 4, 5]).with(0x8009, &[6]);
        let bytes = &question.0[HEADER..];
        assert_eq!(bytes.len(), 12 + 8);
        let all: Vec<_> = Attributes(bytes).collect();
        assert_eq!(all, [(7, &[1, 2, 3, 4, 5][..]), (9, &[6][..])]);
        assert_eq!(Attributes(&bytes[..8]).next(), None, "cut short");
        assert_eq!(Attributes(&[0; 8]).next(), None, "a length of nothing");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let mut netlink = Netlink::open().expect("a netlink socket");
        let mut body = [0; 16];
        body[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
        let error = netlink.ask(Question::new(libc::RTM_GETLINK, 0, &body)).err().expect("none");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
