//! libFuzzer's way into [`xdpsar_fuzz::packet_step`].
#![cfg_attr(fuzzing, no_main)]

xdpsar_fuzz::target!(xdpsar_fuzz::packet_step::run);
