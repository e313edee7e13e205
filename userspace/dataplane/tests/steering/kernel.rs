//! The program in the kernel, run on one frame at a time.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
};

use libbpf_rs::{ObjectBuilder, libbpf_sys as sys};
use xdpsar_dataplane::steering::{self, SteeringProgram};
use xdpsar_wire::steering::{SteerConfig, Verdict};

// include/uapi/linux/bpf.h, `enum xdp_action`.
pub(crate) const XDP_DROP: u32 = 1;
pub(crate) const XDP_PASS: u32 = 2;
pub(crate) const XDP_REDIRECT: u32 = 4;

/// RX queues that the socket map has room for.
pub(crate) const QUEUES: u32 = 4;

/// One loaded program, whoever loaded it.
pub(crate) struct Program {
    /// Who loaded it.
    pub(crate) loader: &'static str,
    program: OwnedFd,
    counters: OwnedFd,
    sockets: OwnedFd,
    counted: [u64; Verdict::COUNTERS],
    /// An AF_XDP socket that is bound to nothing; it serves to see which slot
    /// a redirect goes to.
    socket: OwnedFd,
    slot: Option<u32>,
    /// Keeps the loader's own handles.
    _owner: Box<dyn std::any::Any>,
}

impl Program {
    /// Loaded by aya: the way of production.
    pub(crate) fn by_aya(config: &SteerConfig) -> Self {
        let slots = QUEUES * u32::from(config.workers);
        Self::of(SteeringProgram::load(config, slots).expect("aya loads the program"))
    }

    /// One that aya has loaded already.
    pub(crate) fn of(loaded: SteeringProgram) -> Self {
        let program = loaded.program_fd().expect("a loaded program").try_clone_to_owned();
        Self::new("aya", program.expect("a descriptor"), Box::new(loaded))
    }

