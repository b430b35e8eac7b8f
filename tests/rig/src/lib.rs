//! The parts that Plumbline's tests, demo and benchmarks run on: control plane, AWS proxy, seeding.

pub mod aws_proxy;
pub mod aws_rig;
mod background;
pub mod controlplane;
mod emulator;
pub mod gitops;
pub mod kube_proxy;
pub mod ministack;
pub mod moto;
pub mod release;
pub mod seed;
pub mod supervisor;
