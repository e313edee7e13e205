//! libFuzzer's way into [`xdpsar_fuzz::parser`].
#![cfg_attr(fuzzing, no_main)]

xdpsar_fuzz::target!(xdpsar_fuzz::parser::run);
