//! How a command ends: exit status, or the error that says why not.

use std::{fmt, io, path::Path, process::ExitCode, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use xdpsar::{
    Error, SetupError, SetupErrorKind, UriError, UriErrorKind,
    load_balancer::{Error as LbError, ErrorKind as LbErrorKind},
};

use crate::output::{Failed, Output};

/// Exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// All good.
    Good = 0,
    /// Failure.
    Failed = 1,
    /// Wrong usage; the command-line parser itself exits so, too.
    Usage = 2,
    /// Finished, but with loss or a verification error.
    Lossy = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command could not do its job.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It says what was asked, what was found, and what to do.
    Error(Box<Error>),
    /// Nobody reads our standard output any more; there is nobody to tell.
    OutputGone,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::OutputGone => f.write_str("nobody reads standard output"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

impl From<SetupError> for Failure {
    fn from(error: SetupError) -> Self {
        Error::from(error).into()
    }
}

impl From<UriError> for Failure {
    fn from(error: UriError) -> Self {
        Error::from(error).into()
    }
}

impl From<LbError> for Failure {
    fn from(error: LbError) -> Self {
        Error::from(error).into()
    }
}

impl Failure {
    /// A command line that makes no sense, for a reason that its definition
    /// cannot know.
    pub(crate) fn usage(
        asked: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        SetupError::new(SetupErrorKind::Usage, asked, found, remedy).into()
    }

    /// A system error on the way to what was asked.
    pub(crate) fn system(asked: impl Into<String>, error: io::Error, remedy: &str) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => SetupErrorKind::Permission,
            io::ErrorKind::OutOfMemory => SetupErrorKind::Memory,
            _ => SetupErrorKind::System,
        };
        SetupError::new(kind, asked, error.to_string(), remedy).caused_by(error).into()
    }

    /// A file that could not be read.
    pub(crate) fn reading(path: &Path, error: io::Error) -> Self {
        let asked = format!("reading {}", path.display());
        Self::system(asked, error, "name a file that is there and may be read")
    }

    /// A report that could not be told.
    pub(crate) fn telling(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputGone;
        }
        Self::system("writing to standard output", error, "give it a place that takes it")
    }

    /// Tells the user: people on standard error and, if standard output
    /// carries JSON, programs there.
    pub(crate) fn tell(&self, json: bool) {
        let Self::Error(error) = self else { return };
        let failed = Failed::from(&**error);
        // If nobody listens the exit status still says it.
        let _ = Output::TextAside.tell(&failed);
        if json {
            let _ = Output::Json.tell(&failed);
        }
    }

    /// What was asked, what was found, and what to do; nothing if there is
    /// nobody to tell.
    pub(crate) fn parts(&self) -> Option<(String, String, String)> {
        let Self::Error(error) = self else { return None };
        let failed = Failed::from(&**error);
        Some(match (failed.asked, failed.found, failed.remedy) {
            (Some(asked), Some(found), Some(remedy)) => (asked, found, remedy),
            _ => ("doing its part".into(), failed.message, "see the log (-v)".into()),
        })
    }

    /// The exit status.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Error(error) => {
                use LbErrorKind::{Parameter, ParameterNotAvailable};
                use UriErrorKind::{Bad, Empty, Missing, NotSet};
                let usage = match &**error {
                    Error::Setup(setup) => setup.kind == SetupErrorKind::Usage,
                    Error::Uri(uri) => matches!(uri.kind, NotSet | Empty | Bad | Missing),
                    Error::ControlPlane(lb) => {
                        matches!(lb.kind, Parameter | ParameterNotAvailable)
                    }
                    _ => false,
                };
                if usage { Status::Usage } else { Status::Failed }
            }
            Self::OutputGone => Status::Failed,
        }
    }
}

/// Processor time of this process so far, the kernel's share included.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: SetupErrorKind) -> Failure {
        SetupError::new(kind, "a", "b", "c").into()
    }

    #[test]
    fn usage_errors_exit_like_the_parser() {
        assert_eq!(failure(SetupErrorKind::Usage).status(), Status::Usage);
        assert_eq!(failure(SetupErrorKind::Permission).status(), Status::Failed);
        assert_eq!(Failure::OutputGone.status(), Status::Failed);
    }

    #[test]
    fn a_broken_pipe_is_no_error_to_tell() {
        let gone = Failure::telling(io::ErrorKind::BrokenPipe.into());
        assert!(matches!(gone, Failure::OutputGone));
        let full = Failure::telling(io::ErrorKind::StorageFull.into());
        assert!(matches!(full, Failure::Error(_)));
    }

    #[test]
    fn processor_time_passes() {
        let before = cpu_time();
        let mut x = 1_u64;
        while cpu_time() == before {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
    }
}