    /// Loaded by libbpf: the second opinion on the object file.
    pub(crate) fn by_libbpf(config: &SteerConfig) -> Self {
        let mut object = ObjectBuilder::default()
            .open_memory(steering::OBJECT)
            .expect("libbpf reads the object");
        for mut map in object.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            if name.ends_with(".rodata") {
                let value = map.initial_value_mut().expect("read-only data");
                value.copy_from_slice(config.as_data());
            } else if name == "XSKS" {
                map.set_max_entries(QUEUES * u32::from(config.workers)).expect("resized");
            }
        }
        let object = object.load().expect("libbpf loads the program");
        let program = object
            .progs()
            .find(|program| program.name() == "xdpsar_steer")
            .expect("the program")
            .as_fd()
            .try_clone_to_owned();
        Self::new("libbpf", program.expect("a descriptor"), Box::new(object))
    }

    fn new(loader: &'static str, program: OwnedFd, owner: Box<dyn std::any::Any>) -> Self {
        let mut maps = maps_of(&program);
        let mut map = |name: &str| {
            let at = maps.iter().position(|(found, _)| found == name);
            maps.swap_remove(at.unwrap_or_else(|| panic!("{loader}: no map {name}"))).1
        };
        // SAFETY: no pointers; the descriptor is ours alone.
        let socket =
            unsafe { OwnedFd::from_raw_fd(check(libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0))) };
        Self {
            loader,
            counters: map("COUNTERS"),
            sockets: map("XSKS"),
            program,
            counted: [0; Verdict::COUNTERS],
            socket,
            slot: None,
            _owner: owner,
        }
    }

    /// Runs the program once on `frame`. With `linear`, only so many bytes
    /// are in the linear part (Linux 6.18, `net/bpf/test_run.c`).
    pub(crate) fn run(
        &self,
        frame: &[u8],
        linear: Option<u32>,
        queue: Option<(u32, u32)>,
    ) -> io::Result<u32> {
        let (interface, rx_queue) = queue.unwrap_or_default();
        let context = sys::xdp_md {
            data: 0,
            data_end: linear.unwrap_or(frame.len() as u32),
            data_meta: 0,
            ingress_ifindex: interface,
            rx_queue_index: rx_queue,
            egress_ifindex: 0,
        };
        let mut options = sys::bpf_test_run_opts {
            sz: size_of::<sys::bpf_test_run_opts>() as sys::size_t,
            data_in: frame.as_ptr().cast(),
            data_size_in: frame.len() as u32,
            ..Default::default()
        };
        if linear.is_some() || queue.is_some() {
            options.ctx_in = (&raw const context).cast();
            options.ctx_size_in = size_of::<sys::xdp_md>() as u32;
        }
        // SAFETY: frame and context live until the call returns, and are as
        // long as announced.
        let result =
            unsafe { sys::bpf_prog_test_run_opts(self.program.as_raw_fd(), &raw mut options) };
        if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(options.retval) }
    }

    /// The counters that moved since the last call, one entry a step.
    pub(crate) fn moved(&mut self) -> Vec<&'static str> {
        let now = self.read_counters();
        let mut moved = Vec::new();
        for (index, name) in Verdict::COUNTER_NAMES.iter().enumerate() {
            let steps = now[index] - self.counted[index];
            moved.extend(std::iter::repeat_n(*name, steps as usize));
        }
        self.counted = now;
        moved
    }

    fn read_counters(&self) -> [u64; Verdict::COUNTERS] {
        let cpus = libbpf_rs::num_possible_cpus().expect("a number of CPUs");
        let mut keys = [0_u32; Verdict::COUNTERS];
        let mut values = vec![0_u64; Verdict::COUNTERS * cpus];
        let mut count = Verdict::COUNTERS as u32;
        let mut position = 0_u32;
        // SAFETY: keys and values have room for `count` entries of a value a
        // possible CPU; all live until the call returns.
        let result = unsafe {
            sys::bpf_map_lookup_batch(
                self.counters.as_raw_fd(),
                ptr::null_mut(),
                (&raw mut position).cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                ptr::null(),
            )
        };
        // ENOENT: that was all there is.
        assert!(result == 0 || result == -libc::ENOENT, "counters: {result}");
        assert_eq!(count as usize, Verdict::COUNTERS);
        let mut counters = [0; Verdict::COUNTERS];
        for (key, values) in keys.iter().zip(values.chunks(cpus)) {
            counters[*key as usize] = values.iter().sum();
        }
        counters
    }

    /// Puts the socket into `slot` and no other, or nowhere.
    pub(crate) fn only_slot(&mut self, slot: Option<u32>) {
        if self.slot == slot {
            return;
        }
        let map = self.sockets.as_raw_fd();
        if let Some(old) = self.slot {
            // SAFETY: the key is a `u32`, as the map's keys are.
            check(unsafe { sys::bpf_map_delete_elem(map, (&raw const old).cast()) });
        }
        if let Some(new) = slot {
            let socket = self.socket.as_raw_fd();
            // SAFETY: key and value are 4 bytes each, as the map's are.
            check(unsafe {
                sys::bpf_map_update_elem(
                    map,
                    (&raw const new).cast(),
                    (&raw const socket).cast(),
                    0,
                )
            });
        }
        self.slot = slot;
    }
}

/// The maps of a loaded program, by name.
fn maps_of(program: &OwnedFd) -> Vec<(String, OwnedFd)> {
    let mut ids = [0_u32; 8];
    let mut info = sys::bpf_prog_info {
        nr_map_ids: ids.len() as u32,
        map_ids: ids.as_mut_ptr() as u64,
        ..Default::default()
    };
    let mut length = size_of::<sys::bpf_prog_info>() as u32;
    // SAFETY: `info` is as long as announced, and has room for `nr_map_ids`.
    check(unsafe {
        sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut length)
    });
    ids[..info.nr_map_ids as usize]
        .iter()
        .map(|id| {
            // SAFETY: no pointers; the descriptor is ours alone.
            let map = unsafe { OwnedFd::from_raw_fd(check(sys::bpf_map_get_fd_by_id(*id))) };
            let mut info = sys::bpf_map_info::default();
            let mut length = size_of::<sys::bpf_map_info>() as u32;
            // SAFETY: `info` is as long as announced.
            check(unsafe {
                sys::bpf_map_get_info_by_fd(map.as_raw_fd(), &raw mut info, &raw mut length)
            });
            // SAFETY: the kernel terminates the name.
            let name = unsafe { CStr::from_ptr(info.name.as_ptr()) };
            (name.to_string_lossy().into_owned(), map)
        })
        .collect()
}

/// libbpf returns negative error numbers, libc sets `errno`.
fn check(result: i32) -> i32 {
    assert!(result >= 0, "{result}: {}", io::Error::last_os_error());
    result
}
