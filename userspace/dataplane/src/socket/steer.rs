//! Choosing the socket of a port group by the LB header's entropy, inside
//! the kernel: a classic BPF program of a few instructions.

use std::{io, mem::size_of, os::fd::BorrowedFd};

use libc::{sock_filter, sock_fprog};
use xdpsar_wire::lb::LB_MAGIC;

use crate::sys;

/// Where the entropy stands in an LB header.
const ENTROPY_OFFSET: u32 = 6;

const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const MODULO: u16 = (libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const RETURN_A: u16 = (libc::BPF_RET | libc::BPF_A) as u16;

const fn op(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Lets the sockets that share `socket`'s port (`SO_REUSEPORT`) have the
/// datagrams of their worker: the socket that was bound `n`-th gets those
/// with `(entropy & (lanes − 1)) % workers == n`. A datagram without an LB
/// header goes to the first.
///
/// The program sees the UDP payload from offset 0 on: the kernel pulls the
/// UDP header before it runs it (`run_bpf_filter()`,
/// `net/core/sock_reuseport.c`, since Linux 4.5).
pub(super) fn by_entropy(socket: BorrowedFd<'_>, lanes: u16, workers: u32) -> io::Result<()> {
    let mut program = [
        op(LOAD_HALF, 0),
        sock_filter {
            code: JUMP_IF_EQUAL,
            jt: 1,
            jf: 0,
            k: u32::from(u16::from_be_bytes(LB_MAGIC)),
        },
        op(RETURN, 0),
        op(LOAD_HALF, ENTROPY_OFFSET),
        op(AND, u32::from(lanes - 1)),
        op(MODULO, workers),
        op(RETURN_A, 0),
    ];
    attach(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &mut program)
}

/// Keeps datagrams out of `socket`, until [`open`]: what arrives while a
/// group is incomplete would go to the wrong worker.
pub(super) fn shut(socket: BorrowedFd<'_>) -> io::Result<()> {
    attach(socket, libc::SO_ATTACH_FILTER, &mut [op(RETURN, 0)])
}

/// Lets datagrams in again.
pub(super) fn open(socket: BorrowedFd<'_>) -> io::Result<()> {
    sys::set_option(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0)
}

fn attach(socket: BorrowedFd<'_>, option: i32, program: &mut [sock_filter]) -> io::Result<()> {
    const { assert!(size_of::<sock_filter>() == 8) };
    let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    sys::set_option_raw(socket, libc::SOL_SOCKET, option, &program)
}
