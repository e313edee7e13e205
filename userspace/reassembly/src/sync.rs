//! Atomics of the standard library, or those of loom, which tries every
//! interleaving of a test: `RUSTFLAGS='--cfg loom' cargo test --release`.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicPtr, Ordering};
    #[cfg(test)]
    pub(crate) use std::{sync::Arc, thread};

    /// `UnsafeCell` with loom's interface.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct Cell<T>(std::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// # Safety
        /// Nobody writes meanwhile.
        #[inline]
        pub(crate) unsafe fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
            // SAFETY: by the caller's promise.
            read(unsafe { &*self.0.get() })
        }

        /// # Safety
        /// Nobody else reads or writes meanwhile.
        #[inline]
        pub(crate) unsafe fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
            // SAFETY: by the caller's promise.
            write(unsafe { &mut *self.0.get() })
        }
    }

    #[cfg(test)]
    pub(crate) fn model(test: impl Fn() + Sync + Send + 'static) {
        test();
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{AtomicPtr, Ordering};
    #[cfg(test)]
    pub(crate) use loom::{model, sync::Arc, thread};

    /// Loom's cell, which notices accesses that race.
    #[derive(Debug)]
    pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

    impl<T> Cell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        /// # Safety
        /// Nobody writes meanwhile.
        pub(crate) unsafe fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
            // SAFETY: by the caller's promise, which loom checks.
            self.0.with(|value| read(unsafe { &*value }))
        }

        /// # Safety
        /// Nobody else reads or writes meanwhile.
        pub(crate) unsafe fn with_mut<R>(&self, write: impl FnOnce(&mut T) -> R) -> R {
            // SAFETY: by the caller's promise, which loom checks.
            self.0.with_mut(|value| write(unsafe { &mut *value }))
        }
    }
}

pub(crate) use imp::*;
