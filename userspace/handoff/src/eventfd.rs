//! A descriptor that is readable or not.

#[cfg(loom)]
pub(crate) use loom_kernel::Eventfd;
#[cfg(not(loom))]
pub(crate) use system::Eventfd;

#[cfg(not(loom))]
mod system {
    use std::{
        io,
        os::fd::{AsFd, BorrowedFd, OwnedFd},
    };

    use rustix::event::{EventfdFlags, eventfd};

    /// An eventfd: readable while its counter is not 0.
    ///
    /// What a thread did before [`Self::signal`] is seen by who clears that
    /// signal: the kernel changes the counter under a lock (`fs/eventfd.c`).
    #[derive(Debug)]
    pub(crate) struct Eventfd(OwnedFd);

    impl Eventfd {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
        }

        /// Makes it readable.
        pub(crate) fn signal(&self) {
            // It can fail only with a counter at 2⁶⁴ − 1, and then it is
            // readable.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }

        /// Makes it unreadable.
        pub(crate) fn clear(&self) {
            // It fails if it is that already.
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
        }
    }

    impl AsFd for Eventfd {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

/// The same as loom can run it.
#[cfg(loom)]
mod loom_kernel {
    use std::io;

    use loom::sync::{Condvar, Mutex};

    #[derive(Debug)]
    pub(crate) struct Eventfd {
        is_readable: Mutex<bool>,
        changed: Condvar,
    }

    impl Eventfd {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self { is_readable: Mutex::new(false), changed: Condvar::new() })
        }

        pub(crate) fn signal(&self) {
            *self.is_readable.lock().unwrap() = true;
            self.changed.notify_all();
        }

        pub(crate) fn clear(&self) {
            *self.is_readable.lock().unwrap() = false;
        }

        pub(crate) fn wait_readable(&self) {
            let mut is_readable = self.is_readable.lock().unwrap();
            while !*is_readable {
                is_readable = self.changed.wait(is_readable).unwrap();
            }
        }
    }
}
