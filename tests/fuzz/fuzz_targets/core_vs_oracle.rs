//! libFuzzer's way into [`xdpsar_fuzz::core_vs_oracle`].
#![cfg_attr(fuzzing, no_main)]

xdpsar_fuzz::target!(xdpsar_fuzz::core_vs_oracle::run);
