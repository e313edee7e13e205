//! One worker, one core.

use core_affinity::CoreId;

use crate::error::{SetupError, SetupErrorKind};

/// The cores that the calling thread may run on. Ask before the first thread
/// is pinned: a pinned thread sees its one core only.
pub fn allowed_cores() -> Vec<usize> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect()
}

/// Checks that every core exists and that this thread, and so the ones it
/// starts, may run there.
///
/// # Errors
/// [`SetupErrorKind::NoSuchCore`] names the first that cannot be had, and
/// lists those that can.
pub fn check_cores(cores: &[usize]) -> Result<(), SetupError> {
    let allowed = allowed_cores();
    match cores.iter().find(|core| !allowed.contains(core)) {
        Some(core) => Err(no_such_core(*core, &allowed)),
        None => Ok(()),
    }
}

/// Lets the calling thread run on `core` only.
///
/// # Errors
/// [`SetupErrorKind::NoSuchCore`] when the kernel refuses.
pub fn pin_current_thread(core: usize) -> Result<(), SetupError> {
    // `core_affinity` indexes a fixed-size set with the number: keep numbers
    // out that it cannot hold.
    let fits = core < libc::CPU_SETSIZE as usize;
    if fits && core_affinity::set_for_current(CoreId { id: core }) {
        Ok(())
    } else {
        Err(no_such_core(core, &allowed_cores()))
    }
}

fn no_such_core(core: usize, allowed: &[usize]) -> SetupError {
    SetupError::new(
        SetupErrorKind::NoSuchCore,
        format!("run a worker on core {core}"),
        format!("this process may use the cores {}", ranges(allowed)),
        "name some of those, or widen the process's affinity (taskset, cpuset cgroup)",
    )
}

/// `0-3,8` for `[0, 1, 2, 3, 8]`.
fn ranges(cores: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = cores;
    while let [first, ..] = rest {
        let run = rest.iter().enumerate().take_while(|(i, core)| **core == first + i).count();
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&first.to_string());
        if run > 1 {
            text.push_str(&format!("-{}", first + run - 1));
        }
        rest = &rest[run..];
    }
    if text.is_empty() { "(none)".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_named_with_those_that_are() {
        let error = check_cores(&[4711]).unwrap_err();
        assert_eq!(error.kind, SetupErrorKind::NoSuchCore);
        assert!(error.asked.contains("4711"), "{error}");
        assert!(error.found.contains(&allowed_cores()[0].to_string()), "{error}");
        assert_eq!(pin_current_thread(4711).unwrap_err().kind, SetupErrorKind::NoSuchCore);
        assert_eq!(pin_current_thread(1023).unwrap_err().kind, SetupErrorKind::NoSuchCore);
    }

    #[test]
    fn a_pinned_thread_runs_on_its_core() {
        let core = *allowed_cores().last().unwrap();
        std::thread::spawn(move || {
            check_cores(&[core]).unwrap();
            pin_current_thread(core).unwrap();
            assert_eq!(allowed_cores(), [core]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn cores_are_written_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 3, 8, 10, 11]), "0-3,8,10-11");
        assert_eq!(ranges(&[]), "(none)");
    }
}
