//! What the driver asks of the machine it runs on: CPUs, processes, ports, and how busy all is.

pub mod conditions;
pub mod cpus;
pub mod description;
pub mod ports;
pub mod process;
